"""Review: labels worst first, what curators say of them, and masks that they ask for themselves."""

from fiftyone_plugin.review.corrections import Corrections, detections_fields, mark_of
from fiftyone_plugin.review.decisions import Decided, Undone, Verdict, decide, undo
from fiftyone_plugin.review.history import History
from fiftyone_plugin.review.picture import mask_picture, seconds_of
from fiftyone_plugin.review.prompts import read_interaction
from fiftyone_plugin.review.queue import Counts, QueueItem, count_reviews, next_open
from fiftyone_plugin.review.ranking import Ranking
from fiftyone_plugin.review.rejected import find_rejected, remove_rejected
from fiftyone_plugin.review.reprompt import (
    Key,
    Opened,
    Preparation,
    Reprompter,
    shared_reprompter,
)
from fiftyone_plugin.review.starting import Changed, Start, read_start

__all__ = [
    "Changed",
    "Corrections",
    "Counts",
    "Decided",
    "History",
    "Key",
    "Opened",
    "Preparation",
    "QueueItem",
    "Ranking",
    "Reprompter",
    "Start",
    "Undone",
    "Verdict",
    "count_reviews",
    "decide",
    "detections_fields",
    "find_rejected",
    "mark_of",
    "mask_picture",
    "next_open",
    "read_interaction",
    "read_start",
    "remove_rejected",
    "seconds_of",
    "shared_reprompter",
    "undo",
]
