"""One run from its choices to its counts: what the App's forms and the command line do alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import asked_field, run_field, status_field
from fiftyone_plugin.labels import (
    ALL_SHOWN,
    Shown,
    Visible,
    check_fields,
    fields_needed,
    identity,
    picture_size,
    read_asked,
    read_keys,
)
from fiftyone_plugin.models import segmenter_for
from fiftyone_plugin.operators.choices import RunChoices
from fiftyone_plugin.runs import (
    Memory,
    Run,
    Stop,
    Tell,
    WorkProgress,
    WorkReport,
    list_runs,
    open_run,
    pictures_of,
    samples_of,
    to_ask,
    work_on,
)
from fiftyone_plugin.sharding import run_shard
from fiftyone_plugin.values import Mode, RunConfig, Status, UnansweredObject
from sam_plugins.ports import Segmenter

__all__ = ["Estimate", "check", "count", "go_on", "perform", "report_of", "sample_ids"]

_REASONS = 5
_UNKNOWN = (1080, 1920)
"""(H, W) that stands for the size of a video whose metadata was not computed."""

_DONE = (Status.DONE.value, Status.NOTHING.value, Status.PARTIAL.value)


def sample_ids(view: Any) -> list[str]:
    """Ids of the samples of a view, in its order and each once.

    Of patches, frames and clips they are those of the samples that these are cut from.
    """
    from fiftyone.core.clips import ClipsView
    from fiftyone.core.patches import EvaluationPatchesView, PatchesView
    from fiftyone.core.video import FramesView

    cut = isinstance(view, PatchesView | EvaluationPatchesView | FramesView | ClipsView)
    return list(dict.fromkeys(view.values("sample_id" if cut else "id")))


def check(dataset: Any, config: RunConfig) -> None:
    """Refuse settings that no sample of the dataset could be worked on with.

    Raises
    ------
    FieldError
        If the fields do not fit, or the media are not what the mode is for.
    """
    pictures = pictures_of(dataset, config.mode)
    check_fields(pictures, config)
    if pictures.media_type == "video" and config.mode is not Mode.VIDEO:
        raise FieldError(
            "Expected pictures, found videos: sample their frames to files with "
            "to_frames(sample_frames=True), clone that view to a dataset and work on it."
        )


def perform(
    dataset: Any,
    ids: Sequence[str],
    choices: RunChoices,
    *,
    shown: Shown = ALL_SHOWN,
    segmenter: Segmenter | None = None,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> tuple[Run, WorkReport]:
    """Begin or continue the run of these choices, over these samples.

    Parameters
    ----------
    dataset
        Of FiftyOne.
    ids
        Of its samples.
    choices
        The filled form.
    shown
        The labels that are asked, as `labels.shown_by` gives it.
    segmenter
        The model where it is open already; by default the one that the choices name is opened.
    progress, stop
        As `work_on` takes them.

    Raises
    ------
    sam_plugins.errors.SamPluginsError
        If the fields do not fit, the model cannot be opened, or the output field is of others.
    """
    config = choices.config
    check(dataset, config)
    segmenter = segmenter or segmenter_for(config.model, config.precision)
    run = open_run(
        dataset, config, segmenter.info.model_id, overwrite=choices.overwrite, shown=shown
    )
    report = work_on(
        dataset, run, ids, segmenter, progress=progress, stop=stop, retry=choices.retry
    )
    return run, report


def go_on(
    dataset: Any,
    run: Run,
    *,
    retry: bool = False,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> WorkReport:
    """Continue a run over all samples of its dataset that show something of what it asks.

    Raises
    ------
    RunError
        If the model of that name has other weights now.
    """
    ids = samples_of(dataset, run)
    return run_shard(
        dataset.name,
        run.run_id,
        0,
        1,
        sample_ids=ids,
        retry=retry,
        progress=progress,
        stop=stop,
    )


def report_of(run: Run, report: WorkReport) -> dict[str, Any]:
    """A run's counts as JSON, for the output form and for programs."""
    return {"run_id": run.run_id, "label_field": run.config.label_field, **asdict(report)}


