"""What speaks against masks, on plain values: no FiftyOne, no database."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.quality import Finding, Thresholds
from fiftyone_plugin.quality.judging import JudgedObject, compare_objects, judge_objects
from fiftyone_plugin.quality.shape import measure_shape

SIZE = (100, 200)


def block(x0, y0, x1, y1, name="a", label="disc", **known):
    mask = np.ones((y1 - y0, x1 - x0), bool)
    known.setdefault("given_box", (x0, y0, x1, y1))
    return JudgedObject(label_id=name, label=label, mask=(mask, (x0, y0, x1, y1)), **known)


def found(objects, **limits):
    return [judged.findings for judged in judge_objects(objects, SIZE, Thresholds(**limits))]


def test_a_plain_block_has_no_findings():
    assert found([block(10, 10, 50, 50)]) == [set()]


def test_a_mask_inside_another_is_a_duplicate_although_their_boxes_hardly_overlap():
    large, small = block(0, 10, 100, 90, "large", worth=0.9), block(20, 20, 36, 36, "small")
    small = block(20, 20, 36, 36, "small", worth=0.5)
    assert 16 * 16 / (100 * 80) < 0.035
    judged = judge_objects([small, large], SIZE, Thresholds())
    assert judged[0].duplicate_of == "large"
    assert judged[0].findings == {Finding.DUPLICATE}
    assert (judged[1].duplicate_of, judged[1].duplicates) == ("", 1)


def test_parts_of_another_class_are_no_duplicates():
    wheel = block(20, 20, 36, 36, "wheel", label="wheel")
    assert found([block(0, 10, 100, 90, "car", label="car"), wheel]) == [set(), set()]


def test_the_same_pixels_are_a_duplicate_whatever_their_classes():
    one, other = block(10, 10, 50, 50, "one", worth=0.7), block(10, 10, 50, 50, "b", label="cat")
    assert found([one, other]) == [{Finding.DUPLICATE}, set()]


def test_of_a_chain_the_ends_both_stay():
    chain = [block(x, 10, x + 40, 50, str(x), worth=w) for x, w in ((0, 0.8), (2, 0.9), (4, 0.7))]
    far = [block(x, 10, x + 40, 50, str(x), worth=w) for x, w in ((0, 0.9), (4, 0.5), (8, 0.8))]
    assert [bool(f) for f in found(chain, duplicate_iou=0.85)] == [True, False, True]
    judged = judge_objects(far, SIZE, Thresholds(duplicate_iou=0.8, duplicate_containment=2))
    assert [j.duplicate_of for j in judged] == ["", "0", ""]


def test_an_accepted_mask_is_kept_and_a_rejected_one_takes_no_part():
    best = block(10, 10, 50, 50, "best", worth=1.0)
    accepted = block(10, 10, 50, 50, "accepted", worth=0.1, accepted=True)
    assert found([best, accepted]) == [{Finding.DUPLICATE}, set()]
    both = [block(10, 10, 50, 50, name, accepted=True) for name in "ab"]
    assert found(both) == [set(), set()]
    assert found([best, block(10, 10, 50, 50, "gone", rejected=True)]) == [set(), set()]


def test_containment_can_be_turned_off():
    nested = [block(0, 10, 100, 90, "whole"), block(20, 20, 60, 60, "part")]
    assert found(nested, duplicate_containment=2) == [set(), set()]


@pytest.mark.parametrize(
    ("item", "limits"),
    [
        (block(5, 5, 8, 8), {"tiny_area": 10}),
        (block(5, 5, 15, 15), {"tiny_of_picture": 0.006}),
    ],
)
def test_tiny_in_pixels_or_for_the_picture(item, limits):
    assert found([item]) == [{Finding.TINY}] or found([item]) == [set()]
    assert found([item], **limits) == [{Finding.TINY}]


def test_a_frayed_outline_a_torn_mask_and_one_with_holes_are_ragged():
    comb = np.ones((20, 40), bool)
    comb[:18, ::2] = False
    box = (10, 10, 50, 30)
    pieces = np.zeros((20, 40), bool)
    pieces[2:18, 2:38:9] = True
    holes = np.ones((20, 40), bool)
    holes[5, 3:36:5] = False
    for mask in (comb, pieces, holes):
        item = JudgedObject(label_id="a", label="", mask=(mask, box), given_box=box)
        assert found([item]) == [{Finding.RAGGED}]


def test_leaking_is_out_of_the_box_or_over_the_picture_or_to_most_of_its_edges():
    assert found([block(10, 10, 50, 50, given_box=(10, 10, 34, 50))]) == [{Finding.LEAKING}]
    assert found([block(10, 10, 50, 50, given_box=(10, 10, 45, 50))]) == [set()]
    assert found([block(0, 0, 200, 40)]) == [{Finding.LEAKING}]
    assert found([block(0, 0, 100, 40)]) == [set()]
    assert found([block(1, 1, 199, 99)]) == [{Finding.LEAKING}]


def test_what_a_run_wrote_about_its_box_is_believed():
    item = block(10, 10, 50, 50, box_iou=0.2, outside_box=0.6)
    assert found([item]) == [{Finding.BOX, Finding.LEAKING}]


def test_a_box_that_differs_from_the_mask_disagrees():
    (judged,) = judge_objects(
        [block(10, 10, 50, 50, given_box=(10, 10, 100, 60))], SIZE, Thresholds()
    )
    assert judged.findings == {Finding.BOX}
    assert judged.box_iou == pytest.approx(1600 / 4500)


def test_an_empty_mask_is_tiny_and_costs_no_other():
    empty = JudgedObject(
        label_id="e", label="", mask=(np.zeros((4, 4), bool), (0, 0, 4, 4)), given_box=(0, 0, 4, 4)
    )
    judged = judge_objects([empty, block(10, 10, 50, 50)], SIZE, Thresholds())
    assert Finding.TINY in judged[0].findings
    assert judged[1].findings == set()


def test_partners_are_the_best_pairs_and_each_has_one():
    first = [block(0, 0, 40, 40, "a"), block(4, 0, 44, 40, "b")]
    second = [block(5, 0, 45, 40, "c"), block(150, 50, 190, 90, "d")]
    here, there = compare_objects(first, second, Thresholds(duplicate_iou=0.9))
    assert [c.agreement for c in here] == [0.0, pytest.approx(39 / 41)]
    assert [c.agreement for c in there] == [pytest.approx(39 / 41), 0.0]
    assert here[0].findings == {Finding.DISAGREES}
    assert here[1].findings == {Finding.ACROSS}
    assert there[1].findings == {Finding.DISAGREES}


def test_comparing_with_nothing_disagrees_with_all_but_the_rejected():
    here, there = compare_objects(
        [block(0, 0, 40, 40), block(0, 0, 40, 40, rejected=True)], [], Thresholds()
    )
    assert [c.findings for c in here] == [{Finding.DISAGREES}, set()]
    assert there == []


@pytest.mark.parametrize("value", [-0.1, math.nan, True, "0.5"])
def test_thresholds_refuse_what_is_no_number_of_at_least_zero(value):
    with pytest.raises(FieldError, match="duplicate_iou"):
        Thresholds(duplicate_iou=value)


def test_thresholds_survive_json_and_ignore_other_fields_of_a_form():
    limits = Thresholds(tiny_area=5, min_box_iou=0.25)
    assert Thresholds.from_json({**limits.to_json(), "label_field": "masks"}) == limits
    assert Thresholds.from_json({"tiny_area": None}) == Thresholds()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_measures_do_not_depend_on_how_wide_the_crop_is(data):
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(bits).reshape(height, width)
    left, top = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    wide = np.pad(mask, ((top, 3), (left, 2)))
    size = (30, 40)
    small = measure_shape(mask, (10, 10, 10 + width, 10 + height), size)
    box = (10 - left, 10 - top, 12 + width, 13 + height)
    assert measure_shape(wide, box, size) == small
    assert small.raggedness >= 1 or small.components > 1
    assert small.area == mask.sum()
    filled = measure_shape(np.ones_like(mask), (0, 0, width, height), (height, width))
    assert (filled.borders, filled.filled, filled.raggedness) == (4, 1.0, 1.0)
