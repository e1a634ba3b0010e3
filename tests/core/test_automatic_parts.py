"""The parts of everything-mode that work on masks: crops, suppression, small regions, overlaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sam_plugins.automatic import (
    AutomaticSettings,
    Progress,
    crop_boxes,
    is_cut_off,
    point_grid,
    search,
    search_embedding,
    suppress,
    touches_border,
    without_overlaps,
)
from sam_plugins.automatic.regions import clean_record
from sam_plugins.errors import EmbeddingError
from sam_plugins.formats import mask_to_rle, rle_to_mask
from sam_plugins.masks import mask_to_box, remove_small_regions
from sam_plugins.testing import FakeSegmenter, sample_image
from sam_plugins.types import MaskRecord

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def record_of(mask, iou=0.9):
    return MaskRecord(
        segmentation=mask_to_rle(mask),
        box=mask_to_box(mask),
        area=int(mask.sum()),
        predicted_iou=iou,
        stability_score=0.97,
        point_coords=(1.5, 2.0),
        crop_box=(0, 0, mask.shape[1], mask.shape[0]),
    )


def of_box(box, iou=0.9, size=(60, 80)):
    mask = np.zeros(size, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return record_of(mask, iou)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 3), st.floats(0, 0.5))
def test_crops_of_every_layer_cover_the_picture(height, width, layers, ratio):
    crops = crop_boxes((height, width), layers, ratio)
    assert crops[0] == ((0, 0, width, height), 0)
    for layer in range(layers + 1):
        covered = np.zeros((height, width), bool)
        boxes = [box for box, of in crops if of == layer]
        assert len(boxes) <= 4**layer
        for x0, y0, x1, y1 in boxes:
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            covered[y0:y1, x0:x1] = True
        assert covered.all()


def test_crops_have_the_published_sizes():
    crops = crop_boxes((600, 900), 2, 512 / 1500)
    assert len(crops) == 1 + 4 + 16
    assert crops[1] == ((0, 0, 552, 402), 1)
    assert crops[2] == ((0, 198, 552, 600), 1)
    assert crops[4] == ((348, 198, 900, 600), 1)


def test_a_mask_is_cut_off_at_the_edge_of_its_crop_but_not_of_the_picture():
    size, crop = (100, 200), (50, 0, 150, 100)
    assert is_cut_off((60, 30, 90, 60), crop, size, 20)
    assert not is_cut_off((71, 30, 90, 60), crop, size, 20)
    assert is_cut_off((71, 30, 131, 60), crop, size, 20)
    assert not is_cut_off((71, 30, 130, 60), crop, size, 20)
    assert not is_cut_off((80, 0, 90, 100), crop, size, 20)
    assert not is_cut_off((50, 30, 90, 60), crop, size, 0)
    assert not is_cut_off((0, 0, 200, 100), (0, 0, 200, 100), size, 20)


def test_of_duplicates_the_higher_score_stays_and_of_equals_the_earlier():
    records = [of_box((0, 0, 20, 20)), of_box((1, 0, 21, 20)), of_box((40, 40, 60, 60))]
    assert suppress(records, [0.5, 0.6, 0.1], 0.7) == [records[1], records[2]]
    assert suppress(records, [0.5, 0.5, 0.9], 0.7) == [records[2], records[0]]
    assert suppress(records, [0.5, 0.6, 0.1], 1.0) == [records[1], records[0], records[2]]
    assert suppress([], [], 0.7) == []


def test_border():
    assert not touches_border((1, 1, 79, 59), (60, 80))
    for box in ((0, 1, 5, 5), (1, 0, 5, 5), (1, 1, 80, 5), (1, 1, 5, 60)):
        assert touches_border(box, (60, 80))


@settings(max_examples=500, deadline=None)
@given(MASKS, st.integers(0, 200), st.integers(0, 3))
def test_small_regions_are_removed_as_on_the_whole_image(mask, min_area, smooth):
    if smooth:
        mask = ndimage.median_filter(mask, 3)
    if smooth == 3 and mask.shape[0] > 2:
        mask = np.pad(mask[1:-1], ((1, 1), (0, 0)))
    record = record_of(mask)
    filled, had_holes = remove_small_regions(mask, min_area, "holes")
    expected, had_islands = remove_small_regions(filled, min_area, "islands")
    found, changed = clean_record(record, min_area)
    if not mask.any():
        assert not changed
        return
    assert changed == (had_holes or had_islands)
    np.testing.assert_array_equal(rle_to_mask(found.segmentation), expected)
    assert found.area == expected.sum()
    assert found.box == mask_to_box(expected)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("min_area", [3, 50, 70, 90, 130, 10_000])
def test_the_outside_is_a_hole_where_it_is_small(turn, min_area):
    """Left of the strip are 60 free pixels and 8 in its notch, right of it 120, inside it 2."""
    mask = np.zeros((12, 20), bool)
    mask[:, 5:10] = True
    mask[4:8, 5:7] = False
    mask[2:3, 7:9] = False
    mask = np.rot90(mask, turn).copy()
    filled, _ = remove_small_regions(mask, min_area, "holes")
    found, changed = clean_record(record_of(mask), min_area)
    assert changed
    np.testing.assert_array_equal(rle_to_mask(found.segmentation), filled)


@settings(deadline=None)
@given(st.lists(st.tuples(MASKS, st.floats(0, 1)), max_size=6), st.booleans())
def test_without_overlaps_each_pixel_belongs_to_one_mask(given_masks, best_on_top):
    size = (14, 14)
    records = []
    for mask, iou in given_masks:
        whole = np.zeros(size, bool)
        whole[: mask.shape[0], : mask.shape[1]] = mask
        records.append(record_of(whole, iou))
    seen = without_overlaps(records, size, best_on_top=best_on_top)
    masks = [rle_to_mask(record.segmentation) for record in seen]
    counts = np.sum(masks, axis=0) if masks else np.zeros(size)
    assert counts.max() <= 1
    union = np.any([rle_to_mask(r.segmentation) for r in records], axis=0) if records else 0
    np.testing.assert_array_equal(counts > 0, np.broadcast_to(union, size))
    for record, mask in zip(seen, masks, strict=True):
        assert record.area == mask.sum() > 0
        assert record.box == mask_to_box(mask)


def test_what_lies_on_top_is_a_choice():
    large, small = of_box((0, 0, 20, 20), iou=0.9), of_box((5, 5, 10, 10), iou=0.5)
    areas = [r.area for r in without_overlaps([large, small], (60, 80))]
    assert areas == [400 - 25, 25]
    (left,) = without_overlaps([large, small], (60, 80), best_on_top=True)
    assert left is large


def test_a_ring_around_another_object_is_none():
    ring, inside = of_box((0, 0, 20, 20), iou=0.5), of_box((2, 2, 18, 18), iou=0.9)
    beside = of_box((18, 0, 30, 20), iou=0.4)
    records = [ring, inside, beside]
    seen = without_overlaps(records, (60, 80), best_on_top=True, min_visible=0.5)
    assert [record.area for record in seen] == [256, 12 * 20 - 2 * 20]


def test_an_embedding_of_a_window_is_searched_in_coordinates_of_the_image():
    segmenter, image = FakeSegmenter(radius=10), sample_image(200, 300)
    window = (100, 50, 228, 178)
    embedding = segmenter.encode(image, region=window)
    options = AutomaticSettings(pred_iou_thresh=0.85, stability_score_thresh=0, points_per_side=4)
    points = point_grid(options.points_per_side, window)
    search = search_embedding(segmenter, embedding, points, options)
    steps, found = [], None
    while found is None:
        try:
            steps.append(next(search))
        except StopIteration as end:
            found = end.value
    assert [step.done for step in steps if isinstance(step, Progress)][-1] == 16
    inner = {tuple(p) for p in points.tolist() if 0.25 < (p[0] - 100) / 128 < 0.75}
    assert {r.point_coords for r in found} == {p for p in inner if 0.25 < (p[1] - 50) / 128 < 0.75}
    for record in found:
        x, y = record.point_coords
        centre = ((record.box[0] + record.box[2]) / 2, (record.box[1] + record.box[3]) / 2)
        assert centre == pytest.approx((x, y), abs=1)
        assert record.crop_box == window
        assert record.segmentation["size"] == [200, 300]
    foreign = FakeSegmenter(image_size=128)
    with pytest.raises(EmbeddingError):
        list(search_embedding(foreign, embedding, points, options))


def test_waiting_for_the_compiler_is_told(monkeypatch):
    segmenter, prepared = FakeSegmenter(), []
    embedding = segmenter.encode(sample_image(40, 40))
    monkeypatch.setattr(search, "is_prepared", lambda: bool(prepared))
    monkeypatch.setattr(search, "compiled_kernel", lambda: prepared.append(True))
    for expected in ("Preparing", "Answering a grid of points"):
        options = AutomaticSettings(points_per_side=2)
        points = point_grid(2, embedding.region)
        assert next(search_embedding(segmenter, embedding, points, options)).message == expected
        prepared.append(True)


def test_no_points_find_nothing():
    segmenter = FakeSegmenter()
    embedding = segmenter.encode(sample_image(40, 40))
    steps = list(
        search_embedding(segmenter, embedding, np.zeros((0, 2)), AutomaticSettings(), threads=1)
    )
    assert {(step.done, step.total) for step in steps} == {(0, 0)}
