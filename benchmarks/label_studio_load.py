"""Many annotators who click at the same time, every answer compared with the core's own."""

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests
from label_studio_server import Backend, click_body, points_region
from numpy.typing import NDArray

from sam_plugins import Interaction, Refiner, TiledImage, load_image, open_segmenter
from sam_plugins.formats import brush_rle_to_crop
from sam_plugins.types import Box

__all__ = ["Load", "Outcome", "expected_answers", "run_load"]

OBJECTS = 6
"""Objects of a picture that an annotator goes through again and again."""

LONGEST = 3
"""Most clicks on one of them."""

Click = tuple[float, float, bool]
Answer = tuple[NDArray[np.bool_], Box]


@dataclass(frozen=True)
class Load:
    """Who clicks where.

    Parameters
    ----------
    addresses
        Of the pictures, one for each annotator.
    size
        (H, W) of every picture.
    annotators
        How many click at once.
    seconds
        For how long.
    """

    addresses: list[str]
    size: tuple[int, int]
    annotators: int
    seconds: float

    def clicks(self, number: int, target: int) -> list[Click]:
        """The clicks on one object of one picture, x and y in percent; the first is positive."""
        chance = random.Random(1000 * number + target)
        x, y = chance.uniform(10, 90), chance.uniform(10, 90)
        found: list[Click] = [(x, y, True)]
        while len(found) < LONGEST:
            near = (x + chance.uniform(-6, 6), y + chance.uniform(-6, 6))
            found.append((*near, chance.random() < 0.6))
        return found


@dataclass
class Outcome:
    """What happened; the memory is that of the server and the model's process together."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refused: int = 0
    early_bytes: int = 0
    late_bytes: int = 0

    @property
    def right(self) -> bool:
        """Whether something was answered and nothing was wrong."""
        return bool(self.seconds) and not self.wrong and not self.errors


def expected_answers(load: Load, folder: Path, model: str) -> dict[tuple[int, int, int], Answer]:
    """(picture, object, clicks) -> the core's mask."""
    segmenter = open_segmenter(model)
    height, width = load.size
    found = {}
    for number in range(load.annotators):
        refiner = Refiner(TiledImage(segmenter, load_image(folder / f"{number}.png")))
        for target in range(OBJECTS):
            points = tuple(
                (x * width / 100, y * height / 100, int(positive))
                for x, y, positive in load.clicks(number, target)
            )
            for count in range(1, LONGEST + 1):
                refined = refiner.answer(Interaction(points=points[:count]))
                found[number, target, count] = (refined.crop, refined.box)
    return found


def run_load(load: Load, backend: Backend, expected: dict[tuple[int, int, int], Answer]) -> Outcome:
    """Click for as long as the load says."""
    outcome, lock = Outcome(), threading.Lock()
    end = time.monotonic() + load.seconds
    threads = [
        threading.Thread(
            target=_annotate, args=(load, backend.connected(), number, expected, end, outcome, lock)
        )
        for number in range(load.annotators)
    ]
    for thread in threads:
        thread.start()
    settled = time.monotonic() + load.seconds / 5
    while any(thread.is_alive() for thread in threads):
        held = _memory(backend.process.pid)
        if time.monotonic() < settled:
            outcome.early_bytes = max(outcome.early_bytes, held)
        else:
            outcome.late_bytes = max(outcome.late_bytes, held)
        time.sleep(0.5)
    return outcome


def _annotate(
    load: Load,
    backend: Backend,
    number: int,
    expected: dict[tuple[int, int, int], Answer],
    end: float,
    outcome: Outcome,
    lock: threading.Lock,
) -> None:
    """One person: an object after the other, click by click."""
    chance = random.Random(number)
    while time.monotonic() < end:
        target = chance.randrange(OBJECTS)
        clicks = load.clicks(number, target)
        for count in range(1, LONGEST + 1):
            regions = [points_region(x, y, positive) for x, y, positive in clicks[:count]]
            body = click_body(number + 1, load.addresses[number], regions, load.size)
            start = time.monotonic()
            try:
                response = backend.post(body)
            except requests.RequestException as error:
                with lock:
                    outcome.errors.append(f"No answer: {error}")
                continue
            taken = time.monotonic() - start
            with lock:
                if response.status_code == 503:
                    outcome.refused += 1
                elif response.status_code != 200:
                    outcome.errors.append(f"{response.status_code}: {response.text[:200]}")
                else:
                    outcome.seconds.append(taken)
                    wrong = _differs(response.json(), expected[number, target, count], load)
                    if wrong:
                        what = f"Picture {number}, object {target}, {count} clicks: {wrong}"
                        outcome.wrong.append(what)


def _differs(document: Any, answer: Answer, load: Load) -> str:
    """What is wrong with an answer; empty if it is the core's."""
    regions = document["results"][0]["result"]
    crop, box = answer
    if not crop.size:
        return "" if not regions else "a mask where the core finds none"
    if len(regions) != 1:
        return f"{len(regions)} regions"
    found, place = brush_rle_to_crop(regions[0]["value"]["rle"], load.size)
    return "" if place == box and np.array_equal(found, crop) else f"another mask, at {place}"


def _memory(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (root, *root.children(recursive=True)))
    except psutil.Error:
        return 0
