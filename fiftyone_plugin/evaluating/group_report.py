"""A number by group with intervals: as sentences, Markdown, JSON and CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.evaluating.mask_report import estimate_to_json
from fiftyone_plugin.evaluating.records import or_none
from sam_plugins.evaluation import Estimate, GroupRow, GroupTable

__all__ = ["GroupReport"]

_COLUMNS = (
    "group",
    "objects",
    "images",
    "mean",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
    "sentence",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupReport:
    """A number by group.

    Parameters
    ----------
    label_field
        Whose objects it is about.
    measure, by
        The number, and what makes the groups.
    table
        The core's; None where nothing could be counted because it was stopped.
    notes
        What else has to be said.
    stopped
        Whether it was stopped before its end.
    """

    label_field: str
    measure: str
    by: str
    table: GroupTable | None
    notes: tuple[str, ...] = ()
    stopped: bool = False

    @property
    def rows(self) -> Sequence[GroupRow]:
        """One for each group."""
        return () if self.table is None else self.table.rows

    @property
    def sentences(self) -> list[str]:
        """What may be said of each group, and nothing more."""
        said = [f"{self.measure} of {self.label_field} by {self.by}:"]
        said += [f"{row.group}: {row.sentence}" for row in self.rows]
        return said + list(self.notes)

    def to_markdown(self) -> str:
        """The table, and a sentence for each group."""
        if self.table is None:
            return ""
        sentences = "".join(f"- {_inline(row.group)}: {row.sentence}\n" for row in self.rows)
        notes = "".join(f"\n{note}\n" for note in self.notes)
        return f"{self.table.to_markdown()}\n{sentences}{notes}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values: None where there is no number."""
        table = self.table
        return {
            "label_field": self.label_field,
            "measure": self.measure,
            "by": self.by,
            "against": table.against if table else None,
            "confidence": table.confidence if table else None,
            "comparisons": table.n_comparisons if table else None,
            "groups": [
                {
                    "group": row.group,
                    "estimate": estimate_to_json(row.estimate),
                    "difference": estimate_to_json(row.difference),
                    "verdict": row.verdict,
                    "sentence": row.sentence,
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
            "stopped": self.stopped,
            "sentences": list(self.sentences),
            "markdown": self.to_markdown(),
            "csv": self.to_csv(),
        }

    def to_csv(self) -> str:
        """One line for each group. Texts that a spreadsheet would take as formulas get a quote."""
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow(
                {
                    "group": _harmless(row.group),
                    "objects": row.estimate.n_objects,
                    "images": row.estimate.n_clusters,
                    **_numbers(row.estimate, ("mean", "low", "high")),
                    **_numbers(row.difference, ("difference", "difference_low", "difference_high")),
                    "verdict": row.verdict,
                    "sentence": _harmless(row.sentence),
                }
            )
        return text.getvalue()


def _numbers(estimate: Estimate | None, names: Sequence[str]) -> Mapping[str, float | None]:
    if estimate is None:
        return dict.fromkeys(names)
    values = (estimate.mean, estimate.low, estimate.high)
    return {name: or_none(value) for name, value in zip(names, values, strict=True)}


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _inline(text: str) -> str:
    return " ".join(text.split())
