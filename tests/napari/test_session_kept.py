"""Kept objects in a session: opened again, deleted, merged, split, and no work of others lost."""

import numpy as np
import pytest

pytest.importorskip("napari")

from session_doubles import Session


def opened(labels=None, data=None, **options):
    session = Session()
    data = np.zeros((96, 128), np.uint8) if data is None else data
    layer = session.viewer.add_image(data, name="cells", **options)
    if labels is not None:
        labels = session.viewer.add_labels(labels, name="cellpose")
    assert session.open(layer, labels=labels)
    return session


def kept(session, *places):
    for place in places:
        session.click(*place)
        assert session.annotator.accept()


def test_ids_are_the_next_free_ones_and_never_come_again():
    session = opened()
    kept(session, (20, 20), (20, 60))
    session.kept.delete(session.world(20, 60))
    kept(session, (70, 90))
    assert sorted(session.target.book.records) == [1, 3]
    session.target.labels.data[90, 120] = 8
    session.target.watch.sweep()
    kept(session, (50, 100))
    assert session.labels[50, 100] == 9


@pytest.mark.parametrize(("policy", "owner"), [("keep", 1), ("overwrite", 2)])
def test_the_policy_says_whose_a_pixel_is_that_two_claim(policy, owner):
    session = opened()
    kept(session, (40, 50))
    session.annotator.policy = policy
    kept(session, (40, 55))
    assert session.labels[40, 52] == owner
    session.annotator.undo()
    assert session.labels[40, 52] == 1


def test_an_opened_object_has_its_prompts_and_keeps_its_id():
    session = opened()
    kept(session, (40, 50), (40, 90))
    assert session.kept.reopen(session.world(40, 50))
    assert session.annotator.draft.get(1, session.annotator.plane).points == ((50.0, 40.0, 1),)
    assert session.annotator.open_ids == (1,)
    session.click(40, 58)
    assert session.annotator.accept()
    assert session.labels[40, 58] == 1
    assert sorted(session.target.book.records) == [1, 2]
    session.annotator.undo()
    assert session.labels[40, 60] == 0
    assert session.annotator.open_ids == (1,)


def test_an_object_of_another_program_keeps_its_id_and_what_no_click_points_at():
    labels = np.zeros((96, 128), np.int32)
    labels[20:60, 30:80] = 17
    labels[70:80, 10:20] = 4
    session = opened(labels)
    assert session.kept.reopen(session.world(40, 50))
    (shown,) = session.shown().values()
    assert shown == {(y, x) for y in range(20, 60) for x in range(30, 80)}
    session.click(40, 84)
    assert session.annotator.accept()
    assert session.labels[40, 86] == 17
    assert session.labels[22, 32] == 17
    assert np.count_nonzero(session.labels == 4) == 100
    session.annotator.undo()
    assert np.count_nonzero(session.labels == 17) == 40 * 50


def test_open_objects_are_not_mixed_with_prompts_that_are_not_kept():
    session = opened()
    kept(session, (40, 50))
    session.click(70, 90)
    assert session.kept.reopen(session.world(40, 50)) is False
    assert len(session.sentences("warning")) == 1


def test_where_there_is_no_object_there_is_a_sentence():
    session = opened()
    kept(session, (40, 50))
    for act in (session.kept.reopen, session.kept.delete, session.kept.split):
        assert act(session.world(5, 5)) is False
        assert len(session.sentences()) == 1
    assert session.kept.merge(session.world(40, 50)) is False
    assert len(session.sentences()) == 1


def test_deleting_is_one_step():
    session = opened()
    kept(session, (40, 50), (40, 90))
    before = session.labels.copy()
    assert session.kept.delete(session.world(40, 50))
    assert not (session.labels == 1).any()
    session.annotator.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert 1 in session.target.book.records
    session.annotator.redo()
    assert not (session.labels == 1).any()


