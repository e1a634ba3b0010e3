"""The book: what is accepted, replaced, deleted, merged and split, and taken back."""

import numpy as np
import pytest

from napari_plugin.objects.accepting import Acceptance, Accepted
from napari_plugin.objects.book import Book
from napari_plugin.objects.errors import LabelsError
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins.formats import rle_to_mask

PLANE = Plane(1, 2, (0, 0, 0))
SAID = PromptSet(points=((3.0, 2.0, 1),))


def mask(x0, y0, x1, y1, plane=PLANE):
    return PlaneMask(plane, (x0, y0, x1, y1), np.ones((y1 - y0, x1 - x0), bool))


def thing(*box, plane=PLANE, object_id=None):
    return Acceptance((mask(*box, plane=plane),), {plane: SAID}, object_id)


@pytest.fixture
def labels():
    return np.zeros((2, 12, 16), np.uint16)


def test_a_new_object_gets_the_next_free_number_and_its_pixels(labels):
    labels[1, 0, 0] = 7
    book = Book(labels)
    assert book.accept(thing(2, 3, 6, 8)) == Accepted(8, 20, 0)
    assert (labels[0, 3:8, 2:6] == 8).all()
    assert (labels == 8).sum() == 20
    assert book.records[8].prompts == {PLANE: SAID}
    assert book.at((0, 3.4, 1.6)) == 8
    assert book.at((0, 90, 0)) == book.at((0, 1)) == book.at((0, -1, 0)) == 0


@pytest.mark.parametrize("rows", [1, 2])
def test_a_plane_may_be_transposed(rows):
    labels = np.zeros((2, 5, 9), np.int32)
    plane = Plane(rows, 3 - rows, (1, 0, 0))
    crop = np.array([[1, 1, 1], [1, 0, 0]], bool)
    book = Book(labels)
    book.accept(Acceptance((PlaneMask(plane, (1, 2, 4, 4), crop),), {}))
    shown = labels[1] if rows == 1 else labels[1].T
    assert (shown[2:4, 1:4].astype(bool) == crop).all()
    assert labels.sum() == 4
    found = book.mask_of(1, plane)
    assert found.box == (1, 2, 4, 4)
    assert (found.crop == crop).all()


def test_keep_leaves_others_their_pixels_and_overwrite_takes_them(labels):
    book = Book(labels)
    book.accept(thing(0, 0, 4, 4))
    assert book.accept(thing(2, 0, 6, 4)) == Accepted(2, 8, 8)
    assert (labels == 1).sum() == 16
    assert book.accept(thing(2, 0, 6, 4), policy="overwrite") == Accepted(3, 16, 0)
    assert (labels == 1).sum() == 8
    assert not (labels == 2).any()
    with pytest.raises(LabelsError, match=r'"keep" or "overwrite"'):
        book.accept(thing(0, 0, 1, 1), policy="best")


def test_an_object_without_a_pixel_is_not_recorded(labels):
    book = Book(labels)
    book.accept(thing(0, 0, 4, 4))
    before = labels.copy()
    assert book.accept(thing(1, 1, 3, 3), draft=({"a": 1}, {})) == Accepted(0, 0, 4)
    assert set(book.records) == {1}
    assert book.draft is None
    assert (labels == before).all()


def test_many_objects_are_one_step(labels):
    book = Book(labels)
    draft = ({"points": [1]}, {"points": []})
    answers = book.accept_many([thing(0, 0, 4, 4), thing(2, 2, 6, 6)], draft=draft)
    assert [(a.id, a.written, a.lost) for a in answers] == [(1, 16, 0), (2, 12, 4)]
    after = labels.copy()
    undone = book.undo()
    assert undone.draft == draft[0]
    assert "2 objects" in undone.description
    assert not labels.any()
    assert not book.records
    redone = book.redo()
    assert redone.draft == draft[1]
    assert (labels == after).all()
    assert set(book.records) == {1, 2}
    assert book.redo() is None


