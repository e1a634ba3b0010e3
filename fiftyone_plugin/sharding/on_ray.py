"""Shards on Ray: a cluster's processes hold the model and take shards until none is left."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import fiftyone as fo

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.runs import Run, WorkReport
from fiftyone_plugin.sharding.work import run_shard
from sam_plugins.errors import MissingExtraError

__all__ = ["run_on_ray"]

SHARDS_PER_CORE = 4
"""So that a quick worker does more, and a lost one loses a quarter of its share."""

MAX_RETRIES = 5
"""How often a shard whose process died is given to another. A picture that ends every process that
reads it must not keep a cluster busy for ever."""


def run_on_ray(
    run: Run,
    *,
    shards: int | None = None,
    cores: float = 1,
    retry: bool = False,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[float, str], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> WorkReport:
    """Work on a run with the processes of a Ray cluster, and wait for them.

    The cluster is the one that this process is connected to (`ray.init`); where there is none, all
    cores of this machine. Every node needs sam-plugins, the pictures' folders and the database. A
    node or process that dies costs time only: its shard is given to another.

    Parameters
    ----------
    run
        As `open_run` gives it.
    shards
        Into how many parts the dataset is cut; by default four for each core of the cluster.
    cores
        Cores that one shard occupies.
    retry
        Whether samples that failed, wholly or in part, are worked on again.
    environment
        Environment variables for the workers, beside FiftyOne's address of the database.
    progress
        Called with a fraction and a sentence as shards end.
    stop
        Asked once a second; what is written stays, and the same call continues.

    Raises
    ------
    sam_plugins.errors.MissingExtraError
        If Ray is not installed.
    RunError
        If a shard failed as often as is tried.
    """
    ray = _ray()
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    count = shards or max(1, int(SHARDS_PER_CORE * ray.cluster_resources().get("CPU", 1) / cores))
    options = {
        "num_cpus": cores,
        "max_retries": MAX_RETRIES,
        "runtime_env": {"env_vars": {**_database(), **(environment or {})}},
    }
    task = ray.remote(**options)(run_shard)
    waiting = {
        task.remote(run.dataset_name, run.run_id, index, count, shown=run.shown, retry=retry): index
        for index in range(count)
    }
    reports: list[WorkReport] = []
    while waiting:
        if stop is not None and stop():
            for reference in waiting:
                ray.cancel(reference, force=True)
            return _sum(reports, stopped=True)
        ended, _ = ray.wait(list(waiting), timeout=1)
        for reference in ended:
            index = waiting.pop(reference)
            reports.append(_result(ray, reference, index, count, run))
            if progress is not None:
                progress(len(reports) / count, f"{len(reports)} of {count} shards are done")
    return _sum(reports, stopped=False)


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError(
            'Ray is not installed: pip install "sam-plugins[ray]", or let several `fiftyone '
            "delegated launch` work on the shards."
        ) from error


def _database() -> dict[str, str]:
    """What tells a worker's FiftyOne which database is meant."""
    if not fo.config.database_uri:
        raise RunError(
            "Ray's workers need a database that they can all reach, and this process uses one of "
            "its own: start a MongoDB and set FIFTYONE_DATABASE_URI to its address."
        )
    return {
        "FIFTYONE_DATABASE_URI": fo.config.database_uri,
        "FIFTYONE_DATABASE_NAME": fo.config.database_name,
        "FIFTYONE_DATABASE_VALIDATION": str(fo.config.database_validation).lower(),
        "FIFTYONE_DO_NOT_TRACK": str(fo.config.do_not_track).lower(),
    }


def _result(ray: Any, reference: Any, index: int, count: int, run: Run) -> WorkReport:
    try:
        report: WorkReport = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise RunError(
            f"Shard {index} of {count} of the run {run.run_id} failed: {error}. What the other "
            "shards have written stays; the same call goes on with the rest."
        ) from error
    return report


def _sum(reports: list[WorkReport], *, stopped: bool) -> WorkReport:
    counts = {
        field.name: sum(getattr(report, field.name) for report in reports)
        for field in fields(WorkReport)
        if field.name != "stopped"
    }
    return WorkReport(**counts, stopped=stopped or any(report.stopped for report in reports))
