"""What a session leaves behind is offered again: objects, prompts, settings and brush work."""

import numpy as np
import pytest

pytest.importorskip("napari")

from session_doubles import Desk, Session

from napari_plugin.layers import ImageChoice
from napari_plugin.session.exporting import exported


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 200, (96, 128)).astype(np.uint8)


def opened(data=None, name="cells", **options):
    session = Session()
    layer = session.viewer.add_image(picture() if data is None else data, name=name)
    assert session.open(layer, **options)
    return session


def crashed(session):
    """Let go of the journal as the end of a process does: without a last word."""
    session.target.journal._release()
    session.target.journal._lock.release()


def restored(session):
    (offer,) = session.target.offers()
    assert session.annotator.restore(offer)
    return session


def test_objects_prompts_and_settings_come_back():
    session = opened()
    session.annotator.policy = "overwrite"
    session.click(40, 50)
    session.annotator.accept()
    session.click(70, 90)
    session.annotator.prompts.set_number(2)
    session.draw_box(10, 10, 30, 30)
    expected, draft = session.labels.copy(), session.annotator.draft
    crashed(session)

    session = opened()
    (offer,) = session.target.offers()
    assert (offer.objects, offer.image) == (1, "cells")
    restored(session)
    np.testing.assert_array_equal(session.labels, expected)
    assert session.annotator.draft == draft
    assert session.annotator.policy == "overwrite"
    assert sorted(session.shown()) == [1, 2]
    assert session.annotator.accept()
    assert sorted(session.target.book.records) == [1, 2, 3]
    assert session.target.offers() == []


def test_an_object_that_was_open_is_open_again():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    session.kept.reopen(session.world(40, 50))
    session.click(40, 60)
    crashed(session)
    session = restored(opened())
    assert session.annotator.open_ids == (1,)
    assert session.annotator.accept()
    assert session.labels[40, 60] == 1
    assert set(np.unique(session.labels)) == {0, 1}


def test_the_choice_of_channels_comes_back():
    data = np.random.default_rng(0).integers(0, 200, (4, 96, 128)).astype(np.uint8)
    session = opened(data, channel_axis=0, channels=(3, 1))
    session.click(0, 40, 50)
    session.annotator.accept()
    crashed(session)
    session = restored(opened(data, channel_axis=0, channels=(0,)))
    assert session.target.image.choice.channels == (3, 1)
    assert session.labels[0, 40, 50] == 1


def test_brush_work_alone_is_offered_and_outlives_a_second_crash():
    session = opened()
    session.target.labels.data[5:9, 5:9] = 3
    assert sum(session.target.watch.sweep() for _ in range(2)) == 1
    crashed(session)
    session = restored(opened())
    assert np.count_nonzero(session.labels == 3) == 16
    crashed(session)
    session = restored(opened())
    assert np.count_nonzero(session.labels == 3) == 16
    session.annotator.close_image()
    assert np.count_nonzero(restored(opened()).labels == 3) == 16


def test_a_draft_outlives_a_second_crash():
    session = opened()
    session.click(70, 90)
    crashed(session)
    crashed(restored(opened()))
    session = restored(opened())
    assert session.annotator.draft.get(1, session.annotator.plane).points == ((90.0, 70.0, 1),)


def test_what_was_kept_since_is_not_written_over():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    crashed(session)
    session = opened()
    (offer,) = session.target.offers()
    session.click(40, 55)
    session.annotator.accept()
    before = session.labels.copy()
    assert session.annotator.restore(offer) is False
    assert len(session.sentences("error")) == 1
    np.testing.assert_array_equal(session.labels, before)
    assert session.target.offers() == [offer]
    first = session.target.labels
    assert session.open(session.target.layers[0])
    offers = {each.path: each for each in session.target.offers()}
    assert session.annotator.restore(offers[offer.path])
    assert session.labels[40, 50] == 1
    assert session.target.labels is not first


def test_a_journal_that_is_gone_or_damaged_is_a_sentence():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    crashed(session)
    session = opened()
    (offer,) = session.target.offers()
    session.click(70, 90)
    offer.path.write_bytes(b"nothing")
    assert session.annotator.restore(offer) is False
    assert len(session.sentences("error")) == 1
    assert session.annotator.has_draft
    assert session.annotator.accept()


def test_only_sessions_of_the_same_picture_are_offered():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    crashed(session)
    assert opened(picture(1)).target.offers() == []
    assert len(opened(name="renamed").target.offers()) == 1


