"""Who is answered next, who waits in vain, and who is sent away."""

import threading

import pytest
from answering_doubles import Remembered, wait_until

from labelstudio_backend.answering.waiting_room import (
    Rank,
    StoppedError,
    SupersededError,
    WaitingRoom,
)
from labelstudio_backend.errors import BusyError


class Visitor(threading.Thread):
    """A question in a thread of its own; it says when it had its turn and ends when told."""

    def __init__(self, room, order=None, task="1", labels=("Cell",), prompts=("a",)):
        super().__init__(daemon=True)
        self.room, self.order = room, [] if order is None else order
        self.asked = (task, frozenset(labels), frozenset(prompts))
        self.inside, self.leave, self.outcome = threading.Event(), threading.Event(), None
        self.start()

    def run(self):
        try:
            with self.room.enter(*self.asked) as place, place.turn():
                self.order.append(self.asked)
                self.inside.set()
                self.leave.wait(20)
            self.outcome = "answered"
        except (SupersededError, BusyError) as error:
            self.outcome = type(error).__name__

    def end(self):
        self.leave.set()
        self.join(20)
        return self.outcome


class Step(threading.Thread):
    def __init__(self, room, rank, order, stop=None):
        super().__init__(daemon=True)
        self.room, self.rank, self.order, self.stop = room, rank, order, stop
        self.inside, self.leave, self.outcome = threading.Event(), threading.Event(), None
        self.start()

    def run(self):
        try:
            with self.room.step(self.rank, self.stop):
                self.order.append(self.rank)
                self.inside.set()
                self.leave.wait(20)
            self.outcome = "done"
        except (StoppedError, BusyError) as error:
            self.outcome = type(error).__name__


def held(room):
    """A visitor that is being answered."""
    visitor = Visitor(room, task="0")
    assert visitor.inside.wait(20)
    return visitor


def waiting(room, *args, **options):
    before = room.waiting
    visitor = Visitor(room, *args, **options)
    wait_until(lambda: room.waiting > before, "a visitor that waits")
    return visitor


@pytest.mark.parametrize(
    ("older", "newer", "outcome"),
    [
        ({"prompts": "a"}, {"prompts": "ab"}, "SupersededError"),
        ({"prompts": "ab"}, {"prompts": "ab"}, "SupersededError"),
        ({"prompts": "ab"}, {"prompts": "a"}, "answered"),
        ({"prompts": "ab"}, {"prompts": "ac"}, "answered"),
        ({"prompts": "a", "labels": ("Cell",)}, {"prompts": "ab", "labels": ("Dog",)}, "answered"),
        (
            {"prompts": "a", "labels": ("Cell",)},
            {"prompts": "ab", "labels": ("Cell", "Dog")},
            "answered",
        ),
        ({"prompts": "a", "task": "1"}, {"prompts": "ab", "task": "2"}, "answered"),
    ],
    ids=["more", "same", "fewer", "other", "other label", "another label too", "other task"],
)
def test_only_a_question_that_a_newer_one_contains_is_given_up(older, newer, outcome):
    meters = Remembered()
    room = WaitingRoom(8, meters)
    first = held(room)
    old = waiting(room, **older)
    new = Visitor(room, **newer)
    wait_until(lambda: len(room._queue) + (outcome == "SupersededError") == 2)
    if outcome == "SupersededError":
        old.join(20)
        assert old.outcome == outcome
        assert first.is_alive()
    first.end()
    if outcome == "answered":
        assert old.inside.wait(20)
        assert old.end() == "answered"
    assert new.inside.wait(20)
    assert new.end() == "answered"
    assert meters.counts["superseded"] == (outcome == "SupersededError")


def test_a_question_that_has_begun_is_answered_whatever_comes():
    room = WaitingRoom(8)
    old = Visitor(room, prompts="a")
    assert old.inside.wait(20)
    new = waiting(room, prompts="ab")
    assert old.end() == "answered"
    assert new.inside.wait(20)
    assert new.end() == "answered"


def test_a_question_that_reads_its_picture_can_be_superseded():
    room = WaitingRoom(8)
    asked = ("1", frozenset({"Cell"}), frozenset({"a"}))
    with room.enter(*asked) as place:
        with room.enter("1", frozenset({"Cell"}), frozenset({"a", "b"})):
            pass
        with pytest.raises(SupersededError), place.turn():
            raise AssertionError("it had a turn")


