"""`evaluate_masks`: how good the masks of one field are against the known ones of another."""

from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from fiftyone_plugin.evaluating.mask_report import ClassRow, MaskReport
from fiftyone_plugin.evaluating.matching import boundary_iou_of, pair_objects
from fiftyone_plugin.evaluating.reading import Counts, ReadSample, open_source
from fiftyone_plugin.evaluating.records import (
    Record,
    attributes_of_others,
    begin,
    check_attributes,
    check_key,
    finish,
)
from fiftyone_plugin.evaluating.settings import MaskSettings, settings_to_json
from fiftyone_plugin.quality import check_view_names, declare, save_view, write_attributes
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.evaluation import (
    Estimate,
    ImageMatches,
    PrecisionReport,
    average_precision,
    cluster_mean,
    match_image,
    precision_groups,
)

__all__ = ["ALL", "evaluate_masks"]

ALL = "all"
"""Name of the row of all classes together."""

_SUFFIXES: dict[str, type] = {"result": str, "iou": float, "boundary_iou": float, "match": str}
_RIGHT, _FALSE, _MISSED = "tp", "fp", "fn"
_RESAMPLES = 400

Written = dict[str, dict[str, dict[str, Any]]]


@dataclass(slots=True)
class _Pairs:
    """The pairs of one class."""

    ious: "array[float]" = field(default_factory=lambda: array("d"))
    boundary_ious: "array[float]" = field(default_factory=lambda: array("d"))
    images: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Sums:
    """What is kept of the pictures: a few bytes for each mask."""

    masks: list[ImageMatches] = field(default_factory=list)
    boundaries: list[ImageMatches] = field(default_factory=list)
    pairs: dict[str, _Pairs] = field(default_factory=dict)
    found: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    over_limit: int = 0


