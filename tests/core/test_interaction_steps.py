"""Interactions: in which steps a model is asked, and what is kept of a mask that was given."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sam_plugins import Interaction, Refined, Refiner, TiledImage
from sam_plugins.errors import PromptError
from sam_plugins.formats import mask_to_rle
from sam_plugins.interaction.steps import along, interior_point
from sam_plugins.samples.cells import nuclei
from sam_plugins.testing import FakeSegmenter, tiny_nano, tiny_segmenter
from sam_plugins.types import Embedding, Masks, Prompt


class Asked(FakeSegmenter):
    """Notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[tuple[Prompt, bool | None]] = []

    def decode(
        self, embedding: Embedding, prompt: Prompt, *, multimask_output: bool | None = None
    ) -> Masks:
        self.prompts.append((prompt, multimask_output))
        return super().decode(embedding, prompt, multimask_output=multimask_output)

    def decode_many(self, embedding, prompts, *, multimask_output=None, pred_iou_thresh=None):  # type: ignore[no-untyped-def]
        self.prompts.extend((prompt, multimask_output) for prompt in prompts)
        return super().decode_many(
            embedding,
            prompts,
            multimask_output=multimask_output,
            pred_iou_thresh=pred_iou_thresh,
        )


IMAGE = nuclei().image[:200, :260].copy()


def refiner() -> tuple[Refiner, Asked]:
    segmenter = Asked()
    return Refiner(TiledImage(segmenter, IMAGE)), segmenter


def whole(found: Refined) -> NDArray[np.bool_]:
    mask = np.zeros(IMAGE.shape[:2], bool)
    x0, y0, x1, y1 = found.box
    mask[y0:y1, x0:x1] = found.crop
    return mask


def test_the_first_foreground_point_comes_first_and_each_further_one_is_a_step() -> None:
    steps = Interaction(points=((5, 5, 0), (9, 8, 1), (3, 4, 1))).steps()
    assert [step.points for step in steps] == [
        ((9, 8, 1),),
        ((9, 8, 1), (5, 5, 0)),
        ((9, 8, 1), (5, 5, 0), (3, 4, 1)),
    ]


def test_a_box_stands_for_itself_and_points_correct_it() -> None:
    steps = Interaction(points=((5, 5, 0),), box=(1, 2, 30, 40)).steps()
    assert [step.points for step in steps] == [(), ((5, 5, 0),)]
    assert all(step.box == (1, 2, 30, 40) for step in steps)


def test_background_alone_says_nothing() -> None:
    with pytest.raises(PromptError, match="click on the object first"):
        Interaction(points=((5, 5, 0),), scribbles=((((1, 1), (9, 9)), 0),)).steps()


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=12),
)
def test_points_of_a_scribble_lie_on_it(vertices: list[tuple[float, float]]) -> None:
    points = along(vertices)
    assert 1 <= len(points) <= 8
    line = np.array(vertices)
    dense = np.concatenate([np.linspace(a, b, 400) for a, b in pairwise(line)] or [line])
    for point in points:
        assert np.hypot(*(dense - point).T).min() < 2


def test_each_correction_is_asked_with_the_answer_before_it() -> None:
    asking, segmenter = refiner()
    asking.answer(Interaction(points=((60, 60, 1), (90, 60, 0))))
    (first, several), (second, single) = segmenter.prompts
    assert first.mask_input is None
    assert several is None
    assert second.mask_input is not None
    assert single is False
    assert second.point_labels is not None
    assert second.point_labels.tolist() == [1, 0]


def test_a_further_click_costs_one_decode_and_an_earlier_change_all_of_them() -> None:
    asking, segmenter = refiner()
    asking.answer(Interaction(points=((60, 60, 1), (90, 60, 0))))
    segmenter.prompts.clear()
    asking.answer(Interaction(points=((60, 60, 1), (90, 60, 0), (60, 90, 1))))
    assert len(segmenter.prompts) == 1
    segmenter.prompts.clear()
    asking.answer(Interaction(points=((61, 60, 1), (90, 60, 0), (60, 90, 1))))
    assert len(segmenter.prompts) == 3


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 259), st.integers(0, 199), st.integers(0, 1)),
        min_size=1,
        max_size=5,
    )
)
def test_the_mask_depends_on_the_prompts_alone(points: list[tuple[float, float, int]]) -> None:
    points = [(40, 40, 1), *points]
    session = TiledImage(tiny_segmenter(tiny_nano()), IMAGE)
    clicked = Refiner(session)
    for count in range(1, len(points) + 1):
        live = clicked.answer(Interaction(points=tuple(points[:count])))
    fresh = Refiner(session).answer(Interaction(points=tuple(points)))
    np.testing.assert_array_equal(whole(live), whole(fresh))
    assert live.score == fresh.score


def test_the_chosen_answer_is_the_one_that_is_corrected() -> None:
    session = TiledImage(tiny_segmenter(tiny_nano()), IMAGE)
    found = [
        Refiner(session).answer(Interaction(points=((60, 60, 1),), answer=rank))
        for rank in range(3)
    ]
    assert [each.answer for each in found] == [0, 1, 2]
    assert all(each.answers == 3 for each in found)
    assert found[0].score >= found[1].score >= found[2].score
    best = Refiner(session).answer(Interaction(points=((60, 60, 1),)))
    np.testing.assert_array_equal(whole(best), whole(found[0]))


def test_a_mask_alone_comes_back_as_it_was() -> None:
    asking, segmenter = refiner()
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[30:50, 40:80] = True
    mask[35:38, 50:60] = False
    found = asking.answer(Interaction(mask=mask_to_rle(mask)))
    np.testing.assert_array_equal(whole(found), mask)
    assert segmenter.prompts == []


@pytest.mark.parametrize("label", [0, 1])
def test_a_given_mask_changes_only_where_a_click_is(label: int) -> None:
    rng = np.random.default_rng(4)
    session = TiledImage(tiny_segmenter(tiny_nano()), IMAGE)
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[20:90, 30:120] = True
    start = Interaction(mask=mask_to_rle(mask))
    for _ in range(6):
        x, y = int(rng.integers(0, 259)), int(rng.integers(0, 199))
        found = whole(
            Refiner(session).answer(Interaction(points=((x, y, label),), mask=start.mask))
        )
        changed = found ^ mask
        if label:
            assert not (changed & mask).any()
        else:
            assert not (changed & ~mask).any()
        assert not changed.any() or changed[y, x]


def test_a_mask_of_another_picture_is_refused() -> None:
    asking, _ = refiner()
    mask = mask_to_rle(np.ones((10, 10), bool))
    with pytest.raises(PromptError, match="10 x 10, this one is 200 x 260"):
        asking.answer(Interaction(points=((5, 5, 1),), mask=mask))


def test_the_interior_point_lies_deep_inside() -> None:
    mask = np.zeros((40, 40), bool)
    mask[2:20, 2:20] = True
    mask[30:34, 30:34] = True
    x, y = interior_point(mask)
    assert abs(x - 10.5) <= 1
    assert abs(y - 10.5) <= 1
    assert interior_point(mask_to_rle(mask)) == (x, y)
    with pytest.raises(PromptError, match="empty"):
        interior_point(np.zeros((4, 4), bool))
