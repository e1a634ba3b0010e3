"""Sample pictures for napari's File menu: drawn at run time, nothing is downloaded."""

from typing import Any

from sam_plugins import load_sample, load_volume_sample

__all__ = ["cells", "coins", "nuclei", "time_lapse", "z_stack"]

_PIXEL_SIZES = {"nuclei": 0.25, "cells": 0.01}
"""Micrometres, as such pictures have them."""

LayerData = tuple[Any, dict[str, Any], str]


def nuclei() -> list[LayerData]:
    """Fluorescent nuclei, drawn."""
    return _picture("nuclei")


def cells() -> list[LayerData]:
    """Cells as an electron microscope shows them, drawn."""
    return _picture("cells")


def coins() -> list[LayerData]:
    """Coins, a photograph that scikit-image holds."""
    return _picture("coins")


def z_stack() -> list[LayerData]:
    """Nuclei through z, drawn."""
    return _volume("z_stack")


def time_lapse() -> list[LayerData]:
    """Moving nuclei, drawn."""
    return _volume("time_lapse")


def _picture(name: str) -> list[LayerData]:
    sample = load_sample(name)
    options: dict[str, Any] = {"name": sample.title, "axis_labels": ("y", "x")}
    if name in _PIXEL_SIZES:
        options |= {"scale": (_PIXEL_SIZES[name],) * 2, "units": ("micrometer",) * 2}
    return [(sample.image[..., 0], options, "image")]


def _volume(name: str) -> list[LayerData]:
    sample = load_volume_sample(name)
    names = tuple({"Z": "z", "T": "t", "Y": "y", "X": "x"}[letter] for letter in sample.axes)
    units = tuple("pixel" if letter == "T" else sample.unit for letter in sample.axes)
    options = {"name": sample.title, "scale": sample.scale, "axis_labels": names, "units": units}
    return [(sample.image, options, "image")]
