"""Rejected labels leave the dataset only when somebody says so, and can come back."""

from typing import Any

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.fields import REVIEW
from fiftyone_plugin.quality import (
    LabelRef,
    Removal,
    check_detections,
    refs_of,
    remove_labels,
    root_of,
    shown_labels,
)

__all__ = ["find_rejected", "remove_rejected"]


def find_rejected(collection: Any, label_field: str) -> list[LabelRef]:
    """The rejected labels that a FiftyOne dataset or view shows."""
    from fiftyone import ViewField as F

    check_detections(root_of(collection), label_field)
    if root_of(collection).get_field(f"{label_field}.detections.{REVIEW}") is None:
        return []
    shown = shown_labels(collection, label_field)
    return refs_of(shown.filter_labels(label_field, F(REVIEW) == "rejected"), label_field)


def remove_rejected(collection: Any, label_field: str, *, made_by: str = "") -> Removal:
    """Take the rejected labels out, with a record: `quality.restore` puts them back.

    A label that somebody accepts or opens in the meantime stays.

    Raises
    ------
    ReviewError
        If there are none.
    """
    refs = find_rejected(collection, label_field)
    if not refs:
        raise ReviewError(f"Expected rejected labels in {label_field!r}, found none.")
    return remove_labels(
        collection,
        label_field,
        refs,
        reason="Rejected in review",
        made_by=made_by,
        only={REVIEW: "rejected"},
    )
