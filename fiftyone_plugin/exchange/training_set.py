"""A training set: pictures and label images, in the layout that ``sam-plugins train`` reads."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from fiftyone_plugin.exchange.export_folder import ExportFolder
from fiftyone_plugin.exchange.values import ExchangedObject, ExchangedPicture, Pictures
from sam_plugins.formats import rle_to_crop

__all__ = ["IGNORE", "TrainingWriter"]

IGNORE = 65535
"""The value of pixels whose truth nobody knows."""

NOTHING_CHOSEN = "pictures without a mask to train on"
TOO_MANY = f"pictures with more than {IGNORE - 1} masks, which a label image cannot hold"
COVERED = "masks that smaller ones cover completely"


class TrainingWriter:
    """Writes ``images/`` and ``masks/``.

    A pixel belongs to the smallest mask that covers it. Pixels that only masks cover which do not
    leave (rejected, or nobody has looked at them) are `IGNORE`: no training takes them for
    background.

    Parameters
    ----------
    folder
        Of the export.
    pictures
        `COPY` or `LINK`.
    reasons
        Counts what is left out.
    """

    def __init__(self, folder: ExportFolder, pictures: Pictures, reasons: Counter[str]) -> None:
        self._folder, self._pictures, self._reasons = folder, pictures, reasons

    def add(self, picture: ExchangedPicture) -> bool:
        """Write one picture and its label image; gives whether it has one."""
        if not picture.objects:
            self._reasons[NOTHING_CHOSEN] += 1
            return False
        if len(picture.objects) >= IGNORE:
            self._reasons[TOO_MANY] += 1
            return False
        labels = self._labels(picture)
        stream = io.BytesIO()
        PillowImage.fromarray(labels).save(stream, "PNG")
        image, mask = f"images/{picture.name}", f"masks/{Path(picture.name).stem}.png"
        self._folder.note(picture, image, mask)
        self._folder.put_picture(image, picture, self._pictures)
        self._folder.put(mask, stream.getvalue())
        return True

    def _labels(
        self, picture: ExchangedPicture
    ) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
        labels = np.zeros(picture.size, np.uint16)
        for each in picture.others:
            _draw(labels, each, IGNORE)
        order = sorted(enumerate(picture.objects, 1), key=lambda one: (-one[1].area, one[0]))
        for number, each in order:
            _draw(labels, each, number)
        left = set(np.unique(labels).tolist()) - {0, IGNORE}
        if len(left) < len(picture.objects):
            self._reasons[COVERED] += len(picture.objects) - len(left)
        return labels

    def finish(self) -> None:
        """Nothing is left to write."""

    def close(self) -> None:
        """Nothing is held."""


def _draw(
    labels: np.ndarray[tuple[int, int], np.dtype[np.uint16]], each: ExchangedObject, value: int
) -> None:
    crop, (x0, y0, x1, y1) = rle_to_crop(each.segmentation)
    labels[y0:y1, x0:x1][crop] = value
