"""`evaluate_prompts`: how well a model answers one click on, and the box of, each known object."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.evaluating.mask_report import (
    estimate_to_json,
    interval,
    markdown_table,
    number,
)
from fiftyone_plugin.evaluating.reading import Counts, Document, Source, open_source, read_objects
from fiftyone_plugin.evaluating.records import (
    Record,
    attributes_of_others,
    begin,
    check_attributes,
    check_key,
    finish,
)
from fiftyone_plugin.evaluating.settings import ClickSettings, settings_to_json
from fiftyone_plugin.quality import declare, write_attributes
from fiftyone_plugin.runs import Stop, Tell, WorkProgress
from fiftyone_plugin.runs.loading import sentence
from sam_plugins import load_image
from sam_plugins.errors import ModelError, SamPluginsError
from sam_plugins.evaluation import (
    Estimate,
    KnownImage,
    ObjectScore,
    Target,
    cluster_mean,
    score_objects,
)
from sam_plugins.ports import Segmenter

__all__ = ["ClickReport", "KnownObject", "PromptRow", "evaluate_prompts", "iter_scores"]

_PROMPTS = ("click", "box")
_COLUMNS = ("class", "prompt", "objects", "pictures", "IoU", "95 % interval", "best of answers")
_MOST_REASONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownObject:
    """What a model made of one known object.

    Parameters
    ----------
    sample_id, label_id
        Which object.
    name
        Its class.
    prompt
        "click" or "box".
    iou
        Of the answer that the model trusts most.
    oracle
        Of the best of its answers; None if it gave one only.
    """

    sample_id: str
    label_id: str
    name: str
    prompt: str
    iou: float
    oracle: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRow:
    """The mean of one class, or of all, for one prompt."""

    name: str
    prompt: str
    estimate: Estimate
    oracle: float | None


@dataclass(slots=True, kw_only=True)
class ClickReport:
    """How well a model answers.

    Parameters
    ----------
    model
        Name and content hash of the model.
    truth_field
        What it was measured against.
    objects
        Two for each known object, or one where the model takes one prompt only.
    notes
        What else has to be said.
    failed
        Pictures that could not be asked about, by the reason.
    written
        Names of attributes that were written.
    stopped
        Whether it was stopped before its end.
    """

    model: tuple[str, str]
    truth_field: str
    objects: list[KnownObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    written: Sequence[str] = ()
    stopped: bool = False

    @property
    def rows(self) -> list[PromptRow]:
        """All together and each class, by prompt."""
        rows = []
        for prompt in _PROMPTS:
            asked = [each for each in self.objects if each.prompt == prompt]
            if asked:
                rows.append(_row("all", prompt, asked))
        names = sorted({each.name for each in self.objects})
        for name in names if len(names) > 1 else ():
            for prompt in _PROMPTS:
                asked = [o for o in self.objects if o.prompt == prompt and o.name == name]
                if asked:
                    rows.append(_row(name, prompt, asked))
        return rows

    def to_markdown(self) -> str:
        """The table."""
        lines = [
            [
                row.name or "(no class)",
                row.prompt,
                str(row.estimate.n_objects),
                str(row.estimate.n_clusters),
                number(row.estimate.mean),
                interval(row.estimate),
                number(row.oracle),
            ]
            for row in self.rows
        ]
        return markdown_table(_COLUMNS, lines)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "model": self.model[0],
            "model_id": self.model[1],
            "truth_field": self.truth_field,
            "rows": [
                {
                    "class": row.name,
                    "prompt": row.prompt,
                    **(estimate_to_json(row.estimate) or {}),
                    "oracle": row.oracle,
                }
                for row in self.rows
            ],
            "failed": dict(self.failed),
            "notes": list(self.notes),
            "written": list(self.written),
            "stopped": self.stopped,
            "sentences": list(self.sentences),
            "markdown": self.to_markdown(),
        }

    @property
    def sentences(self) -> list[str]:
        """What came out, in words."""
        said = []
        for row in self.rows[: len(_PROMPTS)]:
            if row.name == "all":
                what = "one click on" if row.prompt == "click" else "the box of"
                ends = interval(row.estimate)
                told = f"95 % interval {ends}" if ends != "–" else "no interval: too few pictures"
                said.append(
                    f"{self.model[0]} asked with {what} each of {row.estimate.n_objects} known "
                    f"objects: mean IoU {number(row.estimate.mean)} ({told})."
                )
        if not said:
            said.append(f"There is no known object in {self.truth_field} to ask about.")
        for reason, times in self.failed.most_common(_MOST_REASONS):
            said.append(f"{times} pictures could not be asked about: {reason}")
        return said + self.notes


def evaluate_prompts(
    collection: Any,
    truth_field: str,
    segmenter: Segmenter,
    settings: ClickSettings | None = None,
    *,
    key: str = "",
    overwrite: bool = False,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> ClickReport:
    """Ask a model about every known object, with one click at its centre and with its box.

    A picture that fails costs no other. With `ClickSettings.attributes`, say "nano", the known
    labels get ``nano_click_iou``, ``nano_click_oracle`` (the best of the model's answers) and
    ``nano_box_iou``.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view of pictures; as in `evaluate_masks`.
    truth_field
        Detections with masks. Crowds and masks without a pixel are not asked about.
    segmenter
        The model.
    settings
        None takes `ClickSettings()`.
    key, overwrite
        As in `evaluate_masks`.
    progress, stop
        Called and asked between pictures. After a stop no result is kept.

    Raises
    ------
    FieldError, RunError
        If the field is not what it must be, or a name is taken.
    ModelError
        If the model takes neither points nor boxes.
    """
    settings = settings or ClickSettings()
    if not {"points", "box"} & set(segmenter.info.prompt_kinds):
        raise ModelError(
            f"{segmenter.info.name} takes {segmenter.info.prompt_kinds}: a model that takes points "
            "or boxes is needed."
        )
    source = open_source(collection, [truth_field])
    record = _record(key, truth_field, segmenter, settings)
    check_key(source.dataset, record.key, record.kind, overwrite=overwrite)
    check_attributes(source.dataset, record.key, record.writes, overwrite=overwrite)
    record = replace(record, found=attributes_of_others(source.dataset, record.writes))
    names = tuple(record.writes.get(truth_field, ()))
    if names:
        declare(source.dataset, truth_field, dict.fromkeys(names, float))
    begin(source.dataset, record)
    report = ClickReport(
        model=(segmenter.info.name, segmenter.info.model_id), truth_field=truth_field, written=names
    )
    for sample_id, scores in iter_scores(
        source, segmenter, settings, report, progress=progress, stop=stop
    ):
        report.objects += scores
        if names:
            values: dict[str, dict[str, float | None]] = {}
            for each in scores:
                of_label = values.setdefault(each.label_id, dict.fromkeys(names))
                of_label[f"{settings.attributes}_{each.prompt}_iou"] = each.iou
                if each.prompt == "click":
                    of_label[f"{settings.attributes}_click_oracle"] = each.oracle
            write_attributes(source.dataset, truth_field, {sample_id: values})
    if names:
        report.notes.append(f"Written into the labels of {truth_field}: {', '.join(names)}.")
    if report.stopped:
        report.notes.append(
            "Stopped: the numbers are of some pictures only, and no result is kept."
        )
    else:
        finish(source.dataset, record.key, report.to_json())
    return report


def iter_scores(
    source: Source,
    segmenter: Segmenter,
    settings: ClickSettings,
    report: ClickReport,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> Iterator[tuple[str, list[KnownObject]]]:
    """The scores of one picture after another, as (sample id, list of `KnownObject`).

    Failures, notes and a stop are added to the report.
    """
    from bson import ObjectId

    counts = Counts()
    (truth_field,) = source.fields
    objects, total = 0, len(source.ids)
    for done, sample_id in enumerate(source.ids):
        if stop is not None and stop():
            report.stopped = True
            break
        if progress is not None:
            progress(WorkProgress(done=done, total=total, objects=objects, label="Asking"))
        document = source.dataset._sample_collection.find_one(
            {"_id": ObjectId(sample_id)}, {"filepath": 1, truth_field: 1}
        )
        if document is None:
            continue
        try:
            scores = _asked(document, source, segmenter, settings, counts)
        except Exception as error:
            report.failed[sentence(error)] += 1
            continue
        objects += len({each.label_id for each in scores})
        yield sample_id, scores
    else:
        if progress is not None:
            progress(WorkProgress(done=total, total=total, objects=objects, label="Asking"))
    report.notes += counts.notes()


def _record(key: str, truth_field: str, segmenter: Segmenter, settings: ClickSettings) -> Record:
    prefix = settings.attributes
    names = [f"{prefix}_{what}" for what in ("click_iou", "click_oracle", "box_iou")]
    info = segmenter.info
    return Record(
        key=key or prefix,
        kind="prompts",
        fields={"truth_field": truth_field},
        settings={
            **settings_to_json(settings),
            "model": info.name,
            "model_id": info.model_id,
        },
        writes={truth_field: names} if prefix else {},
    )


def _asked(
    document: Document,
    source: Source,
    segmenter: Segmenter,
    settings: ClickSettings,
    counts: Counts,
) -> list[KnownObject]:
    (truth_field,) = source.fields
    try:
        image = load_image(document["filepath"])
    except SamPluginsError as error:
        raise SampleError(f"The picture cannot be read. {error}") from error
    size = (image.shape[0], image.shape[1])
    known, _ = read_objects(document, truth_field, size, counts, source.shown.get(truth_field))
    asked = [mask for mask in known if not mask.is_crowd and mask.crop.any()]
    names = {mask.id: mask.label for mask in asked}
    picture = KnownImage(
        id=str(document["_id"]),
        image=image,
        targets=[Target.of(mask.id, mask.crop, mask.box) for mask in asked],
    )
    scores = _only(segmenter, picture, settings)
    return [
        KnownObject(
            sample_id=picture.id,
            label_id=str(score.label),
            name=names[str(score.label)],
            prompt=score.prompt,
            iou=score.iou,
            oracle=score.oracle,
        )
        for score in scores
    ]


def _only(
    segmenter: Segmenter, picture: KnownImage, settings: ClickSettings
) -> Sequence[ObjectScore]:
    """The scores of one picture; an error ends the core's generator, so that each has its own."""
    (scores,) = score_objects(
        segmenter,
        [picture],
        max_objects_per_image=settings.max_objects or None,
        min_area=settings.min_area,
        seed=settings.seed,
    )
    return scores


def _row(name: str, prompt: str, asked: Sequence[KnownObject]) -> PromptRow:
    best = [each.iou if each.oracle is None else each.oracle for each in asked]
    several = any(each.oracle is not None for each in asked)
    return PromptRow(
        name=name,
        prompt=prompt,
        estimate=cluster_mean([o.iou for o in asked], [o.sample_id for o in asked]),
        oracle=sum(best) / len(best) if several else None,
    )
