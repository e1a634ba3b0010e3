"""What prompts mean and how answers are written, through a real Label Studio: the core's masks."""

import base64
from typing import Any

import numpy as np
import pytest
import real_api as api
from real_programs import RealPrograms
from real_projects import RealProject, core_answer, iou, make_project
from region_doubles import brush

from sam_plugins import Interaction
from sam_plugins.masks import mask_to_box

pytestmark = pytest.mark.slow

RGB = api.coins()
COIN = api.coin()
OTHER = (230.0, 85.0, 300.0, 150.0)
"""A box around something else."""


def inline(rgb: Any, cut: int | None = None) -> str:
    """A data URI of a picture, or of the beginning of its file."""
    return "data:image/png;base64," + base64.b64encode(api.encoded(rgb)[:cut]).decode()


def project_with(programs: RealPrograms, output: str) -> RealProject:
    return make_project(programs, f"as {output}", api.config(output), data=[{"image": inline(RGB)}])


@pytest.fixture
def brushes(backend: Any, real_programs: RealPrograms) -> RealProject:
    return project_with(real_programs, "BrushLabels")


def test_points_of_both_kinds(brushes: RealProject, real_programs: RealPrograms) -> None:
    x, y = api.middle(COIN)
    beside = (COIN[0] - 12, y)
    first = [api.point((x, y), RGB.shape)]
    second = [*first, api.point(beside, RGB.shape, positive=False)]
    for context, points in (
        (first, ((x, y, 1),)),
        (second, ((x, y, 1), (*beside, 0))),
    ):
        regions = api.answered(real_programs, brushes, brushes.tasks[0], context)
        api.same(api.one_mask(regions), core_answer(RGB, Interaction(points=points)))


def test_a_point_that_does_not_say_is_positive(
    brushes: RealProject, real_programs: RealPrograms
) -> None:
    """As Label Studio sends the points of a draft."""
    x, y = api.middle(COIN)
    context = [
        api.point((x - 8, y), RGB.shape, positive=None),
        api.point((x + 9, y + 5), RGB.shape),
    ]
    regions = api.answered(real_programs, brushes, brushes.tasks[0], context)
    expected = core_answer(RGB, Interaction(points=((x - 8, y, 1), (x + 9, y + 5, 1))))
    api.same(api.one_mask(regions), expected)


def test_two_labels_are_two_objects(brushes: RealProject, real_programs: RealPrograms) -> None:
    one, other = api.middle(COIN), api.middle(OTHER)
    context = [
        api.point(one, RGB.shape, "Coin"),
        api.point(other, RGB.shape, "Other"),
    ]
    regions = api.answered(real_programs, brushes, brushes.tasks[0], context)
    found = {region["value"]["brushlabels"][0]: api.one_mask([region]) for region in regions}
    assert list(found) == ["Coin", "Other"]
    api.same(found["Coin"], core_answer(RGB, Interaction(points=((*one, 1),))))
    api.same(found["Other"], core_answer(RGB, Interaction(points=((*other, 1),))))


def test_a_box_and_points_inside_it(brushes: RealProject, real_programs: RealPrograms) -> None:
    x, y = api.middle(COIN)
    context = [
        api.box(COIN, RGB.shape),
        api.point((x, y), RGB.shape),
        api.point((COIN[0] + 2, COIN[1] + 2), RGB.shape, positive=False),
    ]
    regions = api.answered(real_programs, brushes, brushes.tasks[0], context)
    points = ((x, y, 1), (COIN[0] + 2, COIN[1] + 2, 0))
    api.same(api.one_mask(regions), core_answer(RGB, Interaction(points=points, box=COIN)))


def test_polygons(backend: Any, real_programs: RealPrograms) -> None:
    project = project_with(real_programs, "PolygonLabels")
    context = [api.box(COIN, RGB.shape)]
    regions = api.answered(real_programs, project, project.tasks[0], context)
    assert [region["type"] for region in regions] == ["polygonlabels"]
    assert iou(api.one_mask(regions), core_answer(RGB, Interaction(box=COIN))) >= 0.98


def test_bitmasks(backend: Any, real_programs: RealPrograms) -> None:
    project = project_with(real_programs, "BitmaskLabels")
    context = [api.box(COIN, RGB.shape)]
    regions = api.answered(real_programs, project, project.tasks[0], context)
    assert [region["type"] for region in regions] == ["bitmasklabels"]
    api.same(api.one_mask(regions), core_answer(RGB, Interaction(box=COIN)))


def test_rectangles(backend: Any, real_programs: RealPrograms) -> None:
    project = project_with(real_programs, "RectangleLabels")
    context = [api.point(api.middle(COIN), RGB.shape)]
    (region,) = api.answered(real_programs, project, project.tasks[0], context)
    assert (region["type"], region["from_name"]) == ("rectanglelabels", "out")
    height, width = RGB.shape[:2]
    value = region["value"]
    x, y = value["x"] * width / 100, value["y"] * height / 100
    found = (x, y, x + value["width"] * width / 100, y + value["height"] * height / 100)
    mask = core_answer(RGB, Interaction(points=((*api.middle(COIN), 1),)))
    assert found == pytest.approx(mask_to_box(mask), abs=1.0)


