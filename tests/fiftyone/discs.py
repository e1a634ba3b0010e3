"""Videos of moving discs, whose truth is known, and datasets of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 96, 128
FRAMES = 9
COLOURS = ((230, 80, 60), (60, 200, 220))


def truth(frame: int, disc: int) -> NDArray[np.bool_]:
    """(H, W) bool: disc 0 moves right in the upper half, disc 1 left in the lower."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    x = 25 + 3 * (frame % 25) if disc == 0 else 100 - 3 * (frame % 25)
    return np.hypot(rows - (28 if disc == 0 else 68), columns - x) <= 14


def picture(frame: int, discs: Sequence[int] = (0, 1)) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB."""
    random = np.random.default_rng(frame)
    made = np.full((HEIGHT, WIDTH, 3), 50.0)
    for disc in discs:
        made[truth(frame, disc)] = COLOURS[disc]
    made += random.normal(0, 3, made.shape)
    return made.clip(0, 255).astype(np.uint8)


def write_video(path: Path, pictures: Any, codec: str = "mp4v") -> str:
    """A file of RGB pictures."""
    writer = None
    for each in pictures:
        if writer is None:
            size = (each.shape[1], each.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, size)
            assert writer.isOpened()
        writer.write(np.ascontiguousarray(each[:, :, ::-1]))
    assert writer is not None
    writer.release()
    return str(path)


def box(frame: int, disc: int) -> list[float]:
    """FiftyOne's box of a disc."""
    rows, columns = np.nonzero(truth(frame, disc))
    x, y = int(columns.min()), int(rows.min())
    width, height = int(columns.max()) + 1 - x, int(rows.max()) + 1 - y
    return [x / WIDTH, y / HEIGHT, width / WIDTH, height / HEIGHT]


def whole(detection: Any, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.bool_]:
    """The mask of a Detection in its frame."""
    made = np.zeros((height, width), bool)
    mask = detection.get_mask() > 0
    x, y = round(detection.bounding_box[0] * width), round(detection.bounding_box[1] * height)
    made[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
    return made
