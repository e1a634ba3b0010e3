import json

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.dataset import (
    IGNORE_LABEL,
    choose_targets,
    find_targets,
    load_labelled,
    read_folder,
    read_split,
)

label_images = arrays(np.int64, (7, 8), elements=st.sampled_from([0, 1, 2, 5, 300, 2**40]))


def write_pair(folder, stem, labels, suffix=".png"):
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    grey = np.linspace(0, 255, labels.size).reshape(labels.shape).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(folder / "images" / f"{stem}{suffix}")
    Image.fromarray(labels).save(folder / "masks" / f"{stem}.png")


@pytest.fixture
def pool(tmp_path):
    labels = np.zeros((6, 9), np.uint16)
    labels[1:4, 2:5], labels[5], labels[0, 0] = 7, 1000, IGNORE_LABEL
    for name, stem in (("cells", "a"), ("cells", "b.c"), ("cats", "d"), ("maps", "e")):
        write_pair(tmp_path / name, stem, labels, ".jpg" if name == "cats" else ".png")
    split = {
        "version": 1,
        "seed": 0,
        "sets": {
            "cells": {"train": ["a"], "val": ["b.c"]},
            "cats": {"train": [], "val": ["d"]},
            "maps": {"val": ["e"]},
        },
        "groups": {"nuclei": ["cells"], "photographs": ["cats"]},
    }
    (tmp_path / "split.json").write_text(json.dumps(split))
    return tmp_path


def test_a_split_names_its_pictures_and_their_groups(pool):
    items = read_split(pool / "split.json", pool, "val")
    assert {(item.id, item.group) for item in items} == {
        ("cells/b.c", "nuclei"),
        ("cats/d", "photographs"),
        ("maps/e", "maps"),
    }
    assert [item.id for item in read_split(pool / "split.json", pool, "train")] == ["cells/a"]
    assert all(item.image_path.stem == item.mask_path.stem for item in items)


def test_labels_and_unknown_pixels_are_told_apart(pool):
    sample = load_labelled(read_split(pool / "split.json", pool, "train")[0])
    assert sample.image.shape == (6, 9, 3)
    assert sample.image.dtype == np.uint8
    assert sample.ignore.sum() == 1
    assert sample.ignore[0, 0]
    assert set(np.unique(sample.labels)) == {0, 7, 1000}
    assert [(t.label, t.area, t.box) for t in find_targets(sample.labels)] == [
        (7, 9, (2, 1, 5, 4)),
        (1000, 9, (0, 5, 9, 6)),
    ]


def test_nothing_unknown_is_none(tmp_path):
    write_pair(tmp_path, "x", np.eye(4, dtype=np.uint8))
    assert load_labelled(read_folder(tmp_path)[0]).ignore is None


@given(label_images, st.integers(1, 5))
def test_targets_rebuild_the_label_image(labels, min_area):
    rebuilt = np.zeros_like(labels)
    for target in find_targets(labels, min_area):
        x0, y0, x1, y1 = target.box
        rebuilt[y0:y1, x0:x1][target.crop] = target.label
        assert target.crop[[0, -1]].any(axis=1).all()
        assert target.crop[:, [0, -1]].any(axis=0).all()
        assert target.area == target.crop.sum() >= min_area
    values, counts = np.unique(labels, return_counts=True)
    kept = values[(counts >= min_area) & (values > 0)]
    np.testing.assert_array_equal(rebuilt, np.where(np.isin(labels, kept), labels, 0))


@given(st.integers(0, 20), st.integers(0, 30), st.integers(0, 5))
def test_a_smaller_limit_takes_a_part_of_a_larger_one(count, limit, seed):
    targets = find_targets(np.arange(count + 1)[None])
    chosen = choose_targets(targets, limit, "a", seed)
    assert len(chosen) == min(limit, count)
    labels = [target.label for target in chosen]
    assert labels == sorted(set(labels))
    assert set(labels) <= {t.label for t in choose_targets(targets, limit + 1, "a", seed)}


