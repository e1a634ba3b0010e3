"""Labelling configs and regions: Label Studio's words to questions, and answers to its words.

One class per control tag (`kinds.TAGS`); percent coordinates exist in `percent` only.
"""

from labelstudio_backend.controls.cloud_links import task_data
from labelstudio_backend.controls.config import ImageTag, LabelConfig
from labelstudio_backend.controls.config_xml import read_config
from labelstudio_backend.controls.control import Control
from labelstudio_backend.controls.reading import (
    prompt_keys,
    read_asks,
    read_masks,
    task_asks,
    which_picture,
)
from labelstudio_backend.controls.writing import area_lost, write_regions

__all__ = [
    "Control",
    "ImageTag",
    "LabelConfig",
    "area_lost",
    "prompt_keys",
    "read_asks",
    "read_config",
    "read_masks",
    "task_asks",
    "task_data",
    "which_picture",
    "write_regions",
]
