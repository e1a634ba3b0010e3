"""What cannot be segmented, and layers that change or go: a sentence each, and nothing is lost."""

import dask.array as da
import numpy as np
import pytest

pytest.importorskip("napari")

from session_doubles import Desk, Session

from napari_plugin.session.target import OBJECTS_NAME


def opened(data=None, desk=None, **options):
    session = Session(desk=desk)
    data = np.zeros((96, 128), np.uint8) if data is None else data
    layer = session.viewer.add_image(data, name="cells", **options)
    assert session.open(layer)
    return session


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((1, 1), np.uint8),
        np.zeros((1, 1, 1), np.uint8),
        np.zeros((5, 1, 1), np.uint16),
    ],
)
def test_a_picture_of_one_pixel_or_one_row_is_a_sentence(data):
    session = Session()
    layer = session.viewer.add_image(data)
    if session.open(layer):
        assert session.click(*(0 for _ in data.shape)) is False
    assert len(session.sentences()) == 1


def test_labels_and_points_are_no_images():
    session = Session()
    for layer in (
        session.viewer.add_labels(np.zeros((8, 8), int)),
        session.viewer.add_points([[1, 2]]),
    ):
        assert session.open(layer) is False
        assert len(session.sentences("error")) == 1


@pytest.mark.parametrize("part", [1.0, 0.3])
def test_values_that_are_no_numbers_do_no_harm(part):
    data = np.random.default_rng(0).random((96, 128)).astype(np.float32)
    data[np.random.default_rng(1).random(data.shape) < part] = np.nan
    session = opened(data, contrast_limits=(0, 1))
    session.click(40, 50)
    assert len(session.sentences()) <= 1
    if session.annotator.accept():
        assert session.labels[40, 50] == 1
    assert len(session.sentences()) <= 1


def test_rgb_over_time_is_prompted_frame_by_frame():
    data = np.zeros((5, 96, 128, 3), np.uint8)
    session = opened(data, rgb=True)
    session.viewer.dims.set_current_step(0, 3)
    session.click(3, 40, 50)
    assert session.annotator.accept()
    assert session.labels.shape == (5, 96, 128)
    assert session.labels[3, 40, 50] == 1


def test_clicks_beside_the_picture_are_nothing():
    session = opened()
    assert session.click(-5, 20) is False
    assert session.click(40, 129) is False
    assert not session.annotator.has_draft
    assert session.sentences("error") == []


def test_in_three_dimensions_there_is_a_sentence_and_prompts_stay():
    session = opened(np.zeros((5, 96, 128), np.uint8))
    session.click(2, 40, 50)
    session.viewer.dims.ndisplay = 3
    assert session.click(2, 60, 60) is False
    assert len(session.sentences()) == 1
    session.annotator.next_answer()
    assert session.jobs.follow(0, range(5), kept=False) is False
    session.sentences()
    session.viewer.dims.ndisplay = 2
    assert session.shown()
    assert session.annotator.accept()


@pytest.mark.parametrize("holds", [False, True])
def test_removing_the_image_ends_work_with_one_sentence(holds):
    session = opened(desk=Desk(holds=holds))
    session.click(40, 50)
    if holds:
        session.desk.answer()
    session.annotator.accept()
    session.click(70, 90)
    journal = session.target.journal.path
    layer, labels = session.target.layers[0], session.target.labels
    session.viewer.layers.remove(layer)
    assert len(session.sentences()) == 1
    assert session.annotator.target is None
    assert labels in session.viewer.layers
    assert labels.data[40, 50] == 1
    assert journal.exists()
    if session.desk.waiting:
        session.desk.answer()
    assert session.sentences() == []
    assert session.annotator.accept() is False
    session.annotator.undo()
    session.annotator.next_answer()
    session.annotator.discard()

    session.viewer.layers.append(layer)
    assert session.open(layer)
    (offer,) = session.target.offers()
    assert session.annotator.restore(offer)
    assert session.labels[40, 50] == 1
    assert session.annotator.has_draft


def test_removing_the_labels_loses_nothing():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    layer = session.target.layers[0]
    session.viewer.layers.remove(session.target.labels)
    assert len(session.sentences()) == 1
    assert session.open(layer)
    (offer,) = session.target.offers()
    assert session.annotator.restore(offer)
    assert session.labels[40, 50] == 1


def test_removing_all_layers_at_once_is_one_sentence():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    session.click(70, 90)
    session.viewer.layers.clear()
    assert len(session.sentences()) == 1
    assert session.annotator.target is None
    assert len(session.viewer.layers) == 0


