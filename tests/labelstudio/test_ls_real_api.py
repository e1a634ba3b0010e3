"""A real Label Studio asks the real backend, without a window: pictures, tokens, batches."""

import base64
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from real_programs import RealPrograms
from real_projects import RealProject, core_answer, iou, make_project, mask_of, png
from sub_path import SubPath

from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.start import Backend, LabelStudio, find_label_studio
from labelstudio_backend.start.sample_projects import BRUSH
from sam_plugins import Interaction

EVERYTHING = BRUSH.label_config.replace(
    "<BrushLabels", '<BrushLabels sam_predict="everything" sam_label="Object"'
)
PAGES = BRUSH.label_config.replace('value="$image"', 'valueList="$pages"')


def scene(seed: int) -> np.ndarray:
    """(120, 160, 3) uint8: one bright thing, elsewhere for each seed."""
    picture = np.full((120, 160, 3), 30, np.uint8)
    x, y = 30 + 25 * (seed % 4), 35 + 12 * (seed % 3)
    picture[y - 15 : y + 15, x - 20 : x + 20] = (220, 180, 60)
    return picture


def middle(seed: int) -> tuple[float, float]:
    return float(30 + 25 * (seed % 4)), float(35 + 12 * (seed % 3))


def ask(
    client: LabelStudioClient,
    project: RealProject,
    task: int,
    at: tuple[float, float],
    size: tuple[int, int] = (120, 160),
    **more: Any,
) -> dict[str, Any]:
    """One smart click, as the page sends it."""
    region = {
        "id": "click1",
        "type": "keypointlabels",
        "from_name": "click",
        "to_name": "image",
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "is_positive": True,
        "origin": "manual",
        "value": {
            "x": at[0] / size[1] * 100,
            "y": at[1] / size[0] * 100,
            "width": 0.3,
            "keypointlabels": ["Object"],
        },
        **more,
    }
    answer = client.post(
        f"/api/ml/{project.model}/interactive-annotating",
        {"task": task, "context": {"result": [region]}},
    )
    assert answer.get("data"), answer
    return dict(answer["data"])


def check(answer: dict[str, Any], seed: int) -> None:
    (region,) = answer["result"]
    expected = core_answer(scene(seed), Interaction(((*middle(seed), 1),)))
    assert region["value"]["brushlabels"] == ["Object"]
    assert iou(mask_of(region), expected) >= 0.99
    assert answer["model_version"] == region["meta"]["model_version"]


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


