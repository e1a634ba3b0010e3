"""FiftyOne's labels to values and back: the only place that knows how they are built.

`check_fields` and `fields_needed` say what a run reads, `read_asked` makes `AskedObject`s of a
sample's labels, `open_picture` its pixels, and `detection_of` a Detection of each `MaskedObject`.
`mask_of` gives the pixels of any Detection that has a mask. `open_video` and `read_keys` are what
`open_picture` and `read_asked` are for a video. `shown_by` says which labels a view shows.
"""

from fiftyone_plugin.labels.asking import read_asked
from fiftyone_plugin.labels.checking import FRAMES, check_fields, fields_needed, local_name
from fiftyone_plugin.labels.detections import detection_of
from fiftyone_plugin.labels.instance_masks import mask_of
from fiftyone_plugin.labels.pictures import open_picture, picture_size, picture_to_click
from fiftyone_plugin.labels.showing import (
    ALL_SHOWN,
    Shown,
    Visible,
    asking_ids,
    count_shown,
    shown_by,
)
from fiftyone_plugin.labels.videos import (
    Film,
    film_size,
    identity,
    open_frame,
    open_video,
    read_keys,
)

__all__ = [
    "ALL_SHOWN",
    "FRAMES",
    "Film",
    "Shown",
    "Visible",
    "asking_ids",
    "check_fields",
    "count_shown",
    "detection_of",
    "fields_needed",
    "film_size",
    "identity",
    "local_name",
    "mask_of",
    "open_frame",
    "open_picture",
    "open_video",
    "picture_size",
    "picture_to_click",
    "read_asked",
    "read_keys",
    "shown_by",
]
