"""Where weights are on this machine."""

import os
from importlib import resources
from pathlib import Path

from sam_plugins.errors import CheckpointError, DownloadError
from sam_plugins.folders import CACHE_VARIABLE, cache_root
from sam_plugins.weights.registry import Checkpoint, checkpoint_named, unknown_checkpoint

__all__ = ["cache_folder", "find_checkpoint"]


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Where downloaded weights are kept; not created here.

    Parameters
    ----------
    cache_dir
        Overrides the environment variable ``SAM_PLUGINS_CACHE``, which overrides the user's cache
        folder of this system.
    """
    if cache_dir:
        return Path(cache_dir).expanduser()
    root = cache_root()
    return root if os.environ.get(CACHE_VARIABLE) else root / "weights"


def find_checkpoint(
    name_or_path: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None = None
) -> Path:
    """The weights file of a model name, of a file name in the cache folder, or at a path.

    Raises
    ------
    DownloadError
        If it is the name of a model whose weights are not on this machine; the message says how to
        get them and where to put a copy by hand.
    CheckpointError
        If it is neither a known name nor a file or folder.
    """
    name, folder = os.fspath(name_or_path), cache_folder(cache_dir)
    known = checkpoint_named(name)
    if known is not None and known.url is None:
        return _bundled(known)
    places = [Path(name).expanduser(), *([] if os.path.dirname(name) else [folder / name])]
    if known is not None:
        by_name = [folder / known.filename]
        places = [*by_name, *places] if name == known.name else [*places, *by_name]
    for place in places:
        if name and place.exists():
            return place
    if known is None:
        raise unknown_checkpoint(name)
    raise missing_weights(known, folder)


def missing_weights(checkpoint: Checkpoint, folder: Path) -> DownloadError:
    """The error for weights that are known and not here."""
    return DownloadError(
        f"The weights of {checkpoint.name!r} are not on this machine: run `sam-plugins download "
        f"{checkpoint.name}`, or fetch {checkpoint.url} by hand and put it into {folder} as "
        f"{checkpoint.filename}."
    )


def _bundled(checkpoint: Checkpoint) -> Path:
    path = Path(str(resources.files("sam_plugins") / "assets" / checkpoint.filename))
    if not path.is_file():
        raise CheckpointError(
            f"Expected the bundled weights of {checkpoint.name!r} at {path}, found nothing: "
            "install sam-plugins again from a complete wheel, or name another model."
        )
    return path
