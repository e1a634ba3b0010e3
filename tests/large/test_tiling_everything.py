"""Everything-mode over tiles: each object once, whole, with its area; labels on disk, resumed."""

import itertools
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiling_scenes import Bright, Counting, discs

from sam_plugins.automatic import AutomaticSettings, Progress
from sam_plugins.errors import ImageError
from sam_plugins.formats import rle_to_crop
from sam_plugins.masks import mask_to_box
from sam_plugins.tiling import (
    LabelImage,
    TiledImage,
    generate_tiled_masks,
    labels_are_complete,
    labels_described,
    write_labels,
)
from sam_plugins.tiling.joining import _matches
from sam_plugins.tiling.objects import FolderTiles, TileObject, tile_points
from sam_plugins.types import MaskRecord

TILE, HALO = 256, 42
EVERY = AutomaticSettings(
    points_per_side=16, pred_iou_thresh=0.5, stability_score_thresh=0.5, max_area_fraction=1.0
)


def tiled(image, segmenter=None, **options):
    options = {"tile": TILE, "halo": HALO, "threshold": 0} | options
    return TiledImage(segmenter or Bright(), Counting(image), **options)


def records_of(image, chosen=EVERY, **options):
    events = generate_tiled_masks(tiled(image, **options), chosen)
    return [event for event in events if isinstance(event, MaskRecord)]


def check_pieces(image, records):
    """Each connected bright piece is there exactly once, with its very pixels."""
    pieces, count = ndimage.label(image.max(2) > 0, structure=np.ones((3, 3)))
    assert len(records) == count
    seen = set()
    for record in records:
        crop, box = rle_to_crop(record.segmentation)
        assert box == record.box
        assert record.area == crop.sum()
        x0, y0, x1, y1 = box
        (name,) = set(np.unique(pieces[y0:y1, x0:x1][crop]).tolist())
        assert name > 0
        assert record.area == (pieces == name).sum()
        seen.add(name)
    assert len(seen) == count


def field(height=760, width=850, pitch=61, radius=22):
    """Discs in rows whose distance divides no step, so that they lie in every way on borders."""
    centres = list(itertools.product(range(15, width, pitch), range(20, height, pitch + 2)))
    return discs(height, width, centres, [radius] * len(centres))


def test_each_object_is_found_once_with_its_pixels_wherever_it_lies():
    image = field()
    records = records_of(image)
    assert len(records) > 150
    check_pieces(image, records)
    scores = [record.predicted_iou for record in records]
    assert scores == sorted(scores, reverse=True)


def test_objects_that_no_tile_shows_whole_come_in_one_piece():
    image = np.zeros((900, 1000, 3), np.uint8)
    image[100:130, 20:980] = 200
    image[160:890, 300:340] = 200
    image[400:800, 500:900] = 200
    image[460:740, 560:840] = 0
    image[580:620, 680:720] = 200
    check_pieces(image, records_of(image))


def test_an_object_with_two_prongs_over_a_border_is_one():
    image = np.zeros((600, 700, 3), np.uint8)
    image[200:300, 60:200] = 150
    image[200:230, 200:300] = 150
    image[270:300, 200:300] = 150
    check_pieces(image, records_of(image))


class Shy(Bright):
    """Does not see what the left edge of its window cuts off, where the picture goes on."""

    def decode_many(self, embedding, prompts, **options):
        for answer in super().decode_many(embedding, prompts, **options):
            touches = (answer.low_res_logits[0, :, 0] > 0).any()
            hidden = touches and self.first_column[embedding.key] > 0
            yield replace(
                answer,
                low_res_logits=-8 + 0 * answer.low_res_logits if hidden else answer.low_res_logits,
            )

    def encode(self, image, *, region=None):
        embedding = super().encode(image, region=region)
        # Windows of the left edge are marked by the picture itself.
        self.first_column[embedding.key] = 0 if (image[:, 0] == 7).any() else 1
        return embedding

    first_column: ClassVar[dict] = {}


def test_what_no_neighbour_goes_on_with_is_asked_again_and_comes_whole():
    image = np.zeros((300, 700, 3), np.uint8)
    image[0, 0] = image[-1, 0] = 7
    image[60:100, 150:300] = 200
    image[180:220, 390:500] = 100
    session = tiled(image, Shy())
    events = list(generate_tiled_masks(session, EVERY))
    records = [event for event in events if isinstance(event, MaskRecord) and event.area > 1]
    assert sorted(record.area for record in records) == [40 * 110, 40 * 150]
    (again,) = [record for record in records if record.area == 40 * 150]
    assert again.box == (150, 60, 300, 100)
    assert again.crop_box[0] <= 150 - 30
    assert again.crop_box[2] - again.crop_box[0] == TILE
    assert any("Asking again" in event.message for event in events if isinstance(event, Progress))


