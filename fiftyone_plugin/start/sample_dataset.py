"""The sample dataset: photographs, microscope pictures and drawn shapes, with labels that ask."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.geometry import pixel_to_relative_points, pixels_to_relative_box
from sam_plugins import load_sample
from sam_plugins.errors import ImageError
from sam_plugins.types import Image

__all__ = ["SAMPLE_DATASET", "sample_dataset"]

SAMPLE_DATASET = "sam-plugins"

_KINDS = {
    "coins": "photograph",
    "cat": "photograph",
    "coffee": "photograph",
    "astronaut": "photograph",
    "nuclei": "microscope",
    "cells": "microscope",
    "objects": "bright shapes",
}
_SHAPES = 6


@dataclass(frozen=True, slots=True, eq=False)
class _Object:
    """What asks for one object: a box, signed points (x, y, sign), and its mask where known."""

    box: tuple[int, int, int, int]
    points: tuple[tuple[int, int, int], ...]
    truth: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    name: str
    kind: str
    image: Image
    objects: list[_Object]


def sample_dataset(folder: Path) -> Any:
    """The sample dataset of FiftyOne's database; made if it is not there.

    Fields: `boxes` (Detections), `points` (Keypoints with signs in `sam_labels`), both with equal
    `index` for the same object; `ground_truth` (Detections with masks), where the truth is known;
    `kind`, a group of pictures.

    Parameters
    ----------
    folder
        Of its pictures.
    """
    import fiftyone as fo

    if fo.dataset_exists(SAMPLE_DATASET):
        dataset = fo.load_dataset(SAMPLE_DATASET)
        if len(dataset):
            return dataset
        dataset.delete()
    folder.mkdir(parents=True, exist_ok=True)
    samples = [_sample(fo, picture, folder) for picture in _pictures()]
    dataset = fo.Dataset(SAMPLE_DATASET)
    dataset.add_samples(samples, progress=False)
    dataset.compute_metadata(progress=False)
    dataset.add_dynamic_sample_fields()
    dataset.persistent = True
    return dataset


def _sample(fo: Any, picture: _Picture, folder: Path) -> Any:
    """One sample, its picture written."""
    from PIL import Image as PillowImage

    path = folder / f"{picture.name}.png"
    size = (picture.image.shape[0], picture.image.shape[1])
    PillowImage.fromarray(picture.image).save(path)
    boxes, points, truth = [], [], []
    for index, each in enumerate(picture.objects, 1):
        box = pixels_to_relative_box(each.box, size)
        boxes.append(fo.Detection(label="object", bounding_box=box, index=index))
        coords = pixel_to_relative_points([(x, y) for x, y, _ in each.points], size)
        signs = [sign for _, _, sign in each.points]
        points.append(
            fo.Keypoint(
                label="object",
                points=[(x, y) for x, y in coords],
                sam_labels=signs,
                index=index,
            )
        )
        if each.truth is not None:
            x0, y0, x1, y1 = each.box
            mask = each.truth[y0:y1, x0:x1]
            truth.append(fo.Detection(label="object", bounding_box=box, mask=mask, index=index))
    return fo.Sample(
        filepath=str(path),
        kind=picture.kind,
        boxes=fo.Detections(detections=boxes),
        points=fo.Keypoints(keypoints=points),
        ground_truth=fo.Detections(detections=truth) if truth else None,
    )


def _pictures() -> Iterator[_Picture]:
    for name, kind in _KINDS.items():
        try:
            sample = load_sample(name)
        except ImageError:  # a photograph that is not on this machine
            continue
        objects = (
            [_Object(sample.box, sample.points)]
            if sample.truth is None
            else _objects_of(sample.truth)
        )
        yield _Picture(name, kind, sample.image, objects)
    for number in range(_SHAPES):
        yield _shapes(number)


def _objects_of(truth: NDArray[np.uint16]) -> list[_Object]:
    """Each label's box, mask, and two points: inside of it, and beside it in its box's corner."""
    found = []
    for label in range(1, int(truth.max()) + 1):
        mask = truth == label
        ys, xs = np.nonzero(mask)
        if len(xs) < 50:
            continue
        box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
        middle = int(np.argmin((xs - xs.mean()) ** 2 + (ys - ys.mean()) ** 2))
        points = [(int(xs[middle]), int(ys[middle]), 1)]
        corner = (box[0], box[1])
        if not mask[corner[1], corner[0]]:
            points.append((*corner, 0))
        found.append(_Object(box, tuple(points), mask))
    return found


def _shapes(number: int) -> _Picture:
    """Discs and bars on an even ground, in bright light or in dim."""
    random = np.random.default_rng([number, 7])
    dim, (height, width) = number % 2 == 1, (240, 320)
    rows, columns = np.mgrid[:height, :width]
    truth = np.zeros((height, width), np.uint16)
    picture = np.full((height, width, 3), random.integers(150, 200), np.float32)
    for label in range(1, 6):
        x, y = 35 + 60 * (label - 1), int(random.integers(50, height - 50))
        reach = int(random.integers(14, 26))
        inside = (
            (rows - y) ** 2 + (columns - x) ** 2 <= reach**2
            if label % 2
            else (abs(rows - y) <= reach) & (abs(columns - x) <= reach // 2)
        )
        truth[inside] = label
        picture[inside] = random.integers(20, 130, 3)
    picture += random.normal(0, 4, picture.shape)
    if dim:
        picture *= 0.25
    image = np.clip(picture, 0, 255).astype(np.uint8)
    kind = "dim shapes" if dim else "bright shapes"
    return _Picture(f"shapes-{number + 1}", kind, image, _objects_of(truth))
