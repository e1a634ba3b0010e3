"""Long work in a session: what it finds belongs to the right objects, slices and pictures."""

import numpy as np
import pytest

pytest.importorskip("napari")

from session_doubles import Desk, Session

from napari_plugin.session.found import FIRST_FOUND
from napari_plugin.values import Plane
from sam_plugins import AutomaticSettings

LOOSE = AutomaticSettings(points_per_side=4, pred_iou_thresh=0.0, stability_score_thresh=0.0)


def discs(*shape, centres=((30, 40),), radius=9, shift=1):
    """(..., 96, 128) uint8: bright discs that move along the first axis."""
    data = np.full((*shape, 96, 128), 20, np.uint8)
    y, x = np.indices((96, 128))
    for place in np.ndindex(*shape):
        for cy, cx in centres:
            data[place][np.hypot(y - cy, x - cx - shift * (place[-1] if place else 0)) < radius] = (
                220
            )
    return data


def opened(data, desk=None):
    session = Session(desk=desk)
    assert session.open(session.viewer.add_image(data, name="cells"))
    return session


def at(session, *position):
    for axis, place in enumerate(position):
        session.viewer.dims.set_current_step(axis, place)


def half_followed(frames):
    """A session whose object is being followed and was found on a slice already, and that work."""
    session = opened(discs(frames), Desk(holds=True))
    at(session, 0)
    session.click(0, 30, 40)
    session.desk.answer()
    session.jobs.follow(0, range(0, frames), kept=False)
    work = session.desk.works[-1]
    while not session.annotator.found:
        work.step()
    return session, work


def test_what_is_found_and_what_is_prompted_then_are_different_objects():
    session = opened(discs(centres=((30, 40), (60, 90))))
    assert session.jobs.everything(LOOSE, inside=False)
    count = len(session.annotator.found.masks)
    assert count >= 1
    assert min(session.annotator.found.masks) >= FIRST_FOUND
    session.click(2, 2)
    assert session.annotator.accept()
    assert len(session.target.book.records) == count + 1
    assert session.labels[2, 2]
    session.annotator.undo()
    assert not session.labels.any()


def test_stopping_keeps_what_was_found_until_then():
    session = opened(discs(6), Desk(holds=True))
    at(session, 0)
    session.click(0, 30, 40)
    session.desk.answer()
    session.jobs.follow(0, range(0, 6), kept=False)
    work = session.desk.works[-1]
    while len(session.annotator.found.masks.get(1, ())) < 2:
        work.step()
    session.jobs.stop()
    work.finish()
    assert not session.jobs.running
    found = len(session.annotator.found.masks[1])
    assert 2 <= found < 5
    assert session.annotator.accept()
    assert np.flatnonzero(session.labels.any((1, 2))).tolist() == list(range(found + 1))
    assert set(np.unique(session.labels)) == {0, 1}


def test_several_objects_are_followed_and_kept_as_one_step():
    session = opened(discs(5, centres=((30, 30), (65, 70))))
    at(session, 2)
    session.draw_box(21, 23, 39, 41, plane=(2,))
    session.draw_box(56, 63, 74, 81, plane=(2,))
    session.jobs.follow(0, range(0, 5), kept=False)
    assert session.annotator.accept()
    assert sorted(session.target.book.records) == [1, 2]
    for z in range(5):
        assert session.labels[z, 30, 30 + z] == 1
        assert session.labels[z, 65, 70 + z] == 2
    session.annotator.undo()
    assert not session.labels.any()
    assert sorted(session.annotator.draft.objects) == [1, 2]
    session.annotator.redo()
    assert session.labels[4, 30, 34] == 1


def test_the_range_and_other_key_slices_are_respected():
    session = opened(discs(7))
    for z in (1, 4):
        at(session, z)
        session.click(z, 30, 40 + z)
    session.jobs.follow(0, range(1, 6), kept=False)
    session.annotator.accept()
    assert np.flatnonzero(session.labels.any((1, 2))).tolist() == [1, 2, 3, 4, 5]


def test_masks_are_shown_on_their_own_slice_alone():
    session = opened(discs(5))
    at(session, 1)
    session.click(1, 30, 41)
    assert session.shown()
    at(session, 2)
    assert session.shown() == {}
    session.click(2, 30, 42)
    (shown,) = session.shown().values()
    assert {z for z, _, _ in shown} == {2}
    session.annotator.accept()
    assert np.flatnonzero(session.labels.any((1, 2))).tolist() == [1, 2]


def test_following_through_z_stays_in_its_time():
    session = opened(discs(3, 4))
    at(session, 2, 1)
    session.click(2, 1, 30, 41)
    session.jobs.follow(1, range(0, 4), kept=False)
    session.annotator.accept()
    times, slices = np.nonzero(session.labels.any((2, 3)))
    assert set(times.tolist()) == {2}
    assert slices.tolist() == [0, 1, 2, 3]


