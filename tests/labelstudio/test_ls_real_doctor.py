"""The doctor at a real Label Studio where one thing is wrong: it names that, and exits with 1."""

import base64
import json
from dataclasses import replace

import pytest
import real_api as api
from real_programs import RealPrograms
from real_projects import RealProject, make_project

from labelstudio_backend.settings import Settings
from labelstudio_backend.start import Backend
from labelstudio_backend.start.program import free_port

pytestmark = pytest.mark.slow

Findings = dict[str, dict[str, str]]


def examined(settings: Settings, project: int, *words: str) -> tuple[int, Findings]:
    """The exit code, and what was found by each check."""
    program = api.command(
        settings, "labelstudio", "doctor", "--project", str(project), "--json", *words
    )
    said, noted = program.communicate(timeout=120)
    assert "Traceback" not in noted
    return program.returncode, {each["check"]: each for each in json.loads(said)}


def failed(found: Findings) -> list[str]:
    return [name for name, each in found.items() if each["grade"] == "fail"]


@pytest.fixture
def project(backend: Backend, real_programs: RealPrograms) -> RealProject:
    return make_project(
        real_programs, "examined", api.config(), {"a.png": api.encoded(api.coins())}
    )


def test_all_is_well(backend: Backend, project: RealProject) -> None:
    code, found = examined(backend.settings, project.number)
    assert code == 0
    assert {each["grade"] for each in found.values()} == {"ok"}, found


def test_a_wrong_token(backend: Backend, project: RealProject) -> None:
    code, found = examined(replace(backend.settings, api_key="0" * 40), project.number)
    assert code == 1
    assert failed(found) == ["token"]
    assert "LABEL_STUDIO_API_KEY" in found["token"]["found"] + found["token"]["change"]
    assert "0" * 40 not in json.dumps(found)


def test_an_address_that_is_not_label_studio(backend: Backend, project: RealProject) -> None:
    settings = replace(backend.settings, label_studio_url=backend.url)
    code, found = examined(settings, project.number)
    assert code == 1
    assert failed(found)[0] == "Label Studio"


def test_no_such_project(backend: Backend, project: RealProject) -> None:
    code, found = examined(backend.settings, 987654)
    assert code == 1
    assert failed(found) == ["project"]


def test_a_backend_that_does_not_run(
    backend: Backend, project: RealProject, real_programs: RealPrograms
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    code, found = examined(backend.settings, project.number, "--backend", nobody)
    assert code == 1
    assert "backend" in failed(found)


def test_another_password(backend: Backend, project: RealProject) -> None:
    code, found = examined(replace(backend.settings, password="another"), project.number)
    assert code == 1
    assert failed(found) == ["backend"]
    assert "BASIC_AUTH" in found["backend"]["found"] + found["backend"]["change"]


def test_not_interactive(
    backend: Backend, project: RealProject, real_programs: RealPrograms
) -> None:
    real_programs.client.patch(
        f"/api/ml/{project.model}",
        {
            "url": backend.url,
            "project": project.number,
            "is_interactive": False,
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": backend.settings.user,
            "basic_auth_pass": backend.settings.password,
        },
    )
    _, found = examined(backend.settings, project.number)
    assert found["attached"]["grade"] in ("warn", "fail")
    assert "nteractive" in found["attached"]["found"] + found["attached"]["change"]


PICTURES = {
    "on another host": ("http://pictures.example/a.png", "SAM_PLUGINS_ALLOWED_HOSTS"),
    "of a bucket": ("s3://nowhere/a.png", "storage"),
    "of an unknown folder": ("/data/local-files/?d=nowhere/a.png", "Local Files"),
    "damaged": ("data:image/png;base64," + base64.b64encode(b"\x89PNG no").decode(), "picture"),
}


@pytest.mark.parametrize("what", PICTURES)
def test_a_picture(what: str, backend: Backend, real_programs: RealPrograms) -> None:
    address, word = PICTURES[what]
    project = make_project(real_programs, what, api.config(), data=[{"image": address}])
    code, found = examined(backend.settings, project.number)
    assert code == 1
    assert failed(found) == ["picture"]
    assert word in found["picture"]["found"] + found["picture"]["change"]


def test_no_output_for_a_label(backend: Backend, real_programs: RealPrograms) -> None:
    """Label Studio attaches the model, and the doctor says which tag is missing."""
    lone = """<View><Image name="image" value="$image"/>
      <KeyPointLabels name="point" toName="image" smart="true">
        <Label value="Coin"/></KeyPointLabels></View>"""
    client = real_programs.client
    number = int(client.create_project("lone", lone)["id"])
    code, found = examined(backend.settings, number)
    assert code == 1
    assert failed(found) == ["labelling config", "attached"]
    assert "BrushLabels" in json.dumps(found["labelling config"])


def test_labels_that_tasks_bring(backend: Backend, real_programs: RealPrograms) -> None:
    brought = """<View><Image name="image" value="$image"/>
      <BrushLabels name="out" toName="image" value="$classes"/>
      <KeyPointLabels name="point" toName="image" smart="true" value="$classes"/></View>"""
    data = [{"image": PICTURES["of a bucket"][0], "classes": [{"value": "Coin"}]}]
    project = make_project(real_programs, "brought", brought, data=data)
    _, found = examined(backend.settings, project.number)
    assert found["labelling config"]["grade"] == "ok"
