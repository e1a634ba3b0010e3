"""Pictures and what is asked of them become masks with their quality. Knows nothing of FiftyOne."""

from fiftyone_plugin.masking.everything import mask_everything
from fiftyone_plugin.masking.measuring import measure_mask
from fiftyone_plugin.masking.objects import mask_objects
from fiftyone_plugin.masking.video import follow_video

__all__ = ["follow_video", "mask_everything", "mask_objects", "measure_mask"]
