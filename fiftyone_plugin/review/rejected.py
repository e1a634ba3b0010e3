"""Rejected labels leave the dataset only when somebody says so, and can come back."""

from typing import Any

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.fields import REVIEW
from fiftyone_plugin.quality import (
    LabelRef,
    Removal,
    place_of,
    refs_of,
    remove_labels,
)

__all__ = ["find_rejected", "remove_rejected"]


def find_rejected(collection: Any, label_field: str) -> list[LabelRef]:
    """The rejected labels that a FiftyOne dataset or view shows."""
    if place_of(collection, label_field).attribute(REVIEW) is None:
        return []
    return refs_of(collection, label_field, {REVIEW: "rejected"})


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
