"""Review: labels worst first, what curators say of them, and how to take that back."""

from fiftyone_plugin.review.decisions import Decided, Undone, Verdict, decide, undo
from fiftyone_plugin.review.history import History
from fiftyone_plugin.review.queue import Counts, QueueItem, count_reviews, next_open
from fiftyone_plugin.review.ranking import Ranking
from fiftyone_plugin.review.rejected import find_rejected, remove_rejected

__all__ = [
    "Counts",
    "Decided",
    "History",
    "QueueItem",
    "Ranking",
    "Undone",
    "Verdict",
    "count_reviews",
    "decide",
    "find_rejected",
    "next_open",
    "remove_rejected",
    "undo",
]