def test_retrieved_predictions(backend: Any, real_programs: RealPrograms) -> None:
    """Boxes on tasks become masks; a task whose picture is broken costs no other one."""
    client = real_programs.client
    pictures = [api.coins(turn) for turn in range(3)]

    def boxed(image: str, turn: int) -> dict[str, Any]:
        result = [api.box(api.coin(turn), RGB.shape), api.box(OTHER, RGB.shape, "Other")]
        return {"data": {"image": image}, "annotations": [{"result": result}]}

    data = [boxed(inline(rgb), turn) for turn, rgb in enumerate(pictures)]
    data.insert(1, boxed(inline(RGB, 3000), 0))
    project = make_project(real_programs, "boxes", api.config(), data=data)
    broken = project.tasks[1]
    whole = [task for task in project.tasks if task != broken]

    def retrieve() -> dict[int, list[dict[str, Any]]]:
        client.post(
            f"/api/dm/actions?id=retrieve_tasks_predictions&project={project.number}",
            {"selectedItems": {"all": True, "excluded": []}, "project": str(project.number)},
        )
        return {task: client.predictions(task) for task in project.tasks}

    def all_there() -> dict[int, list[dict[str, Any]]] | None:
        found = retrieve()
        return found if all(found[task] for task in whole) else None

    api.until(all_there, "predictions")
    predicted = retrieve()
    version = client.get(f"/api/ml/{project.model}")["model_version"]
    assert version.startswith("nano-")
    assert predicted[broken] == []
    for turn, task in enumerate(whole):
        (prediction,) = predicted[task]
        assert prediction["model_version"] == version
        coin, other = prediction["result"]
        assert (coin["from_name"], coin["type"]) == ("out", "brushlabels")
        expected = core_answer(pictures[turn], Interaction(box=api.coin(turn)))
        api.same(api.one_mask([coin]), expected)
        assert other["value"]["brushlabels"] == ["Other"]
        assert (
            iou(api.one_mask([other]), core_answer(pictures[turn], Interaction(box=OTHER))) > 0.98
        )


def test_the_second_of_two_pictures(backend: Any, real_programs: RealPrograms) -> None:
    both = """<View><Image name="image" value="$before"/><Image name="after" value="$after"/>
      <BrushLabels name="out" toName="image"><Label value="Coin"/></BrushLabels>
      <BrushLabels name="later" toName="after"><Label value="Coin"/></BrushLabels>
      <KeyPointLabels name="kp" toName="image" smart="true"><Label value="Coin"/></KeyPointLabels>
      <KeyPointLabels name="next" toName="after" smart="true"><Label value="Coin"/></KeyPointLabels>
    </View>"""
    data = [{"before": inline(RGB), "after": inline(api.coins(3))}]
    project = make_project(real_programs, "two pictures", both, data=data)
    xy = api.middle(api.coin(3))
    context = [api.point(xy, RGB.shape, from_name="next", to_name="after")]
    (region,) = api.answered(real_programs, project, project.tasks[0], context)
    assert (region["from_name"], region["to_name"]) == ("later", "after")
    expected = core_answer(api.coins(3), Interaction(points=((*xy, 1),)))
    api.same(api.one_mask([region]), expected)


def test_a_task_that_is_full_of_masks(backend: Any, real_programs: RealPrograms) -> None:
    """Label Studio sends all of them along with each click."""
    height, width = RGB.shape[:2]
    noise = np.random.default_rng(5).random((height, width)) > 0.5
    region = brush(noise, "Coin", from_name="out")
    regions = [region | {"id": f"mask{number}"} for number in range(60)]
    data = [{"data": {"image": inline(RGB)}, "annotations": [{"result": regions}]}]
    project = make_project(real_programs, "full", api.config(), data=data)
    context = [api.point(api.middle(COIN), RGB.shape)]
    found = api.answered(real_programs, project, project.tasks[0], context)
    expected = core_answer(RGB, Interaction(points=((*api.middle(COIN), 1),)))
    api.same(api.one_mask(found), expected)


def test_labels_of_any_letters(backend: Any, real_programs: RealPrograms) -> None:
    label = 'Zelle & Kern "α" <1>'
    written = api.config(labels=("Zelle &amp; Kern &quot;α&quot; &lt;1&gt;", "Other"))
    project = make_project(real_programs, "letters", written, data=[{"image": inline(RGB)}])
    context = [api.point(api.middle(COIN), RGB.shape, label)]
    (region,) = api.answered(real_programs, project, project.tasks[0], context)
    assert region["value"]["brushlabels"] == [label]


def test_labels_that_the_task_brings(backend: Any, real_programs: RealPrograms) -> None:
    """The config says only where they are: value="$classes"."""
    dynamic = """<View><Image name="image" value="$image"/>
      <BrushLabels name="out" toName="image" value="$classes"/>
      <KeyPointLabels name="point" toName="image" smart="true" value="$classes"/></View>"""
    classes = [{"value": "Coin"}, {"value": "Other"}]
    data = [{"image": inline(RGB), "classes": classes}]
    project = make_project(real_programs, "dynamic", dynamic, data=data)
    context = [api.point(api.middle(COIN), RGB.shape, "Other")]
    (region,) = api.answered(real_programs, project, project.tasks[0], context)
    assert region["value"]["brushlabels"] == ["Other"]
    # Label Studio takes it as a prediction, too.
    task = project.tasks[0]
    real_programs.client.create_prediction(task, [region], score=0.5, model_version="somebody")