def test_accepting_again_replaces_what_we_wrote_and_keeps_what_was_painted(labels):
    book = Book(labels)
    book.accept(thing(0, 0, 4, 4))
    labels[0, 0, 8] = 1  # painted: more of the object, outside of both masks
    labels[0, 6, 5] = 1  # painted where the second mask will lie
    book.accept(thing(2, 2, 6, 8, object_id=1))
    assert labels[0, 0, 8] == 1
    assert labels[0, 0, 0] == 0
    assert (labels == 1).sum() == 25
    book.accept(thing(2, 2, 4, 4, object_id=1))
    assert labels[0, 6, 5] == 1
    assert (labels == 1).sum() == 4 + 2
    for _ in range(3):
        book.undo()
    assert np.argwhere(labels).tolist() == [[0, 0, 8], [0, 6, 5]]


def test_accepting_again_on_another_plane_leaves_the_first_alone(labels):
    book = Book(labels)
    book.accept(thing(0, 0, 4, 4))
    above = PLANE.at(0, 1)
    book.accept(thing(2, 2, 6, 6, plane=above, object_id=1))
    assert (labels[0] == 1).sum() == (labels[1] == 1).sum() == 16
    assert set(book.records[1].prompts) == {PLANE, above}


def test_an_object_of_another_program_is_opened_as_a_mask_and_keeps_its_number(labels):
    labels[0, 2:5, 3:9] = 40
    book = Book(labels)
    found = book.reopen(40, PLANE)
    assert (rle_to_mask(found.prompts[PLANE].mask) == (labels[0] == 40)).all()
    assert found.origin == "imported"
    book.accept(thing(4, 2, 6, 5, object_id=40))
    assert (labels == 40).sum() == 6
    book.undo()
    assert (labels[0, 2:5, 3:9] == 40).all()
    with pytest.raises(LabelsError, match="no object 41"):
        book.reopen(41)


def test_undo_leaves_paint_alone_and_redo_comes_back(labels):
    book = Book(labels)
    book.accept(thing(0, 0, 4, 4))
    labels[0, 1, 1] = 99
    book.undo()
    assert labels[0, 1, 1] == 99
    assert (labels != 0).sum() == 1
    book.redo()
    assert labels[0, 1, 1] == 99
    assert (labels == 1).sum() == 15


def test_delete_merge_and_relabel_are_taken_back(labels):
    book = Book(labels)
    book.accept_many([thing(0, 0, 4, 4), thing(6, 0, 9, 4), thing(0, 6, 4, 9)])
    before, records = labels.copy(), dict(book.records)
    assert book.delete(2) == 12
    assert not (labels == 2).any()
    assert book.merge([1, 3]) == 1
    assert (labels == 1).sum() == 28
    assert set(book.records) == {1}
    assert book.relabel(1) == 4
    assert set(np.unique(labels)) == {0, 4}
    assert book.records[4].id == 4
    for _ in range(3):
        book.undo()
    assert (labels == before).all()
    assert book.records == records
    with pytest.raises(LabelsError, match="taken"):
        book.relabel(1, 3)
    with pytest.raises(LabelsError, match="no object 9"):
        book.delete(9)
    with pytest.raises(LabelsError, match="at least two"):
        book.merge([1, 1])


def test_split_gives_parts_that_do_not_touch_their_own_numbers(labels):
    labels[0, :4, :4] = labels[0, 8:, 8:10] = 3
    labels[1, 3, 3] = 3  # touches the first in depth
    book = Book(labels)
    assert book.split(3) == [3, 4]
    assert (labels == 3).sum() == 17
    assert (labels == 4).sum() == 8
    with pytest.raises(LabelsError, match="one piece"):
        book.split(4)
    book.undo()
    assert set(np.unique(labels)) == {0, 3}


@pytest.mark.parametrize("rows", [1, 2])
def test_a_line_cuts_an_object_and_loses_no_pixel(rows):
    labels = np.zeros((1, 12, 12), np.uint8)
    labels[0, 2:10, 2:10] = 1
    plane = Plane(rows, 3 - rows, (0, 0, 0))
    book = Book(labels)
    assert book.split(1, line=(plane, [(0.0, 0.0), (11.0, 8.0)])) == [1, 2]
    assert (labels > 0).sum() == 64
    shown = labels[0] if rows == 1 else labels[0].T
    # The line runs from the upper left to the right: the larger part lies below it.
    assert (shown[9, 2], shown[2, 9]) == (1, 2)


