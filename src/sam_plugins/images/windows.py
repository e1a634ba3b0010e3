"""What readers of windows say alike: one that is not there, pixels that cannot be read."""

from collections.abc import Iterator
from contextlib import contextmanager

from sam_plugins.errors import ImageError, SamPluginsError
from sam_plugins.types import Box

__all__ = ["checked_window", "reading"]

_MOST_WORDS = 200


def checked_window(name: str, shape: tuple[int, int, int], index: int, region: Box | None) -> Box:
    """The window of one frame, xyxy; the whole frame if `region` is None.

    Parameters
    ----------
    name
        What messages call the picture.
    shape
        (frames, H, W).

    Raises
    ------
    ImageError
        If there is no such frame, or the region has no area or does not lie within it.
    """
    frames, height, width = shape
    if not 0 <= index < frames:
        raise ImageError(f"{name} has frames 0 to {frames - 1}, found {index}.")
    if region is None:
        return 0, 0, width, height
    x0, y0, x1, y1 = (int(value) for value in region)
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ImageError(
            f"Region {(x0, y0, x1, y1)} must have an area and lie within {name}, which is "
            f"{width} wide and {height} high."
        )
    return x0, y0, x1, y1


@contextmanager
def reading(name: str, advice: str) -> Iterator[None]:
    """Turn whatever a storage library raises into one `ImageError` that says what to do."""
    try:
        yield
    except (SamPluginsError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:_MOST_WORDS] or type(error).__name__
        raise ImageError(
            f"{name} cannot be read there ({reason.rstrip('.')}): {advice}."
        ) from error
