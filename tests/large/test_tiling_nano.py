"""The bundled model over tiles: no seams, and everything found once."""

from dataclasses import replace

import numpy as np
import pytest
from tiling_scenes import Counting

from sam_plugins.automatic import default_settings
from sam_plugins.formats import rle_to_mask
from sam_plugins.masks import mask_iou
from sam_plugins.tiling import TiledImage, generate_tiled_masks
from sam_plugins.types import MaskRecord, Prompt

TILE, HALO = 512, 80
STEP = TILE - 2 * HALO


@pytest.fixture(scope="module")
def nano():
    from sam_plugins import open_segmenter
    from sam_plugins.errors import SamPluginsError

    try:
        return open_segmenter("nano", device="cpu")
    except SamPluginsError:
        return None


def ellipse(size, cx, cy, rx, ry, angle):
    y, x = np.mgrid[: size[0], : size[1]]
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    return (along / rx) ** 2 + (across / ry) ** 2 <= 1


def painted(size, objects):
    noise = np.random.default_rng(0).normal(0, 6, (*size, 3))
    image = np.full((*size, 3), 60.0)
    for one in objects:
        image[ellipse(size, *one)] = (190, 120, 90)
    return (image + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "shape",
    [(STEP + HALO, STEP + HALO, 100, 60, 0.4), (2 * STEP + HALO, STEP + HALO, 165, 75, 1.2)],
    ids=["small", "wide"],
)
def test_an_object_across_tiles_is_what_one_crop_around_it_shows(require, nano, shape):
    require("nano", nano is not None)
    size = (1300, 1350)
    image = painted(size, [shape])
    session = TiledImage(nano, Counting(image), tile=TILE, halo=HALO, threshold=0)
    cx, cy, rx, ry, angle = shape
    x0, y0 = cx - TILE // 2, cy - TILE // 2
    crop = nano.encode(np.ascontiguousarray(image[y0 : y0 + TILE, x0 : x0 + TILE]))
    for along, across in ((0, 0), (-0.6, 0), (0, 0.6)):
        x = cx + along * rx * np.cos(angle) - across * ry * np.sin(angle)
        y = cy + along * rx * np.sin(angle) + across * ry * np.cos(angle)
        found = session.decode(Prompt(point_coords=[(x, y)], point_labels=[1])).best()
        around = Prompt(point_coords=[(x - x0, y - y0)], point_labels=[1])
        expected = np.zeros(size, bool)
        expected[y0 : y0 + TILE, x0 : x0 + TILE] = nano.decode(crop, around).best()
        assert mask_iou(found, expected) >= 0.95
        assert mask_iou(found, ellipse(size, *shape)) >= 0.9


def test_objects_on_borders_of_tiles_are_found_once_and_whole(require, nano):
    require("nano", nano is not None)
    size = (900, 1000)
    objects = [
        (STEP + HALO, STEP + HALO, 60, 40, 0.3),
        (STEP + HALO, 180, 50, 45, 0),
        (190, STEP + HALO, 45, 70, 0),
        (820, 700, 50, 50, 0),
        (640, 330, 40, 60, 0.8),
    ]
    image = painted(size, objects)
    session = TiledImage(nano, Counting(image), tile=TILE, halo=HALO, threshold=0)
    settings = replace(default_settings("nano"), points_per_side=10)
    events = generate_tiled_masks(session, settings)
    records = [event for event in events if isinstance(event, MaskRecord)]
    masks = [rle_to_mask(record.segmentation) for record in records]
    for one in objects:
        truth = ellipse(size, *one)
        best = sorted((mask_iou(mask, truth) for mask in masks), reverse=True)
        assert best[0] >= 0.9
        assert best[1] < 0.5
