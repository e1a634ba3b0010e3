"""Sample pictures: what they promise holds."""

import hashlib
import socket

import numpy as np
import pytest

from sam_plugins.errors import ImageError
from sam_plugins.samples import SAMPLES, load_sample, photographs

DRAWN = ("nuclei", "objects", "document", "cells")


@pytest.fixture(scope="module")
def samples():
    return {name: load_sample(name) for name in SAMPLES}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_a_picture_with_prompts_inside_it(samples, name):
    sample = samples[name]
    height, width = sample.image.shape[:2]
    assert sample.name == name
    assert sample.image.dtype == np.uint8
    assert sample.image.shape == (height, width, 3)
    assert sample.image.std() > 10
    assert sample.title
    assert sample.licence
    assert sample.source
    for x, y, label in sample.points:
        assert 0 <= x < width
        assert 0 <= y < height
        assert label in (0, 1)
    x0, y0, x1, y1 = sample.box
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    assert sample.click.point_coords.shape == (len(sample.points), 2)
    assert sample.box_prompt.box.tolist() == list(sample.box)


@pytest.mark.parametrize("name", DRAWN)
def test_the_truth_of_a_drawn_sample_holds_what_its_prompts_ask_for(samples, name):
    sample = samples[name]
    assert sample.truth.shape == sample.image.shape[:2]
    ((x, y, _),) = sample.points
    assert sample.truth[y, x] > 0
    x0, y0, x1, y1 = sample.box
    whole = np.bincount(sample.truth.ravel(), minlength=sample.truth.max() + 1)
    boxed = np.bincount(sample.truth[y0:y1, x0:x1].ravel(), minlength=len(whole))
    inside = 1 + int(np.argmax(boxed[1:]))
    assert boxed[inside] == whole[inside] > 50, "the box must hold its object completely"
    assert inside != sample.truth[y, x], "click and box show two objects"


@pytest.mark.parametrize("name", DRAWN)
def test_objects_of_the_truth_can_be_seen(samples, name):
    sample = samples[name]
    grey = sample.image.astype(float).mean(2)
    inside, outside = grey[sample.truth > 0], grey[sample.truth == 0]
    assert abs(np.median(inside) - np.median(outside)) > 8 or name == "document"
    assert len(np.unique(sample.truth)) - 1 == sample.truth.max() >= 7


def test_drawn_samples_are_the_same_each_time_and_differ_by_seed(samples):
    for name in DRAWN:
        again = SAMPLES[name]()
        assert digest(again.image) == digest(samples[name].image)
        assert digest(again.truth) == digest(samples[name].truth)
    assert digest(SAMPLES["nuclei"](seed=8).image) != digest(samples["nuclei"].image)


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_no_sample_needs_a_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a sample opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in SAMPLES:
        load_sample(name)


def test_unknown_names_and_missing_photographs_are_said(monkeypatch, tmp_path):
    with pytest.raises(ImageError, match="coffee"):
        load_sample("tea")
    monkeypatch.setattr(photographs.resources, "files", lambda package: tmp_path)
    with pytest.raises(ImageError, match=r"coffee\.png"):
        load_sample("coffee")
