"""An engine that takes over while others answer."""

from threading import Event, Thread

import pytest
import torch

from sam_plugins.engines.handover import Handover

PIXELS = torch.zeros(1, 3, 4, 4)


def answering(value):
    return lambda _pixels: {"image_embedding": torch.tensor(value)}


def broken(*_arguments):
    raise RuntimeError("no such instruction")


class Parts:
    """A handover whose preparation waits for `go`, and what it did."""

    def __init__(self, make=lambda _report: answering(2), on_status=None):
        self.go = Event()
        self.made_instead = 0
        self.readied = 0
        self.statuses = []

        def prepare(report):
            report("compiling", 0.5)
            assert self.go.wait(30)
            return make(report)

        self.handover = Handover(
            meanwhile=answering(1),
            meanwhile_name="slow",
            make=prepare,
            name="fast",
            instead=self.instead,
            ready=self.ready,
            on_status=on_status or self.statuses.append,
        )
        self.handover.start()

    def instead(self):
        self.made_instead += 1
        return answering(3)

    def ready(self):
        self.readied += 1

    def settle(self):
        self.go.set()
        assert self.handover.wait(30)

    def answer(self):
        return int(self.handover(PIXELS)["image_embedding"])


def test_the_first_answers_do_not_wait():
    parts = Parts()
    assert [parts.answer(), parts.answer()] == [1, 1]
    assert parts.handover.engine() == "slow"
    assert not parts.handover.wait(0)
    assert parts.readied == 0
    parts.settle()
    assert parts.answer() == 2
    assert parts.handover.engine() == "fast"
    assert (parts.readied, parts.made_instead) == (1, 0)


def test_progress_can_be_followed():
    parts = Parts()
    parts.settle()
    phases = [status.phase for status in parts.statuses]
    assert phases == ["preparing", "ready"]
    assert [status.fraction for status in parts.statuses] == [0.5, 1.0]
    assert parts.handover.status == parts.statuses[-1]


def test_a_failure_to_make_it_leaves_the_program_working(caplog):
    parts = Parts(make=broken)
    assert parts.answer() == 1
    parts.settle()
    assert [parts.answer(), parts.answer()] == [3, 3]
    assert parts.made_instead == 1
    assert parts.handover.status.phase == "failed"
    assert parts.handover.engine() == "slow"
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "no such instruction" in warnings[0].getMessage()


def test_a_failure_at_an_image_is_answered_all_the_same(caplog):
    parts = Parts(make=lambda _report: broken)
    parts.settle()
    assert parts.handover.engine() == "fast"
    assert [parts.answer(), parts.answer()] == [3, 3]
    assert parts.made_instead == 1
    assert parts.handover.engine() == "slow"
    assert sum(record.levelname == "WARNING" for record in caplog.records) == 1


def test_what_the_slow_one_raises_is_raised():
    handover = Handover(
        meanwhile=broken,
        meanwhile_name="slow",
        make=lambda _report: answering(2),
        name="fast",
        instead=lambda: answering(3),
    )
    with pytest.raises(RuntimeError, match="no such instruction"):
        handover(PIXELS)


def test_the_change_waits_for_the_call_that_runs():
    running, finish = Event(), Event()
    readied_while_running = []

    def slow(_pixels):
        running.set()
        assert finish.wait(30)
        readied_while_running.append(readied.is_set())
        return {"image_embedding": torch.tensor(1)}

    readied = Event()
    handover = Handover(
        meanwhile=slow,
        meanwhile_name="slow",
        make=lambda _report: answering(2),
        name="fast",
        instead=broken,
        ready=readied.set,
    )
    answers = []
    caller = Thread(target=lambda: answers.append(handover(PIXELS)))
    caller.start()
    assert running.wait(30)
    handover.start()
    assert not handover.wait(0.1)
    finish.set()
    caller.join(30)
    assert handover.wait(30)
    assert readied_while_running == [False]
    assert int(answers[0]["image_embedding"]) == 1


def test_a_listener_that_fails_changes_nothing(caplog):
    parts = Parts(on_status=broken)
    parts.settle()
    assert parts.answer() == 2
    assert "is told about engines failed" in caplog.text
