"""A mask on its picture, small enough for a panel."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy import ndimage

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.labels import local_name, mask_of, open_frame, open_picture
from sam_plugins.types import Box, Image

__all__ = ["drawn_mask", "mask_picture", "seconds_of"]

_MARGIN = 0.5
_LEAST_MARGIN = 24
_LONGEST_SIDE = 480
_LINE = np.array((255, 64, 0), np.float32)
_OUTSIDE = 0.55


def mask_picture(
    sample: Any, label_field: str, label_id: str, frame_number: int | None = None
) -> str:
    """The part of a picture around a mask, with its outline, as a URL that holds the data.

    Parameters
    ----------
    sample
        A FiftyOne sample.
    label_field, label_id
        The Detection.
    frame_number
        The frame that has it, of a video.

    Raises
    ------
    SampleError
        If the picture or the mask cannot be read, or there is none.
    """
    holder = sample if frame_number is None else sample.frames[frame_number]
    found = holder[local_name(label_field)]
    labels = [each for each in (found.detections if found else ()) if each.id == label_id]
    picture = open_picture(sample) if frame_number is None else open_frame(sample, frame_number)
    height, width = picture.shape[:2]
    mask = mask_of(labels[0], (height, width)) if labels else None
    if mask is None:
        raise SampleError("Expected a mask to show, found none: the label has only a box.")
    file = io.BytesIO()
    PillowImage.fromarray(drawn_mask(picture, *mask)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def seconds_of(sample: Any, frame_number: int | None) -> float | None:
    """When FiftyOne's player shows a frame of a video; None where its metadata does not say."""
    rate = getattr(sample["metadata"], "frame_rate", None)
    return (frame_number - 1) / rate if frame_number and rate else None


def drawn_mask(picture: Image, crop: NDArray[np.bool_], box: Box) -> NDArray[np.uint8]:
    """The part of a picture around a mask: an outline, and what is outside darker.

    Parameters
    ----------
    picture
        (H, W, 3) uint8 RGB.
    crop, box
        (h, w) bool, and the xyxy whole pixels it covers.

    Returns
    -------
    (h2, w2, 3) uint8 RGB, neither side longer than 480 pixels.
    """
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = box
    margin = max(round(_MARGIN * max(x1 - x0, y1 - y0)), _LEAST_MARGIN)
    left, top = max(x0 - margin, 0), max(y0 - margin, 0)
    right, bottom = min(x1 + margin, width), min(y1 + margin, height)
    mask = np.zeros((bottom - top, right - left), bool)
    mask[y0 - top : y1 - top, x0 - left : x1 - left] = crop
    scale = _LONGEST_SIDE / max(mask.shape)
    size = (max(round(mask.shape[1] * scale), 1), max(round(mask.shape[0] * scale), 1))
    nearest, smooth = PillowImage.Resampling.NEAREST, PillowImage.Resampling.BILINEAR
    part = PillowImage.fromarray(np.ascontiguousarray(picture[top:bottom, left:right]))
    pixels = np.asarray(part.resize(size, smooth), np.float32)
    large = np.asarray(PillowImage.fromarray(mask).resize(size, nearest), bool)
    line = ndimage.binary_dilation(large) & ~ndimage.binary_erosion(large)
    shown = np.where(large[..., None], pixels, pixels * _OUTSIDE)
    result: NDArray[np.uint8] = np.where(line[..., None], _LINE, shown).astype(np.uint8)
    return result
