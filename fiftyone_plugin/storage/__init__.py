"""Where masks are kept: in the sample's document, or as files beside the dataset."""

from fiftyone_plugin.storage.choosing import DOCUMENT_LIMIT, Room, fits_file, inline_bytes, room_for
from fiftyone_plugin.storage.files import MaskFiles, is_slug
from fiftyone_plugin.storage.folders import files_folder
from fiftyone_plugin.storage.naming import files_in_use, files_named

__all__ = [
    "DOCUMENT_LIMIT",
    "MaskFiles",
    "Room",
    "files_folder",
    "files_in_use",
    "files_named",
    "fits_file",
    "inline_bytes",
    "is_slug",
    "room_for",
]
