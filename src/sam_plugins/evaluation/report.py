"""Scores of single objects, and the tables made from them."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.statistics import Estimate, cluster_mean, paired_difference

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Margin", "ObjectScore", "Report", "Row", "by_group", "by_set", "by_size"]

_COLUMNS = ("group", "prompt", "method", "objects", "images", "IoU", "95 % interval", "oracle")
_MARGIN_COLUMNS = ("group", "prompt", "against", "objects", "images", "difference", "95 % interval")
_SMALL, _MEDIUM = 32**2, 96**2
_JSON_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectScore:
    """How well one method answered one prompt for one object.

    Parameters
    ----------
    method
        "nano", "filled box", ...
    prompt
        "click" or "box".
    group, image_id, label, area
        The object: its group, its picture's id, its value in the mask file or its name, its
        pixels.
    iou
        Of the answer with the highest predicted IoU.
    oracle
        Of the best of all answers to the prompt; None if there was only one answer.
    """

    method: str
    prompt: str
    group: str
    image_id: str
    label: int | str
    area: int
    iou: float
    oracle: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: a method's mean over the objects of one group."""

    group: str
    prompt: str
    method: str
    estimate: Estimate
    oracle: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """By how much a method beats another on the objects that both answered."""

    group: str
    prompt: str
    method: str
    other: str
    difference: Estimate


def by_group(score: ObjectScore) -> str:
    """The group that the data set names."""
    return score.group


def by_set(score: ObjectScore) -> str:
    """The set a picture comes from: the first part of its id."""
    return score.image_id.partition("/")[0] if "/" in score.image_id else score.group


def by_size(score: ObjectScore) -> str:
    """COCO's size classes, by area: small below 32 x 32 px, large from 96 x 96 px."""
    if score.area < _SMALL:
        return "small"
    return "medium" if score.area < _MEDIUM else "large"


