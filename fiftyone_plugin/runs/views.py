"""What became of a run's samples, and those to look at again."""

from collections.abc import Iterator, Sequence
from typing import Any

from fiftyone_plugin.fields import run_field, status_field
from fiftyone_plugin.labels import Shown, Visible, fields_needed
from fiftyone_plugin.runs.collection import Documents, pictures_of
from fiftyone_plugin.runs.memory import NEVER, Memory
from fiftyone_plugin.runs.records import Run, find_run, list_runs
from fiftyone_plugin.values import RunConfig, Status

__all__ = ["retry_view", "run_counts", "samples_of", "to_ask"]

_TOGETHER = 50
"""Samples that are fetched at once."""


def to_ask(
    dataset: Any, config: RunConfig, sample_ids: Sequence[str], shown: Shown
) -> Iterator[tuple[Any, Memory, Visible | None]]:
    """Samples with the labels that ask, as a run of these settings would read them.

    Yields
    ------
    (sample, memory, visible)
        What such a run has asked of the sample before, and which labels the view shows.
    """
    pictures, fields = pictures_of(dataset, config.mode), fields_needed(config)
    run = next((each for each in list_runs(dataset) if each.config == config), None)
    for start in range(0, len(sample_ids), _TOGETHER):
        some = list(sample_ids[start : start + _TOGETHER])
        memories = Documents(dataset).memories(some, run) if run else {}
        visible = shown.visible(pictures, fields, some)
        for sample in pictures.select(some).select_fields(fields):
            yield sample, memories.get(sample.id, NEVER), visible(sample.id)


def samples_of(dataset: Any, run: Run) -> list[str]:
    """Ids of the samples that a run is over: those that show something of what it asks."""
    pictures = pictures_of(dataset, run.config.mode)
    return list(run.shown.of(pictures).values("id"))


def run_counts(dataset: Any, run_id: str) -> dict[Status | None, int]:
    """How many samples of a dataset are in which state; None counts pictures not worked on.

    Raises
    ------
    RunError
        If there is no such run.
    """
    return Documents(dataset).counts(find_run(dataset, run_id))


def retry_view(dataset: Any, run_id: str) -> Any:
    """The samples that failed, or of which some objects did: what `retry=True` works on again.

    Raises
    ------
    RunError
        If there is no such run.
    """
    from fiftyone import ViewField

    config = find_run(dataset, run_id).config
    field = config.label_field
    again = [Status.FAILED.value, Status.PARTIAL.value]
    return pictures_of(dataset, config.mode).match(
        (ViewField(run_field(field)) == run_id) & ViewField(status_field(field)).is_in(again)
    )
