"""What a session that ended badly left behind, and how it is taken up again."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import Timeout
from numpy.typing import NDArray

from napari_plugin.objects.errors import JournalError
from napari_plugin.objects.frames import Block, Frame, read_frames
from napari_plugin.objects.journal import About, lock_of
from napari_plugin.objects.record import ObjectRecord

__all__ = [
    "JOURNALS_VARIABLE",
    "Recovery",
    "Restored",
    "discard",
    "journals_folder",
    "recoverable",
    "restore",
]

JOURNALS_VARIABLE = "SAM_PLUGINS_JOURNALS"
_MOST_BYTES = 1 << 36


def journals_folder() -> Path:
    """The folder that ``SAM_PLUGINS_JOURNALS`` names, else one among the user's data.

    It is not created here.
    """
    asked = os.environ.get(JOURNALS_VARIABLE)
    if asked:
        return Path(asked).expanduser()
    return Path(platformdirs.user_data_dir("sam-plugins")) / "napari" / "journals"


@dataclass(frozen=True, slots=True)
class Recovery:
    """A journal that can be taken up again.

    Parameters
    ----------
    path
        Of the journal.
    when
        Its last change, in seconds since 1970.
    about
        What it belongs to.
    objects
        How many objects were accepted and are still there.
    pixels
        How many pixels of the labels are not background; of labels that are stored elsewhere, of
        the blocks that were changed.
    damage
        A sentence if a part of it is lost, else empty.
    """

    path: Path
    when: float
    about: About
    objects: int
    pixels: int
    damage: str = ""

    @property
    def image(self) -> str:
        """The name of the image."""
        return self.about.image


@dataclass(frozen=True, slots=True)
class Restored:
    """The state that a journal holds.

    Parameters
    ----------
    about
        What it belongs to, with the settings as they were last.
    records
        By id.
    draft
        The prompts that were not accepted (JSON); None if there were none.
    blocks
        The labels of boxes, in the order in which they were written.
    whole
        Whether the blocks are all there is; if not, they belong on top of the labels on the disk.
    damage
        A sentence if a part is lost, else empty.
    changed
        Whether the session did anything.
    """

    about: About
    records: Mapping[int, ObjectRecord]
    draft: Any | None
    blocks: tuple[Block, ...]
    whole: bool
    damage: str
    changed: bool

    def labels(self) -> NDArray[Any]:
        """New labels with what was journaled.

        Raises
        ------
        JournalError
            If they do not fit in memory.
        """
        dtype = np.dtype(self.about.dtype)
        try:
            if prod(self.about.shape) * dtype.itemsize > _MOST_BYTES:
                raise MemoryError
            found = np.zeros(self.about.shape, dtype)
        except MemoryError as error:
            raise JournalError(
                f"Labels of shape {self.about.shape} do not fit in memory. Open the labels that "
                "the journal belongs to and restore into them."
            ) from error
        self.write_into(found)
        return found

    def write_into(self, array: Any) -> None:
        """Write what was journaled over labels of the same shape.

        Raises
        ------
        JournalError
            If they have another shape or cannot hold a number, which leaves them as they are, or a
            block is damaged.
        """
        if tuple(array.shape) != self.about.shape:
            raise JournalError(
                f"The journal belongs to labels of shape {self.about.shape}, found "
                f"{tuple(array.shape)}. Choose the image that it was made for."
            )
        dtype, target = np.dtype(self.about.dtype), np.dtype(array.dtype)
        if not np.can_cast(dtype, target):
            highest = max((int(b.values(dtype).max(initial=0)) for b in self.blocks), default=0)
            if highest > np.iinfo(target).max:
                raise JournalError(
                    f"The journal has an object {highest} and the Labels layer holds {target}: "
                    "choose a new Labels layer for the image, and restore there."
                )
        for block in self.blocks:
            try:
                array[block.slices] = block.values(dtype)
            except (ValueError, IndexError) as error:
                raise JournalError(f"A block of the journal is damaged ({error}).") from error


def restore(path: Path) -> Restored:
    """Read a journal.

    Raises
    ------
    JournalError
        If it is not a journal, or nothing of it can be read.
    """
    about: About | None = None
    records: dict[int, ObjectRecord] = {}
    draft: Any | None = None
    blocks: dict[tuple[Any, ...], Block] = {}
    whole, changed, damage = False, False, ""
    try:
        for frame in read_frames(path):
            if isinstance(frame, str):
                damage = frame
                break
            kind = frame.said["kind"]
            if kind == "begin":
                about = About.from_json(frame.said["about"])
                whole, changed = bool(frame.said["whole"]), bool(frame.said["actions"])
            if about is None:
                raise ValueError("it does not begin with what it belongs to")
            _take(frame, records, about)
            if kind == "about":
                newer = About.from_json(frame.said["about"])
                if (newer.shape, newer.dtype) != (about.shape, about.dtype):
                    raise ValueError("the labels have another shape or type")
                about = newer
            draft = frame.said.get("draft", draft)
            changed |= kind not in ("begin", "labels", "about", "closed")
            for block in frame.blocks:
                _check(block, about)
                # The newest of a box is written last, where it may lie over others.
                blocks.pop((block.start, block.shape), None)
                blocks[block.start, block.shape] = block
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if about is None:
            raise JournalError(f"{path.name} cannot be restored ({error}).") from error
        damage = f"An entry of the journal is damaged ({error}): what follows it is not restored."
    except OSError as error:
        raise JournalError(f"{path.name} cannot be read ({error.strerror}).") from error
    if about is None:
        raise JournalError(f"{path.name} is empty: the session ended before it did anything.")
    return Restored(about, records, draft, tuple(blocks.values()), whole, damage, changed)


def _take(frame: Frame, records: dict[int, ObjectRecord], about: About) -> None:
    found = {
        int(number): None if record is None else ObjectRecord.from_json(record)
        for number, record in frame.said.get("records", {}).items()
    }
    for number, record in found.items():
        if record is None:
            records.pop(number, None)
        else:
            records[number] = record


def _check(block: Block, about: About) -> None:
    if len(block.start) != len(about.shape) or any(
        start + size > most
        for start, size, most in zip(block.start, block.shape, about.shape, strict=True)
    ):
        raise ValueError(f"a block at {block.start} lies outside of {about.shape}")


def _pixels(found: Restored) -> int:
    if found.whole:
        with contextlib.suppress(JournalError):
            return int(np.count_nonzero(found.labels()))
    dtype = np.dtype(found.about.dtype)
    return sum(int(np.count_nonzero(block.values(dtype))) for block in found.blocks)


def recoverable(folder: Path | None = None, fingerprint: str | None = None) -> list[Recovery]:
    """The sessions that can be taken up again, the newest first.

    Parameters
    ----------
    folder
        Where to look; `journals_folder` by default.
    fingerprint
        Of the image, if only its sessions are asked for.

    Notes
    -----
    Sessions that are still alive and files that cannot be read are left out; what is left of
    sessions that did nothing is removed.
    """
    found = []
    place = journals_folder() if folder is None else folder
    _tidy(place)
    for path in sorted(place.glob("*.journal")):
        try:
            with lock_of(path):
                state = restore(path)
                if fingerprint is not None and state.about.fingerprint != fingerprint:
                    continue
                if not (state.changed or state.records or state.draft or state.damage):
                    path.unlink(missing_ok=True)
                    continue
                when, count = path.stat().st_mtime, len(state.records)
                found.append(Recovery(path, when, state.about, count, _pixels(state), state.damage))
        except (Timeout, OSError, JournalError, ValueError):
            continue
    return sorted(found, key=lambda recovery: -recovery.when)


def _tidy(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote a journal anew."""
    for partial in folder.glob("*.partial"):
        with (
            contextlib.suppress(Timeout, OSError),
            lock_of(partial.with_suffix(".journal")),
        ):
            partial.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Forget a journal; one that a live session holds is left alone.

    Raises
    ------
    JournalError
        If it is held or cannot be removed.
    """
    lock = lock_of(path)
    try:
        with lock:
            path.unlink(missing_ok=True)
            path.with_suffix(".partial").unlink(missing_ok=True)
        Path(lock.lock_file).unlink(missing_ok=True)
    except (Timeout, OSError) as error:
        raise JournalError(
            f"{path.name} belongs to a session that is open. Close it first."
        ) from error
