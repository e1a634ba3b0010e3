"""The container files are held to the code: no container engine is needed for that."""

import ipaddress
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from labelstudio_backend.doctor.networks import REFUSED
from labelstudio_backend.server.auth import check_listening
from labelstudio_backend.settings import Settings

ROOT = Path(__file__).parents[2]
BACKEND = ROOT / "labelstudio_backend"
DOCKERFILE = (BACKEND / "Dockerfile").read_text()
OURS = "172.31.250.10"


@pytest.fixture
def services(require) -> dict[str, Any]:
    yaml = require("yaml")
    return yaml.safe_load((BACKEND / "docker-compose.yml").read_text())["services"]


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [
        line.split(maxsplit=1)[1] for line in joined.splitlines() if line.startswith(name + " ")
    ]


def image_variables() -> dict[str, str]:
    words = [word for line in instructions("ENV") for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def substituted(value: str) -> str:
    return re.sub(r"\$\{\w+:\?[^}]*\}", "a-value", re.sub(r"\$\{\w+:-\}", "", value))


def known_to_settings(variables: dict[str, str]) -> set[str]:
    """The variables that `Settings.from_environment` looks at."""

    asked = set()

    class Seen(dict[str, str]):
        def get(self, name, default=None):
            asked.add(name)
            return super().get(name, default)

    Settings.from_environment(Seen(variables))
    return asked


def test_each_variable_of_the_backend_is_one_that_it_reads(services) -> None:
    variables = services["backend"]["environment"]
    values = {name: substituted(value) for name, value in variables.items()}
    assert set(variables) <= known_to_settings(values)
    mine = set(image_variables()) - {"PYTHONUNBUFFERED"}
    assert {name for name in mine if not name.startswith("PIP_")} <= known_to_settings({}) | {
        "SAM_PLUGINS_CACHE"
    }


def test_the_backend_of_the_compose_file_may_listen(services) -> None:
    values = image_variables() | {
        name: substituted(value) for name, value in services["backend"]["environment"].items()
    }
    settings = Settings.from_environment(values)
    check_listening(settings)
    assert settings.host == "0.0.0.0"
    assert settings.label_studio_url == "http://label-studio:8080"
    assert settings.api_key == "a-value"
    assert settings.state_folder == Path("/data")
    mounts = [volume.split(":")[1] for volume in services["backend"]["volumes"]]
    assert {"/data", "/cache", str(settings.local_files_root)} == set(mounts)


def test_the_backend_is_asked_by_label_studio_only(services) -> None:
    assert "ports" not in services["backend"]
    assert all(port.startswith("127.0.0.1:") for port in services["label-studio"]["ports"])


def test_label_studio_refuses_what_it_refused_before_but_for_the_backend(services) -> None:
    variables = services["label-studio"]["environment"]
    assert services["backend"]["networks"]["models"]["ipv4_address"] == OURS
    assert variables["USE_DEFAULT_BANNED_SUBNETS"] == "false"
    given = [
        ipaddress.ip_network(text)
        for text in variables["USER_ADDITIONAL_BANNED_SUBNETS"].split(",")
    ]
    hole = ipaddress.ip_network(OURS)
    for version in (4, 6):
        expected = []
        for network in map(ipaddress.ip_network, REFUSED):
            if network.version != version:
                continue
            inside = version == 4 and hole.subnet_of(network)
            expected += network.address_exclude(hole) if inside else [network]
        found = [network for network in given if network.version == version]
        assert list(ipaddress.collapse_addresses(found)) == list(
            ipaddress.collapse_addresses(expected)
        )


def test_no_credential_is_written_down(services) -> None:
    for service in services.values():
        for name, value in service["environment"].items():
            if re.search("PASS|TOKEN|KEY|SECRET", name) and "ENABLE" not in name:
                assert value.startswith("${"), name
    assert not re.search(r"(?m)^(ENV|ARG).*(PASS|TOKEN|KEY|SECRET)", DOCKERFILE)


def test_what_the_image_is_built_from_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ignored = (BACKEND / "Dockerfile.dockerignore").read_text().split()
    for line in instructions("COPY"):
        for source in line.split()[:-1]:
            assert (ROOT / source.removeprefix("./")).exists(), source
            assert f"!{source}" in ignored, source
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert re.search(r"(?m)^torch==", (ROOT / "constraints.txt").read_text())


def test_what_the_image_runs_is_there() -> None:
    from typer.main import get_command

    from labelstudio_backend.cli import app

    program, group, command = json.loads(instructions("CMD")[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert program in project["scripts"]
    assert project["entry-points"]["sam_plugins.commands"][group] == "labelstudio_backend.cli:app"
    assert command in get_command(app).commands


def test_nothing_runs_as_root_and_health_is_asked_as_it_is() -> None:
    assert instructions("USER") == ["sam"]
    assert DOCKERFILE.index("\nUSER sam") < DOCKERFILE.index("\nCMD")
    check = json.loads(instructions("HEALTHCHECK")[0].partition("CMD")[2])
    compile(check[2], "healthcheck", "exec")
    assert "/health" in check[2]
