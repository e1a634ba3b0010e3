"""The record of a run: its configuration and the model's hash, kept as a FiftyOne run.

A run owns its field. The record is looked up by name; the name follows from what the record holds,
so the same command finds its own run again, in any process and after any accident.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fiftyone_plugin.errors import FieldError, RunError
from fiftyone_plugin.labels import ALL_SHOWN, Shown
from fiftyone_plugin.storage import MaskFiles, is_slug
from fiftyone_plugin.values import RunConfig

__all__ = ["METHOD", "Run", "find_run", "forget", "list_runs", "mend", "register", "show"]

METHOD = "sam_plugins"
"""What FiftyOne's runs of ours say they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run on one dataset.

    Parameters
    ----------
    run_id
        Its name: `config.run_id(model_id)`.
    dataset_name
        Of the dataset.
    config
        What is done.
    model_id
        Content hash of the model that does it.
    folder
        Absolute path of the folder for masks that become files.
    replaces
        Whether labels that others left in the field may be replaced, sample by sample.
    created
        Whether the field did not exist before.
    shown
        The labels that are asked: those of the view that the run was last begun over. It is no
        part of the name, so that the same settings go on in the same field over another view.
    """

    run_id: str
    dataset_name: str
    config: RunConfig
    model_id: str
    folder: str
    replaces: bool = False
    created: bool = True
    shown: Shown = ALL_SHOWN

    @property
    def files(self) -> MaskFiles:
        """The run's masks that are files."""
        return MaskFiles(Path(self.folder), self.run_id)


def list_runs(dataset: Any) -> list[Run]:
    """The runs of this adapter on a dataset, by name.

    Records that this version cannot read are left out; `find_run` says what is wrong with one.
    """
    dataset.reload()
    found = []
    for key in dataset.list_runs(method=METHOD):
        try:
            found.append(_read(dataset, key))
        except RunError:
            continue
    return found


def find_run(dataset: Any, run_id: str) -> Run:
    """The run of that name.

    Raises
    ------
    RunError
        If there is none, or its record is damaged.
    """
    dataset.reload()
    names = dataset.list_runs(method=METHOD)
    if run_id not in names:
        there = ", ".join(names) or "none"
        raise RunError(
            f"Expected a run {run_id!r} on the dataset {dataset.name!r}, found {there}: start one, "
            "or name one of these."
        )
    return _read(dataset, run_id)


def register(dataset: Any, run: Run) -> None:
    """Write a record; nothing happens where it is there already."""
    dataset.reload()
    if run.run_id in dataset.list_runs():
        return
    record = dataset.init_run(
        method=METHOD,
        config=run.config.to_json(),
        model_id=run.model_id,
        folder=run.folder,
        replaces=run.replaces,
        created=run.created,
        shown=run.shown.to_json(),
    )
    dataset.register_run(run.run_id, record)


def show(dataset: Any, run: Run, shown: Shown) -> Run:
    """Write down that a run asks what another view shows."""
    if run.shown == shown:
        return run
    record = dataset.get_run_info(run.run_id).config
    record.shown = shown.to_json()
    dataset.update_run_config(run.run_id, record)
    return replace(run, shown=shown)


def mend(dataset: Any) -> None:
    """Join what a process left that was killed between the two writes of a record."""
    import fiftyone.core.odm as foo

    foo.patch_runs(dataset.name)
    dataset.reload()


def forget(dataset: Any, run_id: str) -> None:
    """Delete a record; halves of it, and doubles that two processes wrote at once, go too."""
    mend(dataset)
    while run_id in dataset.list_runs():
        dataset.delete_run(run_id)
        mend(dataset)


def _read(dataset: Any, run_id: str) -> Run:
    record = dataset.get_run_info(run_id).config
    try:
        config = RunConfig.from_json(record.config)
        run = Run(
            run_id=run_id,
            dataset_name=dataset.name,
            config=config,
            model_id=str(record.model_id),
            folder=str(record.folder),
            replaces=bool(record.replaces),
            created=bool(record.created),
            shown=Shown.from_json(getattr(record, "shown", None) or {}),
        )
    except (AttributeError, FieldError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"Expected the record of the run {run_id!r} to be one of this version, found: {error}. "
            "Delete it with FiftyOne's dataset.delete_run(), or use the version that wrote it."
        ) from error
    if not is_slug(run_id) or config.run_id(run.model_id) != run_id:
        raise RunError(
            f"Expected the record {run_id!r} to hold the settings that its name stands for, found "
            "others: somebody has changed it. Start a new run into another field."
        )
    return run
