"""A model in a process of its own: torch, its threads and its crashes stay out of the caller's."""

from sam_plugins.worker.segmenter import WorkerSegmenter, open_worker
from sam_plugins.worker.status import WorkerStatus

__all__ = ["WorkerSegmenter", "WorkerStatus", "open_worker"]
