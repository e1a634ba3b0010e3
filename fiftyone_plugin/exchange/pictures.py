"""Pictures of samples: their size as displayed, and names that no two share in an export."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image as PillowImage

from fiftyone_plugin.labels import open_picture
from sam_plugins.types import Size

__all__ = ["displayed_size", "export_names"]

_SAFE = re.compile(r"[\x00-\x1f\x7f\\/:*?\"<>|\ud800-\udfff]")
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
_BY_HEADER = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_LONGEST = 120


def displayed_size(sample: Any) -> Size:
    """(H, W) of a sample's picture with EXIF orientation applied.

    The header says it where that is enough; otherwise the picture is read.

    Raises
    ------
    SampleError
        If there is no picture, or it cannot be read.
    """
    try:
        with PillowImage.open(sample.filepath, formats=_BY_HEADER) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_ORIENTATION) in _TURNED
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError):
        image = open_picture(sample)
        return image.shape[0], image.shape[1]
    return (width, height) if turned else (height, width)


def export_names(samples: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Sample id -> file name in an export, the same whatever the order of the samples.

    A name is the picture's own; where several pictures would share a stem, whether of another
    folder, another ending or another case, each has its sample's id added.

    Parameters
    ----------
    samples
        (id, path) of each.
    """
    own = {sample_id: _clean(path) for sample_id, path in samples}
    stems = Counter(Path(name).stem.casefold() for name in own.values())
    return {
        sample_id: name
        if stems[Path(name).stem.casefold()] == 1
        else f"{Path(name).stem}-{sample_id}{Path(name).suffix}"
        for sample_id, name in own.items()
    }


def _clean(path: str) -> str:
    """A picture's name as every system takes it: readers pass hidden ones over."""
    name = _SAFE.sub("_", Path(path).name).lstrip(".") or "picture"
    suffix = Path(name).suffix[:12]
    return f"{Path(name).stem[:_LONGEST]}{suffix}"
