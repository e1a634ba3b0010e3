"""From a session to files and back: a provenance document makes the same labels again."""

import numpy as np
import pytest

pytest.importorskip("napari")

from session_doubles import Session

from napari_plugin.export import KINDS, read_provenance, replay
from napari_plugin.export.headless import answers_of, opened_image
from napari_plugin.session.exporting import exported
from sam_plugins import AutomaticSettings
from sam_plugins.errors import SamPluginsError
from sam_plugins.formats import read_label_tiff

LOOSE = AutomaticSettings(points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)


def opened(data, labels=None, **options):
    session = Session()
    layer = session.viewer.add_image(data, name="cells", **options)
    if labels is not None:
        labels = session.viewer.add_labels(labels)
    assert session.open(layer, labels=labels)
    return session


def moving(frames=5):
    data = np.full((frames, 96, 128), 20, np.uint8)
    y, x = np.indices((96, 128))
    for z in range(frames):
        data[z][np.hypot(y - 30, x - 40 - z) < 9] = 220
    return data


def again(session, folder):
    """The labels of a replay of the document in a folder, from the layers of a session."""
    (path,) = folder.glob("*.sam.json")
    document = read_provenance(path)
    image = opened_image(document, session.target.layers)
    answer = answers_of(session.desk.segmenter, image.source, document.tiles)
    *_, labels = replay(document, answer)
    return labels


def export(session, folder, *kinds):
    list(exported(session.annotator, session.desk.state, folder, kinds, overwrite=True))


def same(session, folder):
    export(session, folder, "provenance")
    np.testing.assert_array_equal(again(session, folder), session.labels)


def brush(session, *position, label):
    session.target.labels.brush_size = 5
    session.target.labels.paint(position, label)


def test_every_kind_of_file_is_written_and_holds_the_objects(tmp_path):
    session = opened(moving(), scale=(2, 0.5, 0.5), units=("um", "um", "um"))
    session.viewer.dims.set_point(0, 2)
    session.click(1, 30, 41)
    session.annotator.accept()
    export(session, tmp_path, *KINDS)
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) >= len(KINDS)
    (tiff,) = tmp_path.glob("*.tif*")
    stack = read_label_tiff(tiff)
    np.testing.assert_array_equal(
        np.asarray(stack.labels).reshape(session.labels.shape), session.labels
    )
    assert stack.scale[-3:] == (2, 0.5, 0.5)


def test_all_that_can_be_done_is_done_again(tmp_path):
    session = opened(moving())
    session.viewer.dims.set_current_step(0, 1)
    session.click(1, 30, 41)
    session.jobs.follow(0, range(0, 5), kept=False)
    session.annotator.accept()
    session.jobs.everything(LOOSE, inside=False)
    session.annotator.accept()
    brush(session, 1, 30, 41, label=40)
    brush(session, 1, 5, 5, label=1)
    session.click(1, 80, 100)
    session.click(1, 80, 108)
    session.annotator.next_answer()
    session.annotator.accept()
    session.click(1, 60, 20)
    session.annotator.accept()
    session.annotator.undo()
    assert session.kept.delete(session.world(1, 80, 100))
    session.annotator.undo()
    session.annotator.redo()
    session.annotator.discard()
    session.annotator.policy = "overwrite"
    session.click(1, 34, 41)
    session.annotator.accept()
    session.scribble((1, 30, 41), (1, 48, 64), (1, 72, 96), (1, 24, 32))
    session.kept.merge(session.world(1, 30, 41))
    same(session, tmp_path)


def test_objects_of_others_that_were_refined_are_made_again(tmp_path):
    labels = np.zeros((96, 128), np.int32)
    labels[20:60, 30:80] = 17
    session = opened(np.zeros((96, 128), np.uint8), labels)
    session.kept.reopen(session.world(40, 50))
    session.click(40, 84)
    session.annotator.accept()
    same(session, tmp_path)
    session.scribble((10, 50), (70, 50))
    session.kept.split(session.world(40, 40))
    same(session, tmp_path)


def test_restored_objects_are_made_again_as_they_are(tmp_path):
    session = opened(np.zeros((96, 128), np.uint8))
    session.click(40, 50)
    session.annotator.accept()
    brush(session, 40, 50, label=0)
    layer, old = session.target.layers[0], session.target.labels
    session.annotator.close_image()
    session.viewer.layers.remove(old)
    session.open(layer)
    (offer,) = session.target.offers()
    session.annotator.restore(offer)
    assert session.labels.any()
    assert session.labels[40, 50] == 0
    same(session, tmp_path)


def test_prompts_are_known_still_when_an_image_is_used_again(tmp_path):
    session = opened(np.zeros((96, 128), np.uint8))
    session.click(40, 50)
    session.annotator.accept()
    session.open(session.target.layers[0], labels=session.target.labels)
    session.annotator.undo()
    session.click(70, 90)
    session.annotator.accept()
    same(session, tmp_path)
    (path,) = tmp_path.glob("*.sam.json")
    operations = read_provenance(path).operations
    assert [list(op["planes"][0])[1] for op in operations] == ["prompts", "prompts"]


@pytest.mark.parametrize("axis", [0, 1])
def test_channels_and_rolled_axes_are_made_again(axis, tmp_path):
    session = Session()
    data = np.random.default_rng(0).integers(0, 200, (2, 2, 96, 128)).astype(np.uint8)
    layer = session.viewer.add_image(data, name="cells")
    assert session.open(layer, channel_axis=axis)
    place = (0, 1) if axis == 0 else (1, 0)
    session.viewer.dims.set_current_step(1 - axis, 1)
    session.click(*place, 40, 50)
    session.annotator.accept()
    brush(session, *place, 42, 60, label=5)
    same(session, tmp_path)
    session.viewer.dims.order = (0, 1, 3, 2)
    session.click(*place, 70, 90)
    session.annotator.accept()
    same(session, tmp_path)


def test_a_moved_file_is_the_same_image(tmp_path):
    session = opened(moving())
    session.viewer.dims.set_current_step(0, 1)
    session.click(1, 30, 41)
    session.annotator.accept()
    export(session, tmp_path, "provenance")
    expected = session.labels.copy()
    other = opened(moving().astype(">u2").astype(np.uint8))
    np.testing.assert_array_equal(again(other, tmp_path), expected)


def test_without_a_picture_or_with_labels_that_are_gone_there_is_a_sentence(tmp_path):
    session = Session()
    with pytest.raises(SamPluginsError, match="use an image"):
        exported(session.annotator, session.desk.state, tmp_path, ["tiff"], overwrite=False)
    session = opened(np.zeros((96, 128), np.uint8))
    session.target.labels.data = np.zeros((5, 5), np.int32)
    with pytest.raises(SamPluginsError, match="replaced"):
        exported(session.annotator, session.desk.state, tmp_path, ["tiff"], overwrite=False)
    assert not any(tmp_path.glob("*.tif"))