def evaluate_masks(
    collection: Any,
    prediction_field: str,
    truth_field: str,
    settings: MaskSettings | None = None,
    *,
    key: str = "",
    overwrite: bool = False,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> MaskReport:
    """Measure the masks of a field against known ones, as COCO does, and along their borders.

    Masks are never changed. With `MaskSettings.attributes`, say "eval", each label gets
    ``eval_result`` (a mask "tp" or "fp", a known object "tp" or "fn"), and a pair ``eval_iou``,
    ``eval_boundary_iou`` and in ``eval_match`` the id of the other label. In a crowd, they have no
    value.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view of pictures. What a view filters takes no part; without a label
        in a view, a picture still takes part.
    prediction_field, truth_field
        Two fields of Detections with masks. The confidence ranks masks; known ones whose attribute
        `iscrowd` is true are crowds.
    settings
        None takes `MaskSettings()`.
    key
        Name of a FiftyOne run that keeps the result; empty keeps none, unless attributes are
        written: their prefix is its name then. An evaluation of that name and kind is replaced.
    overwrite
        Attributes and an evaluation of another kind that have these names may be replaced.
    progress, stop
        Called and asked between batches. After a stop the numbers are of what was seen, no result
        is kept, and no view saved.

    Raises
    ------
    FieldError, RunError
        If a field is not what it must be, or a name is taken.
    """
    settings = settings or MaskSettings()
    source = open_source(collection, [prediction_field, truth_field])
    dataset = source.dataset
    record = _record(key, prediction_field, truth_field, settings)
    check_key(dataset, record.key, record.kind, overwrite=overwrite)
    check_attributes(dataset, record.key, record.writes, overwrite=overwrite)
    check_view_names(dataset, record.views)
    record = replace(record, found=attributes_of_others(dataset, record.writes))
    names = {suffix: f"{settings.attributes}_{suffix}" for suffix in _SUFFIXES}
    if settings.attributes:
        for name in source.fields:
            declare(dataset, name, {names[suffix]: kind for suffix, kind in _SUFFIXES.items()})
    begin(dataset, record)
    counts, sums = Counts(), _Sums()
    for batch in source.read(counts, label="Evaluating masks", progress=progress, stop=stop):
        written: Written = {name: {} for name in source.fields}
        for sample in batch:
            labels = _add(sums, sample, prediction_field, truth_field, settings)
            for name, of_labels in labels.items():
                written[name][sample.id] = {
                    label_id: {names[suffix]: value for suffix, value in values.items()}
                    for label_id, values in of_labels.items()
                }
        if settings.attributes:
            for name in source.fields:
                write_attributes(dataset, name, written[name])
    if record.views and not counts.stopped:
        _save_views(dataset, record, names["result"])
    report = _report(sums, counts, record, settings)
    if not counts.stopped:
        finish(dataset, record.key, report.to_json())
    return report


def _record(key: str, prediction_field: str, truth_field: str, settings: MaskSettings) -> Record:
    key = key or settings.attributes
    attributes = [f"{settings.attributes}_{suffix}" for suffix in _SUFFIXES]
    fields = (prediction_field, truth_field)
    views = (f"{key}: false positives", f"{key}: missed")
    return Record(
        key=key,
        kind="masks",
        fields={"prediction_field": prediction_field, "truth_field": truth_field},
        settings=settings_to_json(settings),
        writes=dict.fromkeys(fields, attributes) if settings.attributes else {},
        views=views if settings.save_views else (),
    )


def _add(
    sums: _Sums,
    sample: ReadSample,
    prediction_field: str,
    truth_field: str,
    settings: MaskSettings,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Count one picture, and give what its labels are to be told, by field and label id."""
    predictions, truths = sample.objects[prediction_field], sample.objects[truth_field]
    for kept, boundary in ((sums.masks, False), (sums.boundaries, True)):
        matching = settings.matching(boundary=boundary)
        kept.append(match_image(sample.id, predictions, truths, sample.size, matching))
    many = Counter(mask.label if settings.by_class else "" for mask in predictions)
    sums.over_limit += any(n > settings.max_detections for n in many.values())
    pairing = pair_objects(
        truths, predictions, by_class=settings.by_class, min_iou=settings.match_iou
    )
    nothing = {"result": None, "iou": None, "boundary_iou": None, "match": None}
    of_truths = [dict(nothing, result=None if t.is_crowd else _MISSED) for t in truths]
    of_predictions = [
        dict(nothing, result=None if place in pairing.in_crowd else _FALSE)
        for place in range(len(predictions))
    ]
    for pair in pairing.pairs:
        truth, prediction = truths[pair.truth], predictions[pair.prediction]
        boundary_iou = boundary_iou_of(truth, prediction, sample.size, settings.dilation)
        pairs = sums.pairs.setdefault(truth.label, _Pairs())
        pairs.ious.append(pair.iou)
        pairs.boundary_ious.append(boundary_iou)
        pairs.images.append(sample.id)
        numbers: dict[str, Any] = {"result": _RIGHT, "iou": pair.iou, "boundary_iou": boundary_iou}
        of_truths[pair.truth] = {**numbers, "match": prediction.id}
        of_predictions[pair.prediction] = {**numbers, "match": truth.id}
    for mask, told in zip(truths, of_truths, strict=True):
        sums.found[mask.label] += told["result"] == _RIGHT
        sums.missed[mask.label] += told["result"] == _MISSED
    for mask, told in zip(predictions, of_predictions, strict=True):
        sums.false[mask.label] += told["result"] == _FALSE
    return {
        prediction_field: {m.id: told for m, told in zip(predictions, of_predictions, strict=True)},
        truth_field: {m.id: told for m, told in zip(truths, of_truths, strict=True)},
    }


def _save_views(dataset: Any, record: Record, attribute: str) -> None:
    from fiftyone import ViewField as F

    fields = record.fields["prediction_field"], record.fields["truth_field"]
    meanings = ("Masks without a known object.", "Known objects without a mask.")
    results = (_FALSE, _MISSED)
    for name, field_name, result, meaning in zip(
        record.views, fields, results, meanings, strict=True
    ):
        view = dataset.filter_labels(field_name, F(attribute) == result)
        save_view(dataset, name, view, f"{meaning} {fields[0]} against {fields[1]}.")


def _report(sums: _Sums, counts: Counts, record: Record, settings: MaskSettings) -> MaskReport:
    prediction_field = record.fields["prediction_field"]
    notes = counts.notes(prediction_field)
    if sums.over_limit:
        notes.append(
            f"In {sums.over_limit} pictures only the {settings.max_detections} surest masks of a "
            "class took part in AP: raise max_detections for crowded pictures."
        )
    mask = average_precision(sums.masks) if sums.masks else None
    boundary = average_precision(sums.boundaries) if sums.boundaries else None
    if mask is not None and not mask.overall.n_truths:
        notes.append("There is no known object to be found, so that there is no AP.")
    if settings.attributes:
        beginning = f"{settings.attributes}_result, {settings.attributes}_iou"
        notes.append(f"Written into the labels of both fields: {beginning} and others.")
    if record.views and not counts.stopped:
        notes.append(f"Saved views: {', '.join(record.views)}.")
    if counts.stopped:
        notes.append("Stopped: the numbers are of some pictures only, and no result is kept.")
    labels = sorted({*sums.found, *sums.missed, *sums.false, *(mask.classes if mask else ())})
    return MaskReport(
        prediction_field=prediction_field,
        truth_field=record.fields["truth_field"],
        match_iou=settings.match_iou,
        n_images=counts.samples,
        overall=_overall(sums, mask, boundary),
        classes=tuple(_row(label, sums, mask, boundary) for label in labels)
        if settings.by_class
        else (),
        ap=_interval(sums.masks),
        boundary_ap=_interval(sums.boundaries),
        notes=tuple(notes),
        written=record.writes,
        views=() if counts.stopped else record.views,
        stopped=counts.stopped,
    )


def _overall(
    sums: _Sums, mask: PrecisionReport | None, boundary: PrecisionReport | None
) -> ClassRow:
    together = _Pairs()
    for pairs in sums.pairs.values():
        together.ious.extend(pairs.ious)
        together.boundary_ious.extend(pairs.boundary_ious)
        together.images.extend(pairs.images)
    return ClassRow(
        name=ALL,
        mask=mask.overall if mask else None,
        boundary=boundary.overall if boundary else None,
        found=sums.found.total(),
        false=sums.false.total(),
        missed=sums.missed.total(),
        iou=_mean(together.ious, together.images),
        boundary_iou=_mean(together.boundary_ious, together.images),
    )


def _row(
    label: str, sums: _Sums, mask: PrecisionReport | None, boundary: PrecisionReport | None
) -> ClassRow:
    pairs = sums.pairs.get(label, _Pairs())
    return ClassRow(
        name=label,
        mask=mask.classes.get(label) if mask else None,
        boundary=boundary.classes.get(label) if boundary else None,
        found=sums.found[label],
        false=sums.false[label],
        missed=sums.missed[label],
        iou=_mean(pairs.ious, pairs.images),
        boundary_iou=_mean(pairs.boundary_ious, pairs.images),
    )


def _mean(values: "array[float]", images: list[str]) -> Estimate | None:
    return cluster_mean(values, images) if values else None


def _interval(matches: list[ImageMatches]) -> Estimate | None:
    """AP of all pictures with its interval."""
    if not matches:
        return None
    table = precision_groups(matches, [ALL] * len(matches), resamples=_RESAMPLES)
    return table.rows[0].estimate
