"""FiftyOne's labels to values and back: the only place that knows how they are built.

`check_fields` and `fields_needed` say what a run reads, `read_asked` makes `AskedObject`s of a
sample's labels, `open_picture` its pixels, and `detection_of` a Detection of each `MaskedObject`.
`mask_of` gives the pixels of any Detection that has a mask.
"""

from fiftyone_plugin.labels.asking import read_asked
from fiftyone_plugin.labels.checking import check_fields, fields_needed, local_name
from fiftyone_plugin.labels.detections import detection_of
from fiftyone_plugin.labels.instance_masks import mask_of
from fiftyone_plugin.labels.pictures import open_picture, picture_size

__all__ = [
    "check_fields",
    "detection_of",
    "fields_needed",
    "local_name",
    "mask_of",
    "open_picture",
    "picture_size",
    "read_asked",
]
