"""Runs: masks for many samples, that go on after any accident and can be taken away again.

`open_run` starts a run or finds it again, `work_on` makes its masks, `run_counts` and `retry_view`
say what became of the samples, `delete_run` removes all of it.
"""

from fiftyone_plugin.runs.collection import pictures_of
from fiftyone_plugin.runs.deleting import Deleted, delete_run
from fiftyone_plugin.runs.lock import fields_locked
from fiftyone_plugin.runs.memory import Memory
from fiftyone_plugin.runs.opening import open_run
from fiftyone_plugin.runs.progress import Stop, Tell, WorkProgress, WorkReport
from fiftyone_plugin.runs.records import Run, find_run, list_runs
from fiftyone_plugin.runs.views import retry_view, run_counts, samples_of, to_ask
from fiftyone_plugin.runs.working import work_on

__all__ = [
    "Deleted",
    "Memory",
    "Run",
    "Stop",
    "Tell",
    "WorkProgress",
    "WorkReport",
    "delete_run",
    "fields_locked",
    "find_run",
    "list_runs",
    "open_run",
    "pictures_of",
    "retry_view",
    "run_counts",
    "samples_of",
    "to_ask",
    "work_on",
]
