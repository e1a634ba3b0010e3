"""What becomes of the duplicates that were found: the better one stays, or takes them in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fiftyone_plugin.errors import ReviewError, SampleError
from fiftyone_plugin.fields import DUPLICATE_OF, DUPLICATES, FINDINGS, RAGGEDNESS, REVIEW
from fiftyone_plugin.geometry import whole_to_relative_box
from fiftyone_plugin.quality.batches import (
    iter_batches,
    read_document,
    sample_ids_of,
    size_of,
)
from fiftyone_plugin.quality.findings import Finding
from fiftyone_plugin.quality.places import LabelPlace, place_of
from fiftyone_plugin.quality.reading import read_labels
from fiftyone_plugin.quality.references import LabelRef, aggregate_labels
from fiftyone_plugin.quality.removal import Removal, remove_labels
from fiftyone_plugin.quality.shape import measure_shape
from sam_plugins.evaluation import Crop

__all__ = ["Duplicates", "delete_duplicates", "find_found", "merge_duplicates"]

_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Duplicates that were found and are still there.

    Parameters
    ----------
    groups
        By the label that stays, those that are duplicates of it.
    stale
        Labels with the finding whose better label is gone or rejected, or that were accepted
        since: nothing is done with them.
    """

    groups: Mapping[LabelRef, tuple[LabelRef, ...]]
    stale: int

    @property
    def going(self) -> list[LabelRef]:
        """All that are duplicates of another."""
        return [ref for group in self.groups.values() for ref in group]


def find_found(collection: Any, label_field: str) -> Duplicates:
    """The duplicates that judging has found in the samples of a FiftyOne dataset or view.

    Of videos those in the frames that it shows a label of the field in.

    Raises
    ------
    FieldError
        If the field holds no Detections.
    """
    place = place_of(collection, label_field)
    shown = _shown_frames(collection, place)
    batches = iter_batches(
        place.dataset,
        sample_ids_of(collection),
        [place.field],
        size=_BATCH,
        label="Finding duplicates",
        progress=None,
        stop=None,
        attributes=(DUPLICATE_OF, FINDINGS, REVIEW),
    )
    groups: dict[LabelRef, list[LabelRef]] = {}
    stale = 0
    for document in (each for batch in batches for each in batch):
        holder_id = str(document["_id"])
        if shown is not None and holder_id not in shown:
            continue
        labels = (document.get(place.name) or {}).get("detections") or ()
        standing = {str(label["_id"]) for label in labels if label.get(REVIEW) != "rejected"}
        for label in labels:
            if Finding.DUPLICATE not in (label.get(FINDINGS) or ()):
                continue
            better = label.get(DUPLICATE_OF)
            if better not in standing or label.get(REVIEW) == "accepted":
                stale += 1
                continue
            keeper = LabelRef(holder_id, better)
            groups.setdefault(keeper, []).append(LabelRef(holder_id, str(label["_id"])))
    return Duplicates(groups={k: tuple(going) for k, going in groups.items()}, stale=stale)


def _shown_frames(collection: Any, place: LabelPlace) -> set[str] | None:
    """Ids of the frames in which a view shows labels; None where all of its samples count."""
    if not place.in_frames or collection is place.dataset:
        return None
    stages = [{"$group": {"_id": "$holder_id"}}]
    return {str(each["_id"]) for each in aggregate_labels(collection, place.field, (), stages)}


def delete_duplicates(collection: Any, label_field: str, *, made_by: str = "") -> Removal:
    """Keep the better label of each group and take the others out, with a record to undo it.

    Raises
    ------
    ReviewError
        If there are none.
    """
    found = _some(collection, label_field)
    cleared = dict.fromkeys(found.groups, lambda document: {DUPLICATES: 0})
    return remove_labels(
        collection,
        label_field,
        found.going,
        reason="Duplicates: the best of each group was kept",
        made_by=made_by,
        changes=cleared,
    )


def merge_duplicates(collection: Any, label_field: str, *, made_by: str = "") -> Removal:
    """Let the better label of each group cover the others' pixels as well, and take those out.

    It keeps its class, confidence and attributes; its mask, box and measures become those of all
    the pixels together, and the mask is stored in the label even if it was a file. A sample with a
    mask that cannot be read stays as it is.

    Raises
    ------
    ReviewError
        If there are none.
    """
    found = _some(collection, label_field)
    place = place_of(collection, label_field)

    def joined(keeper: LabelRef) -> Any:
        return lambda document: _joined(place, keeper, found.groups[keeper])

    return remove_labels(
        collection,
        label_field,
        found.going,
        reason="Duplicates: each group was merged into its best",
        made_by=made_by,
        changes={keeper: joined(keeper) for keeper in found.groups},
    )


def _some(collection: Any, label_field: str) -> Duplicates:
    found = find_found(collection, label_field)
    if not found.groups:
        raise ReviewError(
            f"Expected duplicates in {label_field!r}, found none: judge the masks first, or there "
            "is nothing to do."
        )
    return found


def _joined(place: LabelPlace, keeper: LabelRef, others: tuple[LabelRef, ...]) -> dict[str, Any]:
    """Attributes of a label that covers what several cover.

    Raises
    ------
    SampleError
        If one of their masks cannot be read: the others alone would be a wrong mask.
    """
    from bson import Binary
    from fiftyone.core.utils import serialize_numpy_array

    document = read_document(place, keeper.sample_id)
    ids = {keeper.label_id, *(ref.label_id for ref in others)}
    size = size_of(document)
    read = None if size is None else read_labels(document, place.name, size, {})
    masks = [item.mask for item in read.objects if item.label_id in ids] if read else []
    if size is None or len(masks) < len(ids):
        raise SampleError(
            f"Expected {len(ids)} masks to merge, found {len(masks)} that can be read: judge the "
            "masks again."
        )
    crop, box = _union(masks)
    shape = measure_shape(crop, box, size)
    return {
        "mask": Binary(serialize_numpy_array(crop)),
        "mask_path": None,
        "bounding_box": whole_to_relative_box(box, size),
        "area": shape.area,
        "components": shape.components,
        "holes": shape.holes,
        "touches_border": shape.borders > 0,
        RAGGEDNESS: shape.raggedness,
        DUPLICATES: 0,
    }


def _union(masks: list[Crop]) -> Crop:
    boxes = np.array([box for _, box in masks])
    x0, y0 = (int(edge) for edge in boxes[:, :2].min(axis=0))
    x1, y1 = (int(edge) for edge in boxes[:, 2:].max(axis=0))
    together = np.zeros((y1 - y0, x1 - x0), bool)
    for crop, box in masks:
        together[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0] |= crop
    return together, (x0, y0, x1, y1)