def test_a_scribble_across_objects_merges_them_in_one_step():
    session = opened()
    kept(session, (40, 30), (40, 60), (40, 90))
    before = session.labels.copy()
    session.scribble((40, 25), (40, 65))
    assert session.kept.merge(session.world(5, 5))
    assert set(np.unique(session.labels)) == {0, 1, 3}
    assert not session.annotator.has_draft
    session.annotator.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert session.annotator.has_draft
    session.annotator.redo()
    assert set(np.unique(session.labels)) == {0, 1, 3}
    assert not session.annotator.has_draft


def test_a_scribble_through_an_object_splits_it_in_one_step():
    session = opened()
    session.draw_box(20, 20, 60, 80)
    session.annotator.accept()
    before = session.labels.copy()
    session.scribble((10, 50), (70, 50))
    assert session.kept.split(session.world(40, 30))
    assert sorted(np.unique(session.labels)) == [0, 1, 2]
    assert session.labels[40, 30] != session.labels[40, 70]
    session.annotator.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert session.annotator.has_draft


def test_parts_that_are_apart_become_objects():
    session = opened()
    session.click(20, 20)
    session.click(70, 100)
    session.annotator.accept()
    assert set(np.unique(session.labels)) == {0, 1}
    assert session.kept.split(session.world(20, 20))
    assert session.labels[20, 20] != session.labels[70, 100]
    session.annotator.undo()
    assert session.labels[20, 20] == session.labels[70, 100] == 1


def test_what_cannot_be_split_is_a_sentence_and_nothing_changes():
    session = opened()
    kept(session, (40, 50))
    before = session.labels.copy()
    assert session.kept.split(session.world(40, 50)) is False
    assert len(session.sentences("error")) == 1
    np.testing.assert_array_equal(session.labels, before)


def test_brush_work_survives_undo_and_redo():
    session = opened()
    kept(session, (40, 50))
    labels = session.target.labels
    labels.selected_label = 1
    labels.brush_size = 6
    labels.paint((40, 70), 1)
    labels.paint((40, 50), 9)
    painted_new = np.count_nonzero(session.labels[38:43, 66:75] == 1)
    painted_over = np.count_nonzero(session.labels == 9)
    session.annotator.undo()
    assert np.count_nonzero(session.labels[38:43, 66:75] == 1) == painted_new > 0
    assert np.count_nonzero(session.labels == 9) == painted_over > 0
    session.annotator.redo()
    assert np.count_nonzero(session.labels == 9) == painted_over


def test_undo_after_restoring_begins_anew_and_does_no_harm():
    session = opened()
    kept(session, (40, 50))
    session.click(70, 90)
    layer, labels = session.target.layers[0], session.target.labels
    session.annotator.close_image()
    session.viewer.layers.remove(labels)
    assert session.open(layer)
    (offer,) = session.target.offers()
    assert session.annotator.restore(offer)
    assert session.annotator.draft.get(1, session.annotator.plane).points == ((90.0, 70.0, 1),)
    session.annotator.undo()
    assert session.labels[40, 50] == 1
    kept_labels = session.labels.copy()
    session.annotator.accept()
    session.annotator.undo()
    np.testing.assert_array_equal(session.labels, kept_labels)
    assert session.kept.reopen(session.world(40, 50)) is False
    session.annotator.discard()
    assert session.kept.reopen(session.world(40, 50))
    assert session.annotator.draft.get(1, session.annotator.plane).points == ((50.0, 40.0, 1),)


def test_an_open_object_that_cannot_be_kept_yet_keeps_its_id_for_later():
    session = opened()
    kept(session, (40, 50), (40, 90))
    assert session.kept.reopen(session.world(40, 50))
    plane = session.annotator.plane
    session.annotator.prompts.points.data = np.zeros((0, 2))
    session.annotator.undo()
    session.annotator.prompts.set_number(1)
    session.annotator.prompts.points.features = {"label": ["background"], "object": [1]}
    session.annotator.prompts.set_number(2)
    session.annotator.prompts.add_point(plane, (20.0, 80.0), "object")
    assert session.annotator.accept()
    assert session.annotator.open_ids == (1,)
    assert sorted(session.annotator.draft.objects) == [1]
    session.annotator.prompts.points.features = {"label": ["object"], "object": [1]}
    assert session.annotator.accept()
    assert sorted(session.target.book.records) == [1, 2, 3]
