"""Pictures with known objects: where they lie on disk, and which objects are asked for.

Two layouts are read. A pool of sets with a committed split file::

    root/<set>/images/*          any picture
    root/<set>/masks/<stem>.png  instance labels

and a plain folder of a user's own data, ``folder/images`` and ``folder/masks``, with the same
stems. A mask is a one-channel picture of whole numbers: 0 is background, every other value is one
object, and 65535 marks pixels of unknown truth, which are left out of every score.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy import ndimage

from sam_plugins.errors import DatasetError
from sam_plugins.images import load_image
from sam_plugins.masks import mask_to_box
from sam_plugins.types import Box, Image

__all__ = [
    "IGNORE_LABEL",
    "KnownImage",
    "LabelledImage",
    "LabelledSample",
    "Target",
    "choose_targets",
    "find_targets",
    "load_known",
    "load_labelled",
    "read_folder",
    "read_split",
]

IGNORE_LABEL = 65535
"""The value of mask pixels whose truth is unknown."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One picture of a data set and the file of its objects.

    Parameters
    ----------
    id
        Unique in the data set: "dsb2018/00071198d059".
    group
        What its objects are pooled under in a report: "nuclei".
    image_path, mask_path
        Files of one size.
    """

    id: str
    group: str
    image_path: Path
    mask_path: Path


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSample:
    """The pixels of a `LabelledImage`.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    labels
        (H, W) int64, 0 background and one value per object.
    ignore
        (H, W) bool, True where the truth is unknown; None if it is known everywhere.
    """

    image: Image
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One known object of a picture.

    Parameters
    ----------
    label
        Its value in the mask file, or its name in the picture.
    box
        xyxy, x1 and y1 exclusive; no wider than the object, for it is a prompt.
    crop
        (h, w) bool, the object inside `box`.
    area
        Pixels.
    group
        What it is pooled under in a report; None takes its picture's.
    """

    label: int | str
    box: Box
    crop: NDArray[np.bool_]
    area: int
    group: str | None = None

    @classmethod
    def of(
        cls, label: int | str, crop: NDArray[np.bool_], box: Box, *, group: str | None = None
    ) -> "Target":
        """An object from a crop that may have margins, such as a host's mask in its own box."""
        x0, y0, x1, y1 = mask_to_box(crop)
        tight = (box[0] + x0, box[1] + y0, box[0] + x1, box[1] + y1)
        inner = np.ascontiguousarray(crop[y0:y1, x0:x1])
        return cls(label, tight, inner, int(np.count_nonzero(inner)), group)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class KnownImage:
    """A picture in memory and the objects known in it, wherever they come from.

    Parameters
    ----------
    id
        Unique in the data set; intervals are made of pictures.
    image
        (H, W, 3) uint8 RGB.
    targets
        Its objects.
    group
        What objects without a group of their own are pooled under.
    ignore
        (H, W) bool, True where the truth is unknown; None if it is known everywhere.
    """

    id: str
    image: Image
    targets: Sequence[Target]
    group: str = ""
    ignore: NDArray[np.bool_] | None = None


