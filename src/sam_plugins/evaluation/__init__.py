"""How good is a segmenter? Prompts from known objects, scores, and tables with intervals."""

from sam_plugins.evaluation.baselines import BaselineSettings
from sam_plugins.evaluation.dataset import (
    LabelledImage,
    LabelledSample,
    load_labelled,
    read_folder,
    read_split,
)
from sam_plugins.evaluation.report import (
    Margin,
    ObjectScore,
    Report,
    Row,
    by_group,
    by_set,
    by_size,
)
from sam_plugins.evaluation.runner import evaluate_baselines, evaluate_segmenter, score_images
from sam_plugins.evaluation.statistics import Estimate, cluster_mean, paired_difference
from sam_plugins.evaluation.tuning import tune_baselines

__all__ = [
    "BaselineSettings",
    "Estimate",
    "LabelledImage",
    "LabelledSample",
    "Margin",
    "ObjectScore",
    "Report",
    "Row",
    "by_group",
    "by_set",
    "by_size",
    "cluster_mean",
    "evaluate_baselines",
    "evaluate_segmenter",
    "load_labelled",
    "paired_difference",
    "read_folder",
    "read_split",
    "score_images",
    "tune_baselines",
]
