"""One run from its choices to its counts: what the App's forms and the command line do alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import run_field, status_field
from fiftyone_plugin.labels import (
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
    Run,
    Stop,
    Tell,
    WorkProgress,
    WorkReport,
    list_runs,
    open_run,
    pictures_of,
    work_on,
)
from fiftyone_plugin.sharding import run_shard
from fiftyone_plugin.values import Mode, RunConfig, Status
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
    run = open_run(dataset, config, segmenter.info.model_id, overwrite=choices.overwrite)
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
    """Continue a run over all samples of its dataset.

    Raises
    ------
    RunError
        If the model of that name has other weights now.
    """
    ids = sample_ids(pictures_of(dataset, run.config.mode))
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
        view = pictures_of(dataset, config.mode).select(left).select_fields(fields_needed(config))
        for number, sample in enumerate(view, 1):
            if stop is not None and stop():
                break
            if config.mode is Mode.VIDEO:
                _count_video(sample, config, estimate, reasons)
            else:
                _count_sample(sample, config, estimate, reasons)
            if progress is not None:
                progress(_counted(number, len(left), estimate.objects))
    estimate.reasons = dict(reasons.most_common(_REASONS))
    return estimate


def _count_sample(
    sample: Any, config: RunConfig, estimate: Estimate, reasons: Counter[str]
) -> None:
    size = picture_size(sample)
    if size is None:
        estimate.unmeasured += 1
        return
    asked, unanswered = read_asked(sample, size, config)
    estimate.objects += len(asked)
    estimate.unanswered += len(unanswered)
    estimate.without += not asked and not unanswered
    reasons.update(each.reason for each in unanswered)


def _count_video(sample: Any, config: RunConfig, estimate: Estimate, reasons: Counter[str]) -> None:
    """As for a picture; whether labels lie in the frames is seen when the video is opened."""
    size = picture_size(sample) or _UNKNOWN
    keys, unanswered = read_keys(sample, size, config)
    objects = {identity(each) for asked in keys.values() for each in asked}
    estimate.objects += len(objects)
    estimate.unanswered += len(unanswered)
    estimate.without += not objects and not unanswered
    reasons.update(each.reason for _, each in unanswered)


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
    """Sample id -> status, of samples that a run of equal settings has worked on."""
    runs = {run.run_id for run in list_runs(dataset) if run.config == config}
    if not runs:
        return {}
    names = ["id", run_field(config.label_field), status_field(config.label_field)]
    rows = zip(*pictures_of(dataset, config.mode).values(names), strict=True)
    return {each: state for each, run, state in rows if run in runs}
