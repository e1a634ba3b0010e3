"""`compare_fields`: how far the masks of two fields, say of two models, agree."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import AGREEMENT, AGREEMENT_WITH, FINDINGS
from fiftyone_plugin.quality.batches import (
    declare,
    ensure_sizes,
    iter_batches,
    sample_ids_of,
    size_of,
    stopping,
    write_attributes,
)
from fiftyone_plugin.quality.findings import COMPARED, Finding
from fiftyone_plugin.quality.judge import apart, with_findings
from fiftyone_plugin.quality.judging import compare_objects
from fiftyone_plugin.quality.places import LabelPlace, place_of
from fiftyone_plugin.quality.reading import read_labels
from fiftyone_plugin.quality.thresholds import Thresholds
from fiftyone_plugin.runs import WorkProgress

__all__ = ["ComparedReport", "compare_fields"]

_BATCH = 32
_WRITTEN: dict[str, type] = {FINDINGS: list, AGREEMENT: float, AGREEMENT_WITH: str}


@dataclass(slots=True, kw_only=True)
class ComparedReport:
    """What a comparison found.

    Parameters
    ----------
    samples
        That were compared; of videos, their frames are counted as samples.
    objects
        Masks of each of the two fields.
    partners
        Pairs that share at least a pixel, each mask in one pair at most.
    sum_of_agreement
        Their IoUs together.
    findings
        How many masks of either field have each.
    without_size
        Samples whose picture's size is not known, because it cannot be read.
    stopped
        Whether it was stopped before the end.
    """

    samples: int = 0
    objects: tuple[int, int] = (0, 0)
    partners: int = 0
    sum_of_agreement: float = 0.0
    findings: Counter[Finding] = field(default_factory=Counter)
    without_size: int = 0
    stopped: bool = False

    @property
    def mean_agreement(self) -> float | None:
        """Mean IoU of the partners; None if there are none."""
        return self.sum_of_agreement / self.partners if self.partners else None


def compare_fields(
    collection: Any,
    label_field: str,
    other_field: str,
    thresholds: Thresholds | None = None,
    *,
    progress: Callable[[WorkProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> ComparedReport:
    """Compare the masks of two fields and write into the labels of both how far they agree.

    Each label gets `agreement` (0 without a partner), `agreement_with`, and among its findings
    those of comparisons; other findings stay. A later comparison, with the same or another field,
    replaces an earlier one.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view. All masks of every sample that is in it are compared.
    label_field, other_field
        Two fields of Detections.
    thresholds, progress, stop
        As in `judge_masks`.

    Raises
    ------
    FieldError
        If they are one field or no Detections, or an attribute to write has another type.
    """
    if label_field == other_field:
        raise FieldError(f"Expected two fields to compare, found {label_field!r} twice.")
    thresholds = thresholds or Thresholds()
    first, second = (place_of(collection, name) for name in (label_field, other_field))
    if first.in_frames != second.in_frames:
        raise apart(first, second)
    dataset, places = first.dataset, (first, second)
    names = [place.field for place in places]
    for name in names:
        declare(dataset, name, _WRITTEN)
    ids = sample_ids_of(collection)
    if not first.in_frames:
        ensure_sizes(dataset, ids)
    report = ComparedReport()
    batches = iter_batches(
        dataset,
        ids,
        names,
        size=_BATCH,
        label="Comparing masks",
        progress=progress,
        stop=stopping(report, stop),
    )
    for batch in batches:
        written: dict[str, dict[str, Any]] = {name: {} for name in names}
        for document in batch:
            for name, labels in _compare(document, places, thresholds, report).items():
                written[name][str(document["_id"])] = labels
        for name in names:
            write_attributes(dataset, name, written[name])
    return report


def _compare(
    document: Any,
    places: tuple[LabelPlace, LabelPlace],
    thresholds: Thresholds,
    report: ComparedReport,
) -> dict[str, dict[str, dict[str, Any]]]:
    """What is to be written into the labels of one document, by field."""
    size = size_of(document)
    if size is None:
        report.without_size += 1
        return {}
    first, second = (read_labels(document, place.name, size, {}) for place in places)
    compared = compare_objects(first.objects, second.objects, thresholds)
    report.samples += 1
    report.objects = (
        report.objects[0] + len(first.objects),
        report.objects[1] + len(second.objects),
    )
    paired = [result.agreement for result in compared[0] if result.agreement]
    report.partners += len(paired)
    report.sum_of_agreement += sum(paired)
    values: dict[str, dict[str, dict[str, Any]]] = {}
    names = [place.field for place in places]
    others = reversed(names)
    for name, other, read, results in zip(names, others, (first, second), compared, strict=True):
        values[name] = {}
        for label, result in zip(read.documents, results, strict=True):
            report.findings.update(result.findings)
            before = label.get(FINDINGS)
            values[name][str(label["_id"])] = {
                AGREEMENT: result.agreement,
                AGREEMENT_WITH: other,
                FINDINGS: with_findings(before, COMPARED, result.findings),
            }
    return values
