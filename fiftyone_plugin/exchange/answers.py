"""Answers of Label Studio back into a dataset: accepted, corrected, rejected, and new masks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_plugin.errors import ExchangeError, SampleError
from fiftyone_plugin.exchange.answers_document import (
    BRUSH,
    Answer,
    answer_of,
    asked_field,
    read_tasks,
)
from fiftyone_plugin.exchange.pictures import displayed_size
from fiftyone_plugin.exchange.reading import check_field, object_of_label
from fiftyone_plugin.exchange.records import UNNAMED
from fiftyone_plugin.exchange.values import ExchangedObject, ImportReport, ImportSettings, Review
from fiftyone_plugin.exchange.writing import FieldWriter, SampleLabels
from fiftyone_plugin.fields import (
    JUDGED_ATTRIBUTES,
    MASK_ATTRIBUTES,
    MODEL_ID,
    REVIEW,
    REVIEW_ATTRIBUTES,
    REVIEW_TAGS,
    RUN_ID,
    WRITTEN,
)
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.masking import measure_mask
from fiftyone_plugin.runs import Stop, Tell, WorkProgress
from sam_plugins.errors import ImageError, SamPluginsError
from sam_plugins.formats import brush_rle_to_crop, crop_to_rle, rle_area, rle_to_box
from sam_plugins.types import Box, Size

__all__ = ["import_answers"]

_NEARLY = 0.99
_FROM_BOX = ("box_iou_before", "box_iou_after", "outside_box")

Mask = tuple[NDArray[np.bool_], Box]

UNKNOWN = "tasks of samples that the dataset does not have"
NOT_A_BRUSH = "regions that are not drawn with the brush"
TWICE = "regions with the id of another one of the same task"
NOT_SHOWN = (
    "tasks that were submitted without their pre-annotations, whose labels stay as they are: let "
    "Label Studio use predictions to prelabel (Settings, Annotation), and submit them again"
)
NO_MASK = "labels without a readable mask, which stay in their own field only"


def import_answers(
    dataset: Any,
    settings: ImportSettings,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> ImportReport:
    """Read Label Studio's JSON export of tasks that `export_masks` wrote.

    Regions are the labels whose ids they have:

    - submitted as it was: accepted;
    - changed: has its new mask, without the model's scores of the former one, and is accepted;
    - asked about and gone: rejected, and keeps its mask, unless the annotation was begun without
      the pre-annotations;
    - of another id: a new label, accepted.

    Labels that were not asked about, and samples whose task nobody has submitted, stay as they are.
    By default all that is written into a new field, and the one that was asked about stays as it
    is; with `overwrite` and its own name it is changed in place.

    Parameters
    ----------
    dataset
        The FiftyOne dataset that was exported.
    settings
        Where the export lies, and the field to write.
    progress, stop
        As `work_on` takes them.

    Raises
    ------
    FieldError
        If the field that was asked about is gone, or that to write may not be replaced.
    ExchangeError
        If the file is not such an export.
    """
    tasks = read_tasks(settings.source, settings.max_bytes)
    source = asked_field(tasks)
    check_field(dataset, source)
    target = settings.label_field or f"{source}_answers"
    writer = FieldWriter(
        dataset,
        target,
        overwrite=settings.overwrite,
        max_inline_bytes=settings.max_inline_bytes,
        folder=settings.folder,
    )
    report = ImportReport(label_field=target)
    done: set[str] = set()
    try:
        for number, task in enumerate(tasks, 1):
            if stop is not None and stop():
                report.stopped = True
                break
            _one(dataset, task, source, writer, report, done)
            if progress is not None:
                progress(WorkProgress(number, len(tasks), report.objects, "read"))
    finally:
        writer.finish()
        if writer.lost:
            report.failed += len(writer.lost)
            report.reasons["samples that somebody changed meanwhile: import again"] += len(
                writer.lost
            )
    return report


def _one(
    dataset: Any,
    task: Mapping[str, Any],
    source: str,
    writer: FieldWriter,
    report: ImportReport,
    done: set[str],
) -> None:
    try:
        answer = answer_of(task)
        if answer.field != source:
            raise ExchangeError(
                f"Expected all tasks to ask about {source!r}, found one about {answer.field!r}: "
                "import them one field after the other."
            )
        if answer.sample_id in done:
            raise ExchangeError("Expected one task for each sample, found another: it is left out.")
        before = writer.labels_of(answer.sample_id, source)
        if before is None:
            report.unknown += 1
            report.reasons[UNKNOWN] += 1
            return
        if answer.regions is None:
            report.unanswered += 1
            return
        size = displayed_size(dataset[answer.sample_id])
        made = _Merged(answer, before, size, in_place=writer.field == source)
        made.merge(answer.regions)
        count = writer.add(
            answer.sample_id,
            size,
            made.objects,
            kept=made.kept,
            order=[str(each["_id"]) for each in before.labels],
            modified=before.modified,
        )
    except (SamPluginsError, KeyError) as error:
        report.failed += 1
        report.reasons[str(error)] += 1
        return
    done.add(answer.sample_id)
    report.pictures += 1
    report.objects += count
    for name, number in made.counts.items():
        setattr(report, name, getattr(report, name) + number)
    report.reasons.update(made.reasons)


@dataclass(slots=True)
class _Merged:
    """The labels of one sample, as an answer makes them.

    `kept` are documents that stay as they are but for their review; `objects` have new masks.
    """

    answer: Answer
    before: SampleLabels
    size: Size
    in_place: bool
    kept: list[dict[str, Any]] = field(default_factory=list)
    objects: list[ExchangedObject] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    def merge(self, regions: Sequence[Mapping[str, Any]]) -> None:
        """Put the regions and the labels together."""
        answered = self._by_label(regions)
        shown = self.answer.shown or any(each in answered for each in self.answer.asked)
        if not shown and self.answer.asked:
            self._say(NOT_SHOWN)
        for document in self.before.labels:
            label_id = str(document["_id"])
            if label_id in answered:
                self._answered(document, answered.pop(label_id))
            elif shown and label_id in self.answer.asked:
                self._count("rejected")
                self._keep(_reviewed(document, Review.REJECTED))
            else:
                self._keep(document)
        for label_id, region in answered.items():
            self._add(label_id, region)

    def _by_label(self, regions: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Region of each label's id; a new region gets an id that follows from its own."""
        known = {str(each["_id"]) for each in self.before.labels}
        found: dict[str, Mapping[str, Any]] = {}
        for region in regions:
            if region.get("type") != BRUSH:
                self._say(NOT_A_BRUSH)
                continue
            own = str(region.get("id")).partition("#")[0]
            label_id = own if own in known else _identity(self.answer.sample_id, own)
            if label_id in found:
                self._say(TWICE)
                continue
            found[label_id] = region
        return found

    def _answered(self, document: dict[str, Any], region: Mapping[str, Any]) -> None:
        """A label that has a region: it is as it was, or changed, or nothing is left of it."""
        try:
            mask = _mask(region, self.size)
        except ImageError as error:
            self._say(str(error))
            self._keep(document)
            return
        if mask is None:
            self._count("rejected")
            self._keep(_reviewed(document, Review.REJECTED))
            return
        label = _label(region, document.get("label"))
        accepted = {**_reviewed(document, Review.ACCEPTED), "label": label}
        if self._same(document, mask, region):
            self._count("accepted")
            self._keep(accepted)
        else:
            self._count("corrected")
            anew = {**accepted, REVIEW: None}  # what was said before was said of another mask
            self.objects.append(self._corrected(_reviewed(anew, Review.ACCEPTED), mask))

    def _add(self, label_id: str, region: Mapping[str, Any]) -> None:
        try:
            mask = _mask(region, self.size)
        except ImageError as error:
            self._say(str(error))
            return
        if mask is not None:
            self._count("added")
            document = {"_id": label_id, "label": _label(region, None)}
            self.objects.append(self._corrected(_reviewed(document, Review.ACCEPTED), mask))

    def _same(self, document: Mapping[str, Any], mask: Mask, region: Mapping[str, Any]) -> bool:
        """Whether a region is the label's mask, pixel for pixel.

        Label Studio's page paints a mask and reads it again, which may turn single pixels: where it
        says that nobody has changed it, nearly the same is the same.
        """
        try:
            former = mask_of(_detection(document), self.size)
        except SampleError:
            return False
        if former is None:
            return False
        one, other = _whole(former, self.size), _whole(mask, self.size)
        if np.array_equal(one, other):
            return True
        iou = float((one & other).sum() / max(int((one | other).sum()), 1))
        return region.get("origin") == "prediction" and iou >= _NEARLY

    def _corrected(self, document: Mapping[str, Any], mask: Mask) -> ExchangedObject:
        """A label with a mask of a person: measured again, without the scores of a model."""
        crop, box = mask
        quality = measure_mask(crop, box, self.size)
        detection = _detection(document)
        attributes = object_of_label(detection, mask, self.size).attributes
        gone = {*MASK_ATTRIBUTES, *JUDGED_ATTRIBUTES, MODEL_ID} | (
            set() if self.in_place else {RUN_ID}
        )
        kept = {name: value for name, value in attributes.items() if name not in gone}
        measured = {name: getattr(quality, name) for name in MASK_ATTRIBUTES}
        rle = crop_to_rle(crop, box, self.size)
        return ExchangedObject(
            label=detection.label,
            segmentation=rle,
            box=rle_to_box(rle),
            area=rle_area(rle),
            attributes={**kept, **{k: v for k, v in measured.items() if v is not None}},
            tags=tuple(detection.tags or ()),
            index=detection.index,
            label_id=str(document["_id"]),
        )

    def _keep(self, document: dict[str, Any]) -> None:
        """A label that keeps its mask; in another field it has a file of its own."""
        if self.in_place:
            self.kept.append(document)
            return
        copy = {name: value for name, value in document.items() if name not in (RUN_ID, WRITTEN)}
        if not copy.get("mask_path"):
            self.kept.append(copy)
            return
        detection = _detection(copy)
        try:
            mask = mask_of(detection, self.size)
        except SampleError:
            mask = None
        if mask is None or not mask[0].any():
            self._say(NO_MASK)
            return
        self.objects.append(object_of_label(detection, mask, self.size))

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def _say(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def _reviewed(document: Mapping[str, Any], review: Review) -> dict[str, Any]:
    """A label with that decision, in place of another's: with its tag, and none of their steps."""
    if document.get(REVIEW) == review.value:
        return dict(document)
    rest = {name: value for name, value in document.items() if name not in REVIEW_ATTRIBUTES}
    tags = [tag for tag in document.get("tags") or () if tag not in REVIEW_TAGS]
    return {**rest, "tags": [*tags, review.value], REVIEW: review.value}


def _detection(document: Mapping[str, Any]) -> Any:
    import fiftyone.core.labels as fol
    from bson import ObjectId

    return fol.Detection.from_dict(
        {**document, "_cls": "Detection", "_id": ObjectId(str(document["_id"]))}
    )


def _mask(region: Mapping[str, Any], size: Size) -> Mask | None:
    """A region's pixels; None if it has none."""
    value = region.get("value")
    rle = value.get("rle") if isinstance(value, Mapping) else None
    said = (region.get("original_height"), region.get("original_width"))
    if not isinstance(rle, list) or said != tuple(size):
        raise ImageError(
            f"Expected a region's 'rle' for a picture of {size[0]} x {size[1]}, found "
            f"{'one' if isinstance(rle, list) else 'none'} for {said[0]} x {said[1]}."
        )
    crop, box = brush_rle_to_crop(rle, size)
    return (crop, box) if crop.size else None


def _label(region: Mapping[str, Any], former: Any) -> str | None:
    value = region.get("value")
    names = value.get(BRUSH) if isinstance(value, Mapping) else None
    first = names[0] if isinstance(names, list) and names else None
    if not isinstance(first, str) or not 0 < len(first) <= 1024:
        return former if isinstance(former, str) else None
    if first == UNNAMED and not former:
        return None
    return first


def _whole(mask: Mask, size: Size) -> NDArray[np.bool_]:
    whole = np.zeros(size, bool)
    crop, (x0, y0, x1, y1) = mask
    whole[y0:y1, x0:x1] = crop
    return whole


def _identity(sample_id: str, region_id: str) -> str:
    """24 hexadecimal digits that follow from a new region, so that it is added once only."""
    return hashlib.sha256(f"label-studio\0{sample_id}\0{region_id}".encode()).hexdigest()[:24]
