"""What became of a run's samples, and those to look at again."""

from typing import Any

from fiftyone_plugin.fields import run_field, status_field
from fiftyone_plugin.runs.collection import pictures_of
from fiftyone_plugin.runs.records import find_run
from fiftyone_plugin.values import Status

__all__ = ["retry_view", "run_counts"]


def run_counts(dataset: Any, run_id: str) -> dict[Status | None, int]:
    """How many samples of a dataset are in which state; None counts those not worked on.

    Raises
    ------
    RunError
        If there is no such run.
    """
    from fiftyone import ViewField

    config = find_run(dataset, run_id).config
    field = config.label_field
    samples = pictures_of(dataset, config.mode)
    mine = samples.match(ViewField(run_field(field)) == run_id)
    counts: dict[Status | None, int] = dict.fromkeys((*Status, None), 0)
    for value, count in mine.count_values(status_field(field)).items():
        counts[Status(value)] = count
    counts[None] = len(samples) - sum(counts.values())
    return counts


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
