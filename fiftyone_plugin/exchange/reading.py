"""A field of a dataset as pictures with masks, one sample at a time."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.errors import FieldError, SampleError
from fiftyone_plugin.exchange.attributes import attributes_of, checked_confidence
from fiftyone_plugin.exchange.pictures import displayed_size
from fiftyone_plugin.exchange.values import (
    ExchangedObject,
    ExchangedPicture,
    ExportReport,
    Review,
)
from fiftyone_plugin.labels import mask_of
from sam_plugins.errors import SamPluginsError
from sam_plugins.formats import crop_to_rle, rle_area, rle_to_box
from sam_plugins.types import Box, Size

__all__ = [
    "UNREADABLE",
    "check_field",
    "classes_of",
    "exchanged_objects",
    "object_of_label",
    "pictures_with_masks",
]

NO_MASK = "labels without a mask: they are boxes only"
NO_PIXELS = "masks without pixels"
UNREADABLE = "frames of videos that cannot be read"


def check_field(view: Any, field: str) -> None:
    """Refuse a field that has no masks to export.

    Raises
    ------
    FieldError
        If the dataset has no such field, or it holds something else than Detections.
    """
    import fiftyone as fo

    known = view.get_field_schema(ftype=fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    if field not in known:
        there = ", ".join(sorted(known)) or "none"
        raise FieldError(
            f"Expected a field of Detections to export, found no {field!r}; there are: {there}."
        )


def classes_of(view: Any, field: str) -> list[str]:
    """The classes of a field's labels, sorted: the same for every export of the same labels."""
    found = view.distinct(f"{field}.detections.label")
    return sorted(str(each) for each in found if each)


def pictures_with_masks(
    view: Any,
    field: str,
    names: Mapping[str, str],
    reviews: tuple[Review, ...],
    report: ExportReport,
) -> Iterator[ExchangedPicture | None]:
    """The samples of a view, each when it is asked for.

    Parameters
    ----------
    view
        Of pictures.
    field
        Its Detections.
    names
        Sample id -> name in the export.
    reviews
        Which masks leave; the rest are `others`.
    report
        Counts what cannot be read or has no mask.

    Yields
    ------
    None for a sample that is left out.
    """
    for number, sample in enumerate(view.select_fields(field).iter_samples(), 1):
        name = names.get(sample.id)
        if name is None:  # it came while the export ran
            yield None
            continue
        try:
            size = displayed_size(sample)
        except SampleError as error:
            report.failed += 1
            report.reasons[str(error)] += 1
            yield None
            continue
        labels = sample[field]
        detections = labels.detections if labels is not None else ()
        found = list(exchanged_objects(detections, size, report))
        yield ExchangedPicture(
            number=number,
            name=name,
            sample_id=sample.id,
            path=Path(sample.filepath),
            size=size,
            objects=tuple(each for each in found if each.review in reviews),
            others=tuple(each for each in found if each.review not in reviews),
        )


def exchanged_objects(
    detections: Iterable[Any], size: Size, report: ExportReport
) -> Iterator[ExchangedObject]:
    """The Detections of a picture of (H, W) that have masks; the report counts the others."""
    for detection in detections:
        try:
            found = mask_of(detection, size)
        except SamPluginsError as error:
            report.reasons[str(error)] += 1
            continue
        if found is None or not found[0].any():
            report.reasons[NO_MASK if found is None else NO_PIXELS] += 1
            continue
        yield object_of_label(detection, found, size)


def object_of_label(
    detection: Any, mask: tuple[NDArray[np.bool_], Box], size: Size
) -> ExchangedObject:
    """A Detection on its way, given its pixels and their box in a picture of (H, W)."""
    rle = crop_to_rle(*mask, size)
    return ExchangedObject(
        label=detection.label or None,
        segmentation=rle,
        box=rle_to_box(rle),
        area=rle_area(rle),
        confidence=checked_confidence(detection.confidence),
        attributes=attributes_of(detection),
        tags=tuple(detection.tags or ()),
        index=detection.index,
        label_id=str(detection.id),
    )
