"""What a folder of embeddings holds, told by encoder, and clearing it."""

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from sam_plugins.codec import MAX_HEAD_BYTES, embedding_encoder_id
from sam_plugins.errors import EmbeddingError, ModelError
from sam_plugins.stores.folder import EmbeddingFolder, StoredFile

__all__ = ["EncoderContents", "clear", "contents"]

_MAX_NOTE_BYTES = 4096
_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderContents:
    """What one encoder has in a folder, in one precision.

    Parameters
    ----------
    encoder_id
        Of the encoder; None for files that cannot be read.
    name, numerics
        Of the model it belongs to, where that was noted.
    storage
        "fp32" or "fp16".
    files
        Of its embeddings.
    """

    encoder_id: str | None
    name: str | None
    numerics: str | None
    storage: str
    files: tuple[StoredFile, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the files."""
        return sum(file.nbytes for file in self.files)

    @property
    def oldest(self) -> float:
        """When the one used longest ago was used, seconds since 1970."""
        return min(file.used for file in self.files)

    @property
    def newest(self) -> float:
        """When the one used last was used, seconds since 1970."""
        return max(file.used for file in self.files)

    def matches(self, model: str) -> bool:
        """Whether `model` is the name, or the beginning of the encoder's id."""
        return model == self.name or (self.encoder_id or "").startswith(model)


def contents(folder: Path) -> list[EncoderContents]:
    """What is in a folder, most bytes first; nothing is changed, not even times of use."""
    place = EmbeddingFolder(folder)
    groups: dict[tuple[str | None, str], list[StoredFile]] = defaultdict(list)
    for file in place.files():
        groups[_encoder_id(place, file), file.storage].append(file)
    found = [
        EncoderContents(
            encoder_id=encoder_id,
            storage=storage,
            files=tuple(files),
            **_noted(place, encoder_id),
        )
        for (encoder_id, storage), files in groups.items()
    ]
    return sorted(found, key=lambda each: each.nbytes, reverse=True)


def clear(
    folder: Path, *, older_than_days: float | None = None, model: str | None = None
) -> list[StoredFile]:
    """Delete embeddings, and nothing that is not this library's.

    Parameters
    ----------
    folder
        Where.
    older_than_days
        Only those not used for so long.
    model
        Only those of the model of this name, or of encoders whose id begins so.

    Returns
    -------
    What was deleted.

    Raises
    ------
    ModelError
        If nothing there belongs to `model`.
    """
    groups = contents(folder)
    if model is not None:
        known = sorted({each.name or each.encoder_id or "?" for each in groups})
        groups = [each for each in groups if each.matches(model)]
        if not groups:
            raise ModelError(
                f"No embedding in {folder} belongs to {model!r}; there are those of "
                f"{', '.join(known) or 'no model'}."
            )
    latest = (
        float("inf") if older_than_days is None else time.time() - older_than_days * _DAY_SECONDS
    )
    place = EmbeddingFolder(folder)
    files = [file for each in groups for file in each.files if file.used <= latest]
    removed = [file for file in files if place.remove(file)]
    place.remove_leftovers()
    place.remove_empty()
    return removed


def _encoder_id(place: EmbeddingFolder, file: StoredFile) -> str | None:
    try:
        return embedding_encoder_id(place.read_head(file.path, MAX_HEAD_BYTES))
    except (OSError, EmbeddingError):
        return None


def _noted(place: EmbeddingFolder, encoder_id: str | None) -> dict[str, str | None]:
    """Name and numerics of an encoder's model, None where they were not noted."""
    noted = None
    if encoder_id is not None:
        try:
            noted = json.loads(place.read_head(place.encoder_path(encoder_id), _MAX_NOTE_BYTES))
        except (OSError, ValueError, RecursionError):
            noted = None
    known = noted if isinstance(noted, dict) and noted.get("encoder_id") == encoder_id else {}
    texts = {name: known.get(name) for name in ("name", "numerics")}
    return {name: text if isinstance(text, str) else None for name, text in texts.items()}
