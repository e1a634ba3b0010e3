"""Pictures that are open for re-prompting: prepared once, answered from what is kept."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.review import Key, Preparation, Reprompter
from fiftyone_plugin.review.reprompt import MOST_SESSIONS
from sam_plugins import Interaction
from sam_plugins.errors import ImageError
from sam_plugins.testing import FakeSegmenter

PICTURE = np.full((60, 80, 3), 90, np.uint8)
CLICK = Interaction(points=((40.0, 30.0, 1),))


class Counting(FakeSegmenter):
    """Says how often it encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0

    def encode(self, image: Any) -> Any:
        self.encoded += 1
        return super().encode(image)


def key(sample_id: str = "a") -> Key:
    return Key("dataset", sample_id, "nano")


def opened(reprompter: Reprompter, key: Key, read: Any = lambda: PICTURE) -> Any:
    """Open, and ask until it is no longer being prepared."""
    until = time.monotonic() + 60
    while (found := reprompter.open(key, read)).preparation is Preparation.PREPARING:
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


def test_a_picture_is_encoded_once_for_any_number_of_clicks() -> None:
    segmenter = Counting()
    reprompter = Reprompter(lambda model: segmenter)
    found = opened(reprompter, key())
    assert found.size == (60, 80)
    assert found.model_id == segmenter.info.model_id
    first = reprompter.answer(key(), CLICK)
    assert first.answers == 3
    second = reprompter.answer(key(), Interaction(points=(*CLICK.points, (50.0, 30.0, 0))))
    assert first.crop.any()
    assert second.crop.any()
    assert segmenter.encoded == 1


def test_the_three_answers_to_a_click_differ() -> None:
    reprompter = Reprompter(lambda model: FakeSegmenter())
    opened(reprompter, key())
    found = [
        reprompter.answer(key(), Interaction(points=CLICK.points, answer=number))
        for number in range(3)
    ]
    assert [one.answer for one in found] == [0, 1, 2]
    assert len({int(one.crop.sum()) for one in found}) == 3


def test_opening_waits_for_nothing_and_a_click_before_is_refused() -> None:
    held, reading = threading.Event(), threading.Event()

    def read() -> Any:
        reading.set()
        held.wait(60)
        return PICTURE

    reprompter = Reprompter(lambda model: FakeSegmenter())
    assert reprompter.open(key(), read).preparation is Preparation.PREPARING
    assert reading.wait(60)
    with pytest.raises(ReviewError, match="not prepared"):
        reprompter.answer(key(), CLICK)
    held.set()
    assert opened(reprompter, key(), read).preparation is Preparation.READY


def test_what_failed_says_why_once_and_is_tried_again() -> None:
    def broken() -> Any:
        raise ImageError("The file ends too early.")

    def wrong() -> Any:
        raise ZeroDivisionError("by nought")

    reprompter = Reprompter(lambda model: FakeSegmenter())
    found = opened(reprompter, key(), broken)
    assert found.preparation is Preparation.FAILED
    assert found.reason == "The file ends too early."
    assert "ZeroDivisionError" in opened(reprompter, key(), wrong).reason
    assert opened(reprompter, key()).preparation is Preparation.READY


def test_only_the_pictures_opened_last_are_kept() -> None:
    reprompter = Reprompter(lambda model: FakeSegmenter())
    for number in range(MOST_SESSIONS + 3):
        opened(reprompter, key(str(number)))
    kept = [one.sample_id for one in reprompter.keys]
    assert kept == [str(number) for number in range(3, MOST_SESSIONS + 3)]
    with pytest.raises(ReviewError, match="not prepared"):
        reprompter.answer(key("0"), CLICK)


def test_a_picture_that_was_turned_away_from_is_not_encoded() -> None:
    held = threading.Event()
    segmenter = Counting()

    def slow() -> Any:
        held.wait(60)
        return PICTURE

    reprompter = Reprompter(lambda model: segmenter)
    reprompter.open(key("first"), slow)
    for number in range(MOST_SESSIONS + 2):
        reprompter.open(key(str(number)), lambda: PICTURE)
    held.set()
    opened(reprompter, key(str(MOST_SESSIONS + 1)))
    opened(reprompter, key("2"))
    assert segmenter.encoded <= MOST_SESSIONS + 1  # "first", and those that are still open
