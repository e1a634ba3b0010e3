"""The one operation that every kind of worker performs."""

from collections.abc import Callable
from dataclasses import replace

import fiftyone as fo

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.labels import Shown
from fiftyone_plugin.models import segmenter_for
from fiftyone_plugin.runs import WorkProgress, WorkReport, find_run, samples_of, work_on
from fiftyone_plugin.sharding.parts import shard_ids

__all__ = ["run_shard"]


def run_shard(
    dataset_name: str,
    run_id: str,
    index: int,
    count: int,
    *,
    sample_ids: list[str] | None = None,
    shown: Shown | None = None,
    retry: bool = False,
    progress: Callable[[WorkProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> WorkReport:
    """Work on shard `index` of `count` of a run; what is done already is skipped.

    Parameters
    ----------
    dataset_name, run_id
        The dataset, and a run that `open_run` has registered with it.
    index, count
        Which shard, from 0, and of how many.
    sample_ids
        The samples that are shared out; by default those that the run is over.
    shown
        The labels that are asked; by default those that the run's record says.
    retry
        Whether samples that failed, wholly or in part, are worked on again.
    progress, stop
        As of `runs.work_on`.

    Raises
    ------
    RunError
        If dataset, run or shard do not exist, or this worker's model is not the run's.
    """
    if not fo.dataset_exists(dataset_name):
        raise RunError(
            f"This worker's database has no dataset {dataset_name!r}: let all workers use one "
            "database (FIFTYONE_DATABASE_URI)."
        )
    dataset = fo.load_dataset(dataset_name)
    run = find_run(dataset, run_id)
    segmenter = segmenter_for(run.config.model, run.config.precision)
    if segmenter.info.model_id != run.model_id:
        raise RunError(
            f"The run {run_id} was begun with the model {run.model_id[:12]}, and this worker has "
            f"{segmenter.info.model_id[:12]} as {run.config.model!r}: give all workers the same "
            "weights, or begin a new run."
        )
    if shown is not None:
        run = replace(run, shown=shown)
    if sample_ids is None:
        sample_ids = samples_of(dataset, run)
    ids = shard_ids(sample_ids, index, count)
    return work_on(dataset, run, ids, segmenter, retry=retry, progress=progress, stop=stop)
