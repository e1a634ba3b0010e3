"""What was not found in a video, and on which frames, in few sentences."""

from collections.abc import Callable, Sequence

from fiftyone_plugin.runs.documents import REASONS, joined

__all__ = ["Unfound"]

_RANGES = 8
"""Ranges of frames that one sentence names."""


class Unfound:
    """Reasons by object; equal ones become one sentence with all its frames.

    Kept in memory are a few reasons, and of each the frames; more are only counted.
    """

    def __init__(self) -> None:
        self._frames: dict[tuple[str, str, tuple[str, int] | None], list[int]] = {}
        self._more = 0

    def add(
        self, number: int, name: str, reason: str, *, lost: tuple[str, int] | None = None
    ) -> None:
        """Note one.

        Parameters
        ----------
        number
            The frame.
        name
            Of the object; empty where it is not known.
        reason
            A sentence.
        lost
            The object, if it was followed and ends there.
        """
        key = (name, reason, lost)
        if key in self._frames or len(self._frames) < _KEPT:
            self._frames.setdefault(key, []).append(number)
        else:
            self._more += 1

    def forget(self, found: Callable[[int, tuple[str, int]], bool]) -> None:
        """Leave ends out where the object was found after all, coming from another key frame."""
        for key, numbers in list(self._frames.items()):
            lost = key[2]
            if lost is not None and all(found(number, lost) for number in numbers):
                del self._frames[key]

    def __bool__(self) -> bool:
        return bool(self._frames)

    def text(self, first: Sequence[str] = ()) -> str:
        """All of it, as the reason field holds it; `first` comes before."""
        sentences = list(first)
        for (name, reason, lost), numbers in self._frames.items():
            who = f"{name}: " if name else ""
            where = "" if lost is not None else f" ({_ranges(numbers)})"
            sentences.append(f"{who}{reason}{where}")
        return joined(sentences + [""] * self._more)


_KEPT = 2 * REASONS


def _ranges(numbers: Sequence[int]) -> str:
    """As "frames 3, 5-9"."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    said = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_RANGES]]
    left = sum(b - a + 1 for a, b in ranges[_RANGES:])
    frames = "frame" if len(said) == 1 and "-" not in said[0] else "frames"
    return f"{frames} {', '.join(said)}" + (f" and {left} more" if left else "")
