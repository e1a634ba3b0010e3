"""`compare_groups`: for whom, or for what, is it worse? Any number by any field, with intervals."""

from collections.abc import Callable, Sequence
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.evaluating.group_report import GroupReport
from fiftyone_plugin.evaluating.grouping import (
    NO_VALUE,
    Grouping,
    Groups,
    grouping_of,
    name_groups,
    values_of,
)
from fiftyone_plugin.evaluating.measures import (
    OF_MODELS,
    OF_PAIRS,
    OF_PICTURES,
    Measured,
    measure_attribute,
    measure_model,
    measure_pairs,
    measure_pictures,
)
from fiftyone_plugin.evaluating.records import Record, begin, check_key, finish
from fiftyone_plugin.evaluating.settings import (
    ClickSettings,
    GroupSettings,
    MaskSettings,
    settings_to_json,
)
from fiftyone_plugin.quality import check_detections, root_of
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.evaluation import GroupTable, group_table, precision_groups
from sam_plugins.ports import Segmenter

__all__ = ["compare_groups"]

_PREDICTED_IOU = "predicted_iou"
_DRAWS_OF_AP = 1000

Table = Callable[[Sequence[str], str | None, float], GroupTable]
"""``table(groups, reference, confidence)``: the core's, of one name for each object."""


