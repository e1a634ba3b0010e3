"""A sample's picture, and its size before it is read."""

from typing import Any

from fiftyone_plugin.errors import SampleError
from sam_plugins import load_image
from sam_plugins.errors import SamPluginsError
from sam_plugins.types import Image, Size

__all__ = ["open_picture", "picture_size"]


def picture_size(sample: Any) -> Size | None:
    """(H, W) of a sample's picture, or of a video's frames, from its metadata.

    Good enough for a guess before the picture is read. FiftyOne minds the EXIF orientation of
    JPEG alone: where it matters, take the size of what `open_picture` gives.

    Returns
    -------
    None where the metadata was not computed, or does not say.
    """
    metadata = _value(sample, "metadata")
    for height, width in (("height", "width"), ("frame_height", "frame_width")):
        found = getattr(metadata, height, None) or 0, getattr(metadata, width, None) or 0
        if min(found) > 0:
            return int(found[0]), int(found[1])
    return None


def open_picture(sample: Any) -> Image:
    """The picture of a sample, or of a frame that has a file of its own.

    Returns
    -------
    (H, W, 3) uint8 RGB, turned as it is displayed: EXIF orientation is applied.

    Raises
    ------
    SampleError
        If it has no file, or the file cannot be read as a picture.
    """
    path = _value(sample, "filepath")
    if not path:
        raise SampleError(
            "Expected a sample with a picture file, found one without filepath: sample the frames "
            "of a video to files first (to_frames with sample_frames=True)."
        )
    try:
        return load_image(path)
    except SamPluginsError as error:
        raise SampleError(f"The picture cannot be read. {error}") from error


def _value(sample: Any, field: str) -> Any:
    return sample[field] if sample.has_field(field) else None
