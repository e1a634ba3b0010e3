"""A folder of images in a session: order, states, labels that come back, and files that are bad."""

import json

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from session_doubles import Session

from napari_plugin.session.series import Series
from napari_plugin.session.series_run import SeriesRun


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    for number in (10, 2, 1):
        picture = np.full((96, 128), number, np.uint8)
        picture[10:20, 10:20] = 99 + number
        tifffile.imwrite(place / f"cell{number:02}.tif", picture)
    return place


def run_of(session):
    run = SeriesRun(
        session.annotator,
        lambda layers, choice, labels, detail: session.annotator.open_image(
            layers, choice, labels=labels, detail=detail
        ),
    )
    session.annotator.upcoming = run.upcoming
    return run


def begun(folder):
    session = Session()
    run = run_of(session)
    assert run.open(folder)
    return session, run


def test_images_come_in_order_and_one_ends_at_either_end(folder):
    session, run = begun(folder)
    assert session.target.name == "cell01"
    assert run.go(1, None)
    assert session.target.name == "cell02"
    assert len(session.viewer.layers) == 2
    run.go(1, None)
    run.go(1, None)
    assert session.target.name == "cell10"
    assert session.sentences("info") == ["That was the last image."]
    for _ in range(3):
        run.go(-1, None)
    assert session.target.name == "cell01"
    assert session.sentences("info") == ["This is the first image."]


def test_labels_come_back_and_states_are_kept_for_another_session(folder):
    session, run = begun(folder)
    session.click(40, 50)
    session.annotator.accept()
    kept = session.labels.copy()
    run.go(1, "done")
    run.go(1, "skipped")
    states = json.loads((folder / "labels" / "series.json").read_text())["states"]
    assert states == {"cell01.tif": "done", "cell02.tif": "skipped", "cell10.tif": "open"}

    session, run = begun(folder)
    assert session.target.name == "cell10"
    run.show(0)
    np.testing.assert_array_equal(session.labels, kept)
    session.click(80, 100)
    session.annotator.accept()
    assert session.labels[80, 100] == 2
    assert run.go(1, None)
    run.show(0)
    assert session.labels[80, 100] == 2


def test_what_was_saved_is_not_offered_and_what_was_not_is(folder):
    session, run = begun(folder)
    session.click(40, 50)
    session.annotator.accept()
    run.go(1, "done")
    run.show(0)
    assert session.target.offers() == []
    session.click(80, 100)
    session.annotator.accept()
    # The program ends here: its lock goes with it.
    session.target.journal.close(saved=False)
    session, run = begun(folder)
    run.show(0)
    (offer,) = session.target.offers()
    assert session.annotator.restore(offer)
    assert session.labels[40, 50] == 1
    assert session.labels[80, 100] == 2


def test_the_next_image_is_prepared_after_the_plane_in_view(folder):
    session, run = begun(folder)
    assert session.desk.prepared[:2] == [session.annotator.plane, folder / "cell02.tif"]
    ((_, prepare),) = run.upcoming()
    steps = list(prepare(session.desk.segmenter))
    assert steps[-1].done == steps[-1].total >= 1
    run.show(2)
    assert run.upcoming() == []


def test_an_unreadable_file_is_a_sentence_and_one_goes_on(folder):
    (folder / "cell02.tif").write_bytes(b"II*\0 no image")
    session, run = begun(folder)
    assert run.go(1, None) is False
    (sentence,) = session.sentences("error")
    assert "cell02.tif" in sentence
    assert run.go(1, None)
    assert session.target.name == "cell10"
    ((_, prepare),) = run.upcoming() or [(None, None)]
    assert prepare is None


@pytest.mark.parametrize("stored", ["no labels", np.ones((5, 7), np.uint16)])
def test_labels_that_do_not_fit_are_a_sentence_and_stay_as_they_are(folder, stored):
    path = Series(folder).labels_path(Series(folder).entries[1])
    path.parent.mkdir()
    if isinstance(stored, str):
        path.write_text(stored)
    else:
        tifffile.imwrite(path, stored)
    before = path.read_bytes()
    session, run = begun(folder)
    assert run.go(1, None) is False
    assert len(session.sentences("error")) == 1
    assert run.go(1, "skipped")
    assert session.target.name == "cell10"
    assert path.read_bytes() == before


@pytest.mark.parametrize("kept", [True, False])
def test_where_nothing_can_be_written_there_is_a_sentence_and_nothing_is_lost(folder, kept):
    session, run = begun(folder)
    (folder / "labels").write_text("a file is where the folder should be")
    if kept:
        session.click(40, 50)
        session.annotator.accept()
    assert run.go(1, "done") is False
    assert len(session.sentences("error")) == 1
    assert session.target.name == "cell01"
    assert bool(session.labels.any()) is kept
    (folder / "labels").unlink()
    assert run.go(1, "done")
    assert session.target.name == "cell02"


def test_folders_without_images_are_a_sentence(tmp_path):
    session = Session()
    run = run_of(session)
    for place in (tmp_path / "none", tmp_path):
        assert run.open(place) is False
        assert len(session.sentences("error")) == 1
    assert run.go(1, "done") is False
    assert run.show(3) is False


def test_stacks_are_prepared_where_the_viewer_opens_them(tmp_path):
    data = np.zeros((9, 96, 128), np.uint8)
    data[4] = 77
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", data)
    session, run = begun(tmp_path)
    asked = []
    ((_, prepare),) = run.upcoming()

    class Seen(type(session.desk.segmenter)):
        def encode(self, image, *, region=None):
            asked.append(int(image.max()))
            return super().encode(image, region=region)

    list(prepare(Seen()))
    assert asked == [77]
    assert session.annotator.plane.index == (4, 0, 0)
    assert run.go(1, "done")
    assert session.annotator.plane.index == (4, 0, 0)