def read_split(path: Path, root: Path, subset: str) -> list[LabelledImage]:
    """The pictures of one side of a split, in the order of the file.

    Parameters
    ----------
    path
        JSON: ``{"version": 1, "sets": {set: {"train": [stems], "val": [stems]}}, "groups":
        {group: [sets]}}``. A set that no group names is its own group.
    root
        The folder that holds the sets.
    subset
        "train" or "val".

    Raises
    ------
    DatasetError
        If the split file or a file it names is missing, or nothing is left.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, sets, groups = content["version"], content["sets"], content.get("groups", {})
        stems = {name: list(sets[name].get(subset, ())) for name in sorted(sets)}
        group_of = {name: group for group, members in groups.items() for name in members}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DatasetError(f"{path} is not a readable split file: {error!r}.") from error
    if version != 1:
        raise DatasetError(f"{path} is a split of version {version}; version 1 is expected.")
    items = [
        item
        for name, wanted in stems.items()
        if wanted
        for item in _pairs(root / name, name, group_of.get(name, name), wanted)
    ]
    if not items:
        raise DatasetError(f'{path} names no picture under "{subset}": use "train" or "val".')
    return items


def read_folder(folder: Path) -> list[LabelledImage]:
    """A user's own pictures: ``folder/images`` and ``folder/masks`` with the same stems.

    Raises
    ------
    DatasetError
        If a folder or a picture's mask is missing.
    """
    items = _pairs(folder, "", folder.resolve().name, None)
    if not items:
        raise DatasetError(f"{folder / 'images'} holds no file: put the pictures there.")
    return items


def load_labelled(item: LabelledImage) -> LabelledSample:
    """Read the pixels of a picture and its mask.

    Raises
    ------
    DatasetError
        If the mask cannot be read, is not one channel of whole numbers, or has another size than
        the picture.
    ImageError
        If the picture cannot be read.
    """
    image = load_image(item.image_path)
    labels = _read_mask(item.mask_path)
    if labels.shape != image.shape[:2]:
        raise DatasetError(
            f"{item.mask_path} has (H, W) {labels.shape} and its picture {image.shape[:2]}: a mask "
            "must have its picture's size."
        )
    unknown = labels == IGNORE_LABEL
    if not unknown.any():
        return LabelledSample(image, labels, None)
    return LabelledSample(image, np.where(unknown, 0, labels), unknown)


def load_known(item: LabelledImage, min_area: int = 1) -> KnownImage:
    """Read a picture and find its objects of at least `min_area` pixels.

    Raises
    ------
    DatasetError, ImageError
        As `load_labelled`.
    """
    sample = load_labelled(item)
    return KnownImage(
        id=item.id,
        image=sample.image,
        targets=find_targets(sample.labels, min_area),
        group=item.group,
        ignore=sample.ignore,
    )


def find_targets(labels: NDArray[np.int64], min_area: int = 1) -> list[Target]:
    """The objects of a label image, by rising label.

    Parameters
    ----------
    labels
        (H, W) int64, 0 background; unknown pixels already set to 0.
    min_area
        Smaller objects are left out, pixels.
    """
    values, ranks = _ranked(labels)
    targets = []
    for rank, spans in enumerate(ndimage.find_objects(ranks, len(values)), 1):
        rows, columns = spans
        crop = ranks[rows, columns] == rank
        area = int(np.count_nonzero(crop))
        if area >= min_area:
            box = (columns.start, rows.start, columns.stop, rows.stop)
            targets.append(Target(int(values[rank - 1]), box, crop, area))
    return targets


def choose_targets(
    targets: Sequence[Target], limit: int | None, image_id: str, seed: int = 0
) -> list[Target]:
    """At most `limit` objects of one picture, or all, by a rule that depends on nothing else.

    The objects are shuffled with the seed and the picture's name, and the first are taken: a
    smaller limit takes a part of what a larger one takes, and other pictures play no part.
    """
    rng = np.random.default_rng([seed, zlib.crc32(image_id.encode())])
    order = rng.permutation(len(targets))[:limit]
    return [targets[index] for index in sorted(order)]


def _ranked(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The labels above 0 that occur, and the image with each one's rank, from 1, in its place."""
    highest = int(labels.max(initial=0))
    if highest > max(labels.size, IGNORE_LABEL):
        values, ranks = np.unique(labels, return_inverse=True)
        background = int(values[0] == 0)
        return values[background:], ranks.reshape(labels.shape) + (1 - background)
    present = np.bincount(labels.ravel(), minlength=highest + 1) > 0
    present[0] = False
    ranks = np.cumsum(present, dtype=np.int64)
    return np.flatnonzero(present).astype(np.int64), ranks[labels]


def _pairs(
    folder: Path, prefix: str, group: str, stems: Iterable[str] | None
) -> list[LabelledImage]:
    images, masks = _by_stem(folder / "images"), _by_stem(folder / "masks")
    wanted = sorted(images) if stems is None else list(stems)
    for what, files in (("picture", images), ("mask", masks)):
        absent = [stem for stem in wanted if stem not in files]
        if absent:
            raise DatasetError(
                f"{folder} has no {what} for {len(absent)} of {len(wanted)} stems, the first "
                f"{absent[0]!r}: every file in images/ needs one of the same stem in masks/."
            )
    return [
        LabelledImage(f"{prefix}/{stem}" if prefix else stem, group, images[stem], masks[stem])
        for stem in wanted
    ]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(
            f"{folder} is not a folder: the data need an images/ and a masks/ folder."
        )
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        if path.stem in files:
            raise DatasetError(
                f"{folder} holds both {files[path.stem].name} and {path.name}: a stem must be "
                "unique, because it joins a picture to its mask."
            )
        files[path.stem] = path
    return files


def _read_mask(path: Path) -> NDArray[np.int64]:
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            array = np.asarray(tifffile.imread(path))
        else:
            with PillowImage.open(path) as picture:
                array = np.asarray(picture)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise DatasetError(f"{path} cannot be read as a mask: {error}.") from error
    if array.ndim != 2 or array.dtype.kind not in "bui":
        raise DatasetError(
            f"{path} must be one channel of whole numbers (0 background, one value per object), "
            f"found shape {array.shape} of {array.dtype}: save it as an 8- or 16-bit grey PNG."
        )
    labels = array.astype(np.int64)
    if labels.min(initial=0) < 0:
        raise DatasetError(f"{path} holds negative labels, the lowest {labels.min()}.")
    return labels
