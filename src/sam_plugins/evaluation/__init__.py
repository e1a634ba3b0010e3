"""How good is a segmenter? Prompts from known objects, scores, and tables with intervals."""

from sam_plugins.evaluation.agreement import (
    Mistake,
    MistakeKind,
    MistakeSettings,
    ObjectPair,
    find_mistakes,
    match_objects,
)
from sam_plugins.evaluation.baselines import BaselineSettings
from sam_plugins.evaluation.comparison import GroupRow, GroupTable, Verdict
from sam_plugins.evaluation.dataset import (
    KnownImage,
    LabelledImage,
    LabelledSample,
    Target,
    load_labelled,
    read_folder,
    read_split,
)
from sam_plugins.evaluation.duplicates import (
    DuplicateGroup,
    DuplicatePair,
    find_duplicates,
    group_duplicates,
)
from sam_plugins.evaluation.groups import group_table, quantile_bins
from sam_plugins.evaluation.matching import (
    COCO_THRESHOLDS,
    SIZE_CLASSES,
    ImageMatches,
    MatchSettings,
    match_image,
)
from sam_plugins.evaluation.metrics import crop_boundary_iou, crop_iou, crop_overlap
from sam_plugins.evaluation.objects import Crop, ScoredMask, SharedPixels, shared_pixels
from sam_plugins.evaluation.precision import (
    PrecisionReport,
    PrecisionScores,
    average_precision,
)
from sam_plugins.evaluation.precision_table import precision_groups
from sam_plugins.evaluation.report import (
    Margin,
    ObjectScore,
    Report,
    Row,
    by_group,
    by_set,
    by_size,
)
from sam_plugins.evaluation.runner import (
    evaluate_baselines,
    evaluate_segmenter,
    score_images,
    score_objects,
)
from sam_plugins.evaluation.statistics import Estimate, cluster_mean, paired_difference
from sam_plugins.evaluation.tuning import tune_baselines

__all__ = [
    "COCO_THRESHOLDS",
    "SIZE_CLASSES",
    "BaselineSettings",
    "Crop",
    "DuplicateGroup",
    "DuplicatePair",
    "Estimate",
    "GroupRow",
    "GroupTable",
    "ImageMatches",
    "KnownImage",
    "LabelledImage",
    "LabelledSample",
    "Margin",
    "MatchSettings",
    "Mistake",
    "MistakeKind",
    "MistakeSettings",
    "ObjectPair",
    "ObjectScore",
    "PrecisionReport",
    "PrecisionScores",
    "Report",
    "Row",
    "ScoredMask",
    "SharedPixels",
    "Target",
    "Verdict",
    "average_precision",
    "by_group",
    "by_set",
    "by_size",
    "cluster_mean",
    "crop_boundary_iou",
    "crop_iou",
    "crop_overlap",
    "evaluate_baselines",
    "evaluate_segmenter",
    "find_duplicates",
    "find_mistakes",
    "group_duplicates",
    "group_table",
    "load_labelled",
    "match_image",
    "match_objects",
    "paired_difference",
    "precision_groups",
    "quantile_bins",
    "read_folder",
    "read_split",
    "score_images",
    "score_objects",
    "shared_pixels",
    "tune_baselines",
]
