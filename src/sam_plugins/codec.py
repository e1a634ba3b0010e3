"""Values to bytes and back, for files and wires: one safetensors file per value, never a pickle.

Arrays are tensors of the file. Everything else is one JSON text in its metadata, under
``"sam_plugins"``, with the version of this format, the kind of value and a checksum over both.
Reading trusts nothing: bytes that were cut off, changed or made by another program give the error
of that kind of value. The checksum finds accidents, not forgers: whoever can write the bytes can
also write a matching checksum, and gets at most a valid value of his choice.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sam_plugins.errors import EmbeddingError, PromptError
from sam_plugins.types import Embedding, Masks, Prompt

__all__ = [
    "MAX_HEAD_BYTES",
    "Storage",
    "embedding_encoder_id",
    "embedding_from_bytes",
    "embedding_to_bytes",
    "masks_from_bytes",
    "masks_to_bytes",
    "prompt_from_bytes",
    "prompt_to_bytes",
    "rounded",
]

Storage: TypeAlias = Literal["fp32", "fp16"]
"""How features are kept: exactly, or rounded to half precision in half the bytes."""

_Arrays: TypeAlias = dict[str, NDArray[Any]]
_Fields: TypeAlias = dict[str, Any]

_FORMAT = 1
_METADATA_KEY = "sam_plugins"
_MAX_HEADER = 1 << 16
MAX_HEAD_BYTES = 8 + _MAX_HEADER
_DTYPES = ("F32", "I32", "F16")
_WINDOW = {"region": 4, "original_size": 2, "input_size": 2, "padded_size": 2}
_PROMPT_ARRAYS = {"point_coords": 2, "point_labels": 1, "box": 1, "mask_input": 3}


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    error: type[EmbeddingError] | type[PromptError]
    remedy: str


_EMBEDDING = _Kind("an embedding", EmbeddingError, "encode the image again")
_MASKS = _Kind("masks", EmbeddingError, "decode the prompt again")
_PROMPT = _Kind("a prompt", PromptError, "send the prompt again")


def rounded(embedding: Embedding, storage: Storage) -> Embedding:
    """An embedding as it comes back when it was kept so; the same one for "fp32".

    A feature map with numbers beyond half precision (65504) is kept as it is.
    """
    if storage == "fp32":
        return embedding
    maps = {name: _halved(values) for name, values in embedding.features.items()}
    return replace(embedding, features={n: v.astype(np.float32) for n, v in maps.items()})


def embedding_to_bytes(embedding: Embedding, *, storage: Storage = "fp32") -> bytes:
    """One embedding as a safetensors file; equal embeddings give equal bytes.

    With `storage` "fp16" the features are `rounded`.

    Raises
    ------
    EmbeddingError
        If its features are not float32 or its region does not lie within the image.
    """
    names = list(embedding.features)
    fields = {
        **_window_fields(embedding),
        "encoder_id": embedding.encoder_id,
        "key": embedding.key,
        "features": names,
    }
    arrays = {f"features.{i}": embedding.features[name] for i, name in enumerate(names)}
    with _writing(_EMBEDDING):
        _check_embedding(fields, arrays)
        if storage == "fp16":
            arrays = {name: _halved(array) for name, array in arrays.items()}
        return _pack(_EMBEDDING, fields, arrays)


def embedding_from_bytes(
    data: bytes, *, max_bytes: int | None = None, storage: Storage = "fp32"
) -> Embedding:
    """The embedding that `embedding_to_bytes` wrote with the same `storage`, to the bit.

    Parameters
    ----------
    data
        A whole file.
    max_bytes
        More than this is refused unread; None accepts any length. Reading takes a small multiple
        of the length of `data`, whatever the header claims.
    storage
        "fp32" refuses features that were rounded.

    Raises
    ------
    EmbeddingError
        If `data` is too long, cut off, changed, or something else.
    """
    with _reading(_EMBEDDING):
        fields, arrays = _unpack(_EMBEDDING, data, max_bytes)
        if storage == "fp16":
            arrays = {
                name: array.astype(np.float32) if array.dtype == np.float16 else array
                for name, array in arrays.items()
            }
        _check_embedding(fields, arrays)
        names = fields["features"]
        return Embedding(
            features={name: arrays[f"features.{i}"] for i, name in enumerate(names)},
            encoder_id=fields["encoder_id"],
            key=fields["key"],
            **{name: tuple(fields[name]) for name in _WINDOW},
        )


def embedding_encoder_id(head: bytes) -> str:
    """Which encoder made an embedding, from the first `MAX_HEAD_BYTES` of its file, unchecked.

    Raises
    ------
    EmbeddingError
        If they are something else.
    """
    with _reading(_EMBEDDING):
        fields = _read_metadata(head).get("fields")
        if not isinstance(fields, dict) or not isinstance(fields.get("encoder_id"), str):
            raise ValueError("they name no encoder")
        return str(fields["encoder_id"])


def masks_to_bytes(masks: Masks) -> bytes:
    """The answers to one prompt as a safetensors file; equal answers give equal bytes.

    Raises
    ------
    EmbeddingError
        If an array is not float32 or the region does not lie within the image.
    """
    fields = {**_window_fields(masks), "mask_threshold": float(masks.mask_threshold)}
    arrays = {"low_res_logits": masks.low_res_logits, "iou_predictions": masks.iou_predictions}
    with _writing(_MASKS):
        _check_masks(fields, arrays)
        return _pack(_MASKS, fields, arrays)


def masks_from_bytes(data: bytes, *, max_bytes: int | None = None) -> Masks:
    """The answers that `masks_to_bytes` wrote, to the bit.

    Parameters
    ----------
    data
        A whole file.
    max_bytes
        As for `embedding_from_bytes`.

    Raises
    ------
    EmbeddingError
        If `data` is too long, cut off, changed, or something else.
    """
    with _reading(_MASKS):
        fields, arrays = _unpack(_MASKS, data, max_bytes)
        _check_masks(fields, arrays)
        return Masks(
            low_res_logits=arrays["low_res_logits"],
            iou_predictions=arrays["iou_predictions"],
            mask_threshold=fields["mask_threshold"],
            **{name: tuple(fields[name]) for name in _WINDOW},
        )


def prompt_to_bytes(prompt: Prompt) -> bytes:
    """One prompt as a safetensors file; equal prompts give equal bytes.

    Raises
    ------
    PromptError
        If `mask_region` is not four integers of at most 31 bits.
    """
    region = None if prompt.mask_region is None else [int(v) for v in prompt.mask_region]
    given = {name: getattr(prompt, name) for name in _PROMPT_ARRAYS}
    arrays = {name: array for name, array in given.items() if array is not None}
    with _writing(_PROMPT):
        _check_prompt({"mask_region": region}, arrays)
        return _pack(_PROMPT, {"mask_region": region}, arrays)


def prompt_from_bytes(data: bytes, *, max_bytes: int | None = None) -> Prompt:
    """The prompt that `prompt_to_bytes` wrote, to the bit.

    Parameters
    ----------
    data
        A whole file.
    max_bytes
        As for `embedding_from_bytes`.

    Raises
    ------
    PromptError
        If `data` is too long, cut off, changed, or something else, or its prompt cannot be
        answered.
    """
    with _reading(_PROMPT):
        fields, arrays = _unpack(_PROMPT, data, max_bytes)
        _check_prompt(fields, arrays)
        return Prompt(**arrays, mask_region=fields["mask_region"])


@contextmanager
def _writing(kind: _Kind) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise kind.error(f"This cannot be saved as {kind.name}: {error}.") from error


@contextmanager
def _reading(kind: _Kind) -> Iterator[None]:
    try:
        yield
    except (ValueError, SafetensorError, RecursionError) as error:
        reason = str(error).rstrip(".")
        message = f"These bytes are not {kind.name} that can be read: {reason}; {kind.remedy}."
        raise kind.error(message) from error


def _pack(kind: _Kind, fields: _Fields, arrays: _Arrays) -> bytes:
    content = {"format": _FORMAT, "kind": kind.name, "fields": fields}
    content["checksum"] = _checksum(kind, fields, arrays)
    data = save(arrays, {_METADATA_KEY: json.dumps(content, sort_keys=True)})
    if _header_length(data) > _MAX_HEADER:
        raise ValueError(f"its names and numbers take more than {_MAX_HEADER} bytes")
    return data


def _unpack(kind: _Kind, data: bytes, max_bytes: int | None) -> tuple[_Fields, _Arrays]:
    if not isinstance(data, bytes):
        raise ValueError(f"they are of type {type(data).__name__}, not bytes")
    if max_bytes is not None and len(data) > max_bytes:
        raise ValueError(f"they are {len(data)} long and at most {max_bytes} are accepted")
    content = _read_metadata(data)
    if content.get("format") != _FORMAT:
        raise ValueError(
            f"their format is {content.get('format')!r:.20} and this version reads {_FORMAT}"
        )
    if content.get("kind") != kind.name:
        raise ValueError(f"they hold {content.get('kind')!r:.20}")
    fields = content.get("fields")
    arrays = load(data)
    if not isinstance(fields, dict) or content.get("checksum") != _checksum(kind, fields, arrays):
        raise ValueError("their checksum is wrong, so that they were changed or cut off")
    return fields, arrays


def _header_length(data: bytes) -> int:
    return int.from_bytes(data[:8], "little")


def _read_metadata(data: bytes) -> _Fields:
    """Our entry of the safetensors header, from a header that `load` can be trusted with."""
    end = 8 + _header_length(data)
    if len(data) < end or end > _MAX_HEADER + 8:
        raise ValueError("they are not a whole safetensors file")
    header = _read_json(data[8:end])
    metadata = header.pop("__metadata__", None) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get(_METADATA_KEY), str):
        raise ValueError("another program made them")
    for entry in header.values():
        if not isinstance(entry, dict) or entry.get("dtype") not in _DTYPES:
            raise ValueError(f"an array is of another type than {' or '.join(_DTYPES)}")
    content = _read_json(metadata[_METADATA_KEY])
    if not isinstance(content, dict):
        raise ValueError("another program made them")
    return content


def _read_json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("their header is not readable as JSON") from error


def _checksum(kind: _Kind, fields: _Fields, arrays: _Arrays) -> str:
    digest = hashlib.blake2b(digest_size=16)
    shapes = {name: [str(array.dtype), *array.shape] for name, array in arrays.items()}
    summary = [_FORMAT, kind.name, fields, shapes]
    digest.update(json.dumps(summary, sort_keys=True, allow_nan=False).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _halved(array: NDArray[Any]) -> NDArray[Any]:
    """As float16; as it is where a number would become infinite."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(np.isinf(half), np.isinf(array)) else array


