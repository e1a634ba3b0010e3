import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import MistakeSettings, ScoredMask, find_mistakes, match_objects


def square(x, y, side=10, *, wide=None, **known):
    wide = side if wide is None else wide
    crop = np.ones((side, wide), bool)
    return ScoredMask(crop=crop, box=(x, y, x + wide, y + side), **known)


def only(mistakes):
    (mistake,) = mistakes
    return mistake


def test_agreement_is_no_mistake():
    masks = [square(0, 0, label="a"), square(30, 0, label="b")]
    assert find_mistakes(masks, masks) == []
    assert find_mistakes([], []) == []
    assert [(p.truth, p.prediction, p.iou) for p in match_objects(masks, masks[::-1])] == [
        (0, 1, 1),
        (1, 0, 1),
    ]


def test_a_sure_model_with_another_outline():
    known, larger = square(0, 0, 10), square(0, 0, 20, score=0.9)
    mistake = only(find_mistakes([known], [larger]))
    assert (mistake.kind, mistake.truth, mistake.prediction) == ("does not fit", 0, 0)
    assert mistake.iou == 0.25
    assert mistake.score == pytest.approx(0.9 * 0.75)
    assert "IoU with the known mask is 0.25" in mistake.reason
    assert "4 times the known" in mistake.reason
    unsure = square(0, 0, 20, score=0.5)
    assert find_mistakes([known], [unsure]) == []
    assert len(find_mistakes([known], [unsure], settings=MistakeSettings(min_score=0.4))) == 1


def test_the_answer_to_an_objects_own_box_may_lie_elsewhere():
    known, away = square(0, 0), square(40, 40, score=0.95)
    assert {m.kind for m in find_mistakes([known], [away])} == {"missing", "spurious"}
    mistake = only(find_mistakes([known], [away], pairs=[(0, 0)]))
    assert (mistake.kind, mistake.iou, mistake.score) == ("does not fit", 0, 0.95)
    assert "shares no pixel" in mistake.reason
    with pytest.raises(DatasetError, match=r"\(0, 1\) names no object"):
        find_mistakes([known], [away], pairs=[(0, 1)])


def test_missing_and_spurious():
    truths = [square(0, 0, label="cat")]
    mistakes = find_mistakes(truths, [square(50, 0, label="dog", score=0.9)])
    assert [m.kind for m in mistakes] == ["spurious", "missing"]
    assert "'cat' is found by no prediction" in mistakes[0].reason
    assert "sure of a 'dog' (score 0.90) where none is known" in mistakes[1].reason
    part = square(2, 2, 3, score=0.9)
    alone = only(find_mistakes([square(0, 0, 20)], [part]))
    assert alone.kind == "spurious"
    assert "2% of it lies in one" in alone.reason
    crowd = square(0, 0, 30, is_crowd=True)
    assert find_mistakes([crowd], [square(3, 3, 8, score=0.9)]) == []
    empty = ScoredMask(crop=np.zeros((2, 2), bool), box=(0, 0, 2, 2))
    assert find_mistakes([], [empty]) == []
    assert "no pixel" in only(find_mistakes([empty], [])).reason


def test_the_same_place_with_another_label():
    known, other = square(0, 0, label="cat"), square(0, 0, label="dog", score=0.9)
    mistake = only(find_mistakes([known], [other]))
    assert (mistake.kind, mistake.score) == ("other label", pytest.approx(0.9))
    assert "Known as 'cat', predicted as 'dog'" in mistake.reason
    assert find_mistakes([known], [square(0, 0, score=0.9)]) == []
    assert find_mistakes([known], [other, square(0, 0, label="cat", score=0.9)]) == []
    nearly = square(1, 0, label="cat", score=0.9)
    assert find_mistakes([known], [other, nearly]) == []


def test_two_known_masks_on_one_object():
    masks = [square(0, 0, label="a"), square(0, 0, 10, wide=9, label="b")]
    mistake = only(find_mistakes(masks, masks))
    assert (mistake.kind, mistake.truth, mistake.other_truth) == ("double", 0, 1)
    assert mistake.iou == pytest.approx(0.9)
    inside = [square(2, 2, 3, label="a"), square(0, 0, label="a")]
    mistake = only(find_mistakes(inside, inside))
    assert (mistake.truth, mistake.other_truth, mistake.score) == (1, 0, 1)
    assert "100% of the smaller" in mistake.reason
    part = [square(2, 2, 3, label="wheel"), square(0, 0, label="car")]
    assert find_mistakes(part, part) == []


boxes = st.builds(
    square,
    st.integers(0, 25),
    st.integers(0, 25),
    st.integers(1, 12),
    wide=st.integers(1, 12),
    label=st.sampled_from(["", "a", "b"]),
    score=st.sampled_from([0.3, 0.85, 1.0]),
    is_crowd=st.booleans(),
)


@given(st.lists(boxes, max_size=8), st.lists(boxes, max_size=8))
def test_each_object_has_one_pair_and_none_is_better_left_alone(truths, predictions):
    pairs = match_objects(truths, predictions)
    assert len({p.truth for p in pairs}) == len({p.prediction for p in pairs}) == len(pairs)
    best = {p.truth: p.iou for p in pairs}, {p.prediction: p.iou for p in pairs}
    for i, known in enumerate(truths):
        for j, answer in enumerate(predictions):
            (pair,) = match_objects([known], [answer], min_iou=0.1) or [None]
            if pair is not None:
                assert max(best[0].get(i, 0), best[1].get(j, 0)) >= pair.iou
    mistakes = find_mistakes(truths, predictions)
    assert [m.score for m in mistakes] == sorted((m.score for m in mistakes), reverse=True)
    for mistake in mistakes:
        assert 0 <= mistake.score <= 1
        assert mistake.reason.endswith(".")
        assert mistake.truth is None or not truths[mistake.truth].is_crowd
        assert mistake.prediction is None or predictions[mistake.prediction].score >= 0.8
