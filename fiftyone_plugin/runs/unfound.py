"""What was not found in a video, and on which frames, in few sentences."""

from collections.abc import Callable, Collection, Mapping, Sequence

from fiftyone_plugin.runs.ranges import ranges_of
from fiftyone_plugin.runs.reasons import REASONS, Reason

__all__ = ["Unfound"]

_KEPT = 2 * REASONS
"""Reasons that are kept in memory."""

_RANGES = 8
"""Ranges of frames that one sentence names."""

Which = tuple[str, int]


class Unfound:
    """Reasons by object; equal ones become one sentence with all its frames, others are counted."""

    def __init__(self) -> None:
        self._frames: dict[tuple[Which | None, str], list[int]] = {}
        self._labels: dict[tuple[Which | None, str], set[str]] = {}
        self._others: set[Which] = set()
        self._other_labels: set[str] = set()

    def add(self, number: int, which: Which | None, prompt_id: str, reason: str) -> None:
        """Note one.

        Parameters
        ----------
        number
            The frame.
        which
            Label and index of the object, where they are known.
        prompt_id
            Id of the label that asked.
        reason
            A sentence.
        """
        key = (which, reason)
        if key in self._frames or len(self._frames) < _KEPT:
            self._frames.setdefault(key, []).append(number)
            self._labels.setdefault(key, set()).add(prompt_id)
        else:
            self._other_labels.add(prompt_id)
            self._others.update(() if which is None else (which,))

    def forget(self, found: Callable[[int, Which], bool]) -> None:
        """Leave frames out where the object was found after all, coming from another frame."""
        for key, numbers in list(self._frames.items()):
            which = key[0]
            if which is None:
                continue
            left = [number for number in numbers if not found(number, which)]
            if left:
                self._frames[key] = left
            else:
                del self._frames[key]

    @property
    def objects(self) -> frozenset[Which]:
        """Objects that are missing on a frame; of those that are only counted, all."""
        return frozenset(self._others.union(which for which, _ in self._frames if which))

    def reasons(self, labels: Mapping[Which, Collection[str]]) -> list[Reason]:
        """All of it; each sentence is about all `labels` of its object, where that is known."""
        said = []
        for (which, reason), numbers in self._frames.items():
            who = f", {_name(which)}" if which is not None else ""
            ids = self._labels[which, reason].union(labels.get(which, ()) if which else ())
            said.append(Reason(f"{_ranges(numbers)}{who}: {reason}", frozenset(ids)))
        others = self._other_labels.union(*(labels.get(each, ()) for each in self._others))
        return said + ([Reason("", frozenset(others))] if others else [])


def _name(which: Which) -> str:
    label, index = which
    return f"{label} {index}" if label != str(None) else f"object {index}"


def _ranges(numbers: Sequence[int]) -> str:
    """As "Frames 3, 5-9"."""
    ranges = ranges_of(numbers)
    said = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_RANGES]]
    left = sum(b - a + 1 for a, b in ranges[_RANGES:])
    frames = "Frame" if len(set(numbers)) == 1 else "Frames"
    return f"{frames} {', '.join(said)}" + (f" and {left} more" if left else "")
