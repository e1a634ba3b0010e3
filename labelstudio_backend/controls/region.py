"""`Region`: one entry of a ``result``, as Label Studio sends it, with checked numbers."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labelstudio_backend.errors import RequestError

__all__ = ["Region", "read_regions"]

_LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Region:
    """One region; nothing of its value was looked at.

    Parameters
    ----------
    id
        What Label Studio calls it; "" if it has no name.
    type
        In lower case: ``keypointlabels``, ``rectangle``...
    from_name, to_name
        The tag that it was drawn with, and that of its picture.
    item
        Page of that tag, None where the region does not say.
    label
        The first of its labels, as they are written in results; None without.
    positive
        Whether it lies on the object. What does not say is positive.
    parent
        The region that it belongs to.
    upright
        Whether the picture was not turned in Label Studio when it was drawn.
    value
        Its geometry.
    """

    id: str
    type: str
    from_name: str
    to_name: str
    item: int | None
    label: str | None
    positive: bool
    parent: str | None
    upright: bool
    value: Mapping[str, Any]

    def number(self, name: str, otherwise: float | None = None) -> float:
        """A finite number of the value.

        Raises
        ------
        RequestError
            If it is missing and has no default, or is no finite number.
        """
        found = self.value.get(name)
        if found is None and otherwise is not None:
            return otherwise
        return self.checked(name, found)

    def checked(self, name: str, found: object) -> float:
        """`found` if it is a finite number; `name` says where it stands.

        Raises
        ------
        RequestError
            If it is not.
        """
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self.refused(f"{name!r} must be a number, found {_shown(found)}")
        try:
            number = float(found)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.refused(f"{name!r} must be a finite number, found {_shown(found)}")
        return number

    def refused(self, reason: str) -> RequestError:
        """What to raise: the reason, with the region's name before it."""
        return RequestError(
            f"Region {self.id[:64]!r} of type {self.type[:32]!r}: {reason}. Delete it and draw "
            "it again."
        )


def read_regions(result: object) -> list[Region]:
    """The regions of a result, in their order.

    Unlabelled tags write two entries with one name, of which the second has the labels: they become
    one region. Entries that are no regions (relations, things that are no objects) are left out.

    Raises
    ------
    RequestError
        If `result` is not a list.
    """
    if not isinstance(result, list | tuple):
        raise RequestError(f"A result must be a list of regions, found {_shown(result)}.")
    entries = [entry for entry in result if isinstance(entry, Mapping)]
    companions = {
        str(entry.get("id")): _first(_value(entry).get(_LABELS))
        for entry in entries
        if _type(entry) == _LABELS
    }
    regions = []
    for entry in entries:
        kind, value, name = _type(entry), _value(entry), entry.get("id")
        if kind in ("", "relation", _LABELS):
            continue
        label = _first(value.get(kind)) if kind.endswith(_LABELS) else None
        item = entry.get("item_index", value.get("item_index"))
        parent = entry.get("parentID")
        regions.append(
            Region(
                id="" if name is None else str(name),
                type=kind,
                from_name=str(entry.get("from_name", "")),
                to_name=str(entry.get("to_name", "")),
                item=item if isinstance(item, int) and not isinstance(item, bool) else None,
                label=companions.get(str(name)) if label is None else label,
                positive=_positive(entry, value),
                parent=str(parent) if parent else None,
                upright=not entry.get("image_rotation"),
                value=value,
            )
        )
    return regions


def _type(entry: Mapping[str, Any]) -> str:
    kind = entry.get("type")
    return kind.lower() if isinstance(kind, str) else ""


def _value(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    value = entry.get("value")
    return value if isinstance(value, Mapping) else {}


def _first(labels: Iterable[Any] | None) -> str | None:
    if isinstance(labels, list | tuple):
        return next((label for label in labels if isinstance(label, str)), None)
    return labels if isinstance(labels, str) else None


def _positive(entry: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Label Studio says it beside the value, others inside; what it forgets was positive."""
    for said in (entry.get("is_positive"), value.get("is_positive"), value.get("positive")):
        if said is not None:
            return str(said).strip().lower() not in ("false", "0", "0.0", "no")
    return True


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
