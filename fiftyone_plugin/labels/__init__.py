"""FiftyOne's labels to values and back: the only place that knows how they are built.

`check_fields` and `fields_needed` say what a run reads, `read_asked` makes `AskedObject`s of a
sample's labels, `open_picture` its pixels, and `detection_of` a Detection of each `MaskedObject`.
`mask_of` gives the pixels of any Detection that has a mask. `open_video` and `read_keys` are what
`open_picture` and `read_asked` are for a video.
"""

from fiftyone_plugin.labels.asking import read_asked
from fiftyone_plugin.labels.checking import check_fields, fields_needed, local_name
from fiftyone_plugin.labels.detections import detection_of
from fiftyone_plugin.labels.instance_masks import mask_of
from fiftyone_plugin.labels.pictures import open_picture, picture_size, picture_to_click
from fiftyone_plugin.labels.videos import Film, identity, open_video, read_keys

__all__ = [
    "Film",
    "check_fields",
    "detection_of",
    "fields_needed",
    "identity",
    "local_name",
    "mask_of",
    "open_picture",
    "open_video",
    "picture_size",
    "picture_to_click",
    "read_asked",
    "read_keys",
]
