"""The watch: whatever changes a Labels layer reaches the journal."""

import numpy as np
import pytest

from napari_plugin.objects.accepting import Acceptance
from napari_plugin.objects.book import Book
from napari_plugin.objects.journal import About, Journal
from napari_plugin.objects.recovery import restore
from napari_plugin.objects.watch import LabelsWatch
from napari_plugin.values import Plane, PlaneMask

SHAPE = (3, 600, 700)


class Desk:
    """A viewer with a watched layer."""

    def __init__(self, labels, folder, viewer):
        self.said = []
        self.layer = viewer.add_labels(labels, name="objects")
        about = About("i", "f", "objects", tuple(labels.shape), str(labels.dtype))
        self.journal = Journal.create(folder, about)
        self.book = Book(self.layer.data, journal=self.journal)
        self.watch = LabelsWatch(self.layer, self.book, say=self.said.append)

    def stored(self):
        return restore(self.journal.path)

    def agrees(self):
        return bool((self.stored().labels() == np.asarray(self.layer.data)).all())


@pytest.fixture
def viewer(require):
    return require("napari.components").ViewerModel()


@pytest.fixture
def desk(viewer, tmp_path):
    desk = Desk(np.zeros(SHAPE, np.uint16), tmp_path, viewer)
    yield desk
    desk.journal.close()


def test_tools_of_napari_are_journaled_when_they_are_done(desk):
    layer = desk.layer
    layer.brush_size = 9
    layer.paint((0, 50, 60), 3)
    assert desk.agrees()
    assert layer.data.any()
    layer.fill((0, 300, 300), 5)
    assert desk.agrees()
    assert (layer.data == 5).sum() > 100_000
    layer.paint_polygon(np.array([[0, 10, 10], [0, 10, 90], [0, 80, 40]]), 8)
    assert desk.agrees()
    layer.data_setitem((np.array([0, 0]), np.array([7, 8]), np.array([7, 9])), 11)
    assert (layer.data == 11).sum() == 2
    assert desk.agrees()
    layer.paint((0, 50, 60), 0)  # the eraser
    assert desk.agrees()


def test_naparis_own_undo_and_redo_are_journaled(desk):
    layer = desk.layer
    layer.paint((0, 50, 60), 3)
    layer.paint((0, 90, 60), 4)
    layer.undo()
    assert not (layer.data == 4).any()
    assert desk.agrees()
    layer.redo()
    assert (layer.data == 4).any()
    assert desk.agrees()


def test_undo_of_a_stroke_on_a_plane_that_is_not_shown(desk, viewer):
    desk.layer.paint((0, 50, 60), 3)
    viewer.dims.set_point(0, 2)
    desk.layer.undo()
    assert not desk.layer.data.any()
    assert desk.agrees()


def test_what_another_plugin_writes_is_found_on_refresh_or_by_the_sweep(desk):
    desk.layer.data[0, 20:40, 30:50] = 9
    desk.layer.refresh()
    assert desk.agrees()
    desk.layer.data[2, 500:520, 600:650] = 12
    assert not desk.agrees()
    while not desk.agrees():
        looked = desk.watch.sweep(blocks=1)
        assert looked in (0, 1)
    assert desk.watch.sweep(1000) == 0
    # The number that the other plugin used is not given out.
    assert desk.book.next_id() == 13


def test_sweeps_come_by_every_block(desk):
    desk.layer.data[2, -1, -1] = 12
    blocks = sum(desk.watch.sweep(blocks=2) for _ in range(20))
    assert blocks == 1
    assert desk.agrees()


def test_new_data_of_the_same_shape_are_followed(desk):
    first = desk.layer.data
    plane = Plane(1, 2, (0, 0, 0))
    mask = PlaneMask(plane, (5, 5, 25, 25), np.ones((20, 20), bool))
    desk.book.accept(Acceptance((mask,)))
    new = first.copy()
    new[1, 100:200, 100:200] = 44
    desk.layer.data = new
    assert desk.book.array is desk.layer.data
    assert desk.agrees()
    desk.book.undo()
    assert set(np.unique(new)) == {0, 44}
    assert first.any()
    assert desk.agrees()