def test_the_choice_follows_seed_and_picture():
    targets = find_targets(np.arange(41)[None])

    def chosen(name, seed):
        return [target.label for target in choose_targets(targets, 8, name, seed)]

    assert chosen("a", 0) == chosen("a", 0)
    assert chosen("a", 0) != chosen("b", 0)
    assert chosen("a", 0) != chosen("a", 1)


def test_a_users_folder_is_read(tmp_path):
    write_pair(tmp_path, "one", np.eye(5, dtype=np.uint8), ".jpg")
    write_pair(tmp_path, "two", np.eye(5, dtype=np.uint8))
    (tmp_path / "masks" / "two.png").unlink()
    tifffile.imwrite(tmp_path / "masks" / "two.tif", np.eye(5, dtype=np.int32) * 70000)
    (tmp_path / "images" / ".hidden").touch()
    items = read_folder(tmp_path)
    assert [item.id for item in items] == ["one", "two"]
    assert {item.group for item in items} == {tmp_path.name}
    assert find_targets(load_labelled(items[1]).labels)[0].label == 70000


def break_missing_mask(folder):
    (folder / "masks" / "one.png").unlink()
    return "no mask for 1 of 1 stems, the first 'one'"


def break_missing_folder(folder):
    (folder / "masks" / "one.png").unlink()
    (folder / "masks").rmdir()
    return "masks is not a folder"


def break_twin_stem(folder):
    Image.new("RGB", (5, 5)).save(folder / "images" / "one.jpg")
    return "one.jpg and one.png: a stem must be unique"


def break_size(folder):
    Image.new("L", (5, 4)).save(folder / "masks" / "one.png")
    return r"\(4, 5\) and its picture \(5, 5\)"


def break_channels(folder):
    Image.new("RGB", (5, 5)).save(folder / "masks" / "one.png")
    return r"one channel of whole numbers .* found shape \(5, 5, 3\) of uint8"


def break_numbers(folder):
    (folder / "masks" / "one.png").unlink()
    tifffile.imwrite(folder / "masks" / "one.tif", np.zeros((5, 5), np.float32))
    return r"found shape \(5, 5\) of float32"


def break_sign(folder):
    (folder / "masks" / "one.png").unlink()
    tifffile.imwrite(folder / "masks" / "one.tif", np.full((5, 5), -3, np.int16))
    return "negative labels, the lowest -3"


def break_bytes(folder):
    (folder / "masks" / "one.png").write_bytes(b"no picture")
    return "cannot be read as a mask"


def break_tiff(folder):
    (folder / "masks" / "one.png").unlink()
    (folder / "masks" / "one.tif").write_bytes(b"no picture")
    return "cannot be read as a mask"


def break_everything(folder):
    for path in list(folder.glob("*/*")):
        path.unlink()
    return "holds no file"


@pytest.mark.parametrize(
    "damage", [value for name, value in sorted(globals().items()) if name.startswith("break_")]
)
def test_unusable_data_say_what_is_wrong(tmp_path, damage):
    write_pair(tmp_path, "one", np.eye(5, dtype=np.uint8))
    expected = damage(tmp_path)
    with pytest.raises(DatasetError, match=expected):
        [load_labelled(item) for item in read_folder(tmp_path)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "not a readable split file"),
        ("[]", "not a readable split file"),
        ('{"version": 1}', "not a readable split file"),
        ('{"version": 1, "sets": {"cells": ["a"]}}', "not a readable split file"),
        ('{"version": 2, "sets": {}}', "version 2; version 1 is expected"),
        ('{"version": 1, "sets": {}}', 'no picture under "val"'),
        ('{"version": 1, "sets": {"cells": {"val": ["zz"]}}}', "no picture for 1 of 1 stems"),
        ('{"version": 1, "sets": {"none": {"val": ["a"]}}}', "is not a folder"),
    ],
)
def test_unusable_splits_say_what_is_wrong(pool, text, expected):
    (pool / "split.json").write_text(text)
    with pytest.raises(DatasetError, match=expected):
        read_split(pool / "split.json", pool, "val")


def test_a_missing_split_is_said(tmp_path):
    with pytest.raises(DatasetError, match="not a readable split file"):
        read_split(tmp_path / "none.json", tmp_path, "val")
