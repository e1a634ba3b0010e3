"""A run over a view asks the labels that the view shows, and no others, however it is continued."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_server import link_plugin
from operating import execute, form
from typer.testing import CliRunner

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.labels import ALL_SHOWN, Shown, showing, shown_by
from fiftyone_plugin.runs import list_runs, open_run, work_on
from fiftyone_plugin.sharding import run_shard
from fiftyone_plugin.start.plugin_folder import PLUGIN
from fiftyone_plugin.values import Mode, RunConfig
from sam_plugins.cli.app import app as cli

PROMPTS = f"{PLUGIN}/segment_prompts"
EVERYTHING = f"{PLUGIN}/segment_everything"
RUNS = f"{PLUGIN}/manage_runs"
SHARD = f"{PLUGIN}/work_on_shard"
PARAMS = {"box_field": "boxes", "label_field": "sam"}
CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="sam", box_field="boxes")


@pytest.fixture(autouse=True)
def plugin(fiftyone_here: Any, fiftyone_folder: Path) -> None:
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(make_dataset: Callable[..., Any]) -> Any:
    """Three samples of four boxes: two of group "a" and two of "b"; the last has no "a"."""
    dataset = make_dataset(3, 4)
    last = dataset.last()
    for label in last.boxes.detections:
        label["group"] = "b"
    last.save()
    dataset.add_dynamic_sample_fields()
    return dataset


def of_group(dataset: Any, group: str, **options: Any) -> Any:
    from fiftyone import ViewField

    return dataset.filter_labels("boxes", ViewField("group") == group, **options)


def dataset_field(name: str) -> Any:
    from fiftyone import ViewField

    return ViewField(name)


def asked(dataset: Any) -> dict[str, str]:
    """Id of the label that asked -> id of its mask."""
    dataset.reload()
    if not dataset.has_sample_field("sam"):
        return {}
    rows = dataset.values(["sam.detections.prompt_id", "sam.detections.id"], unwind=True)
    return dict(zip(*rows, strict=True))


def ids(collection: Any) -> set[str]:
    return set(collection.values("boxes.detections.id", unwind=True))


VIEWS: dict[str, Callable[[Any], Any]] = {
    "filtered": lambda dataset: of_group(dataset, "a"),
    "filtered, all samples": lambda dataset: of_group(dataset, "a", only_matches=False),
    "selected": lambda dataset: dataset.select_labels(ids=sorted(ids(dataset))[:5]),
    "excluded": lambda dataset: dataset.exclude_labels(ids=sorted(ids(dataset))[:5]),
    "set": lambda dataset: dataset.set_field(
        "boxes.detections", dataset_field("detections").filter(dataset_field("group") == "a")
    ),
    "limited": lambda dataset: dataset.limit_labels("boxes", 1),
    "sorted and limited": lambda dataset: of_group(dataset, "b").sort_by("id", True).limit(2),
    "renamed, then filtered": lambda dataset: (
        dataset.map_labels("boxes", {"disc": "cell"})
        .limit_labels("boxes", 3)
        .match_labels(fields="boxes", tags="drawn")
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_only_what_the_view_shows_is_asked_and_the_rest_later(dataset: Any, name: str) -> None:
    view = VIEWS[name](dataset)
    shown = ids(view)
    assert 0 < len(shown) < 12
    counted = execute(PROMPTS, dataset, view=view, dry_run=True, **PARAMS)
    assert (counted["objects"], counted["samples"]) == (len(shown), len(view))
    first = execute(PROMPTS, dataset, view=view, **PARAMS)
    masks = asked(dataset)
    assert masks.keys() == shown
    assert first["objects"] == len(shown)
    again = execute(PROMPTS, dataset, view=view, **PARAMS)
    assert (again["skipped"], again["objects"]) == (len(view), 0)
    counted = execute(PROMPTS, dataset, dry_run=True, **PARAMS)
    hidden = [sample for sample in dataset if ids(dataset.select(sample.id)) - shown]
    assert (counted["objects"], counted["samples"]) == (12 - len(shown), len(hidden))
    whole = execute(PROMPTS, dataset, **PARAMS)
    assert whole["run_id"] == first["run_id"]
    assert whole["objects"] == 12 - len(shown)
    assert masks.items() <= asked(dataset).items()
    assert len(asked(dataset)) == dataset.count("sam.detections") == 12
    assert execute(PROMPTS, dataset, **PARAMS)["skipped"] == 3
    assert execute(PROMPTS, dataset, dry_run=True, **PARAMS)["before"] == 3


@pytest.mark.parametrize("cut", ["patches", "some patches", "evaluated", "selected samples"])
def test_of_patches_the_shown_ones_are_asked(dataset: Any, cut: str) -> None:
    from fiftyone import ViewField

    if cut == "patches":
        view = of_group(dataset, "a").to_patches("boxes")
        shown = set(view.values("boxes.id"))
    elif cut == "some patches":
        view = dataset.to_patches("boxes").match(ViewField("boxes.group") == "b").limit(4)
        shown = set(view.values("boxes.id"))
    elif cut == "evaluated":
        dataset.clone_sample_field("boxes", "truth")
        dataset.evaluate_detections("boxes", gt_field="truth", eval_key="known")
        view = dataset.to_evaluation_patches("known").limit(3)
        shown = ids(view)
    else:
        view = dataset.limit(2).to_patches("boxes")
        shown = set(view.values("boxes.id"))
    assert 0 < len(shown) < 12
    counted = execute(PROMPTS, dataset, view=view, dry_run=True, **PARAMS)
    assert counted["objects"] == len(shown)
    execute(PROMPTS, dataset, view=view, **PARAMS)
    assert asked(dataset).keys() == shown
    (run,) = list_runs(dataset)
    execute(RUNS, dataset, run_id=run.run_id, action="continue")
    assert asked(dataset).keys() == shown


def test_a_view_that_hides_no_label_leaves_the_run_as_it_was(dataset: Any) -> None:
    from fiftyone import ViewField

    dataset.clone_sample_field("boxes", "others")
    for view in (
        dataset,
        dataset.match(ViewField("boxes.detections").length() > 0).sort_by("id").limit(2),
        dataset.select_fields("boxes"),
        dataset.exclude_fields("others").match_labels(fields="boxes", tags="drawn"),
        dataset.filter_labels("others", ViewField("group") == "a"),
        dataset.take(2, seed=1),
        dataset.map_labels("boxes", {"disc": "cell"}),
    ):
        assert shown_by(view, CONFIG) == ALL_SHOWN
    assert not shown_by(of_group(dataset, "a"), RunConfig(mode=Mode.EVERYTHING, label_field="sam"))


def test_labels_selected_of_another_field_hide_those_that_ask(dataset: Any) -> None:
    """FiftyOne empties all fields that the stage does not name."""
    dataset.clone_sample_field("boxes", "others")
    view = dataset.select_labels(tags="drawn", fields="others")
    assert view.count("boxes.detections") == 0
    counted = execute(PROMPTS, dataset, view=view, dry_run=True, **PARAMS)
    assert counted["objects"] == 0
    execute(PROMPTS, dataset, view=view, **PARAMS)
    assert asked(dataset) == {}


def test_a_view_that_cannot_be_gone_by_is_refused_in_a_sentence(
    dataset: Any, fiftyone_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fo = fiftyone_here
    import fiftyone.operators.executor as foe

    for sample in dataset:
        click = fo.Keypoint(label="click", points=[(0.5, 0.5), (0.2, 0.2)])
        sample["clicks"] = fo.Keypoints(keypoints=[click])
        sample["cells"] = sample.boxes.copy()
        sample.save()
    both = {**PARAMS, "point_field": "clicks"}
    unknown = dataset.mongo([{"$match": {}}])
    wrong = [
        (unknown, PARAMS, "found the stage Mongo"),
        (dataset.limit(1).concat(of_group(dataset, "a")), PARAMS, "found the stage Concat"),
        (
            dataset.filter_keypoints("clicks", filter=fo.ViewField("points")[0] > 0.3),
            both,
            "Filter",
        ),
        (dataset.select_fields("clicks"), PARAMS, "shows the field 'boxes'"),
        (dataset.to_patches("cells"), PARAMS, "patches, frames or clips that show 'boxes'"),
    ]
    for view, params, told in wrong:
        with pytest.raises(foe.ExecutionError, match=told):
            execute(PROMPTS, dataset, view=view, **params)
    assert list_runs(dataset) == []
    monkeypatch.setattr(showing, "_MOST_IDS", 5)
    patches = dataset.to_patches("boxes")
    with pytest.raises(FieldError, match="at most 5 labels"):
        shown_by(patches, CONFIG)


def test_a_box_that_is_hidden_is_not_asked_by_its_point(dataset: Any, fiftyone_here: Any) -> None:
    fo = fiftyone_here
    for sample in dataset:
        clicks = [fo.Keypoint(label="click", points=[(0.1 * n, 0.5)], index=n) for n in range(1, 6)]
        sample["clicks"] = fo.Keypoints(keypoints=clicks)
        sample.save()
    params = {**PARAMS, "point_field": "clicks", "link_attribute": "index"}
    view = of_group(dataset, "a")
    execute(PROMPTS, dataset, view=view, **params)
    alone = {each.id for sample in view for each in sample.clicks.keypoints if each.index > 3}
    assert asked(dataset).keys() == ids(view) | alone
    before = asked(dataset)
    execute(PROMPTS, dataset, **params)
    assert before.items() <= asked(dataset).items()
    assert dataset.count("sam.detections") == 3 * 6

    patches = {**params, "label_field": "of_patches"}
    execute(PROMPTS, dataset, view=of_group(dataset, "b").to_patches("boxes"), **patches)
    dataset.reload()
    prompts = dataset.values("of_patches.detections.prompt_id", unwind=True)
    assert set(prompts) == ids(of_group(dataset, "b"))


def test_what_was_taken_out_or_failed_stays_so_when_another_view_is_asked(dataset: Any) -> None:
    sample = dataset.first()
    bad = sample.boxes.detections[0]
    right, bad.bounding_box = list(bad.bounding_box), [0.1, -2, 0.2, 0.2]
    sample.save()
    assert execute(PROMPTS, dataset, view=of_group(dataset, "a"), **PARAMS)["partial"] == 1
    gone = next(iter(asked(dataset)))
    dataset.delete_labels(ids=[asked(dataset)[gone]])
    result = execute(PROMPTS, dataset, view=of_group(dataset, "b"), **PARAMS)
    assert (result["partial"], result["done"]) == (1, 2)
    sample.reload()
    assert "lies outside the picture" in sample.sam_reason
    assert asked(dataset).keys() == ids(dataset) - {gone, bad.id}
    result = execute(PROMPTS, dataset, view=of_group(dataset, "b"), retry=True, **PARAMS)
    assert result["partial"] == 1
    assert "lies outside the picture" in sample.sam_reason
    sample.reload()
    sample.boxes.detections[0].bounding_box = right
    sample.save()
    assert execute(PROMPTS, dataset, retry=True, **PARAMS)["done"] >= 1
    assert asked(dataset).keys() == ids(dataset) - {gone}
    assert sample.sam_reason is None


def test_a_run_that_goes_on_asks_what_its_record_says(dataset: Any) -> None:
    view = of_group(dataset, "b")
    execute(PROMPTS, dataset, view=view.limit(1), **PARAMS)
    (run,) = list_runs(dataset)
    assert run.shown == shown_by(view, CONFIG) != ALL_SHOWN
    shown = form(RUNS, dataset, run_id=run.run_id, action="continue")
    assert "what a view shows" in shown["run_id"]["view"]["choices"][0]["label"]
    assert execute(RUNS, dataset, run_id=run.run_id, action="continue")["done"] == 2
    assert asked(dataset).keys() == ids(view)


def test_shards_ask_what_was_to_be_asked_when_they_were_queued(
    dataset: Any, segmenter: Any
) -> None:
    """Each shard says so itself: the run may be begun over another view before it is worked on."""
    from fiftyone_plugin.models import segmenter_for

    nano = segmenter_for("nano", "fp32")
    view = of_group(dataset, "a")
    shown = shown_by(view, CONFIG)
    run = open_run(dataset, CONFIG, nano.info.model_id, shown=shown)
    open_run(dataset, CONFIG, nano.info.model_id)
    for index in range(2):
        params = {"run_id": run.run_id, "index": index, "count": 2, "shown": shown.to_json()}
        execute(SHARD, dataset, **params)
    assert asked(dataset).keys() == ids(view)
    for index in range(2):
        run_shard(dataset.name, run.run_id, index, 2)
    assert asked(dataset).keys() == ids(dataset)


def test_the_form_says_how_many_are_asked(dataset: Any) -> None:
    from fiftyone.operators.executor import ExecutionContext

    from fiftyone_plugin.operators.segment_prompts import SegmentPrompts

    def shown(view: Any) -> dict[str, Any]:
        stages = [] if view is dataset else view._serialize()
        request = {"dataset_name": dataset.name, "params": PARAMS, "view": stages}
        made: Any = SegmentPrompts().resolve_input(ExecutionContext(request))
        return dict(made.to_json()["type"]["properties"])

    assert "shown" not in shown(dataset)
    assert "shown" not in shown(dataset.limit(1))
    said = shown(of_group(dataset, "a"))["shown"]["view"]["label"]
    assert said == "The view shows 4 of the dataset's 12 labels in boxes: only these are asked."
    patches = shown(dataset.limit(1).to_patches("boxes"))["shown"]["view"]["label"]
    assert "shows 4 of the dataset's 12 labels" in patches
    wrong = shown(dataset.select_fields("metadata"))["problem"]
    assert wrong["invalid"]
    assert "shows the field 'boxes'" in wrong["error_message"]


def test_a_saved_view_hides_labels_from_the_command_too(dataset: Any) -> None:
    view = of_group(dataset, "a")
    dataset.save_view("mine", view)
    words = ["fiftyone", "segment", dataset.name, "--boxes", "boxes", "--out", "sam"]
    made = CliRunner().invoke(cli, [*words, "--view", "mine", "--json"])
    assert made.exit_code == 0, made.stderr
    assert asked(dataset).keys() == ids(view)


def test_everything_looks_only_into_the_boxes_that_are_shown(dataset: Any) -> None:
    view = of_group(dataset, "a")
    params = {"label_field": "sam", "box_field": "boxes", "points_per_side": 4}
    assert execute(EVERYTHING, dataset, view=view, dry_run=True, **params)["objects"] == 4
    execute(EVERYTHING, dataset, view=view, **params)
    assert asked(dataset).keys() <= ids(view)
    assert execute(EVERYTHING, dataset, dry_run=True, **params)["objects"] == 8


def test_a_view_over_many_samples_is_read_in_parts(
    make_dataset: Callable[..., Any], segmenter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More samples than are fetched at once, in another order than that of the dataset."""
    from fiftyone_plugin.runs import loading

    monkeypatch.setattr(loading, "_TOGETHER", 2)
    dataset = make_dataset(7, 2)
    view = of_group(dataset, "a").sort_by("filepath", reverse=True)
    run = open_run(dataset, CONFIG, segmenter.info.model_id, shown=shown_by(view, CONFIG))
    report = work_on(dataset, run, view.values("id"), segmenter)
    assert (report.done, report.objects) == (7, 7)
    assert asked(dataset).keys() == ids(view)


@pytest.mark.parametrize(
    "stage",
    [
        '{"_cls": "subprocess.Popen", "kwargs": [["args", "touch made-by-a-stage"]]}',
        '{"_cls": "fiftyone.core.stages.Mongo", "kwargs": [["pipeline", []]]}',
        '{"_cls": "FilterLabels"}',
        '["FilterLabels"]',
        "no JSON",
    ],
)
def test_a_record_names_no_program(dataset: Any, stage: str) -> None:
    """FiftyOne calls whatever a stage names; records and requests may come from anybody."""
    with pytest.raises(FieldError, match="Expected a stage of a view that hides labels"):
        Shown.from_json({"stages": [stage]})
    run = open_run(dataset, CONFIG, "nano")
    params = {"run_id": run.run_id, "index": 0, "count": 1, "shown": {"stages": [stage]}}
    with pytest.raises(Exception, match="Expected a stage of a view that hides labels"):
        execute(SHARD, dataset, **params)
