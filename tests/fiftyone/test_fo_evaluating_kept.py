"""Evaluations that are kept: listed, looked at, and deleted with nothing but what they wrote."""

import json
from pathlib import Path
from typing import Any

import pytest
from app_server import link_plugin
from operating import execute, form, outputs
from rectangles import random_rows
from typer.testing import CliRunner

from fiftyone_plugin.cli import app
from fiftyone_plugin.errors import RunError
from fiftyone_plugin.evaluating import (
    GroupSettings,
    MaskSettings,
    compare_groups,
    delete_evaluation,
    evaluate_masks,
    find_label_mistakes,
    list_evaluations,
)
from fiftyone_plugin.start.plugin_folder import PLUGIN
from sam_plugins.cli.app import app as cli
from sam_plugins.errors import SamPluginsError

EVALUATIONS = f"{PLUGIN}/manage_evaluations"
IOU = "sam.detections.eval_iou"
WRITTEN = MaskSettings(attributes="eval", save_views=True)


@pytest.fixture(autouse=True)
def plugin(fiftyone_here: Any, fiftyone_folder: Path) -> None:
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(known: Any) -> Any:
    """Six pictures with known masks and a model's, at two places."""
    dataset = known(*random_rows(6))
    dataset.set_values("place", ["in", "out"] * 3)
    return dataset


def content(dataset: Any) -> tuple[set[str], list[str], list[str]]:
    """Fields, saved views and runs."""
    dataset.reload()
    fields = set(dataset.get_field_schema(flat=True))
    return fields, dataset.list_saved_views(), dataset.list_runs()


def test_the_form_lists_what_is_kept_and_shows_its_table(dataset: Any) -> None:
    report = evaluate_masks(dataset, "sam", "truth", WRITTEN, key="mine")
    groups = GroupSettings(min_images=2)
    compare_groups(dataset, "truth", "place", "iou", groups, prediction_field="sam", key="places")
    shown = form(EVALUATIONS, dataset, key="mine", action="show")
    said = {each["value"]: each["description"] for each in shown["key"]["view"]["choices"]}
    assert said == {
        "mine": "sam against truth, 8 attributes in the labels",
        "places": "iou of truth by place",
    }
    assert shown["_errors"] == []
    result = execute(EVALUATIONS, dataset, key="mine", action="show")
    assert result["sentences"] == list(report.sentences)
    assert result["markdown"] == report.to_markdown()
    assert outputs(EVALUATIONS, dataset, result)["markdown"]["default"] == result["markdown"]
    assert "in: " in " ".join(
        execute(EVALUATIONS, dataset, key="places", action="show")["sentences"]
    )


def test_deleting_needs_consent_and_takes_what_it_wrote(dataset: Any) -> None:
    import fiftyone.operators.executor as foe

    before = content(dataset)
    evaluate_masks(dataset, "sam", "truth", WRITTEN, key="mine")
    assert form(EVALUATIONS, dataset, key="mine", action="delete")["agreed"]["invalid"]
    with pytest.raises(foe.ExecutionError, match="consent"):
        execute(EVALUATIONS, dataset, key="mine", action="delete")
    assert list_evaluations(dataset)
    result = execute(EVALUATIONS, dataset, key="mine", action="delete", agreed=True)
    assert "mine: missed" in " ".join(result["sentences"])
    assert content(dataset) == before


def test_what_an_evaluation_of_the_same_name_wrote_before_goes_with_it(dataset: Any) -> None:
    before = content(dataset)
    evaluate_masks(dataset, "sam", "truth", WRITTEN, key="mine")
    evaluate_masks(dataset, "sam", "truth", key="mine")
    delete_evaluation(dataset, "mine")
    assert content(dataset) == before


def test_attributes_that_others_had_made_stay(dataset: Any) -> None:
    values = [[0.25] * len(each) for each in dataset.values("sam.detections.id")]
    dataset.set_values(IOU, values)
    dataset.add_dynamic_sample_fields()
    before = content(dataset)
    for _ in range(2):  # the second time they are no less theirs
        evaluate_masks(dataset.limit(2), "sam", "truth", WRITTEN, key="mine", overwrite=True)
    deleted = delete_evaluation(dataset, "mine")
    assert deleted.kept == [IOU]
    assert content(dataset) == before
    assert dataset.values(IOU)[2:] == values[2:]


