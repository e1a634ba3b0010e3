"""Pictures and Label Studio's API: what may be connected to, how, and what is kept."""

from labelstudio_backend.fetching.client import LabelStudioClient
from labelstudio_backend.fetching.reader import PictureReader

__all__ = ["LabelStudioClient", "PictureReader"]
