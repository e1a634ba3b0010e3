"""An annotator at a real Label Studio, with the real backend: what is submitted is the core's mask.

``SAM_PLUGINS_SHOTS=shots`` keeps a picture of each step; look at them.
"""

import io
from typing import Any

import numpy as np
from browser_hands import BrowserHands
from PIL import Image
from real_programs import RealPrograms
from real_projects import core_answer, interaction_of, iou, make_project, mask_of, png

from labelstudio_backend.start.sample_projects import BRUSH, POLYGON
from sam_plugins import load_sample

CLICK, BOX = 0, 2
"""Where the first label of each group stands on the page."""


def submitted(programs: RealPrograms, task: int) -> list[dict[str, Any]]:
    (annotation,) = programs.client.task(task)["annotations"]
    return list(annotation["result"])


def spot(truth: np.ndarray, label: int) -> tuple[float, float]:
    """The middle of a known object."""
    rows, columns = np.nonzero(truth == label)
    return float(columns.mean()), float(rows.mean())


def test_click_correction_box_accept_submit(
    annotator: BrowserHands, backend: Any, real_programs: RealPrograms
) -> None:
    sample = load_sample("objects")
    size = sample.image.shape[:2]
    project = make_project(real_programs, "masks", BRUSH.label_config, {"a.png": png(sample.image)})
    annotator.open_task(project.number, project.tasks[0])
    annotator.shot("task")
    annotator.auto_annotation()
    annotator.smart_click(CLICK)

    x, y = spot(sample.truth, 2)
    first = annotator.click(x, y)
    annotator.shot("click")
    assert first["status"] == 200
    assert len(first["asked"]["context"]["result"]) == 1
    sent = interaction_of(first["asked"]["context"], size)
    assert np.allclose(sent.points, [(x, y, 1)], atol=1.0), "the page has moved the click"

    annotator.choose(CLICK)
    second = annotator.click(*spot(sample.truth, 3), negative=True)
    annotator.shot("negative")
    clicked = interaction_of(second["asked"]["context"], size)
    assert [label for *_, label in clicked.points] == [1, 0]

    annotator.accept()
    annotator.shot("accepted")
    annotator.smart_box(BOX + 1)
    x0, y0, x1, y1 = (float(edge) for edge in sample.box)
    third = annotator.drag((x0, y0, x1, y1))
    annotator.shot("box")
    boxes = [r for r in third["asked"]["context"]["result"] if r["type"] == "rectanglelabels"]
    boxed = interaction_of({"result": boxes}, size)
    assert np.allclose(boxed.box, sample.box, atol=1.5)
    annotator.accept()
    annotator.submit()
    annotator.shot("submitted")

    regions = submitted(real_programs, project.tasks[0])
    assert [region["type"] for region in regions] == ["brushlabels", "brushlabels"]
    masks = {region["value"]["brushlabels"][0]: mask_of(region) for region in regions}
    assert iou(masks["Object"], core_answer(sample.image, clicked)) >= 0.99
    assert iou(masks["Other"], core_answer(sample.image, boxed)) >= 0.99
    assert masks["Object"].sum() > 500
    # Label Studio keeps what it does not know of itself, and whose region it was.
    for region in regions:
        assert region["origin"] == "prediction"
        assert 0 < region["score"] <= 1
        assert region["meta"]["model_version"] == third["answer"]["data"]["model_version"]


def test_polygons(annotator: BrowserHands, backend: Any, real_programs: RealPrograms) -> None:
    sample = load_sample("objects")
    size = sample.image.shape[:2]
    project = make_project(
        real_programs, "polygons", POLYGON.label_config, {"a.png": png(sample.image)}
    )
    annotator.open_task(project.number, project.tasks[0])
    annotator.auto_annotation()
    annotator.smart_box(BOX)
    asked = annotator.drag(tuple(map(float, sample.box)))
    annotator.shot("box")
    annotator.accept()
    annotator.shot("accepted")
    annotator.submit()

    (region,) = submitted(real_programs, project.tasks[0])
    assert region["type"] == "polygonlabels"
    expected = core_answer(sample.image, interaction_of(asked["asked"]["context"], size))
    assert iou(mask_of(region), expected) >= 0.98


def test_turned_jpeg(annotator: BrowserHands, backend: Any, real_programs: RealPrograms) -> None:
    sample = load_sample("objects")
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: programs turn it by 90 degrees
    turned = Image.fromarray(np.rot90(sample.image).copy())
    turned.save(out, "JPEG", quality=95, exif=exif)
    upright = np.asarray(Image.open(io.BytesIO(out.getvalue())).convert("RGB"))
    upright = np.rot90(upright, -1).copy()
    assert upright.shape == sample.image.shape

    project = make_project(
        real_programs, "turned", BRUSH.label_config, {"turned.jpg": out.getvalue()}
    )
    annotator.open_task(project.number, project.tasks[0])
    annotator.auto_annotation()
    annotator.smart_click(CLICK)
    asked = annotator.click(*spot(sample.truth, 2))
    annotator.shot("click")
    annotator.accept()
    annotator.submit()

    (region,) = submitted(real_programs, project.tasks[0])
    interaction = interaction_of(asked["asked"]["context"], upright.shape[:2])
    found = mask_of(region)
    assert iou(found, core_answer(upright, interaction)) >= 0.99
    assert iou(found, sample.truth == 2) > 0.8


def test_reloaded_page_goes_on(
    annotator: BrowserHands, backend: Any, real_programs: RealPrograms
) -> None:
    """Prompts that were not accepted come back from the draft without `is_positive`."""
    sample = load_sample("objects")
    size = sample.image.shape[:2]
    project = make_project(
        real_programs, "reload", BRUSH.label_config, {"a.png": png(sample.image)}
    )
    task = project.tasks[0]
    annotator.open_task(project.number, task)
    annotator.auto_annotation()
    annotator.smart_click(CLICK)
    with annotator.saved_draft():
        annotator.click(*spot(sample.truth, 2))
    annotator.reload()
    annotator.shot("reloaded")
    annotator.auto_annotation()
    annotator.smart_click(CLICK)
    x, y = spot(sample.truth, 2)
    asked = annotator.click(x + 10, y + 10)
    annotator.shot("second")
    context = asked["asked"]["context"]
    assert ["is_positive" in region for region in context["result"]] == [False, True]
    interaction = interaction_of(context, size)
    assert [label for *_, label in interaction.points] == [1, 1]
    annotator.accept()
    annotator.submit()
    (mask,) = [r for r in submitted(real_programs, task) if r["type"] == "brushlabels"]
    assert iou(mask_of(mask), core_answer(sample.image, interaction)) >= 0.99


def test_submitted_without_accepting(
    annotator: BrowserHands, backend: Any, real_programs: RealPrograms
) -> None:
    sample = load_sample("objects")
    project = make_project(real_programs, "hasty", BRUSH.label_config, {"a.png": png(sample.image)})
    annotator.open_task(project.number, project.tasks[0])
    annotator.auto_annotation()
    annotator.smart_click(CLICK)
    annotator.click(*spot(sample.truth, 2))
    annotator.submit()
    annotator.shot("submitted")
    regions = submitted(real_programs, project.tasks[0])
    assert [region["type"] for region in regions] == ["keypointlabels"], "only the click is kept"
