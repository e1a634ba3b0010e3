"""Starting a run, or finding it again."""

from typing import Any

from fiftyone_plugin.errors import FieldError, RunError
from fiftyone_plugin.labels import ALL_SHOWN, Shown, check_fields
from fiftyone_plugin.runs.collection import Documents, pictures_of
from fiftyone_plugin.runs.deleting import delete_run
from fiftyone_plugin.runs.frames import FrameDocuments
from fiftyone_plugin.runs.records import (
    Run,
    find_run,
    forget,
    list_runs,
    mend,
    register,
    show,
)
from fiftyone_plugin.runs.schema import declare
from fiftyone_plugin.storage import files_folder
from fiftyone_plugin.values import Mode, RunConfig

__all__ = ["open_run"]


def open_run(
    dataset: Any,
    config: RunConfig,
    model_id: str,
    *,
    overwrite: bool = False,
    shown: Shown = ALL_SHOWN,
) -> Run:
    """The run of that configuration and model: the one that is there, or a new one.

    Safe to call again after a kill at any instant, and in several processes.

    Parameters
    ----------
    dataset
        A FiftyOne dataset; not a view.
    config, model_id
        What decides what is written.
    overwrite
        Consent to replace what the field holds: another run on it is deleted at once, with its
        labels and files; labels of others are replaced in each sample that is worked on.
    shown
        What a view shows, as `labels.shown_by` gives it: no other labels are asked from now on.
        Masks of labels that were asked before stay.

    Raises
    ------
    RunError
        If the field belongs to another run.
    FieldError
        If the field holds labels of others, or fields to read are missing or of another kind.
    """
    run_id = config.run_id(model_id)
    mend(dataset)
    others = []
    for run in list_runs(dataset):
        if run.run_id == run_id:
            declare(dataset, run)
            return show(dataset, run, shown)
        if run.config.label_field == config.label_field:
            others.append(run)
    _check_media(dataset, config)
    check_fields(pictures_of(dataset, config.mode), config)
    if others and not overwrite:
        raise RunError(_differs(others[0], config, model_id))
    for run in others:
        delete_run(dataset, run.run_id)
    video = config.mode is Mode.VIDEO
    has_field = dataset.has_frame_field if video else dataset.has_sample_field
    created = not has_field(config.label_field)
    documents = FrameDocuments(dataset) if video else Documents(dataset)
    if not created and not overwrite and (held := documents.labelled(config.label_field)):
        raise FieldError(
            f"Expected the field {config.label_field!r} to be free, found labels in it in {held} "
            "samples: choose another name, or agree to overwrite them."
        )
    run = Run(
        run_id=run_id,
        dataset_name=dataset.name,
        config=config,
        model_id=model_id,
        folder=str(files_folder(dataset, config.label_field, config.folder)),
        replaces=overwrite and not created,
        created=created,
        shown=shown,
    )
    register(dataset, run)
    # Somebody may have begun it over another view in the same instant.
    run = show(dataset, find_run(dataset, run_id), shown)
    for rival in list_runs(dataset):
        if rival.config.label_field == config.label_field and rival.run_id != run_id:
            # Somebody else has begun another run on the field in the same instant.
            forget(dataset, run_id)
            raise RunError(_differs(rival, config, model_id))
    declare(dataset, run)
    return run


def _check_media(dataset: Any, config: RunConfig) -> None:
    if config.mode is not Mode.VIDEO and dataset.media_type == "video":
        raise FieldError(
            "Expected pictures, found a dataset of videos: follow objects through them, or sample "
            "the frames to files with to_frames(sample_frames=True), clone that view to a dataset "
            "and work on it."
        )


def _differs(other: Run, config: RunConfig, model_id: str) -> str:
    before, now = other.config.to_json(), config.to_json()
    changes = [
        f"{name} is {now[name]!r} and was {before[name]!r}"
        for name in now
        if now[name] != before[name]
    ]
    if other.model_id != model_id:
        changes.append("the weights are others")
    return (
        f"Expected the settings of the run {other.run_id}, which owns the field "
        f"{config.label_field!r}, found others: {'; '.join(changes)}. Changed settings are a new "
        "run: name another field, delete that run, or agree to overwrite it."
    )