def test_chosen_parts_are_split_off(labels):
    book = Book(labels)
    book.accept(thing(0, 0, 8, 8))
    assert book.split(1, [[mask(0, 0, 4, 12)]]) == [1, 2]
    assert (labels == 1).sum() == (labels == 2).sum() == 32
    # What each half is of ours is known: accepting a half again does not leave the other behind.
    book.accept(thing(0, 0, 2, 2, object_id=2))
    book.accept(thing(6, 6, 8, 8, object_id=1))
    assert (labels > 0).sum() == 8


def test_a_full_type_is_refused_in_words_and_nothing_is_written():
    labels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).copy()
    book = Book(labels)
    before = labels.copy()
    with pytest.raises(LabelsError, match="uint8 and can number 255"):
        book.accept(thing(0, 0, 4, 4))
    assert (labels == before).all()


def test_a_step_that_runs_out_of_numbers_writes_nothing():
    labels = np.zeros((2, 16, 16), np.uint8)
    labels[1] = np.arange(256).reshape(16, 16)
    labels[labels == 77] = 0
    book = Book(labels)
    assert book.next_id() == 77
    with pytest.raises(LabelsError, match="uint8"):
        book.accept_many([thing(0, 0, 2, 2), thing(4, 4, 8, 8)])
    assert not labels[0].any()
    assert not book.records
    assert not book.can_undo


def test_a_number_is_not_used_again_after_undo_or_delete(labels):
    book = Book(labels)
    book.accept(thing(0, 0, 4, 4))
    book.undo()
    assert book.accept(thing(0, 0, 4, 4)).id == 2
    book.delete(2)
    assert book.next_id() == 3


@pytest.mark.parametrize(
    "wrong",
    [
        mask(0, 0, 17, 4),
        mask(0, 0, 4, 4, plane=Plane(1, 2, (2, 0, 0))),
        mask(0, 0, 4, 4, plane=Plane(0, 1, (0, 0))),
        PlaneMask(PLANE, (0, 0, 4, 4), np.ones((4, 5), bool)),
    ],
)
def test_a_mask_of_another_image_is_refused(labels, wrong):
    with pytest.raises(LabelsError, match="made for this image"):
        Book(labels).accept(Acceptance((wrong,), {}))


def test_data_that_cannot_hold_objects_are_refused(labels):
    with pytest.raises(LabelsError, match="whole numbers"):
        Book(labels.astype(float))
    with pytest.raises(LabelsError, match="several resolutions"):
        Book([labels, labels[:, ::2, ::2]])
    labels.flags.writeable = False
    with pytest.raises(LabelsError, match="read-only"):
        Book(labels)


def test_prompts_are_steps_and_the_oldest_steps_go_first(labels):
    book = Book(labels, max_undo_bytes=2000)
    for number in range(100):
        book.note_draft({"n": number}, {"n": number + 1})
    steps = 0
    while (undone := book.undo()) is not None:
        assert undone.draft == {"n": 99 - steps}
        steps += 1
    assert 3 < steps < 100
    assert book.can_redo
    book.note_draft(None, {"n": -1})
    assert not book.can_redo


def test_listeners_hear_which_boxes_changed(labels):
    book = Book(labels)
    heard = []
    book.on_change.append(heard.append)
    book.accept(thing(2, 3, 6, 8))
    assert heard == [((slice(0, 1), slice(3, 8), slice(2, 6)),)]


def test_a_record_survives_json(labels):
    book = Book(labels)
    book.accept(thing(2, 3, 6, 8))
    assert ObjectRecord.from_json(book.records[1].to_json()) == book.records[1]


def test_labels_in_a_zarr_array(require, tmp_path):
    zarr = require("zarr")
    labels = zarr.create_array(
        str(tmp_path / "labels.zarr"), shape=(3, 40, 40), chunks=(1, 16, 16), dtype="uint16"
    )
    book = Book(labels)
    book.accept(Acceptance((mask(2, 2, 30, 20), mask(4, 4, 9, 9, plane=PLANE.at(0, 2))), {}))
    assert (labels[0] == 1).sum() == 28 * 18
    assert (labels[2] == 1).sum() == 25
    book.delete(1)
    book.undo()
    assert (labels[:] == 1).sum() == 28 * 18 + 25
