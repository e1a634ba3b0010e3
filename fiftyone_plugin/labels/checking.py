"""Whether a dataset has the fields that a run reads, and room for those that it writes."""

from collections.abc import Mapping
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import asked_field, fields_beside
from fiftyone_plugin.values import Mode, RunConfig

__all__ = ["FRAMES", "check_fields", "fields_needed", "local_name"]

FRAMES = "frames."
"""What a field of a video's frames may begin with."""

_DETECTIONS = ("Detection", "Detections")
_INPUTS = {
    "box_field": _DETECTIONS,
    "point_field": ("Keypoint", "Keypoints"),
    "mask_field": _DETECTIONS,
}
_MEDIA = (None, "image", "video")
_GROUP = "group"
_VIDEO = "video"


def local_name(field: str) -> str:
    """A field's name in its own document: without the prefix of a video's frames."""
    return field.removeprefix(FRAMES)


def fields_needed(config: RunConfig) -> list[str]:
    """The fields that a run reads besides FiftyOne's own, each once.

    In `Mode.VIDEO` they are those of the frames and begin with "frames."; otherwise they are named
    as the configuration names them.
    """
    names = [field for field in _reading(config).values() if field]
    if config.mode is Mode.VIDEO:
        names = [FRAMES + local_name(name) for name in names]
    return list(dict.fromkeys(names))


def check_fields(dataset: Any, config: RunConfig) -> None:
    """Refuse what would fail, or be overwritten, in every sample.

    Fields of a dataset of videos are those of its frames, with or without "frames." before them.

    Parameters
    ----------
    dataset
        A FiftyOne dataset or view.
    config
        What is to be done.

    Raises
    ------
    FieldError
        If the media do not fit the mode, nothing asks, a field to read is missing or holds other
        labels, or a field to write is one that is read or holds something else.
    """
    media = dataset.media_type
    _check_media(media, config)
    frames = media == _VIDEO
    schema = _schema(dataset, frames)
    reading = _reading(config)
    if _asks(config) and not any(reading.values()):
        raise FieldError(
            "Expected a field of boxes, points or masks to ask with, found none: name one, or "
            "choose everything-mode."
        )
    if config.mode is Mode.VIDEO and not (config.box_field or config.mask_field):
        raise FieldError(
            "Expected boxes or masks of the objects to follow, found points alone: name a field "
            "of Detections."
        )
    for name, field in reading.items():
        if field:
            _check_input(field, schema, _INPUTS[name], frames)
    read = {_placed(field, frames) for field in reading.values()}
    whole = dataset._dataset
    _check_output(config.label_field, read, _schema(whole, frames), frames)
    _check_beside(local_name(config.label_field), whole.get_field_schema())


def _asks(config: RunConfig) -> bool:
    return config.mode is not Mode.EVERYTHING


def _reading(config: RunConfig) -> dict[str, str]:
    """The fields of labels that a run reads: of everything-mode, the boxes it looks into."""
    names = _INPUTS if _asks(config) else ("box_field",)
    return {name: getattr(config, name) for name in names}


def _check_media(media: str | None, config: RunConfig) -> None:
    if media == _GROUP:
        raise FieldError(
            "Expected pictures or videos, found a dataset of groups: choose one slice with "
            "select_group_slices() and work on that view."
        )
    if media not in _MEDIA:
        raise FieldError(f"Expected pictures or videos, found media of type {media!r}.")
    if config.mode is Mode.VIDEO and media == "image":
        raise FieldError(
            "Expected videos to follow objects in, found pictures: choose another mode."
        )


def _check_input(
    field: str, schema: Mapping[str, Any], expected: tuple[str, ...], frames: bool
) -> None:
    known = schema.get(_placed(field, frames))
    if known is None:
        raise FieldError(
            f"Expected a field {field!r} of {expected[1]}, found none of that name"
            f"{' in the frames' if frames else ''}: the fields with labels are "
            f"{_labelled(schema)}."
        )
    found = _kind(known)
    if found not in expected:
        raise FieldError(
            f"Expected {expected[1]} in the field {field!r}, found {found}: name another field."
        )


def _check_output(field: str, reading: set[str], schema: Mapping[str, Any], frames: bool) -> None:
    name = _placed(field, frames)
    if not name.isidentifier() or name.startswith("_"):
        raise FieldError(
            f"Expected a name of letters, digits and _ for the new labels, found {field!r}."
        )
    if name in reading:
        raise FieldError(
            f"Expected a field of its own for the masks, found {field!r}, which is read: its "
            "labels would be overwritten. Choose another name."
        )
    if name in schema and _kind(schema[name]) != "Detections":
        raise FieldError(
            f"Expected a new field, or one of Detections, for the masks, found {field!r}, which "
            f"holds {_kind(schema[name])}: choose another name."
        )


def _check_beside(name: str, schema: Mapping[str, Any]) -> None:
    for beside in fields_beside(name):
        kind = "DictField" if beside == asked_field(name) else "StringField"
        if beside in schema and _kind(schema[beside]) != kind:
            raise FieldError(
                f"Expected the field {beside!r} to be free for what a run says of a sample, found "
                f"{_kind(schema[beside])} in it: choose another name than {name!r}."
            )


def _schema(dataset: Any, frames: bool) -> Mapping[str, Any]:
    """The fields of a dataset's samples or frames; a view may hide some."""
    return (dataset.get_frame_field_schema() if frames else dataset.get_field_schema()) or {}


def _placed(field: str, frames: bool) -> str:
    """The name in the schema: of a picture's field the whole, of a frame's without the prefix."""
    return local_name(field) if frames else field


def _kind(field: Any) -> str:
    kind = getattr(field, "document_type", None)
    return str((kind or type(field)).__name__)


def _labelled(schema: Mapping[str, Any]) -> str:
    names = [name for name, field in schema.items() if hasattr(field, "document_type")]
    names = [name for name in names if name != "metadata"]
    return ", ".join(sorted(names)) or "none"
