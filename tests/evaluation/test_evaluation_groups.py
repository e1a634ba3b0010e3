import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import Estimate, cluster_mean, group_table, quantile_bins
from sam_plugins.evaluation.comparison import Side, judged


def population(rng, effects, n_images=30, spread=0.1):
    """Values of objects whose images have a level of their own; one group for each effect."""
    values, groups, images = [], [], []
    for name, effect in effects.items():
        for number in range(n_images):
            level = 0.7 + effect + rng.normal(0, spread)
            for _ in range(rng.integers(1, 9)):
                values.append(level + rng.normal(0, 0.05))
                groups.append(name)
                images.append(f"{name}{number}")
    return values, groups, images


def test_a_difference_is_found_and_said_in_words():
    values, groups, images = population(np.random.default_rng(0), {"a": 0, "b": 0, "worse": -0.2})
    table = group_table(values, groups, images)
    assert [row.group for row in table.rows] == ["a", "b", "worse"]
    assert table.n_comparisons == 3
    worse = table.rows[2]
    own, rest = (
        np.mean([v for v, g in zip(values, groups, strict=True) if (g == "worse") is side])
        for side in (True, False)
    )
    assert worse.estimate.mean == pytest.approx(own)
    assert worse.difference.mean == pytest.approx(own - rest)
    assert worse.difference.low < worse.difference.mean < worse.difference.high < 0
    assert worse.verdict == "lower"
    assert worse in table.claims
    assert worse.sentence.startswith(f"{rest - own:.3f} lower than the rest (95 % interval 0.")
    assert "| worse |" in table.to_markdown()
    assert table.to_markdown().count("\n") == 5


def test_the_interval_of_a_group_is_that_of_its_images():
    # The images are drawn from all, so that a group has a few more or fewer in each draw.
    scene = population(np.random.default_rng(1), {"a": 0, "b": 0.1}, n_images=200)
    values, groups, images = scene
    row = group_table(values, groups, images, confidence=0.9).rows[1]
    own = [i for i, g in enumerate(groups) if g == "b"]
    expected = cluster_mean([values[i] for i in own], [images[i] for i in own], confidence=0.9)
    assert (row.estimate.mean, row.estimate.n_objects) == (
        pytest.approx(expected.mean),
        expected.n_objects,
    )
    assert (row.estimate.low, row.estimate.high) == pytest.approx(
        (expected.low, expected.high), abs=0.002
    )


def test_a_reference_is_what_all_are_compared_with():
    values, groups, images = population(np.random.default_rng(2), {"a": 0, "b": 0.3, "c": -0.3})
    table = group_table(values, groups, images, reference="a")
    assert [row.verdict for row in table.rows] == ["reference", "higher", "lower"]
    assert table.rows[0].difference is None
    assert table.n_comparisons == 2
    assert "than a (" in table.rows[1].sentence
    gap = table.rows[1].estimate.mean - table.rows[0].estimate.mean
    assert table.rows[1].difference.mean == pytest.approx(gap)
    with pytest.raises(DatasetError, match="choose one of a, b, c"):
        group_table(values, groups, images, reference="d")


def test_alike_groups_are_seldom_called_different():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(150):
        scene = population(rng, dict.fromkeys("abcd", 0), n_images=10)
        wrong += bool(group_table(*scene, resamples=300).claims)
    assert wrong / 150 <= 0.08


def test_many_groups_and_few_images_widen_the_interval():
    rng = np.random.default_rng(4)
    scene = population(rng, dict.fromkeys("abcdefgh", 0))
    widened, plain = (group_table(*scene, widen=widen).rows[0].difference for widen in (1, 0))
    assert widened.low < plain.low < plain.high < widened.high
    two = population(rng, {"a": 0, "b": 0})
    assert group_table(*two).n_comparisons == 1
    first, second = (row.difference for row in group_table(*two).rows)
    assert (first.low, first.high) == pytest.approx((-second.high, -second.low))


def test_few_images_stretch_the_percentile_interval_by_students_quantile():
    own = Estimate(mean=0.5, low=0.4, high=0.6, n_objects=30, n_clusters=10)
    draws = np.linspace(0.0, 0.3, 4001)
    sides = [
        Side(group=name, estimate=own, other_images=40, difference=0.1, draws=draws)
        for name in "abc"
    ]
    table = judged(sides, reference=None, min_images=2, confidence=0.95, widen=True)
    factor = stats.t.ppf(1 - 0.025 / 3, 9) / stats.norm.ppf(0.975) * math.sqrt(10 / 9)
    low, high = np.quantile(draws, (0.025, 0.975))
    found = table.rows[0].difference
    assert (found.low, found.high) == pytest.approx(
        (0.1 - factor * (0.1 - low), 0.1 + factor * (high - 0.1))
    )


