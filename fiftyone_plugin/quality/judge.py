"""`judge_masks`: what speaks against the masks of a field, written into their labels."""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fiftyone_plugin.fields import BOX_IOU, DUPLICATE_OF, DUPLICATES, FINDINGS, RAGGEDNESS, RUN_ID
from fiftyone_plugin.quality.batches import (
    check_detections,
    declare,
    ensure_sizes,
    iter_batches,
    root_of,
    sample_ids_of,
    size_of,
    write_attributes,
)
from fiftyone_plugin.quality.findings import JUDGED, Finding
from fiftyone_plugin.quality.judging import JudgedObject, Judgement, judge_objects
from fiftyone_plugin.quality.reading import boxes_by_id, read_labels
from fiftyone_plugin.quality.thresholds import Thresholds
from fiftyone_plugin.runs import WorkProgress

__all__ = ["ATTRIBUTES", "JudgedReport", "judge_masks", "with_findings"]

_BATCH = 32
_LABELS_AT_ONCE = 200
_FEWEST_OF_CLASS = 10

MEASURED: dict[str, type] = {"area": int, "components": int, "holes": int, "touches_border": bool}
ATTRIBUTES: dict[str, type] = {
    **MEASURED,
    FINDINGS: list,
    RAGGEDNESS: float,
    BOX_IOU: float,
    DUPLICATE_OF: str,
    DUPLICATES: int,
}
"""What is written into labels, and its type."""


@dataclass(slots=True, kw_only=True)
class JudgedReport:
    """What a pass found.

    Parameters
    ----------
    samples, objects
        That were judged.
    findings
        How many objects have each.
    filled
        Labels that had no measures of their own and have them now.
    without_mask, unreadable
        Labels without a mask, and with one that cannot be read.
    without_size
        Samples whose picture's size is not known, because it cannot be read.
    stopped
        Whether it was stopped before the end; what was judged stays, and judging again is safe.
    """

    samples: int = 0
    objects: int = 0
    findings: Counter[Finding] = field(default_factory=Counter)
    filled: int = 0
    without_mask: int = 0
    unreadable: int = 0
    without_size: int = 0
    stopped: bool = False


