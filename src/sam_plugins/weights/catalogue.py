"""The known models as a list to choose from, and their weights fetched."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sam_plugins.errors import CheckpointError
from sam_plugins.weights.download import download
from sam_plugins.weights.locate import find_checkpoint
from sam_plugins.weights.registry import CHECKPOINTS

__all__ = ["KnownModel", "download_weights", "known_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """One line of a list to choose from.

    Parameters
    ----------
    name
        What `open_segmenter` and `open_worker` take.
    note
        What it is good for, in a sentence.
    licence
        Of the weights.
    size_bytes
        Of the weights file, where known.
    here
        Whether the weights are on this machine.
    """

    name: str
    note: str
    licence: str
    size_bytes: int | None
    here: bool


def known_models(cache_dir: str | os.PathLike[str] | None = None) -> list[KnownModel]:
    """Every model that has a name, with whether its weights are on this machine.

    Looks for files, and nothing else: no torch, no network.
    """
    return [
        KnownModel(
            name=checkpoint.name,
            note=checkpoint.note,
            licence=checkpoint.licence,
            size_bytes=checkpoint.size_bytes,
            here=_is_here(checkpoint.name, cache_dir),
        )
        for checkpoint in CHECKPOINTS.values()
    ]


def download_weights(
    name: str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """The weights file of a known model, downloaded unless it is already here.

    Parameters
    ----------
    name
        Of a `KnownModel`.
    cache_dir
        Where weights are kept; the user's cache folder by default.
    progress
        Called with the bytes so far and the bytes in all, or None while that is unknown.
    cancelled
        Asked between blocks; True stops the download and keeps what has arrived.

    Raises
    ------
    DownloadError
        If it cannot be fetched or was cancelled; the message says what to do by hand.
    CheckpointError
        If no model has that name.
    """
    return download(name, cache_dir=cache_dir, progress=progress, cancelled=cancelled)


def _is_here(name: str, cache_dir: str | os.PathLike[str] | None) -> bool:
    try:
        find_checkpoint(name, cache_dir)
    except CheckpointError:
        return False
    return True
