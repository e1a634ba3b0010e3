"""Sample pictures to try things on: drawn at run time from a seed, and a few free photographs.

Nothing is downloaded and nothing is stored in this package: the drawn ones come with their exact
truth, the photographs lie inside the installed scikit-image.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sam_plugins.errors import ImageError
from sam_plugins.samples.cells import cell_layer, nuclei
from sam_plugins.samples.document import document
from sam_plugins.samples.objects import coloured_objects
from sam_plugins.samples.photographs import astronaut, cat, coffee, coins
from sam_plugins.samples.sample import Sample
from sam_plugins.samples.volumes import VOLUME_SAMPLES, VolumeSample, load_volume_sample

__all__ = [
    "SAMPLES",
    "VOLUME_SAMPLES",
    "Sample",
    "VolumeSample",
    "load_sample",
    "load_volume_sample",
]

SAMPLES: Mapping[str, Callable[[], Sample]] = MappingProxyType(
    {
        "coffee": coffee,
        "cat": cat,
        "coins": coins,
        "astronaut": astronaut,
        "nuclei": nuclei,
        "objects": coloured_objects,
        "document": document,
        "cells": cell_layer,
    }
)
"""Name -> what makes the sample, in the order of the demonstration."""


def load_sample(name: str) -> Sample:
    """One sample picture by name.

    Raises
    ------
    ImageError
        If there is no sample of this name, or the photograph is not on this machine.
    """
    if name not in SAMPLES:
        raise ImageError(f"There is no sample {name!r}; there are {', '.join(SAMPLES)}.")
    return SAMPLES[name]()