def test_labels_hold_what_was_asked_again(require, tmp_path):
    require("zarr")
    image = np.zeros((300, 700, 3), np.uint8)
    image[0, 0] = image[-1, 0] = 7
    image[60:100, 150:300] = 200
    path = tmp_path / "labels.zarr"
    list(write_labels(tiled(image, Shy()), path, EVERY))
    labels = labels_at(path)
    assert len(np.unique(labels[60:100, 150:300])) == 1
    assert (labels == labels[80, 200]).sum() == 40 * 150


def test_what_is_cut_and_too_large_to_be_seen_whole_is_left_out():
    image = np.zeros((300, 900, 3), np.uint8)
    image[0, 0] = image[-1, 0] = 7
    image[60:100, 20:880] = 200
    records = [
        e for e in generate_tiled_masks(tiled(image, Shy()), EVERY) if isinstance(e, MaskRecord)
    ]
    assert [record for record in records if record.area > 1] == []
    assert [r.area for r in records_of(image) if r.area > 1] == [40 * 860]


def test_pieces_are_matched_by_what_both_tiles_see_of_them():
    def found(box, cut):
        x0, y0, x1, y1 = box
        return TileObject(
            crop=np.ones((y1 - y0, x1 - x0), bool),
            box=box,
            predicted_iou=0.9,
            stability_score=0.9,
            point_coords=(x0, y0),
            cut=cut,
        )

    overlap = (100, 0, 160, 300)
    cell, other = found((20, 10, 150, 110), False), found((30, 200, 120, 260), False)
    same, piece = found((100, 12, 151, 110), True), found((100, 10, 150, 50), True)
    nucleus, neighbour = found((100, 40, 112, 60), True), found((140, 200, 220, 260), False)
    assert _matches([cell, other], [same], overlap) == [(0, 0)]
    assert _matches([cell], [piece], overlap) == [(0, 0)]
    assert _matches([piece], [cell], overlap) == [(0, 0)]
    assert _matches([cell], [nucleus], overlap) == []
    assert _matches([cell], [same, nucleus, piece], overlap) == [(0, 0), (0, 2)]
    assert _matches([other], [neighbour], overlap) == []
    assert _matches([cell], [found((100, 40, 140, 80), False)], overlap) == []


def test_what_is_cut_by_the_picture_is_whole():
    image = discs(500, 620, [(0, 0), (619, 499), (300, 0), (0, 250)], [60, 40, 50, 30])
    check_pieces(image, records_of(image))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_picture_of_bars_and_boxes_is_found_piece_by_piece(data):
    image = np.zeros((330, 400, 3), np.uint8)
    for _ in range(data.draw(st.integers(1, 6))):
        y, x = data.draw(st.integers(0, 320)), data.draw(st.integers(0, 390))
        height, width = data.draw(st.integers(14, 250)), data.draw(st.integers(14, 250))
        image[y : y + height, x : x + width] = 90
    image[::2, ::2] += (image[::2, ::2] > 0).astype(np.uint8)  # no tile is of one colour
    pieces, _ = ndimage.label(image[..., 0], structure=np.ones((3, 3)))
    sizes = [np.ptp(np.nonzero(pieces == n), axis=1).min() for n in range(1, pieces.max() + 1)]
    chosen = AutomaticSettings(
        points_per_side=16, pred_iou_thresh=0.5, stability_score_thresh=0.5, max_area_fraction=1.0
    )
    if min(sizes, default=0) < 13:
        return
    session = TiledImage(Bright(128), Counting(image), tile=128, halo=24, threshold=0)
    events = generate_tiled_masks(session, chosen)
    check_pieces(image, [event for event in events if isinstance(event, MaskRecord)])


def test_limits_of_area_and_number_count_for_whole_objects():
    image = np.zeros((400, 900, 3), np.uint8)
    image[100:140, 20:880] = 200
    image[250:270, 50:70] = 100
    image[250:300, 500:550] = 100
    areas = lambda **changes: sorted(  # noqa: E731
        record.area
        for record in records_of(
            image, AutomaticSettings(**{"points_per_side": 22, "pred_iou_thresh": 0.5} | changes)
        )
    )
    assert areas() == [400, 2500, 40 * 860]
    assert areas(min_area=2000) == [2500, 40 * 860]
    assert areas(max_area=3000) == [400, 2500]
    assert len(areas(max_masks=1)) == 1
    image[:20, 300:320] = 50
    assert areas(exclude_border=True) == [400, 2500, 40 * 860]


