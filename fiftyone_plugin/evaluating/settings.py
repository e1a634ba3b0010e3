"""What is asked of an evaluation, read from a form, a command or a record."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from fiftyone_plugin.errors import FieldError
from sam_plugins.evaluation import MatchSettings, MistakeSettings

__all__ = [
    "ClickSettings",
    "GroupSettings",
    "MaskSettings",
    "check_prefix",
    "mistake_settings",
    "read_settings",
    "settings_to_json",
]

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSettings:
    """How masks are measured against known ones.

    Parameters
    ----------
    by_class
        A mask finds only objects of its own class. False: classes play no part.
    max_detections
        Of each picture and class, so many of the surest masks take part in AP: COCO's number.
    match_iou
        A mask and a known object are one from this IoU on.
    dilation
        Width of the border band of Boundary AP and boundary IoU, as a part of the diagonal.
    attributes
        Prefix of the attributes that are written into the labels of both fields; empty writes
        none.
    save_views
        Save a view of the false positives and one of the false negatives; needs `attributes`.

    Raises
    ------
    FieldError
        If a number is out of its range, or the prefix is no name.
    """

    by_class: bool = True
    max_detections: int = 100
    match_iou: float = 0.5
    dilation: float = 0.02
    attributes: str = ""
    save_views: bool = False

    def __post_init__(self) -> None:
        _check("max_detections", self.max_detections, 1, math.inf)
        _check("match_iou", self.match_iou, 0.001, 1)
        _check("dilation", self.dilation, 0.0001, 1)
        check_prefix(self.attributes)
        if self.save_views and not self.attributes:
            raise FieldError(
                "Expected names of attributes for the saved views to filter by, found none: give "
                "attributes a name, such as 'eval'."
            )

    def matching(self, *, boundary: bool) -> MatchSettings:
        """The same for the core: of mask AP, or of Boundary AP."""
        return MatchSettings(
            max_detections=self.max_detections,
            by_class=self.by_class,
            boundary=boundary,
            dilation=self.dilation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickSettings:
    """How a model is asked for known objects.

    Parameters
    ----------
    max_objects
        Of each picture at most so many objects, drawn with `seed`; 0 asks for all.
    min_area
        Smaller objects are left out, pixels.
    seed
        Of the drawing.
    attributes
        Prefix of the attributes that are written into the known labels; empty writes none.

    Raises
    ------
    FieldError
        If a number is out of its range, or the prefix is no name.
    """

    max_objects: int = 0
    min_area: int = 1
    seed: int = 0
    attributes: str = ""

    def __post_init__(self) -> None:
        for name in ("max_objects", "min_area", "seed"):
            _check(name, getattr(self, name), 0, math.inf)
        check_prefix(self.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """How groups are compared.

    Parameters
    ----------
    reference
        The group that all others are compared with; empty compares each with the rest.
    bins
        In so many groups of about equal size a number is cut.
    min_images
        Nothing is said of a group from fewer pictures.
    confidence
        Of the intervals.
    resamples, seed
        How often the pictures are drawn anew, and how.

    Raises
    ------
    FieldError
        If a number is out of its range.
    """

    reference: str = ""
    bins: int = 4
    min_images: int = 10
    confidence: float = 0.95
    resamples: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        _check("bins", self.bins, 1, 50)
        _check("min_images", self.min_images, 2, math.inf)
        _check("confidence", self.confidence, 0.5, 0.9999)
        _check("resamples", self.resamples, 100, 100_000)
        _check("seed", self.seed, 0, math.inf)


def check_prefix(prefix: str) -> None:
    """FieldError unless attributes can begin with it."""
    if prefix and (not prefix.isidentifier() or prefix.startswith("_")):
        raise FieldError(
            f"Expected letters, digits and underscores for the names of attributes, found "
            f"{prefix!r}: choose another beginning."
        )


def read_settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Settings from a form or a record: what is absent, None or an empty text is the default.

    Raises
    ------
    FieldError
        If a value is of another kind than its default, or out of its range.
    """
    given: dict[str, Any] = {}
    for each in fields(kind):  # type: ignore[arg-type]
        value, usual = values.get(each.name), each.default
        if value is None or value == "":
            continue
        given[each.name] = _like(each.name, value, usual)
    return kind(**given)


def mistake_settings(values: Mapping[str, Any]) -> MistakeSettings:
    """The thresholds of `find_mistakes` from a form or a record.

    Raises
    ------
    FieldError
        If one is no number of 0 to 2.
    """
    settings = read_settings(MistakeSettings, values)
    for name, value in asdict(settings).items():
        _check(name, value, 0, 2)
    return settings


def settings_to_json(settings: Any) -> dict[str, Any]:
    """Settings as JSON values."""
    return asdict(settings)


def _like(name: str, value: Any, usual: Any) -> Any:
    """A value of the kind of another."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(usual, bool | str) and type(value) is type(usual):
        return value.strip() if isinstance(value, str) else value
    if isinstance(usual, float) and number and math.isfinite(value):
        return float(value)
    whole = number and math.isfinite(value) and value == value // 1
    if isinstance(usual, int) and not isinstance(usual, bool) and whole:
        return int(value)
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    raise FieldError(f"Expected {kinds[type(usual)]} for {name}, found {value!r:.80}.")


def _check(name: str, value: float, least: float, most: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        limits = f"of at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise FieldError(f"Expected a number {limits} for {name}, found {value!r:.80}.")