def test_two_pictures_one_after_the_other_keep_their_objects():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    first = session.target.labels
    kept = first.data.copy()
    session.click(70, 90)
    other = session.viewer.add_image(picture(1), name="others")
    assert session.open(other)
    assert not session.annotator.has_draft
    assert session.shown() == {}
    session.click(20, 20)
    session.annotator.accept()
    second = session.target.labels
    assert second is not first
    np.testing.assert_array_equal(first.data, kept)
    for image, labels in ((session.viewer.layers["cells"], first), (other, second)):
        before = labels.data.copy()
        assert session.open(image, labels=labels)
        np.testing.assert_array_equal(labels.data, before)
    session.open(session.viewer.layers["cells"], labels=first)
    session.click(80, 20)
    session.annotator.accept()
    assert first.data[80, 20] == 2
    assert first.data[40, 50] == 1


def test_using_an_image_again_with_its_labels_goes_on_with_its_objects():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    session.target.labels.data[5:9, 5:9] = 8
    layer, labels = session.target.layers[0], session.target.labels
    session.open(layer, labels=labels)
    assert session.target.offers() == []
    assert session.kept.reopen(session.world(40, 50))
    assert session.annotator.draft.get(1, session.annotator.plane).points
    session.annotator.discard()
    expected = labels.data.copy()
    crashed(session)
    session = restored(opened())
    np.testing.assert_array_equal(session.labels, expected)
    assert 1 in session.target.book.records


def test_an_image_that_cannot_be_used_leaves_the_session_as_it_is():
    session = opened()
    session.click(40, 50)
    target = session.target
    bad = session.viewer.add_image(np.zeros((1, 1), np.uint8))
    assert session.annotator.open_image([bad], ImageChoice((bad.name,))) is False
    assert session.target is target
    assert session.annotator.has_draft
    assert session.annotator.accept()


def test_a_journal_that_cannot_be_written_is_said_once_and_work_goes_on(monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("SAM_PLUGINS_JOURNALS", str(tmp_path / "a file"))
    session = opened()
    for place in ((40, 50), (70, 90)):
        session.click(*place)
        assert session.annotator.accept()
    assert len(session.sentences("warning")) == 1
    assert set(np.unique(session.labels)) == {0, 1, 2}


def test_what_files_hold_is_not_offered_but_what_was_painted_since_is(tmp_path):
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    list(exported(session.annotator, session.desk.state, tmp_path, ["tiff"], overwrite=True))
    assert session.target.is_saved
    session.annotator.close_image()
    assert opened().target.offers() == []
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    writing = exported(session.annotator, session.desk.state, tmp_path, ["tiff"], overwrite=True)
    next(writing)
    session.target.labels.paint((80, 100), 7)
    list(writing)
    assert not session.target.is_saved
    session.annotator.close_image()
    session = restored(opened())
    assert session.labels[80, 100] == 7


def test_other_files_alone_do_not_hold_everything(tmp_path):
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    list(exported(session.annotator, session.desk.state, tmp_path, ["coco"], overwrite=True))
    session.annotator.close_image()
    assert len(opened().target.offers()) == 1


def test_a_session_that_left_nothing_is_not_offered():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    session.annotator.undo()
    session.annotator.discard()
    session.annotator.close_image()
    assert opened().target.offers() == []


def test_a_late_answer_for_another_picture_says_nothing():
    desk = Desk(holds=True)
    session = Session(desk=desk)
    session.open(session.viewer.add_image(picture(), name="cells"))
    session.click(40, 50, sign="background")
    session.annotator.accept()
    session.open(session.viewer.add_image(picture(1), name="others"))
    session.sentences()
    desk.answer()
    assert session.sentences() == []
    assert not session.annotator.has_draft


def test_labels_of_another_type_come_back_as_well():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    session.target.labels.data = session.labels.astype(np.uint16)
    session.click(70, 90)
    session.annotator.accept()
    session.target.labels.paint((10, 110), 40_000)
    expected = session.labels.copy()
    crashed(session)
    session = opened()
    (offer,) = session.target.offers()
    assert not offer.damage
    assert session.annotator.restore(offer)
    np.testing.assert_array_equal(session.labels, expected)
    assert session.labels.dtype == np.int32
    assert sorted(session.target.book.records) == [1, 2]


def test_labels_that_cannot_hold_what_was_journaled_are_a_sentence():
    session = opened()
    session.target.labels.paint((10, 110), 40_000)
    session.click(40, 50)
    session.annotator.accept()
    crashed(session)
    session = Session()
    layer = session.viewer.add_image(picture(), name="cells")
    small = session.viewer.add_labels(np.zeros((96, 128), np.uint8))
    assert session.open(layer, labels=small)
    (offer,) = session.target.offers()
    assert session.annotator.restore(offer) is False
    assert len(session.sentences("error")) == 1
    assert not small.data.any()
    assert session.target.offers() == [offer]
