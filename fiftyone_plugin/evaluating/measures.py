"""The number of each object, or of each picture, that groups are compared by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.evaluating.grouping import Grouping
from fiftyone_plugin.evaluating.matching import boundary_iou_of, pair_objects
from fiftyone_plugin.evaluating.prompting import ClickReport, iter_scores
from fiftyone_plugin.evaluating.reading import Counts, ReadSample, check_pictures, open_source
from fiftyone_plugin.evaluating.settings import ClickSettings, MaskSettings
from fiftyone_plugin.quality import root_of
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.evaluation import ImageMatches, match_image
from sam_plugins.ports import Segmenter

__all__ = [
    "OF_MODELS",
    "OF_PAIRS",
    "OF_PICTURES",
    "WORDS",
    "Measured",
    "measure_attribute",
    "measure_model",
    "measure_pairs",
    "measure_pictures",
]

WORDS = {
    "iou": "IoU with the best mask of the other field; 0 where there is none",
    "boundary_iou": "boundary IoU with that mask; 0 where there is none",
    "found": "part of the objects that have a mask in the other field",
    "click_iou": "IoU of a model's answer to one click",
    "box_iou": "IoU of a model's answer to the box",
    "ap": "mask AP of the other field",
    "ap50": "mask AP at IoU 0.5",
    "ap75": "mask AP at IoU 0.75",
    "boundary_ap": "Boundary AP of the other field",
}
"""What can be measured besides numbers that labels have."""

OF_PAIRS = frozenset({"iou", "boundary_iou", "found"})
OF_MODELS = frozenset({"click_iou", "box_iou"})
OF_PICTURES = frozenset({"ap", "ap50", "ap75", "boundary_ap"})

_LEAST_OVERLAP = 1e-9


@dataclass(slots=True)
class Measured:
    """Numbers of objects, or the matches of pictures.

    Parameters
    ----------
    sample_ids
        Of each object, or of each picture.
    values
        One number for each object; None where it has none. Nothing for pictures.
    attributes
        What the objects are grouped by, where it is an attribute of theirs.
    matches
        Of each picture, for AP.
    notes
        What else has to be said.
    stopped
        Whether it was stopped before the end.
    """

    sample_ids: list[str] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    attributes: list[Any] = field(default_factory=list)
    matches: list[ImageMatches] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stopped: bool = False

    def add(self, sample_id: str, value: float | None, attribute: Any) -> None:
        """One object more."""
        self.sample_ids.append(sample_id)
        self.values.append(value)
        self.attributes.append(attribute)


def measure_pairs(
    collection: Any,
    label_field: str,
    prediction_field: str,
    measure: str,
    grouping: Grouping,
    settings: MaskSettings,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> Measured:
    """How well each known object is found by the masks of another field; crowds have no number."""
    source = open_source(collection, [label_field, prediction_field])
    counts, measured = Counts(), Measured()
    for batch in source.read(counts, label="Comparing masks", progress=progress, stop=stop):
        for sample in batch:
            numbers = _pair_numbers(sample, label_field, prediction_field, measure, settings)
            known = zip(
                sample.objects[label_field], sample.labels[label_field], numbers, strict=True
            )
            for mask, label, value in known:
                if not mask.is_crowd:
                    measured.add(sample.id, value, attribute_of(label, grouping.attribute))
    measured.notes += counts.notes()
    measured.stopped = counts.stopped
    return measured


def measure_pictures(
    collection: Any,
    label_field: str,
    prediction_field: str,
    measure: str,
    settings: MaskSettings,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> Measured:
    """The matches of each picture, for AP."""
    source = open_source(collection, [label_field, prediction_field])
    counts, measured = Counts(), Measured()
    matching = settings.matching(boundary=measure == "boundary_ap")
    for batch in source.read(counts, label="Matching masks", progress=progress, stop=stop):
        for sample in batch:
            known, found = sample.objects[label_field], sample.objects[prediction_field]
            measured.sample_ids.append(sample.id)
            measured.matches.append(match_image(sample.id, found, known, sample.size, matching))
    measured.notes += counts.notes(prediction_field)
    measured.stopped = counts.stopped
    return measured


def measure_model(
    collection: Any,
    label_field: str,
    segmenter: Segmenter,
    measure: str,
    grouping: Grouping,
    settings: ClickSettings,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> Measured:
    """How well a model answers one click on, or the box of, each known object."""
    source = open_source(collection, [label_field])
    info = segmenter.info
    report, measured = (
        ClickReport(model=(info.name, info.model_id), truth_field=label_field),
        Measured(),
    )
    prompt = measure.removesuffix("_iou")
    for sample_id, scores in iter_scores(
        source, segmenter, settings, report, progress=progress, stop=stop
    ):
        attributes = _attributes(source.dataset, sample_id, label_field, grouping.attribute)
        for each in scores:
            if each.prompt == prompt:
                measured.add(sample_id, each.iou, attributes.get(each.label_id))
    measured.notes += [
        f"{times} pictures could not be asked about: {reason}"
        for reason, times in report.failed.most_common(5)
    ]
    measured.notes += report.notes
    measured.stopped = report.stopped
    return measured


def measure_attribute(
    collection: Any, label_field: str, attribute: str, grouping: Grouping
) -> Measured:
    """A number that the labels have; their masks are not read.

    Raises
    ------
    FieldError
        If the labels have no such number.
    """
    import fiftyone as fo

    path = f"{label_field}.detections.{attribute}"
    known = root_of(collection).get_field(path)
    if not isinstance(known, fo.FloatField | fo.IntField | fo.BooleanField):
        raise FieldError(
            f"Expected a measure, found no number {attribute!r} in the labels of {label_field}: "
            f"name one of {', '.join(WORDS)}, or a number that they have."
        )
    measured = Measured()
    check_pictures(collection)
    paths = ["id", path]
    if grouping.attribute:
        paths.append(f"{label_field}.detections.{grouping.attribute}")
    for sample_id, numbers, *groups in zip(*collection.values(paths), strict=True):
        attributes = groups[0] if groups else None
        for place, value in enumerate(numbers or ()):
            group = attributes[place] if attributes else None
            measured.add(sample_id, None if value is None else float(value), group)
    return measured


def attribute_of(label: Mapping[str, Any], path: str) -> Any:
    """An attribute of a label as the database has it; None where there is none."""
    value: Any = label if path else None
    for part in path.split(".") if path else ():
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _pair_numbers(
    sample: ReadSample,
    label_field: str,
    prediction_field: str,
    measure: str,
    settings: MaskSettings,
) -> list[float]:
    """One number for each known object of a picture."""
    truths, predictions = sample.objects[label_field], sample.objects[prediction_field]
    least = settings.match_iou if measure == "found" else _LEAST_OVERLAP
    pairing = pair_objects(truths, predictions, by_class=settings.by_class, min_iou=least)
    numbers = [0.0] * len(truths)
    for pair in pairing.pairs:
        truth, prediction = truths[pair.truth], predictions[pair.prediction]
        if measure == "boundary_iou":
            value = boundary_iou_of(truth, prediction, sample.size, settings.dilation)
        else:
            value = 1.0 if measure == "found" else pair.iou
        numbers[pair.truth] = value
    return numbers


def _attributes(dataset: Any, sample_id: str, label_field: str, attribute: str) -> dict[str, Any]:
    """The attribute of each label of a sample, by the label's id."""
    if not attribute:
        return {}
    from bson import ObjectId

    root = f"{label_field}.detections"
    document = dataset._sample_collection.find_one(
        {"_id": ObjectId(sample_id)}, {f"{root}._id": 1, f"{root}.{attribute}": 1}
    )
    labels = ((document or {}).get(label_field) or {}).get("detections") or ()
    return {str(label["_id"]): attribute_of(label, attribute) for label in labels}