def test_a_search_that_is_stopped_gives_the_masks_of_finished_tiles():
    image = field()
    done = 0

    def stop():
        return done >= 3

    found = []
    for event in generate_tiled_masks(tiled(image), EVERY, stop=stop):
        if isinstance(event, Progress):
            done = event.done
        else:
            found.append(event)
    whole = {record.box for record in records_of(image)}
    assert 0 < len(found) < len(whole) / 2
    assert {record.box for record in found} <= whole


def test_empty_tiles_cost_no_encoding():
    image = np.zeros((900, 900, 3), np.uint8)
    image[30:60, 30:60] = 200
    session = tiled(image)
    found = [e for e in generate_tiled_masks(session, EVERY) if isinstance(e, MaskRecord)]
    assert [record.area for record in found] == [900]
    assert len(session.segmenter.encoded) == 1
    assert session.source.most <= TILE * TILE


@given(st.integers(50, 500), st.integers(50, 500), st.integers(1, 40))
def test_points_are_one_grid_over_the_picture(height, width, points_per_side):
    session = TiledImage(
        Bright(64), Counting(np.zeros((height, width, 3), np.uint8)), tile=64, halo=9, threshold=0
    )
    every = []
    for number in range(len(session.grid)):
        x0, y0, x1, y1 = session.grid.core(number)
        points = tile_points(session, number, points_per_side)
        assert len(points)
        assert ((points >= (x0, y0)) & (points < (x1, y1))).all()
        every.append(points)
    spacing = session.grid.tile / points_per_side
    if spacing < 10:
        every = np.concatenate(every)
        places = (np.arange(500 / spacing + 2) + 0.5) * spacing
        expected = (places < width).sum() * (places < height).sum()
        assert len(np.unique(every.round(6), axis=0)) == len(every) == expected


def test_finished_tiles_are_kept_as_they_were(tmp_path):
    found = [
        TileObject(
            crop=np.random.default_rng(n).random((n + 1, 2 * n + 3)) > 0.5,
            box=(n, 2 * n, 3 * n + 3, 3 * n + 1),
            predicted_iou=0.1 * n,
            stability_score=1 - 0.1 * n,
            point_coords=(n + 0.5, n),
            cut=n % 2 == 0,
        )
        for n in range(5)
    ]
    tiles = FolderTiles(tmp_path)
    assert tiles.get(3) is None
    for number, objects in ((3, found), (4, [])):
        tiles.put(number, objects)
    assert tiles.get(4) == []
    for before, after in zip(found, tiles.get(3), strict=True):
        np.testing.assert_array_equal(before.crop, after.crop)
        for name in ("box", "predicted_iou", "stability_score", "point_coords", "cut"):
            assert getattr(before, name) == getattr(after, name)
    (file,) = tmp_path.glob("*3.npz")
    file.write_bytes(file.read_bytes()[:100])
    assert tiles.get(3) is None


def labels_at(path):
    import zarr

    array = zarr.open(str(path), mode="r")
    assert array.dtype == np.uint32
    return array[:]


def check_labels(image, labels):
    pieces, count = ndimage.label(image.max(2) > 0, structure=np.ones((3, 3)))
    pairs = np.unique(np.stack((pieces.ravel(), labels.ravel())), axis=1)
    assert pairs.shape[1] == count + 1
    assert sorted(pairs[1].tolist()) == list(range(count + 1))


def test_labels_give_each_object_one_number_everywhere(require, tmp_path):
    require("zarr")
    image = field(900, 1080)
    image[500:530, 100:1050] = 77
    path = tmp_path / "labels.zarr"
    session = tiled(image)
    *steps, end = write_labels(session, path, EVERY)
    assert all(isinstance(step, Progress) for step in steps)
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    assert {s.total for s in steps} == {steps[-1].done}
    labels = labels_at(path)
    check_labels(image, labels)
    assert end == LabelImage(path, labels.max())
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.zarr"]
    assert session.source.most <= TILE * TILE
    described = labels_described(session, EVERY)
    assert labels_are_complete(path, described) == end
    other = labels_described(session, AutomaticSettings())
    assert labels_are_complete(path, other) is None
    assert labels_are_complete(tmp_path, described) is None
    with pytest.raises(ImageError, match="exists"):
        next(write_labels(session, path, EVERY))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(ImageError, match="exists"):
        next(write_labels(session, tmp_path / "mine", EVERY, overwrite=True))
    *_, end = write_labels(session, path, EVERY, overwrite=True)
    np.testing.assert_array_equal(labels_at(path), labels)


