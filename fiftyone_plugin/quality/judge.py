"""`judge_masks`: what speaks against the masks of a field, written into their labels."""

from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import (
    BOX_IOU,
    DUPLICATE_OF,
    DUPLICATES,
    FINDINGS,
    GROWTH,
    RAGGEDNESS,
    RUN_ID,
    SHIFT,
)
from fiftyone_plugin.quality.batches import (
    declare,
    ensure_sizes,
    frame_numbers,
    iter_batches,
    sample_ids_of,
    size_of,
    stopping,
    write_attributes,
)
from fiftyone_plugin.quality.findings import JUDGED, Finding
from fiftyone_plugin.quality.judging import (
    JudgedObject,
    Judgement,
    follow_judged,
    judge_objects,
)
from fiftyone_plugin.quality.places import LabelPlace, place_of
from fiftyone_plugin.quality.reading import boxes_by_id, read_labels
from fiftyone_plugin.quality.thresholds import Thresholds
from fiftyone_plugin.quality.tracking import Tracks
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

OF_FRAMES: dict[str, type] = {**ATTRIBUTES, SHIFT: float, GROWTH: float}
"""The same for labels of frames."""


@dataclass(slots=True, kw_only=True)
class JudgedReport:
    """What a pass found.

    Parameters
    ----------
    samples, objects
        That were judged; of videos, their frames are counted as samples.
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

    Each frame of a video is judged as a picture. Besides, masks of one class and index, or of one
    instance, are compared with the frame before, and get `shift` and `growth`.

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
    place = place_of(collection, label_field)
    boxes = place_of(collection, box_field) if box_field else None
    if boxes is not None and boxes.in_frames != place.in_frames:
        raise apart(place, boxes)
    declare(place.dataset, place.field, OF_FRAMES if place.in_frames else ATTRIBUTES)
    ids = sample_ids_of(collection)
    if not place.in_frames:
        ensure_sizes(place.dataset, ids)
    judging = _Judging(place, boxes.name if boxes else "", thresholds)
    report = judging.report
    stop = stopping(report, stop)
    fields = [place.field, *([boxes.field] if boxes else [])]
    batches = iter_batches(
        place.dataset, ids, fields, size=_BATCH, label="Judging masks", progress=progress, stop=stop
    )
    for batch in batches:
        values = {str(document["_id"]): judging.judge(document) for document in batch}
        write_attributes(place.dataset, place.field, values)
    if not report.stopped:
        _find_tiny(judging, ids, progress, stop)
    return report


def apart(place: LabelPlace, other: LabelPlace) -> FieldError:
    """Two fields that are not in the same documents."""
    return FieldError(
        f"Expected two fields of samples or two of frames, found {place.field!r} and "
        f"{other.field!r}: choose both of one kind."
    )


def with_findings(before: Any, judged: frozenset[Finding], found: set[Finding]) -> list[str]:
    """A label's findings, of which those that were judged are replaced, in a fixed order."""
    kept = {name for name in before or () if name not in judged}
    return sorted(kept | {finding.value for finding in found})


class _Judging:
    """One pass over the documents of a field, video after video and frame after frame.

    Parameters
    ----------
    place
        Where the labels are.
    box_field
        The boxes that asked, as the documents name them, or "".
    thresholds
        From where on something is a finding.
    """

    def __init__(self, place: LabelPlace, box_field: str, thresholds: Thresholds) -> None:
        self.place = place
        self.thresholds = thresholds
        self.report = JudgedReport()
        self._box_field = box_field
        self._filled: dict[str, array[float]] = {}
        self._video: Any = None
        self._tracks = Tracks((), thresholds)

    def judge(self, document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """What is to be written into the labels of one document."""
        size, report, name = size_of(document), self.report, self.place.name
        if size is None:
            report.without_size += 1
            return {}
        read = read_labels(document, name, size, boxes_by_id(document, self._box_field, size))
        report.samples += 1
        report.objects += len(read.objects)
        report.without_mask += read.without_mask
        report.unreadable += read.unreadable
        judged = judge_objects(read.objects, size, self.thresholds)
        if self.place.in_frames and (document.get(name) or {}).get("detections"):
            follow_judged(self._followed(document), document["frame_number"], read.objects, judged)
        values = {}
        for item, label, result in zip(read.objects, read.documents, judged, strict=True):
            self._filled.setdefault(item.label, array("d")).append(result.shape.filled)
            report.findings.update(result.findings)
            measures = _missing(label, result)
            report.filled += bool(measures)
            values[item.label_id] = {**measures, **_found(item, label, result)}
            if self.place.in_frames:
                values[item.label_id].update(_jump(result))
        return values

    def medians(self) -> dict[str, float]:
        """The part of the picture that the median mask of a class fills."""
        return {
            name: float(np.median(parts))
            for name, parts in self._filled.items()
            if len(parts) >= _FEWEST_OF_CLASS
        }

    def _followed(self, document: Mapping[str, Any]) -> Tracks:
        """The objects of a frame's video so far."""
        if document["_sample_id"] != self._video:
            self._video = document["_sample_id"]
            numbers = frame_numbers([self.place], str(self._video))
            self._tracks = Tracks(numbers, self.thresholds)
        return self._tracks


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


def _jump(result: Judgement) -> dict[str, Any]:
    jump = result.jump
    return {SHIFT: jump and jump.shift, GROWTH: jump and jump.growth}


def _find_tiny(
    judging: _Judging,
    ids: list[str],
    progress: Callable[[WorkProgress], None] | None,
    stop: Callable[[], bool],
) -> None:
    """The second pass, without masks: those that are tiny for their class."""
    place, report, medians = judging.place, judging.report, judging.medians()
    batches = iter_batches(
        place.dataset,
        ids,
        [place.field],
        size=_LABELS_AT_ONCE,
        label="Comparing sizes",
        progress=progress,
        stop=stop,
        attributes=("label", "area", FINDINGS),
    )
    for batch in batches:
        values: dict[str, dict[str, dict[str, Any]]] = {}
        for document in batch:
            size = size_of(document)
            for label in (document.get(place.name) or {}).get("detections") or ():
                name, area, found = label.get("label") or "", label.get("area"), label.get(FINDINGS)
                if size is None or area is None or name not in medians:
                    continue
                part = area / (size[0] * size[1])
                small = part < judging.thresholds.tiny_of_class * medians[name]
                if small and Finding.TINY not in (found or ()):
                    report.findings[Finding.TINY] += 1
                    findings = sorted({*(found or ()), Finding.TINY.value})
                    one = values.setdefault(str(document["_id"]), {})
                    one[str(label["_id"])] = {FINDINGS: findings}
        write_attributes(place.dataset, place.field, values)
