"""What an operator gives the App: while it works, when it fails, and when nobody listens."""

import json
import threading
from typing import Any

import pytest

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators.results import outputs_of
from fiftyone_plugin.operators.streaming import PROBLEM, run_work
from fiftyone_plugin.runs import WorkProgress

pytest.importorskip("fiftyone")


def context(delegated: bool = False, app: bool = False) -> Any:
    from fiftyone.operators.executor import ExecutionContext, Executor

    told: list[tuple[float, str]] = []
    request: dict[str, Any] = {"params": {}, "delegated": delegated}
    if app:
        request["selected_samples"] = []
    made = ExecutionContext(
        request,
        executor=Executor(),
        set_progress=lambda _, progress: told.append((progress.progress, progress.label)),
    )
    made.told = told
    return made


def counted(ctx: Any) -> Any:
    """The form of a result, as operators make it."""
    return outputs_of(ctx, "Counted")


def lines(messages: Any) -> list[dict[str, Any]]:
    """As the server writes them for the App."""
    return [json.loads(each.to_json_line()) for each in messages]


def test_a_script_and_a_launcher_get_the_result_itself() -> None:
    def work(progress: Any, stop: Any) -> dict[str, Any]:
        progress(WorkProgress(3, 3, 7, "done"))
        return {"objects": 7, "stopped": stop()}

    assert run_work(context(), work, counted) == {"objects": 7, "stopped": False}
    launcher = context(delegated=True, app=True)
    assert run_work(launcher, work, counted) == {"objects": 7, "stopped": False}
    assert launcher.told == [(1.0, "3 of 3 samples, 7 objects")]


def test_a_script_gets_the_error_itself() -> None:
    def work(progress: Any, stop: Any) -> dict[str, Any]:
        raise FieldError("Expected boxes, found none.")

    with pytest.raises(FieldError, match="found none"):
        run_work(context(), work, counted)


def test_the_app_is_told_how_far_it_is_and_then_the_result() -> None:
    going = threading.Event()

    def work(progress: Any, stop: Any) -> dict[str, Any]:
        progress(WorkProgress(1, 2, 4, "done"))
        going.wait(60)
        return {"objects": 4}

    messages = run_work(context(app=True), work, counted)
    first, second = lines([next(messages), next(messages)])
    assert first["body"]["params"]["progress"] == 0
    assert second["body"]["params"] == {"label": "1 of 2 samples, 4 objects", "progress": 0.5}
    going.set()
    reload, result = lines(messages)
    assert reload["body"]["operator_uri"] == "reload_dataset"
    shown = result["body"]["params"]
    assert result["body"]["operator_uri"] == "show_output"  # in the place of the progress
    assert shown["results"] == {"objects": 4}
    assert list(shown["outputs"]["type"]["properties"]) == ["objects"]


@pytest.mark.parametrize("error", [FieldError("Expected boxes, found none."), ZeroDivisionError()])
def test_the_app_gets_a_sentence_for_an_error(error: Exception) -> None:
    def work(progress: Any, stop: Any) -> dict[str, Any]:
        raise error

    *_, note, result = lines(run_work(context(app=True), work, counted))
    text = result["body"]["params"]["results"][PROBLEM]
    (said,) = result["body"]["params"]["outputs"]["type"]["properties"].values()
    assert said["view"]["label"] == text
    assert note["body"]["params"] == {"message": text, "variant": "error"}
    if isinstance(error, FieldError):
        assert text == str(error)
    else:
        assert "ZeroDivisionError" in text
        assert "a defect of sam-plugins" in text


def test_when_the_app_is_closed_the_work_stops_and_is_waited_for() -> None:
    ended = threading.Event()

    def work(progress: Any, stop: Any) -> dict[str, Any]:
        while not stop():
            progress(WorkProgress(1, 2, 4, "done"))
        ended.set()
        return {}

    messages = run_work(context(app=True), work, counted)
    next(messages)
    next(messages)
    messages.close()
    assert ended.is_set()


def test_what_nobody_asked_for_is_not_begun() -> None:
    begun = threading.Event()

    def work(progress: Any, stop: Any) -> dict[str, Any]:
        begun.set()
        return {}

    messages = run_work(context(app=True), work, counted)
    next(messages)
    messages.close()
    assert not begun.is_set()
