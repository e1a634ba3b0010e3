"""How good masks and models are on a dataset, where its labels look wrong, and for whom it differs.

`evaluate_masks` measures one field against another. What comes out is kept as one of FiftyOne's
runs, and labels get attributes only where they are asked for; masks are never changed.
"""

from fiftyone_plugin.evaluating.group_report import GroupReport
from fiftyone_plugin.evaluating.groups import compare_groups
from fiftyone_plugin.evaluating.mask_report import MaskReport
from fiftyone_plugin.evaluating.masks import evaluate_masks
from fiftyone_plugin.evaluating.measures import OF_MODELS, OF_PAIRS, OF_PICTURES, WORDS
from fiftyone_plugin.evaluating.mistakes import MEANINGS, MistakeReport, find_label_mistakes
from fiftyone_plugin.evaluating.prompting import ClickReport, evaluate_prompts
from fiftyone_plugin.evaluating.records import (
    Deleted,
    Record,
    delete_evaluation,
    find_evaluation,
    list_evaluations,
    load_evaluation,
)
from fiftyone_plugin.evaluating.settings import (
    ClickSettings,
    GroupSettings,
    MaskSettings,
    mistake_settings,
    read_settings,
)

__all__ = [
    "MEANINGS",
    "OF_MODELS",
    "OF_PAIRS",
    "OF_PICTURES",
    "WORDS",
    "ClickReport",
    "ClickSettings",
    "Deleted",
    "GroupReport",
    "GroupSettings",
    "MaskReport",
    "MaskSettings",
    "MistakeReport",
    "Record",
    "compare_groups",
    "delete_evaluation",
    "evaluate_masks",
    "evaluate_prompts",
    "find_evaluation",
    "find_label_mistakes",
    "list_evaluations",
    "load_evaluation",
    "mistake_settings",
    "read_settings",
]
