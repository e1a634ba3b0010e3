"""Where masks are kept: in the sample's document, or as files beside the dataset."""

from fiftyone_plugin.storage.choosing import DOCUMENT_LIMIT, Room, inline_bytes, room_for
from fiftyone_plugin.storage.files import MaskFiles, is_slug
from fiftyone_plugin.storage.folders import files_folder

__all__ = [
    "DOCUMENT_LIMIT",
    "MaskFiles",
    "Room",
    "files_folder",
    "inline_bytes",
    "is_slug",
    "room_for",
]
