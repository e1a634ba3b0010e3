"""Overlays: colour where the mask is, nothing where it is not, clicks and boxes where asked."""

import itertools

import numpy as np
import pytest

from sam_plugins.formats import mask_to_rle
from sam_plugins.masks import mask_to_box
from sam_plugins.rendering import (
    Panel,
    colour_of,
    contact_sheet,
    crops_of_masks,
    crops_of_records,
    line_width,
    render_overlay,
)
from sam_plugins.types import MaskRecord, Prompt


@pytest.fixture
def grey():
    return np.full((90, 120, 3), 100, np.uint8)


def disc(height, width, x, y, radius):
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(columns - x, rows - y) < radius


def test_only_the_masks_pixels_change(grey):
    mask = disc(90, 120, 60, 40, 20)
    before = grey.copy()
    picture = render_overlay(grey, crops_of_masks([mask]))
    assert picture.dtype == np.uint8
    assert picture.shape == grey.shape
    np.testing.assert_array_equal(grey, before)
    changed = (picture != grey).any(2)
    assert not changed[~disc(90, 120, 60, 40, 21)].any(), "only smoothing leaves the mask"
    assert changed[mask].mean() > 0.97


def test_the_inside_is_tinted_and_the_edge_is_stronger(grey):
    mask = disc(90, 120, 60, 40, 25)
    picture = render_overlay(grey, crops_of_masks([mask]), fill=0.5).astype(int)
    colour = np.array(colour_of(0))
    expected = 100 + 0.5 * (colour - 100)
    np.testing.assert_allclose(picture[40, 60], expected, atol=1)
    difference = np.abs(picture - 100).sum(2)
    assert difference[mask].max() > 1.4 * difference[40, 60]


def test_smaller_masks_are_drawn_over_larger_ones_whatever_the_order(grey):
    large, small = disc(90, 120, 60, 45, 40), disc(90, 120, 60, 45, 12)
    for masks in ([large, small], [small, large]):
        index = next(i for i, mask in enumerate(masks) if mask is small)
        picture = render_overlay(grey, crops_of_masks(masks), fill=1.0)
        assert tuple(picture[45, 60]) == colour_of(index)


def test_masks_at_the_border_and_empty_or_single_pixel_masks_are_drawn(grey):
    empty, pixel, whole = np.zeros((90, 120), bool), np.zeros((90, 120), bool), np.ones((90, 120))
    pixel[89, 119] = True
    picture = render_overlay(grey, crops_of_masks([empty, pixel]))
    assert (picture != grey).any(2).nonzero() == (89, 119)
    assert (render_overlay(grey, crops_of_masks([whole.astype(bool)])) != grey).any(2).all()
    np.testing.assert_array_equal(render_overlay(grey, []), grey)


def test_records_are_drawn_as_the_masks_they_hold(grey):
    mask = disc(90, 120, 30, 70, 15)
    record = MaskRecord(
        segmentation=mask_to_rle(mask),
        box=mask_to_box(mask),
        area=int(mask.sum()),
        predicted_iou=0.9,
        stability_score=0.9,
        point_coords=(30.0, 70.0),
        crop_box=(0, 0, 120, 90),
    )
    np.testing.assert_array_equal(
        render_overlay(grey, crops_of_records([record])),
        render_overlay(grey, crops_of_masks([mask])),
    )


def test_clicks_are_green_or_red_with_a_white_ring(grey):
    prompt = Prompt(point_coords=[(30, 45), (90, 45)], point_labels=[1, 0])
    picture = render_overlay(grey, [], [prompt]).astype(int)
    for x, strong, weak in ((30, 1, 0), (90, 0, 1)):
        window = picture[30:61, x - 15 : x + 16]
        vivid = window[..., strong] - window[..., weak]
        assert (vivid > 80).sum() > 20, "the disc has its colour"
        assert (window.min(2) > 240).sum() > 20, "ring and sign are white"
        rows, columns = np.nonzero(vivid > 80)
        assert abs(rows.mean() - 15) < 1
        assert abs(columns.mean() - 15) < 1
    assert (picture[:, 50:70] == 100).all()


def test_clicks_outside_and_on_the_corner_do_not_fail(grey):
    prompt = Prompt(point_coords=[(0, 0), (119, 89), (500, -50)], point_labels=[1, 0, 1])
    assert (render_overlay(grey, [], [prompt]) != grey).any()


def test_a_box_is_a_frame(grey):
    picture = render_overlay(grey, [], [Prompt(box=(20, 10, 100, 80))])
    changed = (picture != grey).any(2)
    assert changed[10, 20:100].all()
    assert changed[79, 20:100].all()
    assert changed[10:80, 20].all()
    assert changed[10:80, 99].all()
    assert not changed[20:70, 30:90].any()
    assert not changed[:8].any()


def test_lines_grow_with_the_picture():
    widths = [line_width(np.empty((n, n, 3), np.uint8)) for n in (64, 1024, 4096)]
    assert widths[0] >= 1
    assert widths[2] == pytest.approx(4 * widths[1])


def test_colours_are_stable_and_distinct():
    colours = np.array([colour_of(i) for i in range(24)], float)
    assert colours.min() >= 0
    assert colours.max() <= 255
    assert colour_of(3) == colour_of(3)
    for first, second in itertools.pairwise(colours):
        assert np.abs(first - second).sum() > 90, "neighbours must not look alike"
    every = np.abs(colours[:, None] - colours[None]).sum(2) + 1e3 * np.eye(24)
    assert every.min() > 15


def test_a_contact_sheet_shows_every_panel_below_its_heading():
    red, blue = np.zeros((30, 40, 3), np.uint8), np.zeros((60, 40, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    rows = [("first", [Panel(red, "a"), Panel(red, "b")]), ("second", [Panel(blue, "c")])]
    sheet = contact_sheet(rows, ["one", "two"], panel_width=80)
    is_red = (sheet == (255, 0, 0)).all(2)
    is_blue = (sheet == (0, 0, 255)).all(2)
    assert is_red.sum() == 2 * 80 * 60
    assert is_blue.sum() == 80 * 120
    assert is_red.any(1).nonzero()[0].max() < is_blue.any(1).nonzero()[0].min()
    assert (sheet[:60].min(2) < 120).any(), "column headings are written"
