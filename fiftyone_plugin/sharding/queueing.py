"""Shards as delegated operations: any number of `fiftyone delegated launch` takes them up."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fiftyone.operators as foo

from fiftyone_plugin.runs import Run

__all__ = ["SHARD_OPERATOR", "queue_shards"]

SHARD_OPERATOR = "@sam-plugins/sam/work_on_shard"
"""URI of the operator that runs one shard."""


def queue_shards(dataset: Any, run: Run, count: int, *, retry: bool = False) -> list[str]:
    """Queue `count` shards of a run, each an operation that one launcher takes.

    More shards than launchers let a quick one do more, and a lost one lose less.

    Returns
    -------
    The ids of the queued operations.

    Raises
    ------
    fiftyone.operators.executor.ExecutionError
        If FiftyOne cannot queue one: the plugin is not installed where this runs.
    """
    queued = []
    # In a thread of its own: where an event loop runs already, as in a notebook, FiftyOne would
    # give back a promise instead of the operation.
    with ThreadPoolExecutor(1) as thread:
        for index in range(count):
            params = {"run_id": run.run_id, "index": index, "count": count, "retry": retry}
            params["shown"] = run.shown.to_json()
            context = {"dataset": dataset, "params": params, "request_delegation": True}
            result = thread.submit(foo.execute_operator, SHARD_OPERATOR, context).result()
            queued.append(str(result.result["id"]))
    return queued
