"""Which folder, precision and bound the stores of this user have."""

import os
from pathlib import Path
from typing import cast

from sam_plugins.codec import Storage
from sam_plugins.errors import ModelError
from sam_plugins.folders import cache_root
from sam_plugins.ports import EmbeddingStore
from sam_plugins.stores.disk import DEFAULT_MAX_BYTES, DiskStore
from sam_plugins.stores.layered import LayeredStore
from sam_plugins.stores.memory import MemoryStore

__all__ = ["embeddings_folder", "open_disk_store", "open_store"]

DEFAULT = "default"
SIZE_VARIABLE = "SAM_PLUGINS_STORE_GB"
STORAGE_VARIABLE = "SAM_PLUGINS_STORAGE"


def embeddings_folder() -> Path:
    """The folder that all hosts of a user share; not created here.

    ``embeddings`` in the folder that the environment variable ``SAM_PLUGINS_CACHE`` names, else in
    the user's cache folder of this system.
    """
    return cache_root() / "embeddings"


def open_disk_store(
    where: str | os.PathLike[str] = DEFAULT,
    *,
    storage: Storage | None = None,
    max_bytes: int | None = None,
) -> DiskStore:
    """The embeddings on the disk.

    Parameters
    ----------
    where
        "default" for the folder that all hosts share (`embeddings_folder`), or another folder.
    storage
        "fp32" or "fp16", see `DiskStore`; None means the environment variable
        ``SAM_PLUGINS_STORAGE`` and, where that is not set, "fp32".
    max_bytes
        Bound on the files; None means ``SAM_PLUGINS_STORE_GB`` and, where that is not set, 10 GB.

    Raises
    ------
    ModelError
        If the precision is unknown or the bound is no number.
    """
    asked = storage or os.environ.get(STORAGE_VARIABLE) or "fp32"
    bound = _environment_max_bytes() if max_bytes is None else max_bytes
    folder = embeddings_folder() if where == DEFAULT else where
    return DiskStore(folder, storage=cast("Storage", asked), max_bytes=bound)


def open_store(
    where: EmbeddingStore | str | os.PathLike[str] = DEFAULT,
    *,
    storage: Storage | None = None,
    max_bytes: int | None = None,
) -> EmbeddingStore:
    """A store to share: memory in front of a folder.

    Parameters
    ----------
    where
        As `open_disk_store` takes it, or a store, which comes back as it is.
    storage, max_bytes
        As `open_disk_store` takes them.

    Raises
    ------
    ModelError
        As `open_disk_store` does.
    """
    if not isinstance(where, str | os.PathLike):
        return where
    return LayeredStore(MemoryStore(), open_disk_store(where, storage=storage, max_bytes=max_bytes))


def _environment_max_bytes() -> int:
    asked = os.environ.get(SIZE_VARIABLE)
    if not asked:
        return DEFAULT_MAX_BYTES
    try:
        return int(max(0.0, float(asked)) * 10**9)
    except (ValueError, OverflowError) as error:
        raise ModelError(
            f"{SIZE_VARIABLE} must be a number of gigabytes, such as 2.5, found {asked!r}."
        ) from error
