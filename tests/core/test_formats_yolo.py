"""Labels of YOLO: exact there and back, read by others as the same masks, others' files read."""

import os
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw
from scipy import ndimage

from sam_plugins.errors import DatasetError, ImageError, LimitError
from sam_plugins.formats import (
    YoloData,
    YoloObject,
    crop_to_rle,
    fill_rings,
    from_yolo_labels,
    mask_outlines,
    mask_to_rle,
    read_yolo_data,
    read_yolo_labels,
    rings_to_rle,
    rle_to_box,
    rle_to_mask,
    to_yolo_labels,
    write_yolo_data,
    write_yolo_labels,
    yolo_label_name,
)
from sam_plugins.formats.bridges import joined_ring
from sam_plugins.masks import mask_iou, mask_to_box

GOLDEN = Path(__file__).parents[1] / "data" / "formats" / "yolo_labels.txt"
MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))
SIZES = st.integers(1, 20_000)


def object_of(mask, class_index=0, confidence=None):
    return YoloObject(
        class_index=class_index,
        box=mask_to_box(mask),
        segmentation=mask_to_rle(mask),
        confidence=confidence,
    )


def rings_of(mask):
    return [ring for each in mask_outlines(mask) for ring in (each.exterior, *each.holes)]


def blob(seed, side=160):
    """A wavy object with holes, as the model gives them, and a part of its own."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(side, side)), 6)
    y, x = np.mgrid[:side, :side] - side / 2
    mask = np.hypot(x, y * 1.3) < side * (0.35 + 0.1 * noise / noise.std())
    mask[70:90, 60:75] = False
    mask[75:84, 95:100] = False
    mask[4:14, 4:24] = True
    return mask


@given(MASKS, SIZES, SIZES, st.data())
@settings(max_examples=300, deadline=None)
def test_masks_with_holes_and_parts_round_trip_exactly(mask, height, width, data):
    assume(mask.any())
    h, w = mask.shape
    height, width = max(height, h), max(width, w)
    x0, y0 = data.draw(st.integers(0, width - w)), data.draw(st.integers(0, height - h))
    rle = crop_to_rle(mask, (x0, y0, x0 + w, y0 + h), (height, width))
    sent = YoloObject(class_index=3, box=(0, 0, 1, 1), segmentation=rle)
    text, ious = to_yolo_labels([sent], (height, width))
    assert text.count("\n") == 1
    assert ious == (1.0,)
    (back,) = from_yolo_labels(text, (height, width))
    assert asdict(back) == asdict(sent) | {"box": rle_to_box(rle)}


@given(MASKS)
@settings(max_examples=200)
def test_one_ring_shows_what_all_rings_show(mask):
    assume(mask.any())
    rings = [ring.astype(float) for ring in rings_of(mask)]
    ring = joined_ring(rings)
    height, width = mask.shape
    np.testing.assert_array_equal(fill_rings([ring], (0, 0, width, height)), mask)
    assert rings_to_rle([ring], mask.shape) == mask_to_rle(mask)
    assert len(ring) == sum(map(len, rings)) + 2 * (len(rings) - 1)


def test_thousands_of_parts_and_holes_are_joined():
    mask = np.random.default_rng(0).random((200, 200)) < 0.5
    assert len(rings_of(mask)) > 3000
    text, _ = to_yolo_labels([object_of(mask)], mask.shape)
    (back,) = from_yolo_labels(text, mask.shape)
    assert back.segmentation == mask_to_rle(mask)


@given(
    st.lists(
        st.lists(st.tuples(st.floats(-9, 30), st.floats(-9, 30)), min_size=3, max_size=8),
        max_size=3,
    ),
    st.integers(1, 20),
    st.integers(1, 20),
)
@settings(max_examples=300)
def test_run_lengths_of_any_rings_are_their_pixels(rings, height, width):
    # Off the centres of pixels, where the two ways of filling agree.
    rings = [np.round(np.array(ring), 2) + 0.0037 for ring in rings]
    filled = fill_rings(rings, (0, 0, width, height))
    found = rle_to_mask(rings_to_rle(rings, (height, width)))
    y, x = np.nonzero(found != filled)
    for row, column in zip(y + 0.5, x + 0.5, strict=True):
        assert min(distance(ring, (column, row)) for ring in rings) < 1e-9


def distance(ring, point):
    start, along = ring, np.roll(ring, -1, 0) - ring
    away = point - start
    share = np.clip((away * along).sum(1) / np.maximum((along**2).sum(1), 1e-30), 0, 1)
    return np.hypot(*(away - along * share[:, None]).T).min()


def seen_by_opencv(text, shape, scale=1):
    """As training programs do: to whole pixels without the fraction, filled with the border."""
    height, width = np.multiply(shape, scale)
    corners = np.array(text.split()[1:], float).reshape(-1, 2) * (width, height)
    seen = np.zeros((height, width), np.uint8)
    cv2.fillPoly(seen, [corners.astype(np.int32)], 1)
    return seen[scale // 2 :: scale, scale // 2 :: scale].astype(bool)


@pytest.mark.parametrize("seed", range(4))
def test_opencv_reads_nearly_the_same_mask(seed):
    mask = blob(seed)
    text, _ = to_yolo_labels([object_of(mask)], mask.shape)
    seen = seen_by_opencv(text, mask.shape)
    assert not (mask & ~seen).any()
    # It draws the outline as well: one pixel more, and the slits to the other parts.
    border = ndimage.binary_dilation(mask, np.ones((3, 3), bool))
    assert (seen & ~border).sum() < 80
    assert mask_iou(seen_by_opencv(text, mask.shape, scale=4), mask) > 0.998


@pytest.mark.parametrize("seed", range(4))
def test_pillow_reads_nearly_the_same_mask(seed):
    mask = blob(seed)
    scale = 4
    text, _ = to_yolo_labels([object_of(mask)], mask.shape)
    corners = np.array(text.split()[1:], float).reshape(-1, 2) * mask.shape[0] * scale
    picture = Image.new("1", (mask.shape[1] * scale, mask.shape[0] * scale))
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners.tolist()], fill=1)
    seen = np.asarray(picture)[scale // 2 :: scale, scale // 2 :: scale]
    assert mask_iou(seen, mask) > 0.98


def test_who_cuts_off_the_fraction_of_a_pixel_finds_every_corner():
    for whole in (3, 7, 640, 1333, 4000, 19_999):
        mask = np.eye(1, whole, whole // 3, dtype=bool)
        text, _ = to_yolo_labels([object_of(mask)], mask.shape)
        x = (np.array(text.split()[1::2], float) * whole).astype(int)
        assert set(x.tolist()) == {whole // 3, whole // 3 + 1}


def golden():
    ring, parts = np.zeros((2, 6, 8), bool)
    ring[1:5, 2:7] = True
    ring[2:4, 3:5] = False
    parts[0, 0] = parts[4:6, 6:8] = True
    return (
        object_of(ring, 2),
        object_of(parts, 0, 0.875),
        YoloObject(class_index=1, box=(1.0, 1.5, 5.0, 4.5)),
    )


def test_the_golden_file_is_written_and_read(tmp_path):
    assert write_yolo_labels(tmp_path / "a.txt", golden(), (6, 8)) == (1.0, 1.0, 1.0)
    assert (tmp_path / "a.txt").read_bytes() == GOLDEN.read_bytes()
    assert list(map(asdict, read_yolo_labels(GOLDEN, (6, 8)))) == list(map(asdict, golden()))
    assert os.listdir(tmp_path) == ["a.txt"]


@given(st.tuples(*[st.floats(0, 1)] * 4), st.tuples(SIZES, SIZES), st.none() | st.floats(0, 1))
def test_boxes_come_back(shares, size, confidence):
    (xa, xb), (ya, yb) = sorted(shares[:2]), sorted(shares[2:])
    box = (xa * size[1], ya * size[0], xb * size[1], yb * size[0])
    sent = YoloObject(class_index=7, box=box, confidence=confidence)
    text, ious = to_yolo_labels([sent], size)
    (back,) = from_yolo_labels(text, size)
    assert ious == (1.0,)
    assert (back.class_index, back.segmentation, back.confidence) == (7, None, confidence)
    np.testing.assert_allclose(back.box, box, atol=1e-5)


def test_files_of_others_are_read():
    text = (
        b"\xef\xbb\xbf0 0.5 0.5 0.5 1\r\n"
        b"\n"
        b"  1.0   .25 .25 .75 .25 .75 .75 .25 .75 \n"
        b"2 0.5 0.5 0.2 0.2 0.93\n"
        b"3\t-0.1 0.5 0.6 -0.1 1.1 1.1 5e-1\n"
    )
    box, square, sure, over = from_yolo_labels(text, (8, 4))
    assert (box.box, box.segmentation, box.confidence) == ((1.0, 0.0, 3.0, 8.0), None, None)
    assert (square.class_index, square.box) == (1, (1, 2, 3, 6))
    assert rle_to_mask(square.segmentation).sum() == 8
    assert (sure.confidence, sure.segmentation) == (0.93, None)
    assert over.confidence == 0.5
    assert over.segmentation["size"] == [8, 4]
    assert from_yolo_labels("", (8, 4)) == ()


def test_a_polygon_without_a_pixel_is_an_empty_mask():
    (thin,) = from_yolo_labels("0 0.1 0.1 0.2 0.1 0.2 0.1", (4, 4))
    assert (thin.box, rle_to_mask(thin.segmentation).sum()) == ((0, 0, 0, 0), 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cat 0.1 0.1 0.2 0.2", "numbers"),
        ("0 0.1 0.1 0.2", "at least three corners"),
        ("0 0.1 0.1 nan 0.2", "numbers"),
        ("0 0.1 0.1 1e 0.2", "numbers"),
        ("0 1e400 0.1 0.2 0.2", "relative"),
        ("0 1_0 0.1 0.2 0.2", "numbers"),
        ("0 0.1 0.1 -0.2 0.2", "negative"),
        ("0 10 10 200 10 200 300", "relative"),
        ("-1 0.1 0.1 0.2 0.2", "class"),
        ("1.5 0.1 0.1 0.2 0.2", "class"),
        ("5 0.1 0.1 0.2 0.2", "class must be 0 to 4"),
        ("1e300 0.1 0.1 0.2 0.2", "class"),
        ("0 0.1 0.1 0.2 0.2 7", "confidence"),
        ("0 0.1 0.1 0.2 0.1 0.2 0.2 1.1", "confidence"),
        ("{'a': 1}", "numbers"),
    ],
)
def test_nonsense_is_refused_with_file_and_line(tmp_path, line, words):
    path = tmp_path / "a.txt"
    path.write_text(f"0 0.5 0.5 1 1\n\n{line}\n")
    with pytest.raises(DatasetError, match=rf"a\.txt.*line 3.*{words}"):
        read_yolo_labels(path, (10, 10), class_count=5)


def test_reading_is_bounded(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 0.5 0.5 1 1\n" * 3)
    assert len(read_yolo_labels(path, (10, 10), max_bytes=42)) == 3
    with pytest.raises(DatasetError, match=r"a\.txt.*bytes"):
        read_yolo_labels(path, (10, 10), max_bytes=41)
    zigzag = "0 " + "0 0.1 1 0.9 " * 5_000 + "\n"
    with pytest.raises(DatasetError, match=r"line 1 .*too long"):
        from_yolo_labels(zigzag, (20_000, 20_000))
    short = "0 " + "0 0.1 1 0.9 " * 800 + "0 1\n"
    with pytest.raises(DatasetError, match=r"line 2 .*too long"):
        from_yolo_labels("0 0 0 1 1 0 1\n" + short, (20_000, 20_960))
    with pytest.raises(DatasetError, match="100,000"):
        from_yolo_labels("0 .5 .5 1 1\n" * 100_001, (10, 10))
    with pytest.raises(LimitError, match="simplify"):
        rings_to_rle([[(0, 0), (9, 0), (9, 9)]], (10, 10), max_crossings=3)


@pytest.mark.parametrize("ring", [[], [(0, 0), (1, 1)], [(0, 0), (1, 0), (np.inf, 1)]])
def test_what_is_no_ring_has_no_run_lengths(ring):
    with pytest.raises(ImageError, match="ring"):
        rings_to_rle([ring], (2, 2))
    with pytest.raises(ImageError, match="far"):
        rings_to_rle([[(0, 0), (1e200, 0), (0, 3)]], (2, 2))


def test_simplified_labels_are_small_and_say_what_they_lose():
    mask = np.kron(blob(0), np.ones((4, 4), bool))
    mask = ndimage.gaussian_filter(mask.astype(float), 4) > 0.5
    exact, _ = to_yolo_labels([object_of(mask)], mask.shape)
    small, (iou,) = to_yolo_labels([object_of(mask)], mask.shape, tolerance=1.0)
    assert len(small) < len(exact) / 4
    (back,) = from_yolo_labels(small, mask.shape)
    found = rle_to_mask(back.segmentation)
    assert iou == pytest.approx(mask_iou(found, mask), abs=0.002)
    assert 0.97 < iou < 1
    assert not found[320, 270]
    assert found[36, 56]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"class_index": -1}, "class"),
        ({"confidence": 1.5}, "confidence"),
        ({"confidence": float("nan")}, "confidence"),
        ({"segmentation": mask_to_rle(np.zeros((6, 8), bool))}, "no pixels"),
        ({"segmentation": mask_to_rle(np.ones((8, 6), bool))}, "picture is"),
        ({"segmentation": {"size": [6, 8], "counts": "0"}}, "add up"),
        ({"segmentation": None, "box": (5, 1, 2, 3)}, "box"),
        ({"segmentation": None, "box": (0, 0, float("nan"), 3)}, "box"),
    ],
)
def test_what_no_line_can_hold_is_not_written(tmp_path, fields, words):
    bad = YoloObject(**(asdict(golden()[0]) | fields))
    with pytest.raises(DatasetError, match=f"Object 1 .*{words}"):
        write_yolo_labels(tmp_path / "a.txt", [golden()[0], bad], (6, 8))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf")])
def test_a_tolerance_is_a_number_of_pixels(tolerance):
    with pytest.raises(DatasetError, match="tolerance"):
        to_yolo_labels([golden()[0]], (6, 8), tolerance=tolerance)


def test_labels_lie_where_programs_look_for_them():
    assert yolo_label_name("images/train/a.b.jpg") == "labels/train/a.b.txt"
    assert yolo_label_name("images/x/images/a.jpg") == "images/x/labels/a.txt"
    assert yolo_label_name("a.jpg") == "a.txt"
    with pytest.raises(DatasetError, match="file name"):
        yolo_label_name("../images/a.jpg")


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(
    st.lists(TEXTS, max_size=4),
    st.lists(TEXTS, max_size=2),
    st.lists(TEXTS, max_size=2),
    st.lists(TEXTS, max_size=2),
    st.none() | TEXTS,
)
@settings(deadline=None)
def test_the_data_of_a_set_round_trip(tmp_path_factory, names, train, val, test, folder):
    path = tmp_path_factory.mktemp("yolo") / "data.yaml"
    data = YoloData(
        names=dict(enumerate(names)),
        train=tuple(train),
        val=tuple(val),
        test=tuple(test),
        path=folder,
    )
    write_yolo_data(path, data)
    assert read_yolo_data(path) == data
    document = yaml.safe_load(path.read_text("utf-8"))
    assert document["nc"] == len(names)
    assert list(document["names"].values()) == names


def test_data_of_others_are_read(tmp_path):
    path = tmp_path / "data.yaml"
    path.write_text("train: ../train/images\nval: [a, b]\nnc: 2\nnames: ['cat', 7]\nroboflow: {}\n")
    assert read_yolo_data(path) == YoloData(
        names={0: "cat", 1: "7"}, train=("../train/images",), val=("a", "b")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names"),
        ("names: 3", "list"),
        ("names: [[a]]", "text"),
        ("names: {a: b}", "index"),
        ("names: {-1: b}", "index"),
        ("names: [a, b]\nnc: 1", "nc"),
        ("names: [a]\ntrain: 3", "folder"),
        ("names: [a]\npath: [x]", "path"),
        ("names: &a [x]\ntrain: *a", "aliases"),
        ("names: !!python/object/apply:os.system ['true']", "data of YOLO"),
        ("names: [a\n", "data of YOLO"),
        ("a: b" * 100_000, "bytes"),
        ("[" * 200_000, "deep"),
        ("{a: " * 50_000, "deep"),
    ],
)
def test_data_that_are_none_are_refused(tmp_path, text, words):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(DatasetError, match=rf"data\.yaml.*{words}"):
        read_yolo_data(path)
