"""Memory does not grow with the number of objects times the size of the picture (D6)."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_plugin.masking import measure_mask
from fiftyone_plugin.values import MaskedObject


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the most memory is reset through /proc"
)
@pytest.mark.parametrize("kind", ["boxes", "random"])
def test_500_boxes_on_12_megapixels_add_less_than_500_mb(kind):
    program = Path(__file__).with_name("masking_memory.py")
    done = subprocess.run(
        [sys.executable, str(program), kind],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["objects"] > 400
    assert measured["above"] < 500


@given(st.integers(1, 20), st.integers(1, 20), st.randoms(use_true_random=False))
def test_pixels_kept_as_bits_are_those_that_were_given(height, width, random):
    crop = np.array([[random.random() < 0.5 for _ in range(width)] for _ in range(height)], bool)
    quality = measure_mask(crop, (0, 0, width, height), (50, 50))
    one = MaskedObject(prompt_id="a", crop=crop, box=(0, 0, width, height), quality=quality)
    for same in (one, pickle.loads(pickle.dumps(one)), replace(one, prompt_id="b")):
        assert same.crop.dtype == bool
        assert same.crop.shape == crop.shape
        assert (same.crop == crop).all()


def test_pixels_are_needed():
    quality = measure_mask(np.ones((1, 1), bool), (0, 0, 1, 1), (5, 5))
    with pytest.raises(TypeError, match="crop"):
        MaskedObject(prompt_id="a", box=(0, 0, 1, 1), quality=quality)
