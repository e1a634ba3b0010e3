"""The quality of masks: what speaks against them, where two fields differ, and their duplicates."""

from fiftyone_plugin.quality.comparing import ComparedReport, compare_fields
from fiftyone_plugin.quality.findings import WORDS, Finding
from fiftyone_plugin.quality.judge import JudgedReport, judge_masks
from fiftyone_plugin.quality.thresholds import Thresholds
from fiftyone_plugin.quality.views import finding_view, save_views, view_name

__all__ = [
    "WORDS",
    "ComparedReport",
    "Finding",
    "JudgedReport",
    "Thresholds",
    "compare_fields",
    "finding_view",
    "judge_masks",
    "save_views",
    "view_name",
]