def test_what_two_evaluations_write_goes_with_the_last(dataset: Any) -> None:
    before = content(dataset)
    evaluate_masks(dataset, "sam", "truth", WRITTEN, key="one")
    evaluate_masks(dataset, "sam", "truth", WRITTEN, key="two", overwrite=True)
    assert IOU in delete_evaluation(dataset, "one").kept
    assert dataset.get_field(IOU) is not None
    assert IOU in delete_evaluation(dataset, "two").attributes
    assert content(dataset) == before


@pytest.mark.parametrize("first", [True, False])
def test_an_evaluation_of_fiftyone_is_left_alone(dataset: Any, first: bool) -> None:
    def theirs() -> None:
        dataset.evaluate_detections("sam", "truth", "eval", use_masks=True, progress=False)

    if first:
        theirs()
    evaluate_masks(dataset, "sam", "truth", WRITTEN, key="mine", overwrite=True)
    if not first:
        theirs()
    result = execute(EVALUATIONS, dataset, key="mine", action="delete", agreed=True)
    assert IOU in result["sentences"][-1]
    assert dataset.list_evaluations() == ["eval"]
    for name in ("eval", "eval_iou", "eval_id"):
        assert dataset.get_field(f"sam.detections.{name}") is not None
    assert dataset.get_field("sam.detections.eval_boundary_iou") is None
    with pytest.raises(RunError, match="one of FiftyOne's own"):
        delete_evaluation(dataset, "eval")
    assert dataset.list_evaluations() == ["eval"]


def test_a_view_that_a_person_saved_in_its_place_stays(dataset: Any) -> None:
    evaluate_masks(dataset, "sam", "truth", WRITTEN, key="mine")
    dataset.save_view("mine: missed", dataset.limit(1), overwrite=True, description="My own.")
    assert delete_evaluation(dataset, "mine").views == ["mine: false positives"]
    assert dataset.list_saved_views() == ["mine: missed"]


def test_mistakes_are_listed_and_deleted_too(dataset: Any) -> None:
    find_label_mistakes(dataset, "truth", "sam")
    (record,) = list_evaluations(dataset)
    said = " ".join(execute(EVALUATIONS, dataset, key=record.key, action="show")["sentences"])
    assert "reasons to look" in said
    execute(EVALUATIONS, dataset, key=record.key, action="delete", agreed=True)
    assert list_evaluations(dataset) == []
    assert dataset.get_field("truth.detections.mistakes") is None


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"action": "show"}, "found no ''; there are: mine"),
        ({"action": "show", "key": "other"}, "found no 'other'"),
        ({"action": "burn", "key": "mine"}, "for action, found 'burn'"),
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence(
    dataset: Any, params: dict[str, Any], told: str
) -> None:
    from fiftyone.operators.executor import ExecutionContext, Executor

    from fiftyone_plugin.operators.manage_evaluations import ManageEvaluations

    evaluate_masks(dataset, "sam", "truth", key="mine")
    request = {"dataset_name": dataset.name, "params": params}
    with pytest.raises(SamPluginsError, match=told):
        ManageEvaluations().execute(ExecutionContext(request, Executor()))


def test_commands_list_show_and_delete(dataset: Any) -> None:
    def run(*words: str, **more: Any) -> Any:
        return CliRunner().invoke(app, [words[0], dataset.name, *words[1:]], **more)

    assert "There are no evaluations" in run("evaluations").output
    evaluate_masks(dataset, "sam", "truth", WRITTEN, key="mine")
    assert run("evaluations").output.split(maxsplit=1) == [
        "mine",
        "sam against truth, 8 attributes in the labels\n",
    ]
    shown = run("evaluations", "mine").output
    assert "Mask AP" in shown
    assert "| class |" in shown
    assert run("delete-evaluation", "mine", input="n\n").exit_code == 1
    assert list_evaluations(dataset)
    assert "is gone" in run("delete-evaluation", "mine", "--yes").output
    assert list_evaluations(dataset) == []
    assert isinstance(run("delete-evaluation", "mine", "--yes").exception, RunError)


def test_json_of_the_commands(dataset: Any) -> None:
    evaluate_masks(dataset, "sam", "truth", key="mine")

    def run(*words: str) -> Any:
        return json.loads(CliRunner().invoke(cli, ["fiftyone", *words, "--json"]).stdout)

    (listed,) = run("evaluations", dataset.name)
    assert (listed["key"], listed["kind"], listed["writes"]) == ("mine", "masks", {})
    assert run("evaluations", dataset.name, "mine")["overall"]["found"] > 0
    kept = run("delete-evaluation", dataset.name, "mine", "--yes")
    assert kept == {"key": "mine", "deleted": True, "kept": []}
