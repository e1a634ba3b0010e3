"""Photographs that lie inside the installed scikit-image; none is ever downloaded."""

from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from sam_plugins.errors import ImageError
from sam_plugins.samples.sample import Sample
from sam_plugins.types import Image

__all__ = ["astronaut", "cat", "coffee", "coins"]


def coffee() -> Sample:
    """A cup of coffee on a wooden table."""
    return Sample(
        name="coffee",
        title="Coffee",
        image=_read("coffee.png"),
        licence="CC0-1.0",
        source="Rachel Michetti, courtesy of Pikolo Espresso Bar; in scikit-image",
        points=((330, 150, 1),),
        box=(165, 14, 420, 315),
    )


def cat() -> Sample:
    """A cat's face."""
    return Sample(
        name="cat",
        title="Chelsea the cat",
        image=_read("chelsea.png"),
        licence="CC0-1.0",
        source="Stefan van der Walt; in scikit-image",
        points=((182, 120, 1),),
        box=(290, 106, 347, 168),
    )


def coins() -> Sample:
    """Greek coins from Pompeii."""
    return Sample(
        name="coins",
        title="Coins",
        image=_read("coins.png"),
        licence="no known copyright restrictions",
        source="Brooklyn Museum Collection; in scikit-image",
        points=((345, 189, 1),),
        box=(299, 12, 367, 75),
    )


def astronaut() -> Sample:
    """A portrait of Eileen Collins."""
    return Sample(
        name="astronaut",
        title="Astronaut",
        image=_read("astronaut.png"),
        licence="public domain",
        source="NASA Great Images; in scikit-image",
        points=((225, 120, 1),),
        box=(150, 12, 306, 168),
    )


def _read(name: str) -> Image:
    path = Path(str(resources.files("skimage").joinpath("data", name)))
    if not path.is_file():
        raise ImageError(
            f"The sample photograph {name} should lie inside scikit-image and does not: this "
            "copy of scikit-image came without its pictures; install it from its wheel."
        )
    with PillowImage.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
