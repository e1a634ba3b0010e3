"""Numbers of frames as ranges, and as a text of bounded length."""

from collections.abc import Collection, Iterator
from itertools import pairwise

__all__ = ["numbers_in", "ranges_of", "ranges_text"]


def ranges_of(numbers: Collection[int]) -> list[list[int]]:
    """[first, last] of each run of numbers."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges


def ranges_text(numbers: Collection[int], length: int) -> str:
    """As "3-3,5-9", of at most that many characters, or one range.

    Where that is too long, ranges with the least between them are told as one: the text then names
    some frames more, and never fewer.
    """
    ranges = ranges_of(numbers)
    gaps = sorted(
        (after[0] - before[1], place) for place, (before, after) in enumerate(pairwise(ranges))
    )
    whole = sum(len(f"{first}-{last},") for first, last in ranges)
    widest = len(f"{ranges[-1][1]}-{ranges[-1][1]},") if ranges else 1
    left = len(ranges) if whole <= length else max(length // widest, 1)
    closed = {place for _, place in gaps[: len(ranges) - left]}
    kept: list[list[int]] = []
    for place, (first, last) in enumerate(ranges):
        if place and place - 1 in closed:
            kept[-1][1] = last
        else:
            kept.append([first, last])
    return ",".join(f"{first}-{last}" for first, last in kept)


def numbers_in(text: str) -> Iterator[int]:
    """The numbers of "3-3,5-9"."""
    for each in text.split(",") if text else ():
        first, _, last = each.partition("-")
        yield from range(int(first), int(last) + 1)
