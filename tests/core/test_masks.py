import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam_plugins.masks import (
    box_iou,
    box_nms,
    connected_components,
    mask_area,
    mask_iou,
    mask_iou_matrix,
    mask_to_box,
    mask_to_inclusive_box,
    remove_small_regions,
    stability_score,
)

MASK = hnp.arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def picture(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


@given(MASK)
def test_box_is_the_smallest_around_the_mask(mask):
    x0, y0, x1, y1 = mask_to_box(mask)
    inside = np.zeros_like(mask)
    inside[y0:y1, x0:x1] = True
    assert not (mask & ~inside).any()
    if mask.any():
        rows, columns = np.nonzero(mask)
        assert mask_to_inclusive_box(mask) == (x0, y0, x1 - 1, y1 - 1)
        assert (columns.max(), rows.max()) == (x1 - 1, y1 - 1)
        assert (columns.min(), rows.min()) == (x0, y0)
    else:
        assert (x0, y0, x1, y1) == mask_to_inclusive_box(mask) == (0, 0, 0, 0)


def test_area_counts_pixels():
    assert mask_area(picture("#.#", ".#.")) == 3


def test_stability_is_the_iou_of_a_strict_and_a_lenient_mask():
    logits = np.array([[-2.0, -0.5, 0.5, 1.0, 1.5, 3.0]], np.float32)
    strict, lenient = logits > 1, logits > -1
    assert stability_score(logits) == pytest.approx(mask_iou(strict, lenient))
    assert stability_score(logits) == pytest.approx(2 / 5)
    assert stability_score(logits, mask_threshold=1.0, offset=0.5) == pytest.approx(1 / 3)


def test_stability_of_many_and_of_none():
    logits = np.stack([np.full((4, 5), 9), np.full((4, 5), -9), np.zeros((4, 5))]).astype(
        np.float32
    )
    assert stability_score(logits).tolist() == [1, 0, 0]


def test_pixels_that_touch_at_a_corner_are_one_component():
    labels, areas = connected_components(picture("#...", ".#.#", "...#"))
    assert areas.tolist() == [2, 2]
    assert labels[0, 0] == labels[1, 1] == 1
    assert labels[1, 3] == labels[2, 3] == 2
    assert labels[0, 1] == 0


def test_no_components():
    labels, areas = connected_components(np.zeros((3, 4), bool))
    assert not labels.any()
    assert len(areas) == 0


def test_small_holes_are_filled_and_large_ones_stay():
    ring = np.zeros((20, 20), bool)
    ring[2:18, 2:18] = True
    ring[4, 4] = False
    ring[8:14, 8:14] = False
    filled, changed = remove_small_regions(ring, 10, "holes")
    assert changed
    assert filled[4, 4]
    assert not filled[8:14, 8:14].any()
    assert not filled[0, 0]


def test_small_islands_go_and_large_ones_stay():
    mask = np.zeros((20, 20), bool)
    mask[2:8, 2:8] = True
    mask[15, 15] = True
    kept, changed = remove_small_regions(mask, 10, "islands")
    assert changed
    assert kept[2:8, 2:8].all()
    assert mask_area(kept) == 36


def test_the_largest_island_stays_when_all_are_small():
    kept, changed = remove_small_regions(picture("##..#", ".....", "#...."), 50, "islands")
    assert changed
    assert np.array_equal(kept, picture("##...", ".....", "....."))


@pytest.mark.parametrize("mode", ["holes", "islands"])
def test_nothing_to_remove(mode):
    for mask in (np.ones((9, 9), bool), np.zeros((9, 9), bool)):
        same, changed = remove_small_regions(mask, 5, mode)
        assert not changed
        assert np.array_equal(same, mask)


@settings(max_examples=60, deadline=None)
@given(MASK, st.integers(1, 12))
def test_removal_agrees_with_opencv(mask, min_area):
    """The published function, step by step, on OpenCV's components."""
    import cv2

    for mode in ("holes", "islands"):
        working = (mask ^ (mode == "holes")).astype(np.uint8)
        count, regions, stats, _ = cv2.connectedComponentsWithStats(working, 8)
        small = [i for i in range(1, count) if stats[i, -1] < min_area]
        expected = mask
        if small:
            chosen = [0, *small]
            if mode == "islands":
                chosen = [i for i in range(count) if i not in chosen]
                if not chosen:
                    if len(set(stats[1:, -1])) != count - 1:
                        continue  # equal sizes: which one stays is arbitrary
                    chosen = [1 + int(np.argmax(stats[1:, -1]))]
            expected = np.isin(regions, chosen)
        found, changed = remove_small_regions(mask, min_area, mode)
        assert changed == bool(small)
        assert np.array_equal(found, expected)


def test_box_iou():
    first = [(0, 0, 10, 10), (20, 20, 30, 30)]
    second = [(0, 0, 10, 5), (5, 5, 15, 15), (20, 20, 30, 30), (50, 50, 50, 60)]
    expected = [[0.5, 25 / 175, 0, 0], [0, 0, 1, 0]]
    np.testing.assert_allclose(box_iou(first, second), expected, rtol=1e-6)


def test_boxes_without_area_have_no_iou():
    assert box_iou([(3, 3, 3, 3)], [(3, 3, 3, 3)]).tolist() == [[0]]


BOXES = st.lists(
    st.tuples(
        *[st.integers(0, 20)] * 2, *[st.integers(1, 15)] * 2, st.sampled_from([0.1, 0.5, 0.9])
    ),
    max_size=14,
)


def plain_nms(boxes, scores, threshold):
    """Greedy suppression by its definition, one pair at a time."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(float(box_iou([boxes[i]], [boxes[j]])[0, 0]) <= threshold for j in kept):
            kept.append(i)
    return kept


@given(BOXES, st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_nms_is_greedy_and_stable(rows, threshold):
    boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in rows]
    scores = [row[-1] for row in rows]
    kept = box_nms(boxes, scores, threshold)
    assert kept.dtype == np.int64
    assert kept.tolist() == plain_nms(boxes, scores, threshold)


def test_nms_keeps_boxes_whose_iou_is_the_threshold():
    boxes = [(0, 0, 10, 10), (0, 0, 10, 5)]
    assert box_nms(boxes, [0.9, 0.8], 0.5).tolist() == [0, 1]
    assert box_nms(boxes, [0.9, 0.8], 0.49).tolist() == [0]


def test_nms_of_nothing():
    assert box_nms([], [], 0.5).tolist() == []


def test_mask_iou():
    first, second = picture("##..", "##.."), picture(".##.", ".##.")
    assert mask_iou(first, second) == pytest.approx(2 / 6)
    assert mask_iou(first, first) == 1
    assert mask_iou(first, ~first) == 0
    assert mask_iou(first & ~first, second & ~second) == 0


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 1000))
def test_mask_iou_matrix(n, m, seed):
    random = np.random.default_rng(seed)
    first, second = random.random((n, 6, 7)) < 0.4, random.random((m, 6, 7)) < 0.4
    found = mask_iou_matrix(first, second)
    assert found.shape == (n, m)
    for i in range(n):
        for j in range(m):
            assert found[i, j] == pytest.approx(mask_iou(first[i], second[j]))


def test_mask_iou_matrix_of_large_masks():
    """More pixels than are compared at once, and than float32 counts exactly."""
    first = np.ones((1, 1500, 1500), bool)
    second = first.copy()
    second[0, 0, 0] = False
    assert mask_iou_matrix(first, second)[0, 0] == 1 - 1 / 1500**2


def test_stability_equals_torch_counting():
    logits = torch.randn(5, 33, 21) * 3
    inner, outer = (logits > 1).sum((-1, -2)), (logits > -1).sum((-1, -2))
    np.testing.assert_allclose(stability_score(logits.numpy()), (inner / outer).numpy(), rtol=1e-6)
