"""Which regions of a submitted task are masks, and the label image that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelstudio_backend.controls import LabelConfig, read_masks
from labelstudio_backend.errors import ConfigError
from sam_plugins.types import Size

__all__ = ["MaskImage", "mask_image", "regions_of"]

_MASKS = ("brush", "brushlabels", "polygon", "polygonlabels", "bitmask", "bitmasklabels")
_BOXES = ("rectangle", "rectanglelabels", "ellipse", "ellipselabels")
_LABELS = "labels"
_MOST = 65_534
"""Objects that one mask file holds: 65535 marks pixels of unknown truth."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskImage:
    """The objects of one picture.

    Parameters
    ----------
    labels
        (H, W) uint16, 0 background; a later region lies above an earlier one.
    objects
        How many have a pixel left.
    left_out
        Why regions are no object here, and how many.
    """

    labels: NDArray[np.uint16]
    objects: int
    left_out: Mapping[str, int] = field(default_factory=dict)


def regions_of(
    result: Sequence[Mapping[str, Any]], to_name: str, item: int | None
) -> list[Mapping[str, Any]]:
    """The regions of one picture of a task, in their order.

    Parameters
    ----------
    result
        All regions of an annotation.
    to_name, item
        The image tag, and the page of it; None where the tag shows one picture.
    """
    return [
        region
        for region in result
        if region.get("to_name") == to_name
        and "type" in region
        and (region.get("item_index") or 0) == (item or 0)
    ]


def mask_image(
    config: LabelConfig,
    regions: Sequence[Mapping[str, Any]],
    size: Size,
    wanted: frozenset[str] = frozenset(),
) -> MaskImage:
    """Draw regions into one label image.

    Parameters
    ----------
    config
        The labelling config that they were made with.
    regions
        Of one picture, in the order they were drawn. Boxes and ellipses are no masks.
    size
        (H, W) of the upright picture.
    wanted
        Labels to keep; all if empty.

    Raises
    ------
    ConfigError
        If there are more than 65 534 objects.
    """
    left_out: dict[str, int] = {}

    def leave_out(why: str) -> None:
        left_out[why] = left_out.get(why, 0) + 1

    labels = np.zeros(size, np.uint16)
    number = 0
    # A region of a tag without labels has an entry of its own for its label, of the same name.
    named = {region.get("id"): region for region in regions if region["type"] == _LABELS}
    for region in regions:
        kind = str(region["type"]).lower()
        if kind == _LABELS:
            continue
        if kind not in _MASKS:
            leave_out("boxes and ellipses" if kind in _BOXES else "other regions")
            continue
        entries = [region, *([named[region["id"]]] if region.get("id") in named else [])]
        masks = read_masks(config, entries, size)
        if not masks:
            leave_out("without a pixel")
        for label, crop, (x0, y0, x1, y1) in masks:
            if wanted and label not in wanted:
                leave_out("other labels")
                continue
            number += 1
            if number > _MOST:
                raise ConfigError(f"A mask file holds {_MOST} objects, and the task has more.")
            labels[y0:y1, x0:x1][crop] = number
    present = np.count_nonzero(np.bincount(labels.ravel(), minlength=1)[1:])
    if present < number:
        left_out["covered by later ones"] = number - present
    return MaskImage(labels, int(present), left_out)
