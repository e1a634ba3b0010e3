"""Why layers cannot be segmented, a sentence each."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_plugin.layers.choice import ImageChoice
from sam_plugins.errors import ImageError

__all__ = ["check_alike", "check_layers", "check_shown", "level_array"]

_MOST_CHANNELS = 3


def check_layers(layers: Sequence[Any]) -> None:
    """Raise `ImageError` unless they are one to three Image layers of real numbers."""
    # Here, because importing napari changes the environment of the process.
    from napari.layers import Image, Labels

    if not 1 <= len(layers) <= _MOST_CHANNELS:
        raise ImageError(
            f"Choose one image layer, or two or three as channels, found {len(layers)} layers."
        )
    for layer in layers:
        if isinstance(layer, Labels):
            raise ImageError(
                f"'{layer.name}' is a labels layer, the place for results: choose the image layer "
                "that shows the picture."
            )
        if not isinstance(layer, Image):
            raise ImageError(
                f"'{getattr(layer, 'name', layer)}' is no image layer "
                f"({type(layer).__name__.lower()}): choose the layer that shows the picture."
            )
        dtype = np.dtype(layer.dtype)
        if dtype.kind not in "buif":
            advice = (
                ": add numpy.abs of it as a layer" if dtype.kind == "c" else ": convert it first"
            )
            raise ImageError(f"'{layer.name}' must hold real numbers, found {dtype}{advice}.")


def level_array(layer: Any, level: int) -> Any:
    """The array of one level; the data themselves where there is one."""
    count = len(layer.data) if layer.multiscale else 1
    if not 0 <= level < count:
        raise ImageError(
            f"'{layer.name}' has {count} resolution levels, 0 to {count - 1}, found {level}: "
            "choose one of these."
        )
    return layer.data[level] if layer.multiscale else layer.data


def check_shown(layer: Any, shape: Sequence[int], choice: ImageChoice) -> None:
    """Raise `ImageError` unless an array of `shape`, without colours, has planes to segment."""
    axis = choice.channel_axis
    if axis is not None:
        if layer.rgb:
            raise ImageError(
                f"'{layer.name}' is an RGB image, its colours are its channels: choose no channel "
                "axis."
            )
        if not 0 <= axis < len(shape):
            raise ImageError(
                f"The channel axis of '{layer.name}' must be 0 to {len(shape) - 1}, found {axis}: "
                "choose one of its axes."
            )
    sides = [side for number, side in enumerate(shape) if number != axis]
    if len(sides) < 2:
        raise ImageError(
            f"'{layer.name}' has shape {tuple(shape)}"
            + ("" if axis is None else f" with channels along axis {axis}")
            + ", so that no axes are left for rows and columns: an image to segment has at least "
            "two."
        )
    if 0 in shape:
        raise ImageError(
            f"'{layer.name}' is empty, its shape is {tuple(shape)}: choose a layer with pixels."
        )
    if math.prod(sides) == 1:
        raise ImageError(
            f"'{layer.name}' is a single pixel: a picture to segment needs at least two, and "
            "useful ones have thousands."
        )


def check_alike(layers: Sequence[Any], shapes: Sequence[Sequence[int]]) -> None:
    """Raise `ImageError` unless several layers can be channels of one image."""
    for layer, shape in zip(layers, shapes, strict=True):
        if len(layers) > 1 and layer.rgb:
            raise ImageError(
                f"'{layer.name}' is an RGB image and cannot be one channel among others: choose it "
                "alone."
            )
        if tuple(shape) != tuple(shapes[0]):
            raise ImageError(
                f"Layers that are channels of one image must have one shape, found "
                f"{tuple(shapes[0])} in '{layers[0].name}' and {tuple(shape)} in '{layer.name}'."
            )
