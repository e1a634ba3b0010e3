"""Names of groups for objects: from any field of the samples, or any attribute of the labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fiftyone_plugin.errors import FieldError
from sam_plugins.evaluation import quantile_bins

__all__ = ["NO_VALUE", "Grouping", "Groups", "grouping_of", "name_groups", "values_of"]

NO_VALUE = "no value"
"""The group of objects that have none."""

_MOST_GROUPS = 100
_SAMPLES_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Where the groups come from.

    Parameters
    ----------
    path
        As it was named: "tags", "weather.label", "truth.label", "truth.detections.size".
    attribute
        Of the labels; empty where it is a field of the samples.
    """

    path: str
    attribute: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups of objects.

    Parameters
    ----------
    names
        One for each object; or, where a value is a list, several or none.
    several
        Whether values are lists, so that an object can be in several groups.
    """

    names: Sequence[Sequence[str]]
    several: bool


def grouping_of(dataset: Any, label_field: str, by: str) -> Grouping:
    """Understand what a person names.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    label_field
        The field of Detections whose objects are grouped.
    by
        A field of samples, as "tags" or "weather.label"; or of these labels, as
        "<label_field>.label" and "<label_field>.detections.<attribute>".

    Raises
    ------
    FieldError
        If there is no such field, or it holds what makes no groups.
    """
    import fiftyone as fo

    path = by.strip()
    inner = path.removeprefix(f"{label_field}.").removeprefix("detections.")
    attribute = inner if path.startswith(f"{label_field}.") else ""
    full = f"{label_field}.detections.{attribute}" if attribute else path
    known = dataset.get_field(full) if path else None
    if known is None:
        raise FieldError(
            f"Expected a field of the samples, or an attribute of {label_field}, to group by, "
            f"found no {path or 'name'!r}: name one, as tags or {label_field}.label."
        )
    if not attribute and getattr(known, "document_type", None) is fo.Classification:
        return Grouping(path=f"{path}.label")
    inner_field = known.field if isinstance(known, fo.ListField) else known
    kinds = (fo.StringField, fo.BooleanField, fo.IntField, fo.FloatField)
    if not isinstance(inner_field, kinds) and not (
        isinstance(known, fo.ListField) and inner_field is None
    ):
        raise FieldError(
            f"Expected {path!r} to hold texts, numbers, true or false, or a list of tags, found "
            f"{type(known).__name__}: name another field."
        )
    return Grouping(path=path, attribute=attribute)


def values_of(dataset: Any, path: str, sample_ids: Sequence[str]) -> list[Any]:
    """The value of a field of the samples, for each of N ids of samples."""
    wanted = list(dict.fromkeys(sample_ids))
    found: dict[str, Any] = {}
    for start in range(0, len(wanted), _SAMPLES_AT_ONCE):
        part = dataset.select(wanted[start : start + _SAMPLES_AT_ONCE])
        found.update(zip(*part.values(["id", path]), strict=True))
    return [found.get(sample_id) for sample_id in sample_ids]


def name_groups(
    values: Sequence[Any], sample_ids: Sequence[str], *, of_samples: bool, bins: int, path: str
) -> Groups:
    """The groups of objects with these values.

    Numbers are cut into groups of about equal size, of pictures or of objects; lists make an
    object a member of several groups; what has no value is a group of its own.

    Parameters
    ----------
    values
        One for each object.
    sample_ids
        Their samples.
    of_samples
        Whether values are the samples' own: a picture counts once, then, where numbers are cut.
    bins
        How many groups of numbers.
    path
        What the values are, for people.

    Raises
    ------
    FieldError
        If there are more groups than anybody could look at.
    """
    several = any(isinstance(value, list | tuple) for value in values)
    if several:
        names = [tuple(dict.fromkeys(_words(each) for each in _listed(value))) for value in values]
        groups = Groups(names=[each or (NO_VALUE,) for each in names], several=True)
    elif any(_is_number(value) for value in values):
        groups = Groups(
            names=[(name,) for name in _binned(values, sample_ids, of_samples, bins)],
            several=False,
        )
    else:
        groups = Groups(names=[(_words(value),) for value in values], several=False)
    count = len({name for each in groups.names for name in each})
    if count > _MOST_GROUPS:
        raise FieldError(
            f"Expected at most {_MOST_GROUPS} groups, found {count} different values in {path!r}: "
            "name a field with fewer."
        )
    return groups


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _words(value: Any) -> str:
    """A value as the name of a group."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return NO_VALUE if value is None or value == "" else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _binned(
    values: Sequence[Any], sample_ids: Sequence[str], of_samples: bool, bins: int
) -> list[str]:
    numbers = [float(v) if _is_number(v) and math.isfinite(v) else math.nan for v in values]
    if not of_samples:
        return quantile_bins(numbers, bins, missing=NO_VALUE)
    once = dict(zip(sample_ids, numbers, strict=True))
    names = dict(zip(once, quantile_bins(list(once.values()), bins, missing=NO_VALUE), strict=True))
    return [names[sample_id] for sample_id in sample_ids]
