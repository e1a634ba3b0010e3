import numpy as np
import pytest

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import (
    MatchSettings,
    ScoredMask,
    average_precision,
    match_image,
    precision_groups,
)
from sam_plugins.evaluation.comparison import draw_images
from sam_plugins.evaluation.precision import rank_classes

SIZE = (64, 64)


def image(rng, name, miss):
    """Three objects of two classes and answers that miss some, move some, and add one."""
    truths, predictions = [], []
    for place, label in enumerate("aab"):
        x = 20 * place
        box = (x, 10, x + 12, 30)
        truths.append(ScoredMask(crop=np.ones((20, 12), bool), box=box, label=label))
        if rng.random() > miss:
            y = 10 + int(rng.integers(0, 6))
            moved = (x, y, x + 12, y + 20)
            score = float(np.round(rng.random(), 2))
            predictions.append(
                ScoredMask(crop=np.ones((20, 12), bool), box=moved, label=label, score=score)
            )
    wrong = ScoredMask(
        crop=np.ones((9, 9), bool), box=(0, 40, 9, 49), label="a", score=float(rng.random())
    )
    return match_image(name, [*predictions, wrong], truths, SIZE)


def images(seed, misses, n_images):
    rng = np.random.default_rng(seed)
    return [
        (image(rng, f"{group}{number}", miss), group)
        for group, miss in misses.items()
        for number in range(n_images)
    ]


def test_weights_are_copies():
    matches = [match for match, _ in images(0, {"a": 0.2}, 7)]
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, (5, len(matches)))
    weights[4] = 0
    ranked = rank_classes(matches)
    for row in weights[:4]:
        copies = [m for m, n in zip(matches, row, strict=True) for _ in range(n)]
        expected = average_precision(copies)
        for label, one in ranked.items():
            assert np.mean(one.precisions(row[None])) == pytest.approx(expected.classes[label].ap)
    together = ranked["a"].precisions(weights)
    assert np.isnan(together[4]).all()
    for row, found in zip(weights[:4], together, strict=False):
        np.testing.assert_allclose(ranked["a"].precisions(row[None])[0], found)


def test_a_group_that_misses_more_is_lower():
    pairs = images(2, {"good": 0.05, "same": 0.05, "bad": 0.6}, 25)
    matches, groups = zip(*pairs, strict=True)
    table = precision_groups(matches, groups, resamples=300)
    rows = {row.group: row for row in table.rows}
    for name, row in rows.items():
        own = average_precision([m for m, g in pairs if g == name])
        rest = average_precision([m for m, g in pairs if g != name])
        assert row.estimate.mean == pytest.approx(own.overall.ap)
        assert row.difference.mean == pytest.approx(own.overall.ap - rest.overall.ap)
        assert row.estimate.low < row.estimate.mean < row.estimate.high
        assert (row.estimate.n_objects, row.estimate.n_clusters) == (75, 25)
    assert rows["bad"].verdict == "lower"
    against = precision_groups(matches, groups, resamples=300, reference="good").rows
    assert [row.verdict for row in against] == ["lower", "reference", "no difference shown"]


def test_the_interval_mirrors_the_draws():
    pairs = images(5, {"only": 0.3}, 6)
    matches, groups = zip(*pairs, strict=True)
    estimate = precision_groups(matches, groups, resamples=200).rows[0].estimate
    aps = []
    for drawn in np.concatenate(list(draw_images(6, 200, 0))):
        copies = [m for m, n in zip(matches, drawn, strict=True) for _ in range(n)]
        aps.append(average_precision(copies).overall.ap)
    low, high = np.quantile(aps, (0.025, 0.975))
    point = average_precision(matches).overall.ap
    assert estimate.low == pytest.approx(2 * point - high)
    assert estimate.high == pytest.approx(2 * point - low)


def test_thresholds_and_sizes_are_chosen():
    pairs = images(3, {"a": 0.1, "b": 0.1}, 12)
    matches, groups = zip(*pairs, strict=True)
    own = average_precision([m for m, g in pairs if g == "a"]).overall
    half = precision_groups(matches, groups, resamples=50, iou_threshold=0.5).rows[0]
    assert half.estimate.mean == pytest.approx(own.ap50)
    small = precision_groups(matches, groups, resamples=50, size_class="small").rows[0]
    assert small.estimate.mean == pytest.approx(own.ap_small)
    large = precision_groups(matches, groups, resamples=50, size_class="large").rows[0]
    assert np.isnan(large.estimate.mean)
    assert large.verdict == "nothing to compare"
    with pytest.raises(DatasetError, match="none of them"):
        precision_groups(matches, groups, iou_threshold=0.42)
    with pytest.raises(DatasetError, match="all, small"):
        precision_groups(matches, groups, size_class="huge")
    with pytest.raises(DatasetError, match="one group for each image"):
        precision_groups(matches, groups[1:])
    other = match_image("x", [], [], SIZE, MatchSettings(boundary=True))
    with pytest.raises(DatasetError, match="settings"):
        precision_groups([*matches, other], [*groups, "a"])


def test_few_images_and_empty_ones():
    pairs = images(4, {"a": 0.1, "few": 0.1}, 12)[:14]
    empty = match_image("empty", [], [], SIZE)
    matches, groups = zip(*pairs, (empty, "a"), (empty, "empty"), strict=True)
    rows = precision_groups(matches, groups, resamples=50).rows
    assert [row.verdict for row in rows] == ["too few images"] * 3
    assert rows[0].estimate.n_clusters == 13
    assert np.isnan(rows[1].estimate.mean)