def test_renaming_changes_nothing():
    session = opened(desk=Desk(holds=True))
    session.click(40, 50)
    session.target.layers[0].name = "renamed"
    session.target.labels.name = "mine"
    session.desk.answer()
    assert session.annotator.accept()
    assert session.labels[40, 50] == 1
    assert session.sentences() == []


def test_another_array_of_the_same_shape_is_noticed():
    session = opened(np.zeros((96, 128), np.uint8), contrast_limits=(0, 255))
    session.click(40, 50)
    before, asked = session.target.fingerprint, len(session.desk.prepared)
    picture = session.target.pictures.session(session.desk.segmenter, session.annotator.plane)
    session.target.layers[0].data = np.full((96, 128), 200, np.uint8)
    assert len(session.sentences("warning")) == 1
    assert session.target.fingerprint != before
    assert asked
    again = session.target.pictures.session(session.desk.segmenter, session.annotator.plane)
    assert again is not picture
    assert again.source.read(0, (0, 0, 2, 2)).max() == 200
    assert session.shown()
    assert session.annotator.accept()
    assert session.target.journal.about.fingerprint == session.target.fingerprint


def test_an_array_of_another_shape_ends_nothing_but_asks_to_choose_again():
    session = opened(desk=Desk(holds=True))
    session.click(40, 50)
    session.target.layers[0].data = np.zeros((50, 60), np.uint8)
    assert len(session.sentences()) == 1
    session.desk.answer()
    assert len(session.sentences()) <= 1
    assert session.click(20, 20) is False
    assert "choose the image again" in session.sentences()[-1]


def test_labels_that_were_replaced_by_others_that_do_not_fit_are_not_written_to():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    session.target.labels.data = np.zeros((50, 60), np.int32)
    assert len(session.sentences()) == 1
    session.click(70, 90)
    assert session.annotator.accept() is False
    assert len(session.sentences("error")) == 1
    assert session.kept.delete(session.world(40, 50)) is False
    session.annotator.undo()
    assert len(session.sentences("error")) == 2


def test_labels_of_the_same_shape_take_the_place_of_the_old_ones():
    session = opened()
    session.click(40, 50)
    session.annotator.accept()
    other = np.zeros((96, 128), np.int32)
    other[:5, :5] = 9
    session.target.labels.data = other
    session.click(70, 90)
    assert session.annotator.accept()
    assert session.labels[70, 90] == 10
    assert session.labels[40, 50] == 0


def test_an_image_that_cannot_be_read_fails_with_a_sentence_and_can_be_asked_again():
    broken = [True]

    def read(block):
        if broken[0] and block.size:
            raise OSError("the share is gone")
        return block

    data = da.zeros((96, 128), np.uint8).map_blocks(read, dtype=np.uint8, meta=np.zeros((0, 0)))
    broken[0] = False
    session = opened(data, contrast_limits=(0, 255))
    broken[0] = True
    session.click(40, 50)
    (sentence,) = session.sentences("error")
    assert "the share is gone" in sentence
    broken[0] = False
    assert session.annotator.accept()
    assert session.labels[40, 50] == 1


def test_layers_that_cannot_take_the_objects_are_named():
    session = Session()
    layer = session.viewer.add_image(np.zeros((96, 128), np.uint8))
    small = session.viewer.add_labels(np.zeros((9, 9), int))
    lazy = session.viewer.add_labels(da.zeros((96, 128), dtype=np.int32))
    for labels in (small, lazy):
        if not session.open(layer, labels=labels):
            (sentence,) = session.sentences("error")
            assert labels.name in sentence
        else:
            session.click(40, 50)
            assert session.annotator.accept()
            assert int(np.asarray(session.labels)[40, 50]) == 1
    assert OBJECTS_NAME not in session.viewer.layers


@pytest.mark.parametrize("scale", [(0.5, 0.5), (1.0, 1.0)])
def test_labels_that_lie_elsewhere_than_the_image_are_said_to(scale):
    session = Session()
    image = session.viewer.add_image(np.zeros((96, 128), np.uint8), scale=(0.5, 0.5))
    labels = session.viewer.add_labels(np.zeros((96, 128), int), name="cellpose", scale=scale)
    assert session.open(image, labels=labels)
    said = session.sentences("warning")
    assert [("cellpose" in each) for each in said] == ([] if scale == (0.5, 0.5) else [True])