def test_kept_objects_go_on_under_their_ids_beside_new_prompts():
    session = opened(discs(4, centres=((30, 30), (65, 70))))
    at(session, 0)
    session.click(0, 30, 30)
    session.annotator.accept()
    session.click(0, 65, 70)
    session.annotator.accept()
    session.click(0, 85, 110)
    session.jobs.follow(0, range(0, 4), kept=True)
    assert session.annotator.open_ids == (1, 2)
    session.annotator.accept()
    assert session.labels[3, 30, 33] == 1
    assert session.labels[3, 65, 73] == 2
    assert session.labels[0, 85, 110] == 3
    assert sorted(session.target.book.records) == [1, 2, 3]


def test_undoing_a_prompt_leaves_what_was_found():
    session = opened(discs(centres=((30, 40), (60, 90))))
    session.jobs.everything(LOOSE, inside=False)
    count = len(session.annotator.found.masks)
    session.click(2, 2)
    session.annotator.undo()
    assert len(session.annotator.found.masks) == count
    session.annotator.discard()
    assert not session.annotator.has_draft


@pytest.mark.parametrize("how", ["accept", "discard", "another image"])
def test_work_ends_when_what_it_finds_is_not_wanted_any_more(how):
    session, work = half_followed(8)
    if how == "accept":
        assert session.annotator.accept()
    elif how == "discard":
        session.annotator.discard()
    else:
        assert session.open(session.viewer.add_image(discs(8), name="others"))
    session.sentences()
    work.finish()
    assert not session.annotator.found
    assert not session.jobs.running
    assert session.sentences() == []


def test_brush_work_on_other_slices_is_not_overwritten():
    session = opened(discs(4))
    session.target.labels.data[2, 25:35, 35:50] = 7
    at(session, 0)
    session.click(0, 30, 40)
    session.jobs.follow(0, range(0, 4), kept=False)
    session.annotator.accept()
    assert (session.labels[2, 25:35, 35:50] == 7).all()
    assert any("belong to other objects" in said for said in session.sentences())
    session.annotator.undo()
    assert np.count_nonzero(session.labels) == 150


def test_a_failing_model_leaves_what_was_found():
    session, work = half_followed(6)

    def failing():
        raise RuntimeError("the model's process has ended")
        yield

    work.events = failing()
    work.finish()
    (sentence,) = session.sentences("error")
    assert "What was found until then is shown" in sentence
    assert session.annotator.accept()


def test_rolled_axes_are_prompted_followed_and_kept():
    session = opened(np.ascontiguousarray(np.moveaxis(discs(5), 0, 1)))
    session.viewer.dims.order = (1, 0, 2)
    at(session, 0, 2)
    session.viewer.dims.set_current_step(1, 2)
    assert (session.annotator.plane.rows, session.annotator.plane.columns) == (0, 2)
    session.click(30, 2, 42)
    session.jobs.follow(1, range(0, 5), kept=False)
    session.annotator.accept()
    for z in range(5):
        assert session.labels[30, z, 40 + z] == 1
    assert session.labels[30, 2, 60] == 0


def test_transposed_axes_keep_pixels_where_the_click_was():
    session = opened(discs())
    session.viewer.dims.order = (1, 0)
    assert session.annotator.plane == Plane(1, 0, (0, 0))
    session.click(30, 40)
    session.annotator.accept()
    rows, columns = np.nonzero(session.labels)
    assert (abs(rows.mean() - 30), abs(columns.mean() - 40)) < (1, 1)


def test_inside_a_box_only_is_searched_and_masks_lie_where_they_were_found():
    session = opened(discs(centres=((30, 40), (60, 90))))
    assert session.jobs.everything(LOOSE, inside=True) is False
    assert session.sentences() == ["Draw a box first (Shift+B), and search inside it."]
    session.draw_box(40, 70, 79, 119)
    assert session.jobs.everything(LOOSE, inside=True)
    assert not session.annotator.draft
    assert session.annotator.accept()
    rows, columns = np.nonzero(session.labels)
    assert rows.min() >= 40
    assert rows.max() <= 79
    assert columns.min() >= 70
    assert columns.max() <= 119
    assert rows.max() - rows.min() > 20
    assert columns.max() - columns.min() > 25


def test_one_thing_runs_at_a_time_and_the_next_one_after_it():
    session = opened(discs(6), Desk(holds=True))
    at(session, 0)
    session.click(0, 30, 40)
    session.desk.answer()
    assert session.jobs.follow(0, range(0, 6), kept=False)
    assert session.jobs.everything(LOOSE, inside=False) is False
    assert len(session.sentences("info")) == 1
    session.desk.works[-1].finish()
    assert session.jobs.everything(LOOSE, inside=False)


def test_nothing_to_follow_is_a_sentence():
    session = opened(discs(6))
    for kept in (False, True):
        assert session.jobs.follow(0, range(0, 6), kept=kept) is False
        assert len(session.sentences("info")) == 1


def test_following_again_takes_the_place_of_what_was_found_before():
    session = opened(discs(6))
    at(session, 0)
    session.click(0, 30, 40)
    session.jobs.follow(0, range(0, 6), kept=False)
    assert len(session.annotator.found.masks[1]) == 5
    session.jobs.follow(0, range(0, 3), kept=False)
    assert len(session.annotator.found.masks[1]) == 2
