"""`find_label_mistakes`: known labels that a model contradicts, with reasons, worst first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fiftyone_plugin.evaluating.reading import Counts, ReadSample, open_source
from fiftyone_plugin.evaluating.records import (
    Record,
    attributes_of_others,
    begin,
    check_attributes,
    check_key,
    finish,
    list_evaluations,
)
from fiftyone_plugin.evaluating.settings import settings_to_json
from fiftyone_plugin.fields import (
    MISTAKE_REASON,
    MISTAKE_SCORE,
    MISTAKE_WITH,
    MISTAKES,
    PROMPT_ID,
    REVIEW,
)
from fiftyone_plugin.quality import check_view_names, declare, save_view, write_attributes
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.evaluation import Mistake, MistakeKind, MistakeSettings, find_mistakes

__all__ = ["MEANINGS", "MistakeReport", "find_label_mistakes", "mistakes_key"]

MEANINGS: dict[MistakeKind, str] = {
    "does not fit": "The model is sure of another outline than the label's.",
    "missing": "The model is sure of an object where no label is.",
    "spurious": "The model finds nothing where a label is.",
    "other label": "The model names an object otherwise than its label.",
    "double": "Two labels seem to lie on one object.",
}
"""Every kind in a sentence."""

_WRITTEN: dict[str, type] = {
    MISTAKES: list,
    MISTAKE_REASON: str,
    MISTAKE_SCORE: float,
    MISTAKE_WITH: str,
}


@dataclass(slots=True, kw_only=True)
class MistakeReport:
    """What seems wrong with the labels of a field.

    Parameters
    ----------
    truth_field, prediction_field
        What was compared.
    samples, objects
        Pictures, and known labels in them.
    mistakes
        How many of each kind.
    by_prompt
        Pairs that are known because a label asked for its mask.
    views
        Names of the saved views, of which the first holds all.
    notes
        What else has to be said.
    stopped
        Whether it was stopped before its end.
    """

    truth_field: str
    prediction_field: str
    samples: int = 0
    objects: int = 0
    mistakes: Counter[MistakeKind] = field(default_factory=Counter)
    by_prompt: int = 0
    views: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    stopped: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "truth_field": self.truth_field,
            "prediction_field": self.prediction_field,
            "samples": self.samples,
            "objects": self.objects,
            "mistakes": {kind: self.mistakes[kind] for kind in MEANINGS},
            "pairs_by_prompt": self.by_prompt,
            "views": list(self.views),
            "notes": list(self.notes),
            "stopped": self.stopped,
            "sentences": list(self.sentences),
        }

    @property
    def sentences(self) -> list[str]:
        """What came out, in words."""
        said = [
            f"{self.objects} labels of {self.truth_field} in {self.samples} pictures were compared "
            f"with {self.prediction_field}. These are reasons to look, not corrections."
        ]
        said += [f"{n} x {kind}: {MEANINGS[kind]}" for kind, n in self.mistakes.most_common()]
        if not self.mistakes:
            said.append("Nothing speaks against the labels.")
        if self.by_prompt:
            said.append(f"{self.by_prompt} labels were compared with the masks they had asked for.")
        if self.views:
            said.append(f"Saved views, worst first: {', '.join(self.views)}.")
        return said + self.notes


def mistakes_key(truth_field: str) -> str:
    """Name of the run that keeps what was found in a field."""
    return "mistakes_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in truth_field)


def find_label_mistakes(
    collection: Any,
    truth_field: str,
    prediction_field: str,
    settings: MistakeSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> MistakeReport:
    """Write into labels what seems wrong with them, and save views of it, worst first.

    The labels of both fields get `mistakes` (kinds in plain words), `mistake_reason`,
    `mistake_score` and `mistake_with`; of the predictions only those that no label has. Where the
    predictions were made from these very labels, each is compared with its own, else by IoU.
    Finding mistakes again, with the same or another field of predictions, replaces what was found
    before in these pictures, and nothing else.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view of pictures; as in `evaluate_masks`.
    truth_field
        Detections with masks: the labels in question.
    prediction_field
        Detections with masks and their confidence.
    settings
        From when on something is named; None takes the core's.
    overwrite
        Attributes of these names that somebody else made may be replaced.
    progress, stop
        Called and asked between batches. After a stop no view is saved.

    Raises
    ------
    FieldError, RunError
        If a field is not what it must be, or a name is taken.
    """
    settings = settings or MistakeSettings()
    source = open_source(collection, [truth_field, prediction_field])
    dataset = source.dataset
    record = _record(dataset, truth_field, prediction_field, settings)
    check_key(dataset, record.key, record.kind, overwrite=overwrite)
    check_attributes(dataset, "", _not_ours(dataset, record), overwrite=overwrite)
    check_view_names(dataset, record.views)
    record = replace(record, found=attributes_of_others(dataset, record.writes))
    for name in source.fields:
        declare(dataset, name, {**_WRITTEN, REVIEW: str})
    begin(dataset, record)
    counts = Counts()
    report = MistakeReport(truth_field=truth_field, prediction_field=prediction_field)
    for batch in source.read(counts, label="Looking for mistakes", progress=progress, stop=stop):
        written: dict[str, dict[str, Any]] = {name: {} for name in source.fields}
        for sample in batch:
            for name, labels in _found(sample, report, settings).items():
                written[name][sample.id] = labels
        for name in source.fields:
            write_attributes(dataset, name, written[name])
    report.samples, report.stopped = counts.samples, counts.stopped
    report.notes += counts.notes(prediction_field)
    if counts.stopped:
        report.notes.append("Stopped: only some pictures were compared, and no view is saved.")
        return report
    report.views = record.views
    _save_views(dataset, truth_field, prediction_field, record.views)
    finish(dataset, record.key, report.to_json())
    return report


def _record(
    dataset: Any, truth_field: str, prediction_field: str, settings: MistakeSettings
) -> Record:
    key = mistakes_key(truth_field)
    written = {truth_field, prediction_field}
    for before in list_evaluations(dataset):
        if before.key == key:  # what it wrote into another field of predictions is still its own
            written |= set(before.writes)
    return Record(
        key=key,
        kind="mistakes",
        fields={"truth_field": truth_field, "prediction_field": prediction_field},
        settings=settings_to_json(settings),
        writes={name: list(_WRITTEN) for name in sorted(written)},
        views=(_view_name(truth_field), *(_view_name(truth_field, kind) for kind in MEANINGS)),
    )


def _not_ours(dataset: Any, record: Record) -> Mapping[str, Sequence[str]]:
    """The fields of a record whose attributes no search for mistakes has written."""
    ours = {
        name
        for before in list_evaluations(dataset)
        if before.kind == record.kind
        for name in before.writes
    }
    return {name: names for name, names in record.writes.items() if name not in ours}


def _view_name(truth_field: str, kind: MistakeKind | None = None) -> str:
    return f"{truth_field}: mistakes" + (f", {kind}" if kind else "")


def _found(
    sample: ReadSample, report: MistakeReport, settings: MistakeSettings
) -> dict[str, dict[str, dict[str, Any]]]:
    """What the labels of one picture are to be told, by field and label id."""
    truths = sample.objects[report.truth_field]
    predictions = sample.objects[report.prediction_field]
    pairs = _pairs_by_prompt(sample, report)
    report.objects += len(truths)
    report.by_prompt += len(pairs or ())
    found = find_mistakes(truths, predictions, pairs=pairs, settings=settings)
    of_truths: dict[str, list[Mistake]] = {mask.id: [] for mask in truths}
    of_predictions: dict[str, list[Mistake]] = {mask.id: [] for mask in predictions}
    for mistake in found:
        report.mistakes[mistake.kind] += 1
        if mistake.truth is None:
            if mistake.prediction is not None:
                of_predictions[predictions[mistake.prediction].id].append(mistake)
            continue
        places = [mistake.truth]
        if mistake.other_truth is not None:
            places.append(mistake.other_truth)
        for place in places:
            of_truths[truths[place].id].append(mistake)
    return {
        report.truth_field: _told(of_truths, report.prediction_field),
        report.prediction_field: _told(of_predictions, report.truth_field),
    }


def _pairs_by_prompt(sample: ReadSample, report: MistakeReport) -> list[tuple[int, int]] | None:
    """Pairs of labels and the masks that they asked for; None if none did."""
    places = {mask.id: n for n, mask in enumerate(sample.objects[report.truth_field])}
    pairs, taken = [], set()
    for n, label in enumerate(sample.labels[report.prediction_field]):
        truth = places.get(str(label.get(PROMPT_ID)))
        if truth is not None and truth not in taken:
            taken.add(truth)
            pairs.append((truth, n))
    return pairs or None


def _told(mistakes: Mapping[str, Sequence[Mistake]], other_field: str) -> dict[str, Any]:
    """Attributes by label id: empty ones too, which take back what was found before."""
    told: dict[str, Any] = {}
    for label_id, found in mistakes.items():
        told[label_id] = {
            MISTAKES: list(dict.fromkeys(mistake.kind for mistake in found)),
            MISTAKE_REASON: " ".join(mistake.reason for mistake in found) or None,
            MISTAKE_SCORE: max((mistake.score for mistake in found), default=None),
            MISTAKE_WITH: other_field if found else None,
        }
    return told


def _save_views(
    dataset: Any, truth_field: str, prediction_field: str, names: Sequence[str]
) -> None:
    """One view of all, and one of each kind; labels that somebody rejects leave them."""
    from fiftyone import ViewField as F

    about = f"{truth_field} compared with {prediction_field}."
    kinds: list[MistakeKind | None] = [None, *MEANINGS]
    for name, kind in zip(names, kinds, strict=True):
        shown = F(MISTAKES).length() > 0 if kind is None else F(MISTAKES).contains(kind)
        shown = shown & (F(REVIEW) != "rejected")
        view = dataset.view()
        for each, other in ((truth_field, prediction_field), (prediction_field, truth_field)):
            view = view.filter_labels(each, shown & (F(MISTAKE_WITH) == other), only_matches=False)
        some = [F(f"{each}.detections").length() > 0 for each in (truth_field, prediction_field)]
        worst = [
            there.if_else(F(f"{each}.detections").map(F(MISTAKE_SCORE)), [])
            for each, there in zip((truth_field, prediction_field), some, strict=True)
        ]
        view = view.match(some[0] | some[1])
        view = view.sort_by(worst[0].extend(worst[1]).max(), reverse=True)
        meaning = MEANINGS[kind] if kind else "Labels that a model contradicts, worst first."
        save_view(dataset, name, view, f"{meaning} {about}")
