"""Datasets with masks of every sort, and what is compared after a journey through files."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fiftyone_plugin.geometry import pixels_to_relative_box
from fiftyone_plugin.labels import mask_of

QUALITY = ("stability_score", "components", "holes", "touches_border", "review", "prompt_id")


def picture(path: Path, size: tuple[int, int], orientation: int = 1) -> str:
    """A grey picture of (H, W) as displayed; stored turned where EXIF says so."""
    height, width = size
    stored = (width, height) if orientation in (5, 6, 7, 8) else (height, width)
    image = Image.fromarray(np.full((*stored, 3), 90, np.uint8))
    exif = image.getexif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif)
    return str(path)


def detection(fo: Any, mask: Any, x: int, y: int, size: tuple[int, int], **values: Any) -> Any:
    """A Detection of a mask whose first pixel is (x, y)."""
    crop = np.asarray(mask, bool)
    box = (x, y, x + crop.shape[1], y + crop.shape[0])
    return fo.Detection(bounding_box=pixels_to_relative_box(box, size), mask=crop, **values)


def known(sample: Any, field: str, size: tuple[int, int], *, scored: bool = True) -> list[Any]:
    """What is known of a sample's masks: pixels, class, and unless told otherwise all else."""
    found = []
    for each in sample[field].detections if sample[field] else ():
        mask = mask_of(each, size)
        whole = np.zeros(size, bool)
        if mask is not None:
            crop, (x0, y0, x1, y1) = mask
            whole[y0:y1, x0:x1] = crop
        said: dict[str, Any] = {"pixels": whole.tobytes(), "label": each.label}
        if scored:
            values = {name: each[name] if each.has_field(name) else None for name in QUALITY}
            said |= {"confidence": each.confidence, "tags": each.tags, "index": each.index} | values
        found.append(said)
    return found


def donut() -> Any:
    """(9, 9) bool with a hole, and a second part in the corner."""
    mask = np.ones((9, 9), bool)
    mask[3:5, 3:6] = False
    mask[0, 1:] = mask[1] = False
    return mask