def judge_masks(
    collection: Any,
    label_field: str,
    thresholds: Thresholds | None = None,
    *,
    box_field: str = "",
    progress: Callable[[WorkProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> JudgedReport:
    """Judge the masks of a field, ours or any program's, and write what was found.

    Each label gets its findings, `raggedness`, `box_iou`, `duplicate_of` and `duplicates`, and
    what it lacks of `area`, `components`, `holes` and `touches_border`. Findings of comparisons
    with other fields stay. Judging again gives the same. Samples without metadata get it.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view. All masks of every sample that is in it are judged, those too
        that a view hides: a duplicate needs its better one.
    label_field
        A field of Detections.
    thresholds
        From where on something is a finding; None means the defaults.
    box_field
        Detections whose boxes were asked with, found by `prompt_id`. Without, the run's own
        numbers hold, or each label's bounding box.
    progress
        Called between batches, with samples.
    stop
        Asked between batches.

    Raises
    ------
    FieldError
        If a field holds no Detections, or an attribute to write exists with another type.
    """
    thresholds = thresholds or Thresholds()
    dataset = root_of(collection)
    for name in (label_field, box_field):
        if name:
            check_detections(dataset, name)
    declare(dataset, label_field, ATTRIBUTES)
    ids = sample_ids_of(collection)
    ensure_sizes(dataset, ids)
    report = JudgedReport()
    classes: dict[str, array[float]] = {}
    fields = [label_field, box_field] if box_field else [label_field]
    seen = 0
    batches = iter_batches(
        dataset, ids, fields, size=_BATCH, label="Judging masks", progress=progress, stop=stop
    )
    for batch in batches:
        values = {
            str(sample["_id"]): _judge(sample, label_field, box_field, thresholds, report, classes)
            for sample in batch
        }
        write_attributes(dataset, label_field, values)
        seen += _BATCH
    report.stopped = seen < len(ids)
    if not report.stopped:
        medians = {
            name: float(np.median(parts))
            for name, parts in classes.items()
            if len(parts) >= _FEWEST_OF_CLASS
        }
        _find_tiny(dataset, label_field, ids, thresholds, medians, report, progress, stop)
    return report


def with_findings(before: Any, judged: frozenset[Finding], found: set[Finding]) -> list[str]:
    """A label's findings, of which those that were judged are replaced, in a fixed order."""
    kept = {name for name in before or () if name not in judged}
    return sorted(kept | {finding.value for finding in found})


def _judge(
    sample: Any,
    label_field: str,
    box_field: str,
    thresholds: Thresholds,
    report: JudgedReport,
    classes: "dict[str, array[float]]",
) -> Mapping[str, Mapping[str, Any]]:
    """What is to be written into the labels of one sample."""
    size = size_of(sample)
    if size is None:
        report.without_size += 1
        return {}
    read = read_labels(sample, label_field, size, boxes_by_id(sample, box_field, size))
    report.samples += 1
    report.objects += len(read.objects)
    report.without_mask += read.without_mask
    report.unreadable += read.unreadable
    values = {}
    judged = judge_objects(read.objects, size, thresholds)
    for item, label, result in zip(read.objects, read.documents, judged, strict=True):
        classes.setdefault(item.label, array("d")).append(result.shape.filled)
        report.findings.update(result.findings)
        measures = _missing(label, result)
        report.filled += bool(measures)
        values[item.label_id] = {**measures, **_found(item, label, result)}
    return values


def _missing(label: Any, result: Judgement) -> dict[str, Any]:
    """The measures that a label lacks; of our own labels also those that are no longer true."""
    shape = result.shape
    measures = {
        "area": shape.area,
        "components": shape.components,
        "holes": shape.holes,
        "touches_border": shape.borders > 0,
    }
    ours = label.get(RUN_ID) is not None
    before = {name: label.get(name) for name in measures}
    return {
        name: value
        for name, value in measures.items()
        if before[name] is None or (ours and before[name] != value)
    }


def _found(item: JudgedObject, label: Any, result: Judgement) -> dict[str, Any]:
    before = label.get(FINDINGS)
    return {
        FINDINGS: with_findings(before, JUDGED, result.findings),
        RAGGEDNESS: result.shape.raggedness,
        BOX_IOU: result.box_iou,
        DUPLICATE_OF: result.duplicate_of or None,
        DUPLICATES: result.duplicates,
    }


def _find_tiny(
    dataset: Any,
    label_field: str,
    ids: list[str],
    thresholds: Thresholds,
    medians: Mapping[str, float],
    report: JudgedReport,
    progress: Callable[[WorkProgress], None] | None,
    stop: Callable[[], bool] | None,
) -> None:
    """The second pass, without masks: those that are tiny for their class."""
    root = f"{label_field}.detections."
    paths = ["id", "metadata.height", "metadata.width"]
    paths += [root + name for name in ("id", "label", "area", FINDINGS)]
    for start in range(0, len(ids), _LABELS_AT_ONCE):
        if stop is not None and stop():
            report.stopped = True
            return
        if progress is not None:
            progress(
                WorkProgress(
                    done=start, total=len(ids), objects=report.objects, label="Comparing sizes"
                )
            )
        values: dict[str, dict[str, dict[str, Any]]] = {}
        part = dataset.select(ids[start : start + _LABELS_AT_ONCE])
        for sample_id, height, width, *labels in zip(*part.values(paths), strict=True):
            for label_id, name, area, found in zip(*(each or () for each in labels), strict=True):
                if not (height and width and area is not None and (name or "") in medians):
                    continue
                small = area / (height * width) < thresholds.tiny_of_class * medians[name or ""]
                if small and Finding.TINY not in (found or ()):
                    report.findings[Finding.TINY] += 1
                    findings = sorted({*(found or ()), Finding.TINY.value})
                    values.setdefault(sample_id, {})[label_id] = {FINDINGS: findings}
        write_attributes(dataset, label_field, values)
