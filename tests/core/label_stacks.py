"""Labels for tests: every order of axes, few and many objects."""

from collections import deque

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam_plugins.formats import LabelStack

AXES = ("YX", "XY", "ZYX", "TYX", "YXC", "TZYX", "ZTXY", "CTZYX")
UNITS = ("micrometer", "nanometer", "pixel", "second")


@st.composite
def label_stacks(draw, axes=AXES, largest=(3, 65_535, 2**32 - 1)):
    letters = draw(st.sampled_from(axes))
    sides = [draw(st.integers(1, 7 if letter in "YX" else 3)) for letter in letters]
    top = draw(st.sampled_from(largest))
    values = st.sampled_from(sorted({0, 1, 2, top // 2, top}))
    labels = draw(hnp.arrays(np.int64, tuple(sides), elements=values))
    numbers = st.floats(1e-3, 1e3).filter(np.isfinite)
    return LabelStack(
        labels,
        letters,
        tuple(draw(numbers) for _ in letters),
        tuple(draw(st.floats(-1e4, 1e4)) for _ in letters),
        tuple("second" if letter == "T" else "micrometer" for letter in letters),
    )


def canonical(stack):
    """The labels with their axes in the order of files."""
    order = [stack.axes.index(letter) for letter in stack.canonical_axes]
    return np.asarray(stack.labels).transpose(order)


def run(generator):
    """What a generator gives at last."""
    return deque(generator, maxlen=1).pop()
