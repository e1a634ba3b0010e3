"""From where on something speaks against a mask."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fiftyone_plugin.errors import FieldError

__all__ = ["Thresholds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From where on something speaks against a mask.

    Parameters
    ----------
    duplicate_iou
        Two masks of a picture with at least this IoU are one object. Above 1: never.
    duplicate_containment
        So are two of one class of which the smaller lies inside the larger with at least this part
        of its pixels. Their boxes may hardly overlap in IoU. Above 1: never, for fields in which
        parts lie within wholes, such as those of everything-mode.
    tiny_area
        A mask of fewer pixels is tiny.
    tiny_of_picture
        So is one of a smaller part of the picture, 0 to 1.
    tiny_of_class
        So is one of less than this part of the median of its class, both as parts of their
        pictures. Classes of fewer than ten masks have no median.
    max_raggedness
        A mask is ragged if its outline is longer than that of its box by a larger factor. Outlines
        are counted in edges of pixels, so that every shape without dents has 1.
    max_components, max_holes
        So is one of more pieces or more holes.
    max_outside_box
        A mask leaks if a larger part of it lies outside the box that was given.
    max_filled
        So does one that fills a larger part of the picture.
    max_borders
        So does one that reaches more of the picture's four edges.
    min_box_iou
        Box and mask disagree if the IoU of the given box with the mask's own is lower.
    min_agreement
        Two fields disagree about an object if the best partner's IoU is lower.
    max_shift
        From one frame of a video to the next a mask jumps if its middle is farther than so many
        lengths of it both from where it was and from where its last step would have led.
    max_growth
        So does one of more than so many times the area that it had, or less than that part of it,
        unless it touches the edge of the picture before or after.

    Raises
    ------
    FieldError
        If a value is not a number, or negative.

    Notes
    -----
    Raggedness is the inverse of the convexity of J. Zunic and P. L. Rosin, "A new convexity measure
    for polygons" (IEEE TPAMI, 2004), for the box that is not turned.
    """

    duplicate_iou: float = 0.8
    duplicate_containment: float = 0.9
    tiny_area: int = 16
    tiny_of_picture: float = 0.00005
    tiny_of_class: float = 0.02
    max_raggedness: float = 2.0
    max_components: int = 3
    max_holes: int = 5
    max_outside_box: float = 0.3
    max_filled: float = 0.9
    max_borders: int = 2
    min_box_iou: float = 0.5
    min_agreement: float = 0.5
    max_shift: float = 0.5
    max_growth: float = 2.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise FieldError(
                    f"The threshold {name} must be a number of at least 0, found {value!r}."
                )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Thresholds":
        """From `to_json` or a form: what is absent or None is the default, others are ignored."""
        known = {f.name for f in fields(cls)}
        given = {name: v for name, v in values.items() if name in known and v is not None}
        return cls(**given)
