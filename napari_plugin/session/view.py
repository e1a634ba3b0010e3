"""Where the user is and points: planes and their pixels."""

from collections.abc import Sequence
from typing import Any

from napari_plugin.layers import LayerImage, world_to_plane
from napari_plugin.session.draft import Draft
from napari_plugin.values import Plane
from sam_plugins.errors import PromptError, SamPluginsError

__all__ = ["located", "looking_at"]


def located(
    image: LayerImage, dims: Any, position: Sequence[float], draft: Draft
) -> tuple[Plane, tuple[float, float]] | None:
    """The plane in view and the xy in it of a place in the world; None outside the picture.

    Raises
    ------
    SamPluginsError
        If the viewer shows no plane of the image, or one that crosses those of the draft.
    """
    plane = image.plane(dims)
    first = next((drawn for _, drawn, _ in draft.prompts()), plane)
    if (first.rows, first.columns) != (plane.rows, plane.columns):
        raise PromptError(
            "The prompts lie on planes of another orientation: keep (K) or clear (Q) them first."
        )
    x, y = world_to_plane(image, plane, position, dims)
    height, width = image.size(plane)
    if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
        return None
    return plane, (x, y)


def looking_at(image: LayerImage, viewer: Any) -> tuple[float, float] | None:
    """The xy in the plane in view of the middle of the canvas; None if there is no plane."""
    centre = list(viewer.dims.point)
    shown = viewer.scene.camera.center[-2:]
    for axis, value in zip(viewer.dims.displayed[-2:], shown, strict=True):
        centre[axis] = value
    try:
        return world_to_plane(image, image.plane(viewer.dims), centre, viewer.dims)
    except SamPluginsError:
        return None
