"""The quality of masks: what speaks against them, where two fields differ, and their duplicates."""

from fiftyone_plugin.quality.batches import (
    declare,
    ensure_sizes,
    iter_batches,
    sample_ids_of,
    size_of,
    stopping,
    write_attributes,
)
from fiftyone_plugin.quality.comparing import ComparedReport, compare_fields
from fiftyone_plugin.quality.duplicates import (
    Duplicates,
    delete_duplicates,
    find_found,
    merge_duplicates,
)
from fiftyone_plugin.quality.findings import WORDS, Finding
from fiftyone_plugin.quality.judge import JudgedReport, judge_masks
from fiftyone_plugin.quality.people import this_user
from fiftyone_plugin.quality.places import LabelPlace, check_detections, place_of, root_of
from fiftyone_plugin.quality.reading import number_of, stored_mask
from fiftyone_plugin.quality.references import (
    LabelRef,
    aggregate_labels,
    by_sample,
    find_labels,
    refs_of,
    selected_refs,
)
from fiftyone_plugin.quality.removal import (
    Removal,
    Restored,
    list_removals,
    purge,
    remove_labels,
    restore,
)
from fiftyone_plugin.quality.thresholds import Thresholds
from fiftyone_plugin.quality.updates import change_labels, push_label
from fiftyone_plugin.quality.views import (
    check_view_names,
    delete_views,
    finding_view,
    save_view,
    save_views,
    view_name,
)

__all__ = [
    "WORDS",
    "ComparedReport",
    "Duplicates",
    "Finding",
    "JudgedReport",
    "LabelPlace",
    "LabelRef",
    "Removal",
    "Restored",
    "Thresholds",
    "aggregate_labels",
    "by_sample",
    "change_labels",
    "check_detections",
    "check_view_names",
    "compare_fields",
    "declare",
    "delete_duplicates",
    "delete_views",
    "ensure_sizes",
    "find_found",
    "find_labels",
    "finding_view",
    "iter_batches",
    "judge_masks",
    "list_removals",
    "merge_duplicates",
    "number_of",
    "place_of",
    "purge",
    "push_label",
    "refs_of",
    "remove_labels",
    "restore",
    "root_of",
    "sample_ids_of",
    "save_view",
    "save_views",
    "selected_refs",
    "size_of",
    "stopping",
    "stored_mask",
    "this_user",
    "view_name",
    "write_attributes",
]
