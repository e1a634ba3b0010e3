"""Every task gets one prediction of the model version, whatever Label Studio does meanwhile."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prelabel_client import SmallClient
from prelabel_doubles import REGION, VERSION, FakeLabelStudio, serving

from labelstudio_backend.errors import AddressError, BusyError, ConfigError, LabelStudioError
from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.fetching.retrying import Patience
from labelstudio_backend.prelabel import Journal, Outcome, Plan, Prelabelling, RunKey, Summary
from labelstudio_backend.prelabel.sending import Sender

PLAN = Plan(project=1, model_version=VERSION)
KEY = RunKey("http://studio", 1, VERSION, None, None, "<View/>")


@pytest.fixture
def studio() -> Iterator[FakeLabelStudio]:
    with serving(FakeLabelStudio(40)) as host:
        yield host


def found(task: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float | None]:
    return [REGION | {"id": str(task["id"])}], 0.9


class Run:
    """Runs over the same project with the same journal, and short waits."""

    def __init__(self, studio: FakeLabelStudio, folder: Path) -> None:
        self.client: Any = SmallClient(studio.url)
        self.folder = folder
        self.computed: list[int] = []
        self.waits: list[float] = []
        self.told: list[Outcome] = []

    def __call__(self, plan: Plan = PLAN, annotate=found, key: RunKey = KEY) -> Summary:
        def counted(task: Mapping[str, Any]) -> Any:
            self.computed.append(task["id"])
            return annotate(task)

        journal = Journal(self.folder, key)
        self.last = Prelabelling(
            plan, self.client, journal, counted, sender=self.sender(plan.model_version)
        )
        try:
            return self.last.run(self.told.append)
        finally:
            journal.close()

    def sender(self, version: str) -> Sender:
        def wait(seconds: float) -> bool:
            self.waits.append(seconds)
            return self.last.stopping()

        return Sender(self.client, version, wait=wait)


@pytest.fixture
def run(studio: FakeLabelStudio, tmp_path: Path) -> Run:
    return Run(studio, tmp_path)


def once(studio: FakeLabelStudio) -> bool:
    return all(versions == [VERSION] for versions in studio.versions().values())


def test_every_task_gets_its_regions_and_its_score(studio: FakeLabelStudio, run: Run) -> None:
    summary = run()
    assert once(studio)
    for number, (prediction,) in studio.predictions.items():
        assert prediction["result"] == [REGION | {"id": str(number)}]
        assert prediction["score"] == 0.9
    assert summary.counts == {"done": 40}
    assert sorted(each.task for each in run.told) == list(range(1, 41))


def test_a_second_run_computes_nothing(studio: FakeLabelStudio, run: Run, tmp_path: Path) -> None:
    run()
    run.computed.clear()
    assert run().counts == {"skipped": 40}
    assert Run(studio, tmp_path / "elsewhere")().counts == {"skipped": 40}
    assert run.computed == []
    assert once(studio)


def test_another_model_version_is_another_prediction(studio: FakeLabelStudio, run: Run) -> None:
    run()
    run(replace(PLAN, model_version="vit_b-0"), key=replace(KEY, model_version="vit_b-0"))
    assert all(each == [VERSION, "vit_b-0"] for each in studio.versions().values())


def test_predictions_deleted_in_label_studio_are_made_again(
    studio: FakeLabelStudio, run: Run
) -> None:
    run()
    studio.predictions[7].clear()
    assert run().counts == {"skipped": 39, "done": 1}
    assert once(studio)


def test_one_that_fails_stops_no_other_and_is_tried_again_when_asked(
    studio: FakeLabelStudio, run: Run
) -> None:
    def spoilt(task: Mapping[str, Any]) -> Any:
        if task["id"] == 5:
            raise AddressError("The picture is 404.")
        if task["id"] == 6:
            raise ZeroDivisionError("division by zero")
        return found(task)

    summary = run(annotate=spoilt)
    assert summary.counts == {"done": 38, "failed": 2}
    assert {each.task: each.reason for each in summary.failures} == {
        5: "The picture is 404.",
        6: "unexpected ZeroDivisionError: division by zero",
    }
    run.computed.clear()
    assert run().counts == {"skipped": 38, "failed before": 2}
    assert run.last.summary.reasons["The picture is 404."] == 1
    assert run.computed == []
    assert run(replace(PLAN, retry_failed=True)).counts == {"skipped": 38, "done": 2}
    assert once(studio)


def test_nothing_found_is_noted_and_sends_nothing(studio: FakeLabelStudio, run: Run) -> None:
    def nothing(task: Mapping[str, Any]) -> Any:
        return ([], None) if task["id"] % 2 else found(task)

    assert run(annotate=nothing).counts == {"done": 20, "empty": 20}
    assert studio.sent.total() == 20
    run.computed.clear()
    assert run().counts == {"skipped": 20, "empty before": 20}
    assert run.computed == []
    assert run(replace(PLAN, again=True)).counts == {"skipped": 20, "done": 20}
    assert once(studio)


def test_a_limit_counts_what_is_computed(studio: FakeLabelStudio, run: Run) -> None:
    assert run(replace(PLAN, limit=15)).counts == {"done": 15}
    assert run(replace(PLAN, limit=15)).counts == {"skipped": 15, "done": 15}
    assert studio.sent.total() == 30


def test_a_dry_run_changes_nothing(studio: FakeLabelStudio, run: Run) -> None:
    run(replace(PLAN, limit=3))
    run.computed.clear()
    assert run(replace(PLAN, dry_run=True)).counts == {"skipped": 3, "left": 37}
    assert run.computed == []
    assert studio.sent.total() == 3


@pytest.mark.parametrize("how", ["drop", "store then 502"])
def test_a_prediction_that_arrived_without_an_answer_is_not_sent_again(
    studio: FakeLabelStudio, run: Run, how: str
) -> None:
    studio.behave = lambda task, n: how if task % 3 == 0 else "store"
    assert run().counts == {"done": 40}
    assert once(studio)
    assert set(studio.sent.values()) == {1}


@pytest.mark.parametrize("how", ["lose", "429", "500", "503"])
def test_a_prediction_that_did_not_arrive_is_sent_again_later_each_time(
    studio: FakeLabelStudio, run: Run, how: str
) -> None:
    studio.behave = lambda task, n: how if n < 3 and task == 4 else "store"
    assert run().counts == {"done": 40}
    assert once(studio)
    assert studio.sent[4] == 3
    pauses = [each for each in run.waits if each not in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)]
    assert len(pauses) == 2
    assert pauses[1] > pauses[0]
    # One that Label Studio has certainly refused need not be looked for.
    assert (0.0 in run.waits) == (how != "429")


def test_a_prediction_stored_long_after_the_connection_broke_is_not_sent_again(
    studio: FakeLabelStudio, run: Run
) -> None:
    """Label Studio works on, while the client has given up and begins to ask."""
    late = threading.Event()
    waited = 0

    def behave(task: int, n: int) -> str:
        return "lose" if task == 4 and n == 1 else "store"

    def slow(seconds: float) -> bool:
        nonlocal waited
        waited += 1
        if seconds == 2.0 and not late.is_set():
            late.set()
            studio.store(4, {"task": 4, "result": [], "model_version": VERSION})
        return False

    studio.behave = behave
    run.sender = lambda version: Sender(run.client, version, wait=slow)
    assert run().counts == {"done": 40}
    assert late.is_set()
    assert once(studio)


def test_what_label_studio_refuses_fails_that_task(studio: FakeLabelStudio, run: Run) -> None:
    studio.behave = lambda task, n: "400" if task == 4 else "store"
    summary = run()
    assert summary.counts == {"done": 39, "failed": 1}
    assert studio.sent[4] == 1
    assert "400" in summary.failures[0].reason


def test_a_task_that_label_studio_cannot_store_fails_after_some_tries(
    studio: FakeLabelStudio, run: Run
) -> None:
    studio.behave = lambda task, n: "500" if task == 4 else "store"
    assert run().counts == {"done": 39, "failed": 1}
    assert studio.sent[4] == 5


def test_a_refused_token_ends_the_run(studio: FakeLabelStudio, run: Run) -> None:
    studio.behave = lambda task, n: "401"
    with pytest.raises(LabelStudioError) as caught:
        run()
    assert caught.value.status == 401
    assert studio.sent.total() <= 2 * PLAN.parallel
    studio.behave = lambda task, n: "store"
    assert run().counts == {"done": 40}


def test_a_label_studio_that_goes_away_ends_the_run_and_the_next_goes_on(
    studio: FakeLabelStudio, run: Run
) -> None:
    def behave(task: int, n: int) -> str:
        studio.down = studio.sent.total() == 12
        return "drop" if studio.down else "store"

    studio.behave = behave
    with pytest.raises(LabelStudioError):
        run()
    assert run.last.summary.counts["failed"] == 0
    studio.down, studio.behave = False, lambda task, n: "store"
    run()
    assert once(studio)


def test_pictures_that_are_missing_as_label_studio_is_fail_no_task(
    studio: FakeLabelStudio, run: Run
) -> None:
    def annotate(task: Mapping[str, Any]) -> Any:
        if task["id"] == 9:
            studio.down = True
        if studio.down:
            raise AddressError("The picture cannot be reached.")
        return found(task)

    with pytest.raises(LabelStudioError):
        run(annotate=annotate)
    assert run.last.summary.counts["failed"] == 0
    studio.down = False
    assert "failed before" not in run().counts
    assert once(studio)


def test_a_busy_model_is_asked_again(studio: FakeLabelStudio, run: Run) -> None:
    busy = {1, 2, 3}

    def annotate(task: Mapping[str, Any]) -> Any:
        if task["id"] in busy:
            busy.discard(task["id"])
            raise BusyError("Wait.", retry_after=0)
        return found(task)

    assert run(annotate=annotate).counts == {"done": 40}


def test_no_more_tasks_are_in_memory_than_workers(studio: FakeLabelStudio, run: Run) -> None:
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3)

    def annotate(task: Mapping[str, Any]) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if task["id"] <= 3:
            together.wait(30)  # passes only if three are at it at the same time
        with lock:
            running -= 1
        return found(task)

    assert run(replace(PLAN, parallel=3), annotate).counts == {"done": 40}
    assert most == 3
    assert studio.largest_page <= 25


def test_ctrl_c_finishes_what_is_being_sent_and_leaves_the_rest(
    studio: FakeLabelStudio, run: Run
) -> None:
    def annotate(task: Mapping[str, Any]) -> Any:
        if task["id"] == 10:
            os.kill(os.getpid(), signal.SIGINT)
            while not run.last.stopping():
                pass
        return found(task)

    summary = run(annotate=annotate)
    assert summary.stopped
    assert summary.counts["done"] < 40
    assert summary.counts["failed"] == 0
    assert not run().stopped
    assert once(studio)


def test_an_interrupted_computation_is_not_taken_for_an_empty_picture(
    studio: FakeLabelStudio, run: Run
) -> None:
    def annotate(task: Mapping[str, Any]) -> Any:
        run.last.stop()
        if task["id"] % 2:
            raise RuntimeError("stopped")
        return [], None

    assert set(run(annotate=annotate).counts) <= {"left"}
    assert run().counts == {"done": 40}


def test_a_journal_that_cannot_be_written_ends_the_run(
    studio: FakeLabelStudio, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise ConfigError("The disk is full.")

    monkeypatch.setattr(Journal, "write", full)
    with pytest.raises(ConfigError, match="full"):
        run()
    # Nothing is sent that could not be noted.
    assert studio.sent.total() == 0


def test_runs_over_other_configs_do_not_share_what_they_noted(
    studio: FakeLabelStudio, run: Run
) -> None:
    run(annotate=lambda task: ([], None))
    assert run(key=replace(KEY, config="<View><Image/></View>")).counts == {"done": 40}


def test_a_task_that_got_prompts_since_nothing_was_found_is_computed_again(
    studio: FakeLabelStudio, run: Run
) -> None:
    run(annotate=lambda task: ([], None))
    studio.tasks[4]["annotations"] = [{"id": 1, "result": [REGION]}]
    assert run().counts == {"empty before": 39, "done": 1}
    assert studio.sent == {4: 1}


def test_the_real_client_gets_along_with_all_that(studio: FakeLabelStudio, tmp_path: Path) -> None:
    """Its own patience lies below that of the run: what is in doubt must reach the run."""
    run = Run(studio, tmp_path)
    run.client = LabelStudioClient(studio.url, "0" * 40, patience=Patience(sleep=lambda s: None))
    answers = ["store", "drop", "lose", "store then 502", "500", "429", "503"]
    studio.behave = lambda task, n: answers[task % len(answers)] if n == 1 else "store"
    assert run().counts == {"done": 40}
    assert once(studio)
    assert studio.largest_page == 25
