"""The labels of a video while it is followed: on disk, since they come in another order."""

import tempfile
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import IO, Any

__all__ = ["Spool", "spooling"]


@contextmanager
def spooling() -> Iterator["Spool"]:
    """A spool in a file that has no name and is gone at the end, also that of the process."""
    with tempfile.TemporaryFile(prefix="sam-plugins-") as file:
        yield Spool(file)


class Spool:
    """Labels by frame.

    Objects are followed forward and then back, and a frame is written once. Memory holds where
    each label is, not the label.

    Parameters
    ----------
    file
        Open to write and read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = 0
        self._places: dict[int, list[tuple[int, int, tuple[str, int]]]] = {}
        self._frames: dict[tuple[str, int], set[int]] = {}

    def add(self, number: int, identity: tuple[str, int], label: Mapping[str, Any]) -> None:
        """Keep a Detection, as a dict that MongoDB takes, of one object on one frame."""
        import bson

        data = bson.encode(label)
        self._file.seek(self._end)
        self._file.write(data)
        self._places.setdefault(number, []).append((self._end, len(data), identity))
        self._frames.setdefault(identity, set()).add(number)
        self._end += len(data)

    def has(self, number: int, identity: tuple[str, int]) -> bool:
        """Whether an object was found on a frame."""
        return number in self.where(identity)

    def where(self, identity: tuple[str, int]) -> Set[int]:
        """Frames on which an object was found."""
        return self._frames.get(identity, frozenset())

    @property
    def numbers(self) -> list[int]:
        """Frames that have labels, in order."""
        return sorted(self._places)

    def labels(self, number: int) -> Iterator[dict[str, Any]]:
        """The labels of one frame, in the order of their objects."""
        import bson

        for start, size, _ in sorted(self._places.get(number, ()), key=lambda each: each[2]):
            self._file.seek(start)
            yield bson.decode(self._file.read(size))
