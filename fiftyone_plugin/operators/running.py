"""One run from its choices to its counts: what the App's forms and the command line do alike."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.labels import (
    ALL_SHOWN,
    Shown,
    check_fields,
)
from fiftyone_plugin.models import segmenter_for
from fiftyone_plugin.operators.choices import RunChoices
from fiftyone_plugin.runs import (
    Run,
    Stop,
    Tell,
    WorkReport,
    open_run,
    pictures_of,
    samples_of,
    work_on,
)
from fiftyone_plugin.sharding import run_shard
from fiftyone_plugin.values import Mode, RunConfig
from sam_plugins.ports import Segmenter

__all__ = ["check", "go_on", "perform", "report_of", "sample_ids"]


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