def _window_fields(value: Embedding | Masks) -> _Fields:
    return {name: [int(v) for v in getattr(value, name)] for name in _WINDOW}


def _check_embedding(fields: _Fields, arrays: _Arrays) -> None:
    _check_window(fields, "encoder_id", "key", "features")
    for name in ("encoder_id", "key"):
        if not isinstance(fields[name], str):
            raise ValueError(f"{name} must be text")
    names = fields["features"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("features must be a list of names")
    if not names or len(set(names)) != len(names):
        raise ValueError("features must have names that differ")
    _check_arrays(arrays, {f"features.{i}": 3 for i in range(len(names))})


def _check_masks(fields: _Fields, arrays: _Arrays) -> None:
    _check_window(fields, "mask_threshold")
    threshold = fields["mask_threshold"]
    if not isinstance(threshold, float) or not np.isfinite(threshold):
        raise ValueError("mask_threshold must be a finite number")
    _check_arrays(arrays, {"low_res_logits": 3, "iou_predictions": 1}, may_be_empty=True)


def _check_prompt(fields: _Fields, arrays: _Arrays) -> None:
    if set(fields) != {"mask_region"}:
        raise ValueError(f"expected mask_region, found {sorted(fields)!r:.80}")
    if fields["mask_region"] is not None:
        _integers(fields, "mask_region", 4)
    given = {name: ndim for name, ndim in _PROMPT_ARRAYS.items() if name in arrays}
    _check_arrays(arrays, given, integers=("point_labels",))


def _check_window(fields: _Fields, *others: str) -> None:
    """Check the names of all fields, and the numbers that place a window in an image."""
    if set(fields) != {*_WINDOW, *others}:
        raise ValueError(f"expected {', '.join((*_WINDOW, *others))}, found {sorted(fields)!r:.80}")
    x0, y0, x1, y1 = _integers(fields, "region", 4)
    height, width = _integers(fields, "original_size", 2)
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(
            f"region {[x0, y0, x1, y1]} does not lie within an image of {[height, width]}"
        )
    used, padded = _integers(fields, "input_size", 2), _integers(fields, "padded_size", 2)
    if not all(0 < length <= whole for length, whole in zip(used, padded, strict=True)):
        raise ValueError(f"input_size {used} does not lie within padded_size {padded}")


def _integers(fields: _Fields, name: str, count: int) -> Sequence[int]:
    values = fields[name]
    if (
        not isinstance(values, list)
        or len(values) != count
        or not all(type(v) is int and abs(v) < 1 << 31 for v in values)
    ):
        raise ValueError(f"{name} must be {count} integers of at most 31 bits")
    return values


def _check_arrays(
    arrays: _Arrays,
    dimensions: Mapping[str, int],
    integers: Sequence[str] = (),
    may_be_empty: bool = False,
) -> None:
    """Check that there are exactly these arrays, float32 or int32, and whether one is empty."""
    if set(arrays) != set(dimensions):
        raise ValueError(f"expected arrays {sorted(dimensions)}, found {sorted(arrays)!r:.80}")
    for name, array in arrays.items():
        dtype = np.dtype(np.int32 if name in integers else np.float32)
        missing = not (array.size or may_be_empty)
        if array.dtype != dtype or array.ndim != dimensions[name] or missing:
            raise ValueError(
                f"{name} must be {dtype} of {dimensions[name]} dimensions and not empty, found "
                f"{array.dtype} of shape {array.shape}"
            )