def compare_groups(
    collection: Any,
    label_field: str,
    by: str,
    measure: str,
    settings: GroupSettings | None = None,
    *,
    prediction_field: str = "",
    segmenter: Segmenter | None = None,
    matching: MaskSettings | None = None,
    asking: ClickSettings | None = None,
    key: str = "",
    overwrite: bool = False,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> GroupReport:
    """Compare a number between groups of objects, and claim only what intervals allow.

    Objects without a value to group by are a group of their own; objects without the number are
    left out, and counted in the notes. Where values are lists, as tags are, each is compared with
    the objects that do not have it.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view of pictures; as in `evaluate_masks`.
    label_field
        Detections: the objects. For IoU and AP, the known ones.
    by
        A field of samples ("tags", "weather.label"), or an attribute of the labels
        ("<label_field>.label", "<label_field>.detections.<attribute>"). Numbers are cut into groups
        of about equal size.
    measure
        A key of `WORDS`; "predicted_iou", which is the confidence; or any number of the labels.
    settings
        None takes `GroupSettings()`.
    prediction_field
        The masks to compare with, where the measure needs them.
    segmenter
        The model to ask, where the measure needs one.
    matching, asking
        How masks are paired, and how a model is asked.
    key, overwrite
        As in `evaluate_masks`.
    progress, stop
        Called and asked between batches. After a stop there is no table.

    Raises
    ------
    FieldError, RunError
        If a field is not what it must be, there is nothing to compare, or a name is taken.
    sam_plugins.errors.DatasetError
        If the reference is no group.
    """
    settings = settings or GroupSettings()
    dataset = root_of(collection)
    check_detections(dataset, label_field)
    grouping = grouping_of(dataset, label_field, by)
    record = Record(
        key=key,
        kind="groups",
        fields={"label_field": label_field, "prediction_field": prediction_field},
        settings={**settings_to_json(settings), "by": by, "measure": measure},
    )
    check_key(dataset, key, record.kind, overwrite=overwrite)
    matching, asking = matching or MaskSettings(), asking or ClickSettings()
    if measure in OF_PAIRS | OF_PICTURES and not prediction_field:
        raise FieldError(f"Expected a field of masks to measure {measure} of, found none: name it.")
    if measure in OF_PICTURES:
        if grouping.attribute:
            raise FieldError(
                f"Expected a field of the samples to compare {measure} by, found {by!r}, an "
                "attribute of labels: a mask that finds nothing has none. Group by a field of "
                "samples, or measure iou or found."
            )
        measured = measure_pictures(
            collection,
            label_field,
            prediction_field,
            measure,
            matching,
            progress=progress,
            stop=stop,
        )
    elif measure in OF_PAIRS:
        measured = measure_pairs(
            collection,
            label_field,
            prediction_field,
            measure,
            grouping,
            matching,
            progress=progress,
            stop=stop,
        )
    elif measure in OF_MODELS:
        if segmenter is None:
            raise FieldError(f"Expected a model to measure {measure} of, found none: name it.")
        measured = measure_model(
            collection,
            label_field,
            segmenter,
            measure,
            grouping,
            asking,
            progress=progress,
            stop=stop,
        )
    else:
        attribute = "confidence" if measure == _PREDICTED_IOU else measure
        measured = measure_attribute(collection, label_field, attribute, grouping)
    if measured.stopped:
        return GroupReport(
            label_field=label_field,
            measure=measure,
            by=by,
            table=None,
            notes=("Stopped: there is no table of some pictures only.",),
            stopped=True,
        )
    report = _report(dataset, label_field, by, measure, grouping, measured, settings)
    begin(dataset, record)
    finish(dataset, key, report.to_json())
    return report


def _report(
    dataset: Any,
    label_field: str,
    by: str,
    measure: str,
    grouping: Grouping,
    measured: Measured,
    settings: GroupSettings,
) -> GroupReport:
    notes = list(measured.notes)
    of_pictures = bool(measured.matches)
    kept = _known(measured, of_pictures)
    if not kept:
        raise FieldError(
            f"Expected objects in {label_field} with a number for {measure}, found none: choose "
            "another field, measure or view."
        )
    if left := len(measured.sample_ids) - len(kept):
        notes.append(f"{left} objects have no {measure}: left out.")
    ids = [measured.sample_ids[place] for place in kept]
    if grouping.attribute:
        values = [measured.attributes[place] for place in kept]
    else:
        values = values_of(dataset, grouping.path, ids)
    groups = name_groups(
        values, ids, of_samples=not grouping.attribute, bins=settings.bins, path=by
    )
    if missing := sum(NO_VALUE in names for names in groups.names):
        what = "pictures" if of_pictures else "objects"
        notes.append(f"{missing} {what} have no value of {by}: they are the group {NO_VALUE!r}.")
    if of_pictures:
        table = _precision(measured, measure, settings)
    else:
        numbers = [measured.values[place] or 0.0 for place in kept]
        table = _means(numbers, ids, settings)
    made = (
        _several(table, groups, settings, notes)
        if groups.several
        else _single(table, groups, settings)
    )
    return GroupReport(
        label_field=label_field, measure=measure, by=by, table=made, notes=tuple(notes)
    )


def _known(measured: Measured, of_pictures: bool) -> list[int]:
    """Places of what has a number."""
    if of_pictures:
        return list(range(len(measured.matches)))
    return [n for n, value in enumerate(measured.values) if value is not None and value == value]


def _means(numbers: Sequence[float], images: Sequence[str], settings: GroupSettings) -> Table:
    def table(groups: Sequence[str], reference: str | None, confidence: float) -> GroupTable:
        return group_table(
            numbers,
            groups,
            images,
            reference=reference,
            min_images=settings.min_images,
            confidence=confidence,
            resamples=settings.resamples,
            seed=settings.seed,
        )

    return table


def _precision(measured: Measured, measure: str, settings: GroupSettings) -> Table:
    threshold = {"ap50": 0.5, "ap75": 0.75}.get(measure)

    def table(groups: Sequence[str], reference: str | None, confidence: float) -> GroupTable:
        return precision_groups(
            measured.matches,
            groups,
            reference=reference,
            iou_threshold=threshold,
            min_images=settings.min_images,
            confidence=confidence,
            resamples=min(settings.resamples, _DRAWS_OF_AP),
            seed=settings.seed,
        )

    return table


def _single(table: Table, groups: Groups, settings: GroupSettings) -> GroupTable:
    names = [each[0] for each in groups.names]
    return table(names, settings.reference or None, settings.confidence)


def _several(table: Table, groups: Groups, settings: GroupSettings, notes: list[str]) -> GroupTable:
    """A row for each value of lists: with it against without it, at one confidence for all."""
    if settings.reference:
        raise FieldError(
            "Expected no reference, for values are lists and an object can be in several groups, "
            f"found {settings.reference!r}: leave it out."
        )
    names = sorted({name for each in groups.names for name in each})
    confidence = 1 - (1 - settings.confidence) / len(names)
    rows = []
    for name in names:
        parts = [name if name in each else f"without {name}" for each in groups.names]
        rows += [row for row in table(parts, None, confidence).rows if row.group == name]
    if len(names) > 1:
        notes.append(
            "An object can be in several groups: each is compared with the objects outside it, "
            f"with intervals of {100 * confidence:.4g} %, so that all {len(names)} together hold "
            f"at {100 * settings.confidence:g} %."
        )
    return GroupTable(
        rows=tuple(rows), against="the rest", confidence=confidence, n_comparisons=len(names)
    )