@dataclass(slots=True)
class Estimate:
    """What a run would find to do, counted from the labels; nothing is written.

    Parameters
    ----------
    samples
        That would be worked on.
    before
        That an equal run has done; they would be left as they are.
    failed
        That an equal run failed on; they would be left unless it is asked to retry.
    objects
        That would be asked for.
    without
        Samples that ask for nothing.
    unanswered
        Objects that cannot be asked for.
    unmeasured
        Samples whose size is unknown yet: their objects are counted when they are opened.
    reasons
        Why objects cannot be asked for, the most frequent first: sentence -> number.
    """

    samples: int = 0
    before: int = 0
    failed: int = 0
    objects: int = 0
    without: int = 0
    unanswered: int = 0
    unmeasured: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the output form takes it."""
        return {"dry_run": True, **asdict(self)}


def count(
    dataset: Any,
    ids: Sequence[str],
    choices: RunChoices,
    *,
    shown: Shown = ALL_SHOWN,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> Estimate:
    """Count what `perform` would do with these samples, and write nothing.

    Raises
    ------
    FieldError
        If the fields do not fit.
    """
    config = choices.config
    check(dataset, config)
    estimate, reasons = Estimate(), Counter[str]()
    left = _left(dataset, ids, choices, estimate)
    estimate.samples = len(left)
    if fields_needed(config):
        count_one = _count_video if config.mode is Mode.VIDEO else _count_sample
        for number, each in enumerate(to_ask(dataset, config, left, shown), 1):
            if stop is not None and stop():
                break
            count_one(*each, choices, estimate, reasons)
            if progress is not None:
                progress(_counted(number, len(left), estimate.objects))
    estimate.reasons = dict(reasons.most_common(_REASONS))
    return estimate


def _count_sample(
    sample: Any,
    memory: Memory,
    visible: Visible | None,
    choices: RunChoices,
    estimate: Estimate,
    reasons: Counter[str],
) -> None:
    size = picture_size(sample)
    if size is None:
        estimate.unmeasured += 1
        return
    asked, unanswered = read_asked(sample, size, choices.config, visible)
    objects = [each.label_ids for each in asked]
    _count_objects(objects, unanswered, memory, choices, estimate, reasons)


def _count_video(
    sample: Any,
    memory: Memory,
    visible: Visible | None,
    choices: RunChoices,
    estimate: Estimate,
    reasons: Counter[str],
) -> None:
    """As for a picture; whether labels lie in the frames is seen when the video is opened."""
    size = picture_size(sample) or _UNKNOWN
    keys, unanswered = read_keys(sample, size, choices.config, visible)
    objects: dict[tuple[str, int], list[str]] = {}
    for each in (each for asked in keys.values() for each in asked):
        objects.setdefault(identity(each), []).extend(each.label_ids)
    refused = [each for _, each in unanswered]
    _count_objects(list(objects.values()), refused, memory, choices, estimate, reasons)


def _count_objects(
    objects: Sequence[Sequence[str]],
    unanswered: Sequence[UnansweredObject],
    memory: Memory,
    choices: RunChoices,
    estimate: Estimate,
    reasons: Counter[str],
) -> None:
    """Count what was never answered, of a sample's objects as ids of their labels."""
    left = [each for each in objects if memory.is_open(each, retry=choices.retry)]
    refused = [e for e in unanswered if memory.is_open((e.prompt_id,), retry=choices.retry)]
    if memory.of_view and not left and not refused:
        estimate.samples, estimate.before = estimate.samples - 1, estimate.before + 1
        return
    estimate.objects += len(left)
    estimate.unanswered += len(refused)
    estimate.without += not left and not refused
    reasons.update(each.reason for each in refused)


def _counted(number: int, total: int, objects: int) -> WorkProgress:
    return WorkProgress(done=number, total=total, objects=objects, label="counted")


def _left(dataset: Any, ids: Sequence[str], choices: RunChoices, estimate: Estimate) -> list[str]:
    """Ids that a run of these choices would work on; the others are counted."""
    states = _states(dataset, choices.config)
    left = []
    for each in ids:
        state = states.get(each)
        if state == Status.FAILED and not choices.retry:
            estimate.failed += 1
        elif state in _DONE and not (state == Status.PARTIAL and choices.retry):
            estimate.before += 1
        else:
            left.append(each)
    return left


def _states(dataset: Any, config: RunConfig) -> Mapping[str, str]:
    """Sample id -> status, of samples that a run of equal settings has worked on as a whole.

    Those where a view hid labels are left out: there may be more to ask.
    """
    from fiftyone import ViewField

    runs = {run.run_id for run in list_runs(dataset) if run.config == config}
    if not runs:
        return {}
    names = ["id", run_field(config.label_field), status_field(config.label_field)]
    whole = ViewField(f"{asked_field(config.label_field)}.of_view") != True  # noqa: E712
    rows = zip(*pictures_of(dataset, config.mode).match(whole).values(names), strict=True)
    return {each: state for each, run, state in rows if run in runs}