def test_new_data_of_another_shape_are_not_and_a_sentence_says_so(desk):
    desk.layer.paint((0, 50, 60), 3)
    before = desk.layer.data.copy()
    desk.layer.data = np.zeros((3, 20, 20), np.uint16)
    assert "no longer followed" in desk.said[0]
    assert not desk.watch.following
    assert (desk.stored().labels() == before).all()
    desk.layer.paint((0, 5, 5), 3)
    assert desk.watch.sweep() == desk.watch.flush() == 0
    desk.watch.close()


def test_a_layer_may_be_renamed_and_removed(desk, viewer):
    desk.layer.paint((0, 50, 60), 3)
    desk.layer.name = "cells of day 2"
    assert desk.stored().about.layer == "cells of day 2"
    viewer.layers.remove(desk.layer)
    assert desk.agrees()
    desk.layer.data[1, 1, 1] = 5
    desk.watch.close()
    assert desk.agrees()


def test_closing_looks_everywhere_and_then_leaves_the_layer_alone(desk):
    desk.layer.data[2, 599, 699] = 8
    desk.watch.close()
    assert desk.agrees()
    desk.layer.paint((0, 50, 60), 3)
    assert not desk.agrees()


def test_a_zarr_layer_is_journaled_where_it_was_painted(require, viewer, tmp_path):
    zarr = require("zarr")
    labels = zarr.create_array(
        str(tmp_path / "labels.zarr"), shape=(3, 200, 200), chunks=(1, 64, 64), dtype="uint16"
    )
    labels[0, 150:, 150:] = 6
    desk = Desk(labels, tmp_path / "journals", viewer)
    desk.layer.brush_size = 5
    desk.layer.paint((0, 30, 30), 3)
    desk.layer.undo()
    desk.layer.paint((0, 60, 60), 4)
    over = np.zeros(labels.shape, labels.dtype)
    desk.stored().write_into(over)
    assert (over == 4).sum() == (labels[:] == 4).sum() > 10
    assert not (over == 3).any()
    desk.watch.close()
    desk.journal.close()


def test_paint_that_is_an_objects_own_stays_when_it_is_accepted_again(desk):
    plane = Plane(1, 2, (0, 0, 0))
    square = np.ones((20, 20), bool)
    desk.book.accept(Acceptance((PlaneMask(plane, (5, 5, 25, 25), square),)))
    desk.layer.brush_size = 3
    desk.layer.paint((0, 100, 100), 1)
    painted = int((desk.layer.data == 1).sum()) - 400
    assert painted > 4
    mask = PlaneMask(plane, (15, 15, 35, 35), square)
    desk.book.accept(Acceptance((mask,), object_id=1))
    assert (desk.layer.data == 1).sum() == 400 + painted
    assert desk.agrees()


def test_what_the_book_wrote_is_not_written_twice_and_hides_nothing(desk):
    mask = PlaneMask(Plane(1, 2, (0, 0, 0)), (5, 5, 25, 25), np.ones((20, 20), bool))
    desk.layer.data[0, 100, 100] = 77  # by another plugin, without a word
    desk.book.accept(Acceptance((mask,)))
    size = desk.journal.path.stat().st_size
    desk.layer.refresh()
    assert desk.journal.path.stat().st_size == size
    assert not desk.agrees()
    assert desk.watch.sweep() == 1
    assert desk.agrees()


def test_naparis_undo_after_an_accept_is_journaled(desk):
    desk.layer.paint((0, 50, 60), 3)
    mask = PlaneMask(Plane(1, 2, (0, 0, 0)), (5, 5, 25, 25), np.ones((20, 20), bool))
    desk.book.accept(Acceptance((mask,)))
    desk.layer.refresh()
    desk.layer.undo()
    assert not (desk.layer.data == 3).any()
    assert desk.agrees()
