"""How much a label can be trusted, in one number: what the queue is ordered by."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.fields import AGREEMENT, BOX_IOU, FINDINGS

__all__ = ["Ranking"]

_PARTS = {
    "confidence": "confidence",
    "stability": "stability_score",
    "box": BOX_IOU,
    "agreement": AGREEMENT,
}
"""Parameter of `Ranking` -> attribute of the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How much a label can be trusted, from 0 to 1; the queue begins with the lowest.

    ``trust = confidence^a * stability_score^b * box_iou^c * agreement^d * finding^n``

    with n the number of findings. What a label does not have counts as 1: it says nothing against
    it. Numbers outside 0 to 1 are cut, NaN is 0.

    Parameters
    ----------
    confidence, stability, box, agreement
        The powers a, b, c, d; 0 leaves that number out.
    finding
        What each finding takes trust down to, 0 to 1; 1 leaves findings out.

    Raises
    ------
    ReviewError
        If a power is negative or no number, or `finding` not from 0 to 1.
    """

    confidence: float = 1.0
    stability: float = 1.0
    box: float = 0.5
    agreement: float = 0.5
    finding: float = 0.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            highest = 1.0 if name == "finding" else 100.0
            right = isinstance(value, int | float) and not isinstance(value, bool)
            if not right or not 0 <= value <= highest:
                raise ReviewError(
                    f"Expected a number from 0 to {highest:g} for {name}, found {value!r}."
                )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Ranking":
        """From a form: what is absent or None is the default, others are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: v for name, v in values.items() if name in known and v is not None})

    def expression(self, label: str) -> dict[str, Any]:
        """The same as an expression of MongoDB, for a label at a path such as "$label"."""
        factors: list[Any] = []
        for name, attribute in _PARTS.items():
            power = getattr(self, name)
            if power > 0:
                value = {"$ifNull": [f"{label}.{attribute}", 1.0]}
                part = {"$min": [1.0, {"$max": [0.0, value]}]}
                factors.append(part if power == 1 else {"$pow": [part, power]})
        count = {"$size": {"$ifNull": [f"{label}.{FINDINGS}", []]}}
        factors.append({"$pow": [self.finding, count]})
        return {"$multiply": factors}
