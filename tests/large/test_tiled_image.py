"""Prompts on a tiled picture: which window answers, objects without seams, and what it costs."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiling_scenes import Bright, Counting, discs

from sam_plugins.automatic import Progress
from sam_plugins.errors import ImageError, PromptError
from sam_plugins.masks import mask_iou
from sam_plugins.stores import MemoryStore
from sam_plugins.testing import FakeSegmenter, sample_image
from sam_plugins.tiling import TiledImage
from sam_plugins.types import Prompt

TILE, HALO = 256, 42
STEP = TILE - 2 * HALO


def tiled(image, segmenter=None, **options):
    options = {"tile": TILE, "halo": HALO, "threshold": 0} | options
    return TiledImage(segmenter or Bright(), Counting(image), **options)


def click(x, y, **more):
    return Prompt(point_coords=[(x, y)], point_labels=[1], **more)


def whole_mask(answer):
    return answer.mask(answer.best_index)


@pytest.mark.parametrize("radius", [20, 70, 110])
@pytest.mark.parametrize("side", ["centre", "left", "top", "right", "bottom"])
def test_an_object_across_tiles_comes_out_whole_wherever_it_is_clicked(radius, side):
    """On the border of four cores, so that no tile of the grid shows the larger ones whole."""
    cx, cy = 2 * STEP + HALO, 2 * STEP + HALO
    image = discs(900, 950, [(cx, cy)], [radius])
    off = radius - 3
    dx, dy = {
        "centre": (0, 0),
        "left": (-off, 0),
        "right": (off, 0),
        "top": (0, -off),
        "bottom": (0, off),
    }[side]
    session = tiled(image)
    answer = session.decode(click(cx + dx, cy + dy), multimask_output=False)
    assert mask_iou(whole_mask(answer), image[..., 0] > 0) > 0.99
    assert session.source.most <= TILE * TILE


def test_an_object_larger_than_a_tile_comes_out_whole_at_lower_resolution():
    image = discs(1300, 1400, [(600, 620)], [290])
    session = tiled(image)
    for x, y in ((600, 620), (350, 620), (600, 880)):
        answer = session.decode(click(x, y))
        assert mask_iou(whole_mask(answer), image[..., 0] > 0) > 0.97


def test_what_is_cut_by_the_picture_itself_is_asked_once():
    image = discs(600, 600, [(0, 0), (599, 300), (300, 599)], [60, 50, 40])
    for x, y in ((2, 2), (597, 300), (300, 597)):
        session = tiled(image)
        answer = session.decode(click(x, y), multimask_output=False)
        assert session.source.reads == 1
        truth = image[..., 0] == image[y, x, 0]
        assert mask_iou(whole_mask(answer), truth) > 0.99


def test_a_click_is_answered_at_every_place_of_the_picture():
    """Corners, edges, borders of tiles and of cores, and one pixel to either side of them."""
    height, width = 700, 777
    borders = [0, HALO, STEP, STEP + HALO, TILE, 2 * STEP, 2 * STEP + HALO]
    xs = sorted({x for b in borders for x in (b - 1, b, b + 0.5, b + 1)} | {-0.5, width - 1, width})
    ys = sorted({y for b in borders for y in (b - 1, b, b + 0.5, b + 1)} | {-0.5, height})
    points = [(x, y) for x, y in itertools.product(xs, ys) if x >= -0.5 and y >= -0.5]
    session = tiled(sample_image(height, width), FakeSegmenter(radius=15))
    answers = list(session.decode_many([click(x, y) for x, y in points]))
    for (x, y), answer in zip(points, answers, strict=True):
        x0, y0, x1, y1 = answer.region
        assert x0 == 0 or x - x0 >= HALO
        assert y0 == 0 or y - y0 >= HALO
        assert x1 == width or x1 - x >= HALO
        assert y1 == height or y1 - y >= HALO
        crop, (bx0, by0, bx1, by1) = answer.crop(answer.best_index)
        assert crop.any()
        assert bx0 - 2 <= x <= bx1 + 2
        assert by0 - 2 <= y <= by1 + 2
        assert answer.original_size == (height, width)


def test_many_prompts_get_what_each_gets_alone_and_a_window_is_encoded_once():
    image = discs(800, 900, [(130, 130), (400, 300), (700, 650), (410, 500)], [30, 60, 90, 20])
    prompts = [
        click(400, 300),
        Prompt(box=(90, 90, 170, 170)),
        click(700, 650),
        click(395, 310),
        Prompt(box=(600, 550, 800, 750)),
        click(410, 500, box=(380, 470, 440, 530)),
    ]
    together = list(tiled(image).decode_many(prompts))
    for prompt, answer in zip(prompts, together, strict=True):
        alone = tiled(image).decode(prompt)
        assert alone.region == answer.region
        np.testing.assert_array_equal(alone.low_res_logits, answer.low_res_logits)
    session = tiled(image)
    regions = {answer.region for answer in session.decode_many([prompts[0], prompts[3]])}
    assert len(regions) == 1
    assert session.source.reads == len(session.segmenter.encoded) <= 2


def test_a_box_near_a_border_of_tiles_is_answered_from_a_window_around_it():
    image = discs(800, 800, [(STEP + HALO, STEP + HALO)], [95])
    session = tiled(image)
    middle = STEP + HALO
    answer = session.decode(Prompt(box=(middle - 95, middle - 95, middle + 95, middle + 95)))
    assert len(session.segmenter.encoded) == 1
    assert mask_iou(whole_mask(answer), image[..., 0] > 0) > 0.99
    x0, y0, x1, y1 = answer.region
    assert abs((x0 + x1) / 2 - middle) <= 1
    assert abs((y0 + y1) / 2 - middle) <= 1


def test_a_box_larger_than_the_tiles_is_answered_from_reduced_pixels():
    image = discs(4000, 4000, [(2000, 2100)], [1500])
    session = tiled(image)
    answer = session.decode(Prompt(box=(500, 600, 3500, 3600)))
    assert mask_iou(whole_mask(answer), image[..., 0] > 0) > 0.97
    assert max(session.segmenter.encoded[0]) <= 8 * TILE
    assert session.source.most < 4000 * 4000 / 1.4


def test_background_points_far_away_are_left_out_and_near_ones_count():
    image = sample_image(900, 900)
    session = tiled(image, FakeSegmenter(radius=20))
    near = Prompt(point_coords=[(300, 300), (310, 300)], point_labels=[1, 0])
    far = Prompt(point_coords=[(300, 300), (880, 880)], point_labels=[1, 0])
    assert whole_mask(session.decode(far))[300, 310]
    assert not whole_mask(session.decode(near))[300, 310]
    only = Prompt(point_coords=[(300, 300)], point_labels=[0])
    assert not whole_mask(session.decode(only)).any()


def test_an_answer_is_refined_in_its_own_window_even_if_that_is_none_of_the_grid():
    image = discs(900, 900, [(2 * STEP + HALO, 2 * STEP + HALO)], [110])
    session = tiled(image)
    first = session.decode(click(2 * STEP + HALO - 100, 2 * STEP + HALO), multimask_output=False)
    assert first.region not in [session.grid.region(n) for n in range(len(session.grid))]
    again = session.decode(Prompt(mask_input=first.low_res_logits[[0]], mask_region=first.region))
    assert again.region == first.region
    np.testing.assert_array_equal(again.masks, first.masks)


@pytest.mark.parametrize("shift", [(0, 0), (60, -30), (-90, 100)])
def test_a_mask_prompt_follows_to_another_window(shift):
    """A point outside the window of the mask asks for another: the mask lies where it lay."""
    image = discs(900, 900, [(300 + shift[0], 400 + shift[1])], [50])
    session = tiled(image)
    first = session.decode(click(300 + shift[0], 400 + shift[1]), multimask_output=False)
    wanted = (180, 260, 180 + TILE, 260 + TILE)
    if shift == (-90, 100):
        wanted = (100, 380, 100 + 2 * TILE, 380 + 2 * TILE)
    moved = session._within(
        Prompt(mask_input=first.low_res_logits, mask_region=first.region),
        session.embedding(wanted),
    )
    assert moved.mask_region == wanted
    embedding = session.embedding(wanted)
    x0, y0, x1, y1 = wanted
    low = moved.mask_input[0]
    scale = embedding.input_size[0] / (y1 - y0)
    truth = image[y0:y1, x0:x1, 0] > 0
    step = round(1 / scale)
    seen = first.masks[0][y0:y1, x0:x1][::step, ::step]
    assert truth[::step, ::step].any()
    assert mask_iou(low > 0, seen) > 0.95


def test_mask_prompts_need_to_say_what_they_cover():
    session = tiled(sample_image(900, 900), FakeSegmenter())
    mask = np.zeros((1, 64, 64), np.float32)
    for region in (None, (0, 0, 1000, 100), (5, 5, 5, 9)):
        with pytest.raises(PromptError, match="mask_region"):
            session.decode(Prompt(mask_input=mask, mask_region=region))


def test_prompts_outside_the_picture_are_refused_at_the_call():
    session = tiled(sample_image(500, 600))
    for prompt in (click(601, 5), click(5, -1), Prompt(box=(600, 0, 700, 50))):
        with pytest.raises(PromptError, match="600 wide and 500 high"):
            session.decode_many([click(5, 5), prompt])
    assert session.source.reads == 0


def test_a_picture_up_to_the_threshold_is_one_window():
    image = sample_image(300, 400)
    session = TiledImage(FakeSegmenter(), Counting(image), tile=200)
    assert session.window_for(click(7, 290)) == (0, 0, 400, 300)
    alone = FakeSegmenter()
    expected = alone.decode(alone.encode(image), click(30, 40))
    np.testing.assert_array_equal(session.decode(click(30, 40)).masks, expected.masks)
    assert len(TiledImage(FakeSegmenter(), Counting(image), tile=200, threshold=399).grid) > 1


def test_every_tile_is_encoded_nearest_first_and_a_store_remembers():
    image, store = sample_image(700, 800), MemoryStore()
    session = tiled(image, store=store, max_bytes=0)
    events = list(session.embed_all(nearest=(790, 690)))
    assert [event.done for event in events] == list(range(len(session.grid) + 1))
    assert all(isinstance(event, Progress) and event.total == len(session.grid) for event in events)
    inner = Bright()
    again = tiled(image, inner, store=store)
    list(again.embed_all())
    assert inner.encoded == []
    first = tiled(image)
    list(itertools.islice(first.embed_all(nearest=(790, 690)), 2))
    assert list(first._kept) == [first.grid.region(len(first.grid) - 1)]


def test_closing_stops_the_encoding():
    session = tiled(sample_image(900, 900))
    events = session.embed_all()
    next(events)
    next(events)
    events.close()
    assert len(session.segmenter.encoded) == 1


def test_what_is_kept_is_bounded():
    session = tiled(sample_image(900, 900), max_bytes=3 * TILE * TILE * 4)
    list(session.embed_all())
    assert len(session._kept) == 3
    reads = session.source.reads
    session.embedding(session.grid.region(len(session.grid) - 1))
    assert session.source.reads == reads
    session.embedding(session.grid.region(0))
    assert session.source.reads == reads + 1


def test_hundreds_of_prompts_in_one_window_are_answered_in_order():
    image = sample_image(500, 600)
    points = [(20 + n % 15, 30 + n // 15) for n in range(200)]
    answers = tiled(image, FakeSegmenter(radius=8)).decode_many([click(x, y) for x, y in points])
    for (x, y), answer in zip(points, answers, strict=True):
        x0, y0, x1, y1 = answer.crop(0)[1]
        assert abs((x0 + x1) / 2 - x) <= 2
        assert abs((y0 + y1) / 2 - y) <= 2


def test_threads_share_a_tiled_picture():
    image = sample_image(900, 950)
    points = [(37 * n % 950, 53 * n % 900) for n in range(60)]
    alone = [tiled(image, FakeSegmenter()).decode(click(*point)) for point in points]
    session = tiled(image, FakeSegmenter(), max_bytes=3 * 8 * 8 * 4)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda point: session.decode(click(*point)), points))
    for answer, expected in zip(found, alone, strict=True):
        assert answer.region == expected.region
        np.testing.assert_array_equal(answer.low_res_logits, expected.low_res_logits)
        np.testing.assert_array_equal(answer.iou_predictions, expected.iou_predictions)


def test_a_plain_array_is_a_source():
    image = sample_image(300, 320)
    answer = TiledImage(FakeSegmenter(), image).decode(click(30, 40))
    alone = FakeSegmenter()
    np.testing.assert_array_equal(
        answer.masks, alone.decode(alone.encode(image), click(30, 40)).masks
    )


def test_a_frame_that_is_not_there_is_refused():
    with pytest.raises(ImageError, match="frames 0 to 0"):
        tiled(sample_image(300, 300), index=1)
