"""What the process opens in tests; imported there by name."""

import os
import sys
import time

import numpy as np

from sam_plugins.errors import CheckpointError
from sam_plugins.testing import FakeSegmenter, tiny_segmenter


def fake(model, **options):
    return FakeSegmenter()


def tiny(model, **options):
    return tiny_segmenter()


def noisy(model, **options):
    """A library that prints where the protocol would be."""
    sys.stdout.write("printed by Python\n")
    os.write(1, b"written by a library\n")
    sys.stderr.write("a warning\n")
    return Awkward()


def refusing(model, **options):
    raise CheckpointError(f"Expected weights, found {model!r}: fetch them again.")


def broken(model, **options):
    raise ZeroDivisionError("while opening")


def awkward(model, **options):
    return Awkward()


class Awkward(FakeSegmenter):
    """Stalls, fails, dies or counts, as the picture's first pixel says."""

    def encode(self, image, *, region=None):
        if isinstance(image, np.ndarray) and image.ndim == 3:
            order = image[0, 0, 0]
            if order == 251:
                time.sleep(1000)
            if order == 252:
                raise ZeroDivisionError("while encoding")
            if order == 253:
                os.write(2, b"terrible news\n")
                os._exit(7)
        return super().encode(image, region=region)


def image_with(order, size=64):
    """A picture with that first pixel."""
    image = np.zeros((size, size, 3), np.uint8)
    image[0, 0] = order
    return image


STALL, FAIL, DIE = 251, 252, 253
