"""Long work and background work of the service."""

import logging
import threading

import pytest
from service_doubles import PATIENCE, Openings, Stall, Window

from napari_plugin.service import ModelService


@pytest.fixture
def window():
    return Window()


@pytest.fixture
def service(window):
    made = ModelService(window.deliver, Openings())
    made.open()
    yield made
    made.close()


class Outcome:
    """What a job delivered."""

    def __init__(self):
        self.events, self.ends = [], []

    def start(self, service, make):
        return service.job(
            "Everything",
            make,
            self.events.append,
            lambda cancelled: self.ends.append(cancelled),
            self.ends.append,
        )


class Steps:
    """A generator that yields some numbers, then stalls, and knows whether it was closed."""

    def __init__(self, count):
        self.stalled, self.go_on = threading.Event(), threading.Event()
        self.closed = threading.Event()
        self._count = count

    def __call__(self, segmenter):
        try:
            yield from range(self._count)
            self.stalled.set()
            assert self.go_on.wait(PATIENCE)
            yield "late"
            yield "later"
        finally:
            self.closed.set()


def test_every_event_comes_in_order_and_then_the_end(window, service):
    outcome = Outcome()
    job = outcome.start(service, lambda segmenter: iter(range(3000)))
    window.run_until(lambda: outcome.ends)
    assert outcome.events == list(range(3000))
    assert outcome.ends == [False]
    assert not job.running


def test_an_event_is_not_kept_back_by_a_step_that_stalls(window, service):
    outcome, steps = Outcome(), Steps(2)
    job = outcome.start(service, steps)
    window.run_until(lambda: outcome.events == [0, 1])
    assert job.running
    steps.go_on.set()
    window.run_until(lambda: outcome.ends)
    assert outcome.events == [0, 1, "late", "later"]


def test_a_cancelled_job_ends_at_once_and_its_generator_is_closed(window, service):
    outcome, steps = Outcome(), Steps(5)
    job = outcome.start(service, steps)
    assert steps.stalled.wait(PATIENCE)
    job.cancel()
    window.run_until(lambda: outcome.ends)
    assert not steps.closed.is_set()  # it still stalls, and nobody waited for it
    assert (outcome.events, outcome.ends) == ([0, 1, 2, 3, 4], [True])
    steps.go_on.set()
    assert steps.closed.wait(PATIENCE)
    job.cancel()
    window.run_waiting()
    assert (outcome.events, outcome.ends) == ([0, 1, 2, 3, 4], [True])


def test_an_error_comes_after_the_events_before_it(window, service):
    def make(segmenter):
        yield 1
        raise ValueError("broken")

    outcome = Outcome()
    outcome.start(service, make)
    window.run_until(lambda: outcome.ends)
    assert outcome.events == [1]
    assert [str(end) for end in outcome.ends] == ["broken"]


def test_another_model_cancels_jobs(window, service):
    outcome, steps = Outcome(), Steps(1)
    outcome.start(service, steps)
    assert steps.stalled.wait(PATIENCE)
    service.open()
    window.run_until(lambda: outcome.ends)
    assert outcome.ends == [True]
    steps.go_on.set()


def test_background_work_runs_in_the_order_of_the_list(window, service):
    prepared, steps = [], []

    def stepping(key):
        def make(segmenter):
            for number in range(2):
                steps.append((key, number))
                yield

        return make

    service.prepare([(key, stepping(key)) for key in "cab"], prepared.append)
    window.run_until(lambda: len(prepared) == 3)
    assert prepared == ["c", "a", "b"]
    assert steps == [(key, number) for key in "cab" for number in range(2)]


def test_a_new_list_takes_the_place_of_what_waits_and_what_runs_goes_on(window, service):
    running, prepared = Steps(0), []
    service.prepare([("screen", running), ("dropped", lambda _: iter(()))], prepared.append)
    assert running.stalled.wait(PATIENCE)
    service.prepare([("screen", running), ("next", lambda _: iter(()))], prepared.append)
    running.go_on.set()
    window.run_until(lambda: len(prepared) == 2)
    window.run_waiting()
    assert prepared == ["screen", "next"]


def test_background_work_stands_back_for_an_answer(window, service):
    running, prepared, answers, urgent = Steps(0), [], [], Stall()
    service.prepare([("screen", running)], prepared.append)
    assert running.stalled.wait(PATIENCE)
    service.latest("decode", urgent, answers.append, answers.append)
    assert urgent.begun.wait(PATIENCE)
    running.go_on.set()  # its next step ends, and the one after must wait
    assert not running.closed.wait(0.2)
    assert prepared == []
    urgent.go_on.set()
    window.run_until(lambda: prepared and answers)


def test_an_error_in_the_background_is_logged_and_the_next_one_runs(window, service, caplog):
    def fail(segmenter):
        raise ValueError("cannot be prepared")

    prepared = []
    with caplog.at_level(logging.ERROR):
        service.prepare([("bad", fail), ("good", lambda _: iter(()))], prepared.append)
        window.run_until(lambda: prepared)
    assert prepared == ["good"]
    assert "cannot be prepared" in caplog.text


def test_close_ends_background_work(window, service):
    running, other = Steps(0), []
    service.prepare([("screen", running), ("other", lambda _: other.append(1) or iter(()))])
    assert running.stalled.wait(PATIENCE)
    service.close()
    running.go_on.set()
    assert running.closed.wait(PATIENCE)
    assert other == []