def data_uri(picture: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def test_uploaded_local_and_inline_pictures(backend: Backend, real_programs: RealPrograms) -> None:
    client = real_programs.client
    folder = real_programs.files / "kinds"
    folder.mkdir()
    Image.fromarray(scene(1)).save(folder / "one.png")
    project = make_project(
        real_programs,
        "kinds",
        BRUSH.label_config,
        {"zero.png": png(scene(0))},
        [
            {"image": "/data/local-files/?d=kinds/one.png"},
            {"image": data_uri(scene(2))},
        ],
    )
    client.post(
        "/api/storages/localfiles",
        {"project": project.number, "path": str(folder), "use_blob_urls": True},
    )
    for seed, task in enumerate(project.tasks):
        check(ask(client, project, task, middle(seed)), seed)


def test_files_of_a_synchronised_storage(backend: Backend, real_programs: RealPrograms) -> None:
    """Their addresses hold the host and port that Label Studio has for browsers."""
    client = real_programs.client
    folder = real_programs.files / "synchronised"
    folder.mkdir()
    Image.fromarray(scene(3)).save(folder / "three.png")
    project = make_project(real_programs, "synchronised", BRUSH.label_config)
    storage = client.post(
        "/api/storages/localfiles",
        {
            "project": project.number,
            "path": str(folder),
            "use_blob_urls": True,
            "regex_filter": ".*png",
        },
    )
    client.post(f"/api/storages/localfiles/{storage['id']}/sync", {})
    (task,) = client.tasks(project.number)
    assert task["data"]["image"].startswith(real_programs.label_studio.url)
    check(ask(client, project, task["id"], middle(3)), 3)


def test_personal_access_token(
    backend: Backend, real_programs: RealPrograms, tmp_path: Any
) -> None:
    made = real_programs.client.post("/api/token/", {})
    token = made["token"]
    assert token.count(".") == 2
    client = LabelStudioClient(real_programs.label_studio.url, token)
    assert client.whoami()["email"] == real_programs.access.email
    other = Backend(
        replace(backend.settings, api_key=token, port=0, state_folder=tmp_path / "state")
    )
    other.start()
    try:
        project = make_project(
            real_programs,
            "personal",
            BRUSH.label_config,
            {"zero.png": png(scene(0))},
            url=other.url,
        )
        check(ask(client, project, project.tasks[0], middle(0)), 0)
    finally:
        other.stop()
    assert token not in other.log


def test_pages(backend: Backend, real_programs: RealPrograms) -> None:
    project = make_project(
        real_programs,
        "pages",
        PAGES,
        data=[{"pages": [data_uri(scene(seed)) for seed in range(3)]}],
    )
    for seed in (2, 0):
        answer = ask(real_programs.client, project, project.tasks[0], middle(seed), item_index=seed)
        check(answer, seed)
        assert answer["result"][0]["item_index"] == seed


def test_predictions_are_retrieved_for_several_tasks(
    backend: Backend, real_programs: RealPrograms
) -> None:
    client = real_programs.client
    project = make_project(
        real_programs,
        "retrieved",
        EVERYTHING,
        {f"{seed}.png": png(scene(seed)) for seed in range(3)},
    )
    action = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project.number}"
    chosen = {"selectedItems": {"all": True, "excluded": []}, "project": str(project.number)}
    client.post(action, chosen)

    def predicted() -> bool:
        return all(client.predictions(task) for task in project.tasks)

    def asked_until_all() -> bool:
        # What was not finished in time stays without a prediction, and is asked about again.
        if not predicted():
            client.post(action, chosen)
        return predicted()

    wait_for(asked_until_all, 120)
    for seed, task in enumerate(project.tasks):
        (prediction,) = client.predictions(task)
        assert prediction["model_version"].startswith("nano-")
        thing = np.all(scene(seed) == (220, 180, 60), -1)
        assert max(iou(mask_of(region), thing) for region in prediction["result"]) > 0.9


def test_submitted_annotation_reaches_the_learning_queue(
    backend: Backend, real_programs: RealPrograms
) -> None:
    """Label Studio's webhook says the backend's password, as `attach` has told it to."""
    from labelstudio_backend.learning import Intake

    client = real_programs.client
    project = make_project(
        real_programs, "learning", BRUSH.label_config, {"zero.png": png(scene(0))}
    )
    result = ask(client, project, project.tasks[0], middle(0))["result"]
    made = client.post(f"/api/tasks/{project.tasks[0]}/annotations/", {"result": result})
    intake = Intake(backend.settings.state_folder)
    try:
        wait_for(lambda: made["id"] in intake.numbers(project.number))
        (submitted,) = intake.read([made["id"]])
    finally:
        intake.close()
    (region,) = submitted.result
    assert np.array_equal(mask_of(region), mask_of(result[0]))


@pytest.mark.slow
def test_label_studio_below_a_path(
    backend: Backend, real_programs: RealPrograms, tmp_path: Any
) -> None:
    """A proxy puts Label Studio at /annotate: uploads and storages have other addresses there."""
    python = find_label_studio()
    assert python is not None
    access = real_programs.access
    with SubPath("/annotate") as proxy:
        studio = LabelStudio(tmp_path / "studio", python, access, outer_url=proxy.url)
        proxy.target = studio.own_url
        studio.start()
        try:
            other = Backend(
                replace(
                    backend.settings,
                    label_studio_url=studio.url,
                    port=0,
                    state_folder=tmp_path / "state",
                )
            )
            other.start()
            try:
                moved = MovedPrograms(studio, other, access)
                project = make_project(
                    moved, "below", BRUSH.label_config, {"zero.png": png(scene(0))}
                )
                task = moved.client.task(project.tasks[0])
                assert "/annotate/" in task["data"]["image"]
                check(ask(moved.client, project, project.tasks[0], middle(0)), 0)
            finally:
                other.stop()
        finally:
            studio.stop()


class MovedPrograms:
    """The programs of one test, as `make_project` asks for them."""

    def __init__(self, studio: LabelStudio, backend: Backend, access: Any) -> None:
        self.label_studio = studio
        self.backend = backend
        self.access = access
        self.client = LabelStudioClient(studio.url, access.token)
