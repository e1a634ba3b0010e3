"""A sample's picture, and its size before it is read."""

from pathlib import Path
from typing import Any

from PIL import Image as PillowImage

from fiftyone_plugin.errors import SampleError
from sam_plugins import load_image
from sam_plugins.errors import SamPluginsError
from sam_plugins.types import Image, Size

__all__ = ["open_picture", "picture_size", "picture_to_click"]

_ORIENTATION = 0x0112
"""Number of the EXIF tag that says how a picture is to be turned; 1 is as it is."""


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


def picture_to_click(sample: Any) -> Image:
    """`open_picture`, for places that somebody points at in the App.

    Raises
    ------
    SampleError
        Also if browsers show the picture turned otherwise: they mind the EXIF orientation of JPEG
        and PNG, and not that of WebP.
    """
    picture = open_picture(sample)
    path = Path(str(_value(sample, "filepath")))
    with path.open("rb") as file:
        start = file.read(12)
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        with PillowImage.open(path) as opened:
            turned = opened.getexif().get(_ORIENTATION, 1)
        if turned in range(2, 9):
            raise SampleError(
                f"This picture is a WebP file that says it is to be turned (EXIF orientation "
                f"{turned}), and browsers show it unturned: clicks would land elsewhere. Save it "
                "turned as it should be seen, or as JPEG."
            )
    return picture


def _value(sample: Any, field: str) -> Any:
    return sample[field] if sample.has_field(field) else None
