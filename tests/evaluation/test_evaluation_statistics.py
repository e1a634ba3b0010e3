import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam_plugins.evaluation import statistics
from sam_plugins.evaluation.statistics import cluster_mean, paired_difference


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.floats(0, 1, width=32)), min_size=1, max_size=40
    ),
    st.randoms(use_true_random=False),
)
def test_order_plays_no_part_and_the_interval_holds_the_mean(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    first = cluster_mean([v for _, v in pairs], [c for c, _ in pairs])
    second = cluster_mean([v for _, v in shuffled], [c for c, _ in shuffled])
    assert first.mean == pytest.approx(np.mean([v for _, v in pairs]))
    assert first.n_objects == len(pairs)
    assert first.n_clusters == len({c for c, _ in pairs})
    if first.n_clusters == 1:
        assert math.isnan(first.low)
        assert math.isnan(second.high)
        return
    assert (first.low, first.high) == pytest.approx((second.low, second.high))
    assert min(v for _, v in pairs) - 1e-9 <= first.low <= first.high
    assert first.high <= max(v for _, v in pairs) + 1e-9


def test_copies_of_an_object_do_not_narrow_the_interval():
    rng = np.random.default_rng(1)
    level = rng.uniform(0, 1, 20)
    one = cluster_mean(level, [f"image {i}" for i in range(20)])
    many = cluster_mean(np.repeat(level, 30), [f"image {i}" for i in range(20) for _ in range(30)])
    naive = cluster_mean(np.repeat(level, 30), [str(i) for i in range(600)])
    assert (many.low, many.high) == pytest.approx((one.low, one.high))
    assert naive.high - naive.low < 0.3 * (many.high - many.low)


def test_nineteen_intervals_of_twenty_hold_the_truth():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        sizes = rng.integers(1, 12, 40)
        image = np.repeat(rng.normal(0.5, 0.1, 40), sizes)
        values = image + rng.normal(0, 0.1, sizes.sum())
        names = np.repeat(np.arange(40), sizes).astype(str)
        estimate = cluster_mean(values, list(names), resamples=500)
        held += estimate.low <= 0.5 <= estimate.high
    assert 0.88 <= held / 200 <= 0.99


def test_seed_and_confidence_count():
    values, names = np.linspace(0, 1, 30), [str(i % 6) for i in range(30)]
    assert cluster_mean(values, names) == cluster_mean(values, names)
    assert cluster_mean(values, names, seed=1) != cluster_mean(values, names)
    wide, narrow = (cluster_mean(values, names, confidence=c) for c in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_many_clusters_are_drawn_in_parts(monkeypatch):
    values, names = np.linspace(0, 1, 30), [str(i % 6) for i in range(30)]
    at_once = cluster_mean(values, names, resamples=100)
    monkeypatch.setattr(statistics, "_CELLS_AT_ONCE", 60)
    assert cluster_mean(values, names, resamples=100) == at_once


def test_pairs_cancel_what_is_hard_for_both():
    rng = np.random.default_rng(2)
    hard = rng.uniform(0, 1, 50)
    names = [str(i) for i in range(50)]
    better = hard + 0.05 + rng.normal(0, 0.02, 50)
    difference = paired_difference(better, hard, names)
    assert difference.mean == pytest.approx((better - hard).mean())
    assert difference.low > 0
    assert cluster_mean(better, names).low < cluster_mean(hard, names).high


@pytest.mark.parametrize(("values", "names"), [([], []), ([1.0], []), ([[1.0]], ["a"])])
def test_values_without_their_clusters_are_refused(values, names):
    with pytest.raises(ValueError, match="one cluster name for each"):
        cluster_mean(values, names)


def test_unequal_pairs_are_refused():
    with pytest.raises(ValueError, match="same objects twice"):
        paired_difference([1.0, 2.0], [1.0], ["a"])
