import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import find_duplicates, group_duplicates
from sam_plugins.evaluation.metrics import iou

SIZE = (24, 30)


def rectangle(x0, y0, x1, y1):
    return np.ones((y1 - y0, x1 - x0), bool), (x0, y0, x1, y1)


@st.composite
def crops(draw):
    x0, y0 = draw(st.integers(0, 20)), draw(st.integers(0, 15))
    width, height = draw(st.integers(0, 10)), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    crop = rng.random((height, width)) < draw(st.sampled_from([0.0, 0.6, 1.0]))
    return crop, (x0, y0, x0 + width, y0 + height)


def whole(mask):
    crop, (x0, y0, x1, y1) = mask
    canvas = np.zeros(SIZE, bool)
    canvas[y0:y1, x0:x1] = crop
    return canvas


@given(st.lists(crops(), max_size=8), st.sampled_from([0.1, 0.5, 0.8]))
def test_pairs_are_those_of_whole_masks(masks, threshold):
    full = [whole(mask) for mask in masks]
    expected = {}
    for j, b in enumerate(full):
        for i, a in enumerate(full[:j]):
            smaller = min(a.sum(), b.sum())
            inside = (a & b).sum() / smaller if smaller else 0
            if iou(a, b) >= threshold or inside >= 0.9:
                expected[i, j] = pytest.approx((iou(a, b), inside))
    pairs = find_duplicates(masks, iou_threshold=threshold, containment_threshold=0.9)
    assert {(p.first, p.second): (p.iou, p.containment) for p in pairs} == expected
    assert all(full[p.inner].sum() <= min(full[p.first].sum(), full[p.second].sum()) for p in pairs)


def test_a_mask_inside_another_has_a_low_iou():
    masks = [rectangle(0, 0, 20, 20), rectangle(5, 5, 9, 9)]
    (pair,) = find_duplicates(masks)
    assert pair.iou == pytest.approx(0.04)
    assert (pair.containment, pair.inner) == (1, 1)
    assert find_duplicates(masks, containment_threshold=None) == []


def test_the_best_stays_and_a_chain_is_not_one_object():
    chain = [rectangle(x, 0, x + 10, 10) for x in (0, 3, 6, 9)]
    pairs = find_duplicates(chain, iou_threshold=0.5, containment_threshold=None)
    assert [(p.first, p.second) for p in pairs] == [(0, 1), (1, 2), (2, 3)]
    (group,) = group_duplicates(pairs, [0.1, 0.9, 0.2, 0.3])
    assert (group.keep, group.drop) == (1, (2, 0))
    groups = group_duplicates(pairs, [0.5, 0.5, 0.5, 0.5])
    assert [(g.keep, g.drop) for g in groups] == [(0, (1,)), (2, (3,))]


@given(st.lists(crops(), max_size=10), st.data())
def test_what_stays_has_no_duplicate_that_stays(masks, data):
    scores = [data.draw(st.sampled_from([0.1, 0.5, 0.9])) for _ in masks]
    pairs = find_duplicates(masks, iou_threshold=0.3, containment_threshold=0.7)
    groups = group_duplicates(pairs, scores)
    dropped = [place for group in groups for place in group.drop]
    assert len(dropped) == len(set(dropped))
    assert not {group.keep for group in groups} & set(dropped)
    related = {(p.first, p.second) for p in pairs}
    assert all(not ({i, j}.isdisjoint(dropped)) for i, j in related)
    for group in groups:
        for place in group.drop:
            assert tuple(sorted((group.keep, place))) in related
            assert scores[group.keep] >= scores[place]


def test_every_mask_needs_a_score():
    pairs = find_duplicates([rectangle(0, 0, 5, 5)] * 2)
    with pytest.raises(DatasetError, match="1 scores"):
        group_duplicates(pairs, [0.5])
    with pytest.raises(DatasetError, match="not a number"):
        group_duplicates(pairs, [0.5, float("nan")])
    assert group_duplicates([], []) == []