def test_an_image_of_both_groups_cancels_what_is_hard_for_both():
    rng = np.random.default_rng(5)
    level = rng.normal(0.6, 0.2, 40)
    values = np.concatenate([level, level - 0.05 + rng.normal(0, 0.01, 40)])
    groups = ["a"] * 40 + ["b"] * 40
    images = [str(i) for i in range(40)] * 2
    assert [r.verdict for r in group_table(values, groups, images).rows] == ["higher", "lower"]
    apart = [f"{g}{i}" for g, i in zip(groups, images, strict=True)]
    assert not group_table(values, groups, apart).claims


def test_too_few_images_say_nothing():
    scene = population(np.random.default_rng(6), {"a": 0, "b": 0.5}, n_images=12)
    for value in (0.1, 0.2, 0.3):
        for part, new in zip(scene, (value, "few", f"x{value}"), strict=True):
            part.append(new)
    rows = group_table(*scene).rows
    assert [row.verdict for row in rows] == ["lower", "higher", "too few images"]
    assert rows[2].sentence == "Too few images to say: 3, at least 10 are needed."
    assert rows[2].estimate.n_clusters == 3
    assert not math.isnan(rows[2].estimate.low)
    assert group_table(*scene, min_images=3).rows[2].difference is not None
    single = [part[:-2] for part in scene]
    rows = group_table(*single, min_images=1).rows
    assert rows[2].sentence == "Too few images to say: 1, at least 2 are needed."
    few = group_table(*scene, reference="few").rows
    assert {row.verdict for row in few} == {"too few images", "reference"}
    assert "few has 3" in few[0].sentence


def test_one_group_has_nothing_to_compare():
    scene = population(np.random.default_rng(7), {"only": 0})
    (row,) = group_table(*scene).rows
    assert row.verdict == "nothing to compare"
    assert group_table([1.0], ["a"], ["1"]).rows[0].verdict == "too few images"


def test_order_plays_no_part():
    values, groups, images = population(np.random.default_rng(8), {"a": 0, "b": 0.1})
    order = np.random.default_rng(0).permutation(len(values))
    shuffled = group_table(*([part[i] for i in order] for part in (values, groups, images)))
    for one, other in zip(group_table(values, groups, images).rows, shuffled.rows, strict=True):
        assert (one.difference.low, one.difference.high) == pytest.approx(
            (other.difference.low, other.difference.high)
        )
        assert one.verdict == other.verdict


@pytest.mark.parametrize(
    ("values", "groups", "images", "match"),
    [
        ([], [], [], "at least one value"),
        ([1.0], ["a", "b"], ["1"], "at least one value"),
        ([1.0, float("nan")], ["a", "b"], ["1", "2"], "1 of 2 values are not finite"),
    ],
)
def test_values_that_no_table_can_be_made_of(values, groups, images, match):
    with pytest.raises(DatasetError, match=match):
        group_table(values, groups, images)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=40), st.integers(1, 12))
def test_bins_rise_and_keep_equal_values_together(values, n_bins):
    names = quantile_bins(values, n_bins)
    known = sorted((v, n) for v, n in zip(values, names, strict=True) if not math.isnan(v))
    assert [n for _, n in known] == sorted(n for _, n in known)
    assert len({n for _, n in known}) <= n_bins
    assert len(set(known)) == len({v for v, _ in known})
    assert all((n == "no value") == math.isnan(v) for v, n in zip(values, names, strict=True))


def test_bins_are_of_one_size_and_say_their_range():
    names = quantile_bins([float(v) for v in range(100)], 4)
    assert list(dict.fromkeys(names)) == ["1: 0 to 24", "2: 25 to 49", "3: 50 to 74", "4: 75 to 99"]
    assert [names.count(n) for n in dict.fromkeys(names)] == [25] * 4
    assert quantile_bins([5, 5, 5], 3) == ["1: 5"] * 3
    with pytest.raises(DatasetError, match="at least one bin"):
        quantile_bins([1.0], 0)
