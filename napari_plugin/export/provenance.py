"""`Provenance`: how objects were made, as a JSON document that can be replayed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from napari_plugin.export.operations import Operation, check_operation
from sam_plugins.errors import DatasetError
from sam_plugins.formats import LabelStack, whole_file

__all__ = [
    "ImageRecord",
    "ModelRecord",
    "Provenance",
    "labels_digest",
    "read_provenance",
    "software_versions",
    "write_provenance",
]

FORMAT = "sam-plugins provenance"
_VERSION = 1
_MOST_BYTES = 2**30
_MOST_OPERATIONS = 1_000_000
_MOST_TEXT = 10_000
_MOST_PIXELS = 2**34


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """What answered.

    Parameters
    ----------
    name
        As `open_segmenter` takes it: "nano", "vit_b", the path of a weights file.
    model_id, encoder_id
        Hashes of the weights and of how they are computed, `SegmenterInfo`.
    precision
        "fp32" or "bf16".
    engine
        What computed it, "torch" or "openvino": they differ by rounding.
    """

    name: str
    model_id: str
    encoder_id: str
    precision: str = "fp32"
    engine: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """What was segmented.

    Parameters
    ----------
    name
        Of the layer.
    paths
        Files that its layers came from; empty for data that were made in memory.
    fingerprint
        Hash of its content.
    shape, dtype
        Of the image's data.
    choice
        Which layers, channels and intensities were shown to the model, as JSON.
    """

    name: str
    paths: tuple[str, ...]
    fingerprint: str
    shape: tuple[int, ...]
    dtype: str
    choice: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Provenance:
    """How the objects of one Labels layer were made.

    Parameters
    ----------
    model
        What answered.
    image
        What was segmented.
    labels_shape
        Of the Labels layer's data.
    axes
        Letters of its axes, see `axes.axis_letters`.
    scale, translate, units
        Of its axes.
    operations
        What was done, in order; see `operations`.
    tiles
        How the picture was cut for the model: the arguments of `TiledImage`, "tile" and
        "threshold", as far as they are not left to it.
    settings
        Whatever else is worth keeping.
    created
        When, in ISO 8601; empty for now.
    software
        Name -> version; empty for what is installed.
    digest
        Hash of the labels, see `labels_digest`; set when it is written.
    """

    model: ModelRecord
    image: ImageRecord
    labels_shape: tuple[int, ...]
    axes: str
    operations: tuple[Operation, ...]
    scale: tuple[float, ...] = ()
    translate: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    tiles: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    software: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    def stack(self, labels: Any) -> LabelStack:
        """Labels of ``labels_shape`` with the axes of this document."""
        return LabelStack(labels, self.axes, self.scale, self.translate, self.units)

    @property
    def asks(self) -> bool:
        """Whether a model and the image are needed to replay it."""
        return any(
            "prompts" in entry
            for operation in self.operations
            for entry in operation.get("planes", ())
        )

    def to_json(self, digest: str = "") -> dict[str, Any]:
        """The document without its operations."""
        return {
            "format": FORMAT,
            "version": _VERSION,
            "created": self.created or datetime.now(UTC).isoformat(timespec="seconds"),
            "software": dict(self.software) or software_versions(),
            "model": {name: getattr(self.model, name) for name in ModelRecord.__slots__},
            "image": {
                "name": self.image.name,
                "paths": list(self.image.paths),
                "fingerprint": self.image.fingerprint,
                "shape": list(self.image.shape),
                "dtype": self.image.dtype,
                "choice": dict(self.image.choice),
            },
            "labels_shape": list(self.labels_shape),
            "axes": self.axes,
            "scale": list(self.scale),
            "translate": list(self.translate),
            "units": list(self.units),
            "tiles": dict(self.tiles),
            "settings": dict(self.settings),
            "digest": digest or self.digest,
        }


def software_versions() -> dict[str, str]:
    """The versions of what takes part in making a mask, as far as it is installed."""
    found = {}
    for name in ("sam-plugins", "napari", "numpy", "torch", "openvino"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def labels_digest(stack: LabelStack) -> Iterator[int | str]:
    """The hash of labels, whatever their integer type and the order of their axes.

    Yields
    ------
    How many planes are read, and at last the hash.
    """
    digest = hashlib.sha256(repr(stack.canonical_shape).encode())
    for done, (_, plane) in enumerate(stack.planes(), 1):
        digest.update(np.ascontiguousarray(plane, "<u4").tobytes())
        yield done
    yield f"sha256:{digest.hexdigest()}"


def write_provenance(path: str | Path, provenance: Provenance, stack: LabelStack) -> Iterator[int]:
    """Write the document; nothing happens until it is iterated.

    Parameters
    ----------
    path
        Usually ``.sam.json``.
    provenance
        How the labels were made.
    stack
        The labels as they are, whose hash is written, so that a replay needs nothing else to say
        whether it made the same.

    Yields
    ------
    How many planes of the labels are read.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written.
    """
    digest = ""
    for step in labels_digest(stack):
        if isinstance(step, int):
            yield step
        else:
            digest = step
    head = json.dumps(provenance.to_json(digest), indent=1, ensure_ascii=False)
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(head.removesuffix("\n}") + ',\n "operations": [')
        for number, operation in enumerate(provenance.operations):
            text = json.dumps(operation, ensure_ascii=False, allow_nan=False)
            file.write(("," if number else "") + "\n  " + text)
        file.write("\n ]\n}\n")


def read_provenance(path: str | Path) -> Provenance:
    """Read a document, which may be anybody's: every value is looked at.

    Raises
    ------
    DatasetError
        If it is larger than 1 GiB, no such document, of a later version, or an operation in it
        cannot be done.
    OSError
        If it cannot be opened.
    """
    path = Path(path)
    if path.stat().st_size > _MOST_BYTES:
        raise DatasetError(f"'{path}' is larger than 1 GiB and no provenance document.")
    try:
        found = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"'{path}' must be a provenance document in JSON, and is no JSON: {error}."
        ) from error
    try:
        return _checked(found)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise DatasetError(
            f"'{path}' cannot be replayed: {problem}. Export the provenance of the layer again."
        ) from error


def _checked(found: Any) -> Provenance:
    if not isinstance(found, Mapping) or found.get("format") != FORMAT:
        raise ValueError(f"it must be an object whose format is '{FORMAT}'")
    if found["version"] != _VERSION:
        raise ValueError(
            f"it is of version {found['version']!r:.20}, this program knows version {_VERSION}"
        )
    model, image = found["model"], found["image"]
    shape = _shape(found["labels_shape"])
    operations = found["operations"]
    if not isinstance(operations, list) or len(operations) > _MOST_OPERATIONS:
        raise ValueError(f"operations must be a list of at most {_MOST_OPERATIONS}")
    axes = _text(found["axes"])
    placed = LabelStack(
        np.broadcast_to(np.zeros((), np.uint8), shape),
        axes,
        tuple(float(value) for value in found["scale"]),
        tuple(float(value) for value in found["translate"]),
        tuple(_text(unit) for unit in found["units"]),
    )
    tiles = {name: found["tiles"][name] for name in ("tile", "threshold") if name in found["tiles"]}
    if not all(type(value) is int and 0 < value < 2**31 for value in tiles.values()):
        raise ValueError(f"the sides of tiles must be pixels, found {tiles!r:.100}")
    paths = image["paths"]
    if not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
        raise ValueError("the paths of the image must be a list of names")
    return Provenance(
        model=ModelRecord(**{name: _text(model[name]) for name in ModelRecord.__slots__}),
        image=ImageRecord(
            name=_text(image["name"]),
            paths=tuple(paths),
            fingerprint=_text(image["fingerprint"]),
            shape=_shape(image["shape"]),
            dtype=_text(image["dtype"]),
            choice=_object(image["choice"]),
        ),
        labels_shape=shape,
        axes=placed.axes,
        scale=placed.scale,
        translate=placed.translate,
        units=placed.units,
        operations=tuple(check_operation(n, each, shape) for n, each in enumerate(operations)),
        tiles=tiles,
        settings=_object(found["settings"]),
        created=_text(found["created"]),
        software={_text(name): _text(each) for name, each in _object(found["software"]).items()},
        digest=_text(found["digest"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        raise ValueError(f"expected a text, found {value!r:.50}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected an object, found {value!r:.50}")
    return dict(value)


def _shape(value: Any) -> tuple[int, ...]:
    good = isinstance(value, list) and 2 <= len(value) <= 16
    if not good or not all(type(side) is int and 0 < side < 2**40 for side in value):
        raise ValueError(f"a shape must be a list of at least two lengths, found {value!r:.50}")
    if np.prod(value, dtype=float) > _MOST_PIXELS:
        raise ValueError(f"a shape of {value} has more than {_MOST_PIXELS} pixels")
    return tuple(value)
