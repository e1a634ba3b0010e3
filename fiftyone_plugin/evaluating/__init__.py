"""How good masks and models are on a dataset, where its labels look wrong, and for whom it differs.

`evaluate_masks` measures one field against another. What comes out is kept as one of FiftyOne's
runs, and labels get attributes only where they are asked for; masks are never changed.
"""

from fiftyone_plugin.evaluating.mask_report import MaskReport
from fiftyone_plugin.evaluating.masks import evaluate_masks
from fiftyone_plugin.evaluating.records import (
    delete_evaluation,
    list_evaluations,
    load_evaluation,
)
from fiftyone_plugin.evaluating.settings import MaskSettings, read_settings

__all__ = [
    "MaskReport",
    "MaskSettings",
    "delete_evaluation",
    "evaluate_masks",
    "list_evaluations",
    "load_evaluation",
    "read_settings",
]
