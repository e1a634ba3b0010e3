"""Prompts in a session: the newest ones are answered, shown and kept, and nothing else."""

import numpy as np
import pytest

pytest.importorskip("napari")

from session_doubles import Desk, Session


def ramp(shape=(96, 128)):
    return (np.indices(shape).sum(0) % 251).astype(np.uint8)


def opened(desk=None, data=None, **options):
    session = Session(desk=desk)
    layer = session.viewer.add_image(ramp() if data is None else data, name="cells", **options)
    assert session.open(layer)
    return session


def test_each_click_is_answered_at_once_and_background_takes_away():
    session = opened()
    session.click(40, 50)
    (first,) = session.shown().values()
    assert (40, 50) in first
    assert (40, 62) not in first
    session.click(40, 60)
    (both,) = session.shown().values()
    assert first < both
    assert (40, 60) in both
    session.click(40, 50, sign="background")
    (less,) = session.shown().values()
    assert (40, 50) not in less


def test_moved_recoloured_and_deleted_points_are_answered_again():
    session = opened()
    session.click(40, 50)
    points = session.annotator.prompts.points
    points.data = np.array([[70.0, 90.0]])
    (moved,) = session.shown().values()
    assert (70, 90) in moved
    assert (40, 50) not in moved
    points.features = {"label": ["background"], "object": [1]}
    assert session.shown() == {}
    assert len(session.sentences("warning")) == 1
    points.features = {"label": ["object"], "object": [1]}
    assert session.shown()
    points.selected_data = {0}
    points.remove_selected()
    assert session.shown() == {}
    assert not session.annotator.has_draft


def test_the_points_layer_itself_can_be_deleted():
    session = opened()
    session.click(40, 50)
    session.viewer.layers.remove(session.annotator.prompts.points)
    assert session.shown() == {}
    assert not session.annotator.has_draft
    session.annotator.undo()
    assert session.shown()
    assert len(session.annotator.prompts.points.data) == 1


def test_a_slow_answer_to_an_older_draft_is_neither_shown_nor_kept():
    session = opened(Desk(holds=True))
    session.click(20, 20)
    session.annotator.discard()
    session.click(70, 100)
    session.desk.answer_first()
    assert session.shown() == {}
    assert session.annotator.is_waiting
    session.desk.answer()
    (shown,) = session.shown().values()
    assert (70, 100) in shown
    assert (20, 20) not in shown
    assert session.annotator.accept()
    assert session.labels[70, 100] == 1
    assert session.labels[20, 20] == 0


def test_keeping_while_a_mask_is_on_its_way_keeps_that_of_the_newest_prompts():
    session = opened(Desk(holds=True))
    session.click(40, 50)
    assert session.annotator.accept() is False
    session.click(40, 62)
    session.desk.answer()
    assert session.labels[40, 50] == 1
    assert session.labels[40, 62] == 1
    assert not session.annotator.has_draft


def test_prompts_that_were_deleted_are_not_kept_by_the_next_click():
    session = opened(Desk(holds=True))
    session.click(40, 50)
    session.annotator.accept()
    session.viewer.layers.remove(session.annotator.prompts.points)
    session.click(70, 90)
    session.desk.answer()
    assert not session.labels.any()
    assert session.annotator.has_draft


def test_two_boxes_are_two_objects_and_points_go_to_the_box_around_them():
    session = opened()
    session.draw_box(10, 10, 30, 30)
    session.draw_box(50, 60, 80, 100)
    assert sorted(session.annotator.draft.objects) == [1, 2]
    session.click(20, 20)
    session.click(60, 70, sign="background")
    said = session.annotator.draft.get(1, session.annotator.plane)
    assert [point[:2] for point in said.points] == [(20.0, 20.0)]
    said = session.annotator.draft.get(2, session.annotator.plane)
    assert list(said.points) == [(70.0, 60.0, 0)]
    assert session.annotator.accept()
    assert sorted(session.target.book.records) == [1, 2]
    assert session.labels[20, 20] == 1
    assert session.labels[75, 95] == 2
    assert session.labels[60, 70] == 0


def test_the_next_answer_is_another_one_and_the_first_comes_again():
    session = opened()
    session.click(40, 50)
    sizes = []
    for _ in range(4):
        (shown,) = session.shown().values()
        sizes.append(len(shown))
        session.annotator.next_answer()
    assert len(set(sizes[:3])) == 3
    assert sizes[3] == sizes[0]
    session.annotator.undo()
    (shown,) = session.shown().values()
    assert len(shown) == sizes[0]


def test_there_is_a_sentence_where_prompts_say_nothing_of_an_object():
    session = opened()
    session.click(40, 50, sign="background")
    assert len(session.sentences("warning")) == 1
    assert session.annotator.accept() is False
    assert len(session.sentences("warning")) == 1
    assert not session.labels.any()
    assert session.annotator.has_draft


