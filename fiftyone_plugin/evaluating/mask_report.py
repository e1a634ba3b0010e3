"""What came out of measuring masks against known ones, as tables and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.evaluating.records import or_none
from sam_plugins.evaluation import Estimate, PrecisionScores

__all__ = ["ClassRow", "MaskReport", "estimate_to_json", "interval", "markdown_table", "number"]

_COLUMNS = (
    "class",
    "objects",
    "masks",
    "AP",
    "AP50",
    "AP75",
    "AP small",
    "AP medium",
    "AP large",
    "boundary AP",
    "boundary AP50",
    "found",
    "false positives",
    "missed",
    "IoU of pairs",
    "boundary IoU of pairs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class, or all together.

    Parameters
    ----------
    name
        Of the class.
    mask, boundary
        Mask AP and Boundary AP; None where neither has the class.
    found, false, missed
        Known objects with a mask, masks without a known object, known objects without a mask, at
        the IoU that makes a pair.
    iou, boundary_iou
        Means over the pairs, with intervals from drawing whole pictures; None without a pair.
    """

    name: str
    mask: PrecisionScores | None
    boundary: PrecisionScores | None
    found: int
    false: int
    missed: int
    iou: Estimate | None
    boundary_iou: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values: None where there is no number."""
        return {
            "class": self.name,
            "mask": _scores_to_json(self.mask),
            "boundary": _scores_to_json(self.boundary),
            "found": self.found,
            "false_positives": self.false,
            "missed": self.missed,
            "iou": estimate_to_json(self.iou),
            "boundary_iou": estimate_to_json(self.boundary_iou),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskReport:
    """How good the masks of a field are.

    Parameters
    ----------
    prediction_field, truth_field
        What was measured against what.
    match_iou
        From which IoU on a mask and a known object are a pair.
    n_images
        Pictures.
    overall
        All classes; its AP is the mean over the classes that have a known object.
    classes
        One row per class.
    ap, boundary_ap
        The overall APs with intervals from drawing whole pictures.
    notes
        What else has to be said.
    written
        Names of attributes that were written, by field.
    views
        Names of saved views.
    stopped
        Whether it was stopped before its end, so that the numbers are of some pictures only.
    """

    prediction_field: str
    truth_field: str
    match_iou: float
    n_images: int
    overall: ClassRow
    classes: tuple[ClassRow, ...]
    ap: Estimate | None
    boundary_ap: Estimate | None
    notes: tuple[str, ...] = ()
    written: Mapping[str, Sequence[str]]
    views: tuple[str, ...] = ()
    stopped: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON values: None where there is no number."""
        return {
            "prediction_field": self.prediction_field,
            "truth_field": self.truth_field,
            "match_iou": self.match_iou,
            "images": self.n_images,
            "ap": estimate_to_json(self.ap),
            "boundary_ap": estimate_to_json(self.boundary_ap),
            "overall": self.overall.to_json(),
            "classes": [row.to_json() for row in self.classes],
            "notes": list(self.notes),
            "written": {name: list(names) for name, names in self.written.items()},
            "views": list(self.views),
            "stopped": self.stopped,
            "sentences": list(self.sentences),
            "markdown": self.to_markdown(),
        }

    def to_markdown(self) -> str:
        """The table of classes."""
        return markdown_table(_COLUMNS, [_line(row) for row in (self.overall, *self.classes)])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What came out, in words."""
        overall = self.overall
        said = [
            f"{self.prediction_field} against {self.truth_field} in {self.n_images} pictures: "
            f"{overall.found} known objects found, {overall.missed} missed, {overall.false} masks "
            f"without a known object (pairs from IoU {self.match_iou:g})."
        ]
        for name, estimate in (("Mask AP", self.ap), ("Boundary AP", self.boundary_ap)):
            if estimate is not None:
                said.append(f"{name} {number(estimate.mean)}{_range(estimate)}.")
        for name, estimate in (
            ("Mean IoU of the pairs", overall.iou),
            ("Mean boundary IoU of the pairs", overall.boundary_iou),
        ):
            if estimate is not None:
                said.append(f"{name} {number(estimate.mean)}{_range(estimate)}.")
        return (*said, *self.notes)


def number(value: float | None) -> str:
    """Three digits, or a dash where there is no number."""
    return "–" if value is None or value != value else f"{value:.3f}"


def interval(estimate: Estimate) -> str:
    """The ends of an interval, or a dash."""
    return "–" if estimate.low != estimate.low else f"{estimate.low:.3f} to {estimate.high:.3f}"


def markdown_table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, whose first column is words and the others numbers."""
    head = [list(columns), ["---", *["---:"] * (len(columns) - 1)]]
    rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join("| " + " | ".join(line) + " |\n" for line in (*head, *rows))


def estimate_to_json(estimate: Estimate | None) -> dict[str, Any] | None:
    """A mean with its interval as JSON values."""
    if estimate is None:
        return None
    return {
        "mean": or_none(estimate.mean),
        "low": or_none(estimate.low),
        "high": or_none(estimate.high),
        "objects": estimate.n_objects,
        "images": estimate.n_clusters,
    }


def _range(estimate: Estimate) -> str:
    if estimate.low != estimate.low:
        return " (no interval: too few pictures)"
    return f" (95 % interval {interval(estimate)})"


def _scores_to_json(scores: PrecisionScores | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    numbers = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "recall")
    return {
        **{name: or_none(getattr(scores, name)) for name in numbers},
        "objects": scores.n_truths,
        "masks": scores.n_predictions,
    }


def _line(row: ClassRow) -> list[str]:
    mask, boundary = row.mask, row.boundary
    aps = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    return [
        row.name or "(no class)",
        str(mask.n_truths if mask else 0),
        str(mask.n_predictions if mask else 0),
        *(number(getattr(mask, name) if mask else None) for name in aps),
        number(boundary.ap if boundary else None),
        number(boundary.ap50 if boundary else None),
        str(row.found),
        str(row.false),
        str(row.missed),
        number(row.iou.mean if row.iou else None),
        number(row.boundary_iou.mean if row.boundary_iou else None),
    ]