def test_smaller_objects_lie_on_top_also_over_borders(require, tmp_path):
    require("zarr")
    image = discs(600, 600, [(190, 190), (480, 480)], [60, 60])
    image[155:225, 155:225] = 0
    image[170:210, 165:215] = 255
    path = tmp_path / "labels.zarr"
    *_, end = write_labels(tiled(image, Bright(filled=True)), path, EVERY)
    assert end.objects == 3
    labels = labels_at(path)
    inner, outer = labels[190, 190], labels[140, 190]
    assert len({0, inner, outer}) == 3
    assert (labels == inner).sum() == 40 * 50
    assert labels[160, 160] == labels[220, 220] == outer


def test_a_stopped_run_goes_on_and_ends_with_the_same_labels(require, tmp_path):
    require("zarr")
    image = field(700, 800)
    reference, path = tmp_path / "reference.zarr", tmp_path / "labels.zarr"
    list(write_labels(tiled(image), reference, EVERY))
    first = tiled(image)
    events = write_labels(first, path, EVERY)
    for event in events:
        if event.done == 6:
            break
    events.close()
    assert not path.exists()
    stopped_after = len(first.segmenter.encoded)
    second = tiled(image)
    list(write_labels(second, path, EVERY))
    np.testing.assert_array_equal(labels_at(path), labels_at(reference))
    assert len(second.segmenter.encoded) <= len(second.grid) - (stopped_after - 1)


@pytest.mark.parametrize("change", ["settings", "picture", "tile"])
def test_the_tiles_of_another_run_are_not_used(require, tmp_path, change):
    require("zarr")
    image = field(600, 600)
    path = tmp_path / "labels.zarr"
    events = write_labels(tiled(image), path, EVERY)
    list(itertools.takewhile(lambda event: event.done < 6, events))
    events.close()
    image = image[::-1].copy() if change == "picture" else image
    session = tiled(image, Bright(250), tile=250) if change == "tile" else tiled(image)
    chosen = AutomaticSettings(points_per_side=20) if change == "settings" else EVERY
    list(write_labels(session, path, chosen))
    assert len(session.segmenter.encoded) == len(session.grid)
    check_labels(image, labels_at(path))


def test_two_runs_do_not_write_the_same_labels(require, tmp_path):
    require("zarr")
    path = tmp_path / "labels.zarr"
    first = write_labels(tiled(field(500, 520)), path, EVERY)
    next(first)
    with pytest.raises(ImageError, match="being written"):
        next(write_labels(tiled(field(500, 520)), path, EVERY))
    first.close()
    *_, end = write_labels(tiled(field(500, 520)), path, EVERY)
    assert end.objects == 8 * 9
    assert [entry.name for entry in tmp_path.iterdir()] == ["labels.zarr"]


def test_parts_that_vanish_are_an_error_and_no_hole(require, tmp_path):
    require("zarr")
    path = tmp_path / "labels.zarr"
    events = write_labels(tiled(field(500, 520)), path, EVERY)
    next(event for event in events if event.message.startswith("Joining"))
    for part in Path(f"{path}.parts").glob("0*.npz"):
        part.unlink()
    with pytest.raises(ImageError, match="gone or damaged"):
        list(events)
    assert not path.exists()


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_tiling_everything import EVERY, field, tiled
from sam_plugins.tiling import write_labels
for event in write_labels(tiled(field(700, 800)), sys.argv[2], EVERY):
    time.sleep(0.002)
"""


def test_a_killed_run_goes_on(require, tmp_path):
    require("zarr")
    path = tmp_path / "labels.zarr"
    parts = Path(f"{path}.parts")
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", KILLED, here, str(path)])
    try:
        deadline = time.monotonic() + 120
        while len(list(parts.glob("0*.npz"))) < 4:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert not path.exists()
    session = tiled(field(700, 800))
    list(write_labels(session, path, EVERY))
    assert len(session.segmenter.encoded) <= len(session.grid) - 4
    check_labels(field(700, 800), labels_at(path))


def test_boxes_of_labels_are_those_of_records(require, tmp_path):
    """Both ways to ask give the same objects."""
    require("zarr")
    image = field(500, 600)
    path = tmp_path / "labels.zarr"
    list(write_labels(tiled(image), path, EVERY))
    labels = labels_at(path)
    boxes = {mask_to_box(labels == n) for n in range(1, labels.max() + 1)}
    assert boxes == {record.box for record in records_of(image)}
