"""The operator that looks after runs: continue, retry, show failures, share, delete."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app_server import link_plugin
from launchers import DONE, launchers, states, wait_until
from operating import delegate, execute, form, outputs

import fiftyone_plugin.operators.manage_runs as manage_runs
from fiftyone_plugin.runs import find_run, list_runs, run_counts
from fiftyone_plugin.start.plugin_folder import PLUGIN
from fiftyone_plugin.values import Status

PROMPTS = f"{PLUGIN}/segment_prompts"
RUNS = f"{PLUGIN}/manage_runs"
PARAMS = {"box_field": "boxes", "label_field": "sam"}


@pytest.fixture(autouse=True)
def plugin(fiftyone_here: Any, fiftyone_folder: Path) -> None:
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def dataset(make_dataset: Callable[..., Any]) -> Any:
    """Three samples, one of which was segmented."""
    dataset = make_dataset(3, 2)
    execute(PROMPTS, dataset, view=dataset.limit(1), **PARAMS)
    return dataset


def run_of(dataset: Any) -> str:
    (run,) = list_runs(dataset)
    return str(run.run_id)


def test_without_runs_the_form_says_how_to_begin_one(make_dataset: Callable[..., Any]) -> None:
    shown = form(RUNS, make_dataset(1, 1))
    assert "begin one with 'Prompts to masks'" in shown["problem"]["error_message"]
    assert shown["_errors"]


def test_the_form_lists_runs_with_their_counts(dataset: Any) -> None:
    shown = form(RUNS, dataset, run_id=run_of(dataset), action="continue")
    (choice,) = shown["run_id"]["view"]["choices"]
    assert choice["label"] == "sam: prompts by nano, 1 done, 2 left"
    assert shown["_errors"] == []


def test_it_continues_over_the_whole_dataset(dataset: Any) -> None:
    result = execute(RUNS, dataset, run_id=run_of(dataset), action="continue")
    assert (result["done"], result["skipped"], result["objects"]) == (2, 1, 4)
    assert dataset.count("sam.detections") == 6


def test_it_tries_failures_again_and_shows_them(dataset: Any) -> None:
    path = Path(dataset.last().filepath)
    picture = path.read_bytes()
    path.write_bytes(b"no picture")
    run_id = run_of(dataset)
    assert execute(RUNS, dataset, run_id=run_id, action="continue")["failed"] == 1
    assert execute(RUNS, dataset, run_id=run_id, action="failures") == {
        "run_id": run_id,
        "shown": 1,
    }
    path.write_bytes(picture)
    assert execute(RUNS, dataset, run_id=run_id, action="retry")["done"] == 1
    assert run_counts(dataset, run_id)[Status.FAILED] == 0


def test_in_the_app_failures_become_the_view(dataset: Any) -> None:
    from fiftyone.operators.executor import ExecutionContext, Executor

    request = {
        "dataset_name": dataset.name,
        "params": {"run_id": run_of(dataset), "action": "failures"},
        "selected_samples": [],
    }
    messages = list(manage_runs.ManageRuns().execute(ExecutionContext(request, Executor())))
    assert [each.body.operator_uri for each in messages[:-1]] == ["set_progress", "set_view"]
    assert messages[-2].body.params["view"]


def test_deleting_needs_consent_and_takes_only_the_runs_own(dataset: Any) -> None:
    import fiftyone.operators.executor as foe

    run_id = run_of(dataset)
    asked = form(RUNS, dataset, run_id=run_id, action="delete")
    assert asked["agreed"]["invalid"]
    with pytest.raises(foe.ExecutionError, match="consent"):
        execute(RUNS, dataset, run_id=run_id, action="delete")
    assert dataset.count("sam.detections") == 2
    result = execute(RUNS, dataset, run_id=run_id, action="delete", agreed=True)
    assert result == {"run_id": run_id, "deleted": True}
    assert list_runs(dataset) == []
    assert dataset.count("boxes.detections") == 6
    assert "deleted" in outputs(RUNS, dataset, result)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"action": "continue"}, "choose a run"),
        ({"action": "burn", "run_id": "here"}, "for action, found 'burn'"),
        ({"action": "share", "run_id": "here", "shards": 0}, "from 1 to 1000 for shards"),
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence(
    dataset: Any, params: dict[str, Any], told: str
) -> None:
    from fiftyone.operators.executor import ExecutionContext, Executor

    from fiftyone_plugin.errors import FieldError

    if "run_id" in params:
        params = {**params, "run_id": run_of(dataset)}
    request = {"dataset_name": dataset.name, "params": params}
    with pytest.raises(FieldError, match=told):
        manage_runs.ManageRuns().execute(ExecutionContext(request, Executor()))


@pytest.mark.slow
def test_delegated_work_and_shared_runs_are_done_by_a_launcher(
    make_dataset: Callable[..., Any],
    fiftyone_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    from bson import ObjectId
    from fiftyone.operators.delegated import DelegatedOperationService

    dataset = make_dataset(6, 2)
    view = dataset.limit(2)
    first = delegate(PROMPTS, dataset, view=view, **PARAMS)
    wrong_params = {"label_field": "other", "model": "file", "model_path": str(tmp_path / "no.pt")}
    wrong = delegate(PROMPTS, dataset, view=view, **{**PARAMS, **wrong_params})
    service = DelegatedOperationService()
    with launchers(1, fiftyone_environment, tmp_path):
        wait_until(lambda: set(states([first, wrong])) <= DONE, "two operations")
        done = service.get(ObjectId(first))
        assert states([first]) == ["completed"], done.result
        assert done.result.result["done"] == 2
        assert done.status.progress == 1
        assert states([wrong]) == ["failed"]
        last_line = service.get(ObjectId(wrong)).result.error.strip().splitlines()[-1]
        assert "no.pt" in last_line
        dataset.reload()
        run_id = run_of(dataset)
        result = execute(RUNS, dataset, run_id=run_id, action="share", shards=2)
        assert result == {"run_id": run_id, "queued": 2}
        wait_until(lambda: run_counts(dataset, run_id)[None] == 0, "both shards")
    assert run_counts(dataset, run_id)[Status.DONE] == 6
    assert find_run(dataset, run_id).config.box_field == "boxes"