def test_turns_are_in_the_order_of_asking():
    room, order = WaitingRoom(32), []
    first = held(room)
    visitors = [waiting(room, order, task=str(number)) for number in range(1, 13)]
    for visitor in visitors:
        visitor.leave.set()
    first.end()
    for visitor in visitors:
        visitor.join(20)
    assert [task for task, _, _ in order] == [str(number) for number in range(1, 13)]


def test_beyond_the_length_a_question_is_sent_away_at_once():
    meters = Remembered()
    room = WaitingRoom(2, meters)
    first = held(room)
    others = [waiting(room, task=str(number)) for number in (1, 2)]
    with (
        pytest.raises(BusyError, match="ask again") as caught,
        room.enter("9", frozenset(), frozenset()),
    ):
        pass
    assert caught.value.retry_after >= 1
    assert meters.counts["rejected"] == 1
    newer = Visitor(room, task="1", prompts="ab")  # takes the place of one that it contains
    others[0].join(20)
    assert others[0].outcome == "SupersededError"
    for visitor in (first, others[1], newer):
        visitor.leave.set()
        visitor.join(20)
        assert visitor.outcome == "answered"
    assert (room.waiting, room.running) == (0, 0)


def test_other_work_waits_for_clicks_and_has_an_order_of_its_own():
    room, order = WaitingRoom(8), []
    first = held(room)
    steps = []
    for rank in (Rank.PREFETCH, Rank.LATER, Rank.BATCH, Rank.PREPARE):
        steps.append(Step(room, rank, order))
        steps[-1].leave.set()
        wait_until(lambda: len(room._steps) == len(steps))
    assert order == []
    encoding = Step(room, Rank.CLICK, order)
    assert encoding.inside.wait(20)  # beside the question that is answered
    encoding.leave.set()
    encoding.join(20)
    first.end()
    for step in steps:
        step.join(20)
    assert order == [Rank.CLICK, Rank.PREPARE, Rank.BATCH, Rank.LATER, Rank.PREFETCH]


def test_a_step_that_runs_keeps_no_click_waiting():
    room, order = WaitingRoom(8), []
    step = Step(room, Rank.BATCH, order)
    assert step.inside.wait(20)
    visitor = Visitor(room)
    assert visitor.inside.wait(20)
    assert visitor.end() == "answered"
    step.leave.set()
    step.join(20)


def test_a_step_that_waits_can_be_stopped():
    room, stopped = WaitingRoom(8), threading.Event()
    first = held(room)
    step = Step(room, Rank.BATCH, [], stopped.is_set)
    wait_until(lambda: room._steps)
    stopped.set()
    step.join(20)
    assert step.outcome == "StoppedError"
    assert first.end() == "answered"


def test_an_error_in_a_turn_gives_it_on():
    room = WaitingRoom(8)
    with (
        pytest.raises(ValueError, match="odd"),
        room.enter("1", frozenset(), frozenset()) as place,
        place.turn(),
    ):
        raise ValueError("odd")
    with pytest.raises(ValueError, match="odd"), room.step(Rank.BATCH):
        raise ValueError("odd")
    visitor = Visitor(room)
    assert visitor.inside.wait(20)
    assert visitor.end() == "answered"


def test_closing_refuses_what_is_new_and_finishes_what_is_here():
    room = WaitingRoom(8)
    first, second = held(room), waiting(room, task="1")
    step = Step(room, Rank.BATCH, [])
    wait_until(lambda: room._steps)
    closing = threading.Thread(target=room.close, args=(20,), daemon=True)
    closing.start()
    step.join(20)
    assert step.outcome == "BusyError"
    with pytest.raises(BusyError, match="ending"), room.enter("9", frozenset(), frozenset()):
        pass
    assert closing.is_alive()
    assert first.end() == "answered"
    assert second.inside.wait(20)
    assert second.end() == "answered"
    closing.join(20)
    assert not closing.is_alive()


def test_closing_gives_up_when_time_is_over():
    room = WaitingRoom(8)
    first, second = held(room), waiting(room, task="1")
    room.close(0.05)
    second.join(20)
    assert second.outcome == "BusyError"
    assert first.end() == "answered"
