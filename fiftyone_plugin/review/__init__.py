"""Review: what people say about masks, and masks that they ask for themselves."""

from fiftyone_plugin.review.corrections import Corrections, detections_fields
from fiftyone_plugin.review.prompts import read_interaction
from fiftyone_plugin.review.reprompt import (
    Key,
    Opened,
    Preparation,
    Reprompter,
    shared_reprompter,
)

__all__ = [
    "Corrections",
    "Key",
    "Opened",
    "Preparation",
    "Reprompter",
    "detections_fields",
    "read_interaction",
    "shared_reprompter",
]
