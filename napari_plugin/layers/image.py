"""The image of one or several napari layers: what is segmented."""

from collections.abc import Sequence
from typing import Any

from napari_plugin.layers.choice import ImageChoice
from napari_plugin.values import Plane
from sam_plugins.ports import ImageSource

__all__ = ["LayerImage"]


class LayerImage:
    """Image layers as planes of RGB. Safe to read from several threads.

    Parameters
    ----------
    layers
        One napari Image layer (rgb or not, any real dtype, NumPy, dask, zarr, multiscale), or up to
        three of equal shape, each a channel: red, green, blue.
    choice
        Which channels, which brightness, which level; None for the defaults of `layers`.

    Raises
    ------
    ImageError
        If that cannot be segmented; the sentence says why and what to do.
    """

    def __init__(self, layers: Any | Sequence[Any], choice: ImageChoice | None = None) -> None:
        raise NotImplementedError

    @property
    def choice(self) -> ImageChoice:
        """What was chosen, with `limits` once they are decided."""
        raise NotImplementedError

    @property
    def layer(self) -> Any:
        """The first layer: the one whose place in the world counts."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """Axes of the Labels data."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the Labels data: the layer's, with 1 at the channel axis."""
        raise NotImplementedError

    def with_current_contrast(self) -> "LayerImage":
        """The same image with the contrast limits that its layers have now."""
        raise NotImplementedError

    def plane(self, dims: Any) -> Plane:
        """The plane that a viewer shows, from ``viewer.dims``.

        Raises
        ------
        ImageError
            If it shows 3-D, or the channel axis as a side of the picture.
        """
        raise NotImplementedError

    def size(self, plane: Plane) -> tuple[int, int]:
        """(H, W) of a plane, pixels."""
        raise NotImplementedError

    def source(self, plane: Plane, axis: int | None = None) -> ImageSource:
        """A plane as one frame, or all planes parallel to it along `axis` as frames."""
        raise NotImplementedError

    def notes(self) -> tuple[str, ...]:
        """What a user should know, a sentence each: values that are no numbers, for example."""
        raise NotImplementedError