@dataclass(frozen=True, slots=True)
class Report:
    """Scores of one or more methods on one data set.

    Parameters
    ----------
    scores
        One per object, prompt and method.
    settings
        What a reader needs to repeat it; JSON values only.
    """

    scores: tuple[ObjectScore, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def joined(self, *others: "Report") -> "Report":
        """One report with the scores and settings of several."""
        scores, settings = list(self.scores), dict(self.settings)
        for other in others:
            scores += other.scores
            settings |= other.settings
        return Report(tuple(scores), settings)

    def rows(self, by: Callable[[ObjectScore], str] = by_group) -> list[Row]:
        """Means with 95 % intervals for every group, prompt and method, in order of appearance.

        Parameters
        ----------
        by
            Names the group of a score; any function will do.
        """
        rows = []
        for (group, prompt, method), scores in _gathered(self.scores, by).items():
            best = [s.iou if s.oracle is None else s.oracle for s in scores]
            ambiguous = any(s.oracle is not None for s in scores)
            rows.append(
                Row(
                    group=group,
                    prompt=prompt,
                    method=method,
                    estimate=cluster_mean([s.iou for s in scores], [s.image_id for s in scores]),
                    oracle=math.fsum(best) / len(best) if ambiguous else None,
                )
            )
        return rows

    def margins(self, method: str, by: Callable[[ObjectScore], str] = by_group) -> list[Margin]:
        """`method` against every other that answered the same prompts of the same objects."""
        gathered = _gathered(self.scores, by)
        margins = []
        for (group, prompt, other), scores in gathered.items():
            own = {_key(s): s.iou for s in gathered.get((group, prompt, method), ())}
            common = [s for s in scores if _key(s) in own]
            if other == method or not common:
                continue
            difference = paired_difference(
                [own[_key(s)] for s in common],
                [s.iou for s in common],
                [s.image_id for s in common],
            )
            margins.append(
                Margin(
                    group=group, prompt=prompt, method=method, other=other, difference=difference
                )
            )
        return margins

    def to_markdown(self, by: Callable[[ObjectScore], str] = by_group) -> str:
        """The rows as a Markdown table."""
        return _markdown(_COLUMNS, [_cells(row) for row in self.rows(by)])

    def margins_to_markdown(self, method: str, by: Callable[[ObjectScore], str] = by_group) -> str:
        """The margins of one method as a Markdown table."""
        return _markdown(_MARGIN_COLUMNS, [_margin_cells(m) for m in self.margins(method, by)])

    def to_table(self, by: Callable[[ObjectScore], str] = by_group) -> "Table":
        """The rows as a table for the terminal."""
        from rich import box
        from rich.table import Table

        table = Table(
            *_COLUMNS[:3],
            box=box.SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
        )
        for name in _COLUMNS[3:]:
            table.add_column(name, justify="right")
        last = ""
        for row in self.rows(by):
            if last and row.group != last:
                table.add_section()
            last = row.group
            table.add_row(*_cells(row))
        return table

    def to_json(self) -> str:
        """Settings, rows by group, and every score to four decimals."""
        objects = {_key(s): [s.group, s.image_id, s.label, s.area] for s in self.scores}
        index = {key: number for number, key in enumerate(objects)}
        results: dict[tuple[str, str], dict[str, Any]] = {}
        for s in self.scores:
            empty = {"method": s.method, "prompt": s.prompt, "object": [], "iou": [], "oracle": []}
            result = results.setdefault((s.method, s.prompt), empty)
            result["object"].append(index[_key(s)])
            result["iou"].append(round(s.iou, 4))
            result["oracle"].append(None if s.oracle is None else round(s.oracle, 4))
        content = {
            "version": _JSON_VERSION,
            "settings": dict(self.settings),
            "rows": [_record(row) for row in self.rows()],
            "objects": list(objects.values()),
            "results": list(results.values()),
        }
        lines = (f" {json.dumps(key)}: {_dumped(value)}" for key, value in content.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Read what `to_json` wrote.

        Raises
        ------
        DatasetError
            If the text is no such report.
        """
        try:
            content = json.loads(text)
            version = content["version"]
            scores = tuple(
                ObjectScore(
                    method=result["method"],
                    prompt=result["prompt"],
                    iou=iou,
                    oracle=oracle,
                    **dict(
                        zip(
                            ("group", "image_id", "label", "area"),
                            content["objects"][number],
                            strict=True,
                        )
                    ),
                )
                for result in content["results"]
                for number, iou, oracle in zip(
                    result["object"], result["iou"], result["oracle"], strict=True
                )
            )
            report = cls(scores, content["settings"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DatasetError(f"This is not an accuracy report: {error!r}.") from error
        if version != _JSON_VERSION:
            raise DatasetError(
                f"The report has version {version}; version {_JSON_VERSION} is expected."
            )
        return report


def _gathered(
    scores: Iterable[ObjectScore], by: Callable[[ObjectScore], str]
) -> dict[tuple[str, str, str], list[ObjectScore]]:
    """Scores by (group, prompt, method), each in order of first appearance."""
    found: dict[tuple[str, str, str], list[ObjectScore]] = {}
    for score in scores:
        found.setdefault((by(score), score.prompt, score.method), []).append(score)
    order = [list(dict.fromkeys(key[part] for key in found)) for part in range(3)]
    return {
        key: found[key]
        for key in sorted(found, key=lambda key: [order[i].index(key[i]) for i in range(3)])
    }


def _key(score: ObjectScore) -> tuple[str, int | str]:
    return score.image_id, score.label


def _cells(row: Row) -> list[str]:
    e = row.estimate
    oracle = "–" if row.oracle is None else f"{row.oracle:.3f}"
    counts = [str(e.n_objects), str(e.n_clusters)]
    interval = "–" if math.isnan(e.low) else f"{e.low:.3f}–{e.high:.3f}"
    return [row.group, row.prompt, row.method, *counts, f"{e.mean:.3f}", interval, oracle]


def _margin_cells(margin: Margin) -> list[str]:
    d = margin.difference
    counts = [str(d.n_objects), str(d.n_clusters)]
    interval = "–" if math.isnan(d.low) else f"{d.low:+.3f} to {d.high:+.3f}"
    return [margin.group, margin.prompt, margin.other, *counts, f"{d.mean:+.3f}", interval]


def _record(row: Row) -> dict[str, Any]:
    e = row.estimate
    unknown = math.isnan(e.low)
    return {
        "group": row.group,
        "prompt": row.prompt,
        "method": row.method,
        "n_objects": e.n_objects,
        "n_images": e.n_clusters,
        "mean_iou": round(e.mean, 4),
        "low": None if unknown else round(e.low, 4),
        "high": None if unknown else round(e.high, 4),
        "oracle": None if row.oracle is None else round(row.oracle, 4),
    }


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * 3 + ["---:"] * (len(columns) - 3)
    return "".join("| " + " | ".join(line) + " |\n" for line in (columns, rule, *rows))


def _dumped(value: Any) -> str:
    """JSON with one line for each element of a list."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(f"  {json.dumps(element)}" for element in value) + "\n ]"