def test_what_is_wrong_with_one_object_is_said_once_while_others_go_on():
    session = opened()
    session.draw_box(10, 10, 30, 30)
    session.annotator.prompts.set_number(2)
    plane = session.annotator.plane
    session.annotator.prompts.add_point(plane, (100.0, 70.0), "background")
    assert len(session.sentences("warning")) == 1
    session.click(20, 20)
    session.click(22, 20)
    assert session.sentences("warning") == []


def test_an_empty_mask_is_a_sentence_and_is_not_kept():
    session = opened()
    session.draw_box(10, 10, 30, 30)
    for y in range(8, 34, 5):
        for x in range(8, 34, 5):
            session.click(y, x, sign="background")
    session.sentences()
    assert session.annotator.accept() is False
    assert len(session.sentences("warning")) == 1
    assert not session.labels.any()
    assert session.annotator.has_draft


def test_after_a_failure_keeping_asks_again():
    desk = Desk(holds=True)
    session = opened(desk)
    desk.error = RuntimeError("the model's process has ended")
    session.click(40, 50)
    desk.answer()
    assert session.sentences() == ["the model's process has ended"]
    assert session.annotator.accept() is False
    desk.answer()
    assert session.sentences() == ["the model's process has ended"]
    desk.error = None
    session.annotator.accept()
    desk.answer()
    assert session.labels[40, 50] == 1


def test_a_failure_of_prompts_that_are_gone_is_not_told():
    session = opened(Desk(holds=True))
    session.click(40, 50)
    session.annotator.discard()
    session.desk.error = RuntimeError("late")
    if session.desk.waiting:
        session.desk.answer()
    assert session.sentences("error") == []


def test_nothing_to_clear_is_no_step_to_undo():
    session = opened()
    session.click(40, 50)
    session.annotator.undo()
    session.annotator.discard()
    session.annotator.redo()
    assert session.annotator.has_draft


def test_another_model_is_asked_again_for_what_is_not_kept():
    session = opened()
    session.click(40, 50)
    (small,) = session.shown().values()
    from sam_plugins.testing import FakeSegmenter

    session.desk.segmenter = FakeSegmenter(radius=12.0)
    session.annotator.model_changed()
    (large,) = session.shown().values()
    assert len(large) > 2 * len(small)
    assert session.annotator.accept()
    assert session.target.book.records[1].model_id == session.desk.segmenter.info.model_id


def test_undo_and_redo_walk_over_prompts_and_what_was_kept():
    session = opened()
    session.click(40, 50)
    session.click(40, 58)
    session.annotator.accept()
    kept = session.labels.copy()
    session.click(80, 100)
    session.annotator.undo()
    assert not session.annotator.has_draft
    session.annotator.undo()
    assert not session.labels.any()
    assert len(session.annotator.prompts.points.data) == 2
    session.annotator.undo()
    assert len(session.annotator.prompts.points.data) == 1
    session.annotator.undo()
    assert not session.annotator.has_draft
    for _ in range(4):
        session.annotator.redo()
    np.testing.assert_array_equal(session.labels, kept)
    assert session.annotator.draft.get(1, session.annotator.plane).points == ((100.0, 80.0, 1),)
    session.annotator.redo()
    assert session.sentences() == ["There is nothing to do again."]


def test_objects_have_different_bright_colours_that_come_again_after_the_last():
    session = opened()
    session.click(40, 50)
    layer = session.annotator.preview.layer
    colours = [tuple(layer.get_color(number)) for number in range(1, 10)]
    assert len(set(colours)) == 8
    assert colours[8] == colours[0]
    assert all(colour[3] == 1 and max(colour) == 1 for colour in colours[:1])
    assert layer.colormap.map(np.zeros((1, 1), np.uint8))[0, 0, 3] == 0


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.3, 0.7)])
def test_a_click_asks_once_and_before_its_point_is_drawn(scale):
    desk = Desk(holds=True)
    session = opened(desk, scale=scale)
    asked = []
    latest = desk.latest

    def noted(slot, *work):
        points = session.annotator.prompts._points
        asked.append(0 if points is None else len(points.data))
        latest(slot, *work)

    desk.latest = noted
    for number, place in enumerate([(12.3, 20.7), (15.1, 11.9), (11.4, 30.2)]):
        session.click(*place)
        assert asked == list(range(number + 1))
        desk.answer()


def test_a_box_beside_a_click_is_another_object_and_one_around_it_the_same():
    session = opened()
    session.click(20, 20)
    session.draw_box(50, 60, 80, 100)
    assert sorted(session.annotator.draft.objects) == [1, 2]
    session.annotator.discard()
    session.click(60, 70)
    session.draw_box(50, 60, 80, 100)
    assert sorted(session.annotator.draft.objects) == [1]
