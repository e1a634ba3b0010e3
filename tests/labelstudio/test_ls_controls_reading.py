"""Prompts: which object each belongs to, in pixels; hostile values; what lies on a task."""

import base64
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from controls_samples import (
    PLAIN,
    SIZE,
    blobs,
    brush,
    config_with,
    found,
    keypoint,
    labelled,
    rectangle,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from labelstudio_backend.controls import (
    prompt_keys,
    read_asks,
    read_config,
    read_masks,
    task_asks,
    which_picture,
)
from labelstudio_backend.errors import RequestError
from sam_plugins.formats import crop_to_brush_rle

CONFIG = read_config(PLAIN)
GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())["result"]


def asks(*regions, config=CONFIG, size=SIZE):
    return read_asks(config, list(regions), size)


def pixel(x, y, label=1):
    """What a click at these percent is in a picture of SIZE."""
    return (x * SIZE[1] / 100 - 0.5, y * SIZE[0] / 100 - 0.5, label)


def rle_of(mask):
    answer = found(mask)
    return crop_to_brush_rle(answer.crop, answer.box, answer.size)


def test_a_click_and_one_with_alt_are_one_object_in_their_order():
    (ask,) = asks(*golden("click_context"))
    assert (ask.label, ask.to_name, ask.item) == ("Blob", "image", None)
    assert ask.interaction.points == ((247.5, 299.5, 1), (319.5, 149.5, 0))
    assert ask.interaction.box is None


def test_a_point_that_lost_its_sign_in_a_reload_is_positive():
    (ask,) = asks(*golden("reloaded_context"))
    assert ask.interaction.points == ((247.5, 299.5, 1),)


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ({"is_positive": False}, 0),
        ({"is_positive": 0}, 0),
        ({"is_positive": "false"}, 0),
        ({"is_positive": None}, 1),
        ({"is_positive": 1}, 1),
        ({}, 1),
    ],
)
def test_signs_beside_the_value(said, label):
    (ask,) = asks(keypoint(9, 9), keypoint(5, 5, **said))
    assert ask.interaction.points[1][2] == label


@pytest.mark.parametrize("key", ["positive", "is_positive"])
def test_signs_inside_the_value(key):
    region = keypoint(5, 5)
    region["value"][key] = False
    (ask,) = asks(keypoint(9, 9), region)
    assert [point[2] for point in ask.interaction.points] == [1, 0]


def test_a_box_among_regions_that_are_no_prompts():
    (ask,) = asks(*golden("box_context"))
    assert ask.label == "Other"
    assert ask.interaction.box == (80, 120, 320, 360)
    assert ask.interaction.points == ()


def test_unlabelled_tags_have_their_label_in_a_second_entry():
    config = config_with(
        '<Labels name="labels" toName="image"><Label value="Blob"/></Labels>',
        '<KeyPoint name="point" toName="image"/><Brush name="b" toName="image"/>',
    )
    (ask,) = asks(*golden("split_context"), config=config)
    assert ask.label == "Blob"
    assert ask.interaction.points == (pixel(50, 50),)


def test_a_turned_box_becomes_the_upright_one_around_it():
    # A quarter turn about its first corner, clockwise: it hangs to the left.
    (ask,) = asks(rectangle(50, 50, 10, 20, rotation=90))
    assert ask.interaction.box == pytest.approx((400 - 120, 300, 400, 300 + 80))


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-50, 150),
    y=st.floats(-50, 150),
    width=st.floats(-120, 120),
    height=st.floats(-120, 120),
    rotation=st.floats(-720, 720),
)
def test_boxes_are_cut_to_the_picture_or_are_none(x, y, width, height, rotation):
    found_asks = asks(rectangle(x, y, width, height, rotation=rotation))
    for ask in found_asks:
        x0, y0, x1, y1 = ask.interaction.box
        assert 0 <= x0 < x1 <= SIZE[1]
        assert 0 <= y0 < y1 <= SIZE[0]
    if not found_asks and rotation == 0:
        left, right = sorted((x, x + width))
        top, bottom = sorted((y, y + height))
        assert (
            right <= 1e-9
            or left >= 100 - 1e-9
            or bottom <= 1e-9
            or top >= 100 - 1e-9
            or (min(right - left, bottom - top) < 1e-9)
        )


def test_a_box_drawn_backwards_is_a_box():
    (ask,) = asks(rectangle(40, 60, -30, -40))
    assert ask.interaction.box == pytest.approx((80, 120, 320, 360))


def test_each_box_takes_the_points_inside_it_and_all_points_beside_the_object():
    first, second = rectangle(0, 0, 50, 50), rectangle(40, 0, 60, 100)
    inside_both, inside_second, aside = keypoint(45, 10), keypoint(90, 90), keypoint(10, 90)
    not_it, other = keypoint(20, 20, is_positive=False), keypoint(5, 5, "Other")
    known = asks(first, inside_both, second, not_it, inside_second, aside, other)
    assert [(ask.label, ask.interaction.box, ask.interaction.points) for ask in known] == [
        ("Blob", (0, 0, 400, 300), (pixel(45, 10), pixel(20, 20, 0))),
        ("Blob", (320, 0, 800, 600), (pixel(20, 20, 0), pixel(90, 90))),
        ("Blob", None, (pixel(20, 20, 0), pixel(10, 90))),
        ("Other", None, (pixel(5, 5),)),
    ]


def test_labels_are_objects_of_their_own():
    known = asks(keypoint(1, 1, "Other"), keypoint(2, 2), keypoint(3, 3, "Other"))
    assert [(ask.label, len(ask.interaction.points)) for ask in known] == [
        ("Other", 2),
        ("Blob", 1),
    ]


def test_a_label_with_only_background_points_corrects_the_others():
    known = asks(
        keypoint(1, 1, "Other"),
        keypoint(9, 9, "Blob", is_positive=False),
        rectangle(5, 5, 9, 9, "X"),
    )
    assert [(ask.label, ask.interaction.points) for ask in known] == [
        ("Other", (pixel(1, 1), pixel(9, 9, 0))),
        ("X", (pixel(9, 9, 0),)),
    ]


@pytest.mark.parametrize(
    "regions",
    [
        [],
        [keypoint(5, 5, is_positive=False)],
        [rectangle(5, 5, 0, 0)],
        [rectangle(200, 5, 10, 10)],
        [brush([])],
        [brush([1, 2, 3])],
        [{}, 7, None, "x", {"type": 5}, {"type": "keypointlabels", "to_name": "nowhere"}],
        [{"type": "ellipselabels", "value": None, "to_name": "image"}],
    ],
)
def test_contexts_that_ask_for_nothing(regions):
    assert asks(*regions) == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "5", None, True, [5], 10**400])
@pytest.mark.parametrize("key", ["x", "y", "width"])
def test_numbers_that_are_none_are_refused_with_the_name_of_the_region(bad, key):
    region = rectangle(5, 5, 5, 5, id="the-one")
    region["value"][key] = bad
    with pytest.raises(RequestError, match=f"'the-one'.*{key}"):
        asks(region)
    with pytest.raises(RequestError, match="'the-one'"):
        prompt_keys([region])


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, {"x": 5}])
def test_a_value_without_numbers_is_refused(value):
    with pytest.raises(RequestError, match="'the-one'"):
        asks(keypoint(5, 5, id="the-one") | {"value": value})


@pytest.mark.parametrize("result", [None, {}, "regions", 5])
def test_a_result_that_is_no_list_is_refused(result):
    with pytest.raises(RequestError, match="list of regions"):
        read_asks(CONFIG, result, SIZE)


def test_a_turned_picture_is_refused_not_answered_wrongly():
    with pytest.raises(RequestError, match="turned"):
        asks(keypoint(5, 5, image_rotation=90))


def test_a_stroke_is_at_most_eight_points_well_inside_it_and_far_apart():
    mask = np.zeros(SIZE, bool)
    mask[100:120, 100:700] = True
    mask[100:500, 680:700] = True
    (ask,) = asks(brush(rle_of(mask)), keypoint(1, 1, is_positive=False))
    lines = ask.interaction.scribbles
    assert 4 <= len(lines) <= 8
    assert all(len(vertices) == 1 and label == 1 for vertices, label in lines)
    points = np.array([vertices[0] for vertices, _ in lines])
    for x, y in points.astype(int):
        assert mask[y - 4 : y + 5, x - 4 : x + 5].all()
    apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert apart[~np.eye(len(points), dtype=bool)].min() > 40
    assert np.ptp(points[:, 0]) > 500
    assert np.ptp(points[:, 1]) > 300
    assert ask.interaction.points == (pixel(1, 1, 0),)


def test_a_dab_is_one_point_and_a_negative_stroke_is_background():
    dab, beside = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    dab[300:309, 200:209] = True
    beside[0:9, 0:9] = True
    (ask,) = asks(brush(rle_of(dab)), brush(rle_of(beside), is_positive=False))
    assert ask.interaction.scribbles == ((((204.0, 304.0),), 1), (((4.0, 4.0),), 0))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), fine=st.floats(2, 60))
def test_points_of_a_stroke_lie_on_it_whatever_its_shape(seed, fine):
    mask = blobs(seed, fine=fine)
    for ask in asks(brush(rle_of(mask))):
        for ((x, y),), _ in ask.interaction.scribbles:
            assert mask[int(y), int(x)]


def test_a_stroke_belongs_to_the_box_that_holds_most_of_it():
    mask = np.zeros(SIZE, bool)
    mask[100:110, 100:300] = True
    known = asks(rectangle(0, 0, 50, 50), rectangle(50, 50, 50, 50), brush(rle_of(mask)))
    assert [len(ask.interaction.scribbles) > 0 for ask in known] == [True, False]


PAGES = read_config(
    '<View><Image name="image" value="$image"/><Image name="pages" valueList="$pages"/>'
    '<BrushLabels name="b" toName="image,pages"><Label value="Blob"/></BrushLabels></View>'
)


def test_which_picture_the_newest_prompt_is_about():
    assert which_picture(PAGES, []) == ("image", None)
    on_page = keypoint(5, 5, to_name="pages", item_index=2)
    regions = [keypoint(1, 1), on_page, {"type": "choices", "to_name": "image", "value": {}}]
    assert which_picture(PAGES, regions) == ("pages", 2)
    assert which_picture(PAGES, [on_page, keypoint(1, 1)]) == ("image", None)
    assert which_picture(PAGES, [keypoint(1, 1, to_name="pages")]) == ("pages", 0)
    assert which_picture(PAGES, [keypoint(1, 1, item_index=3)]) == ("image", 3)


def test_prompts_on_other_pictures_and_pages_are_left_out():
    regions = [
        keypoint(1, 1),
        keypoint(2, 2, to_name="pages", item_index=1),
        keypoint(3, 3, to_name="pages", item_index=0),
        keypoint(4, 4, to_name="pages"),
    ]
    (ask,) = read_asks(PAGES, regions, SIZE)
    assert (ask.to_name, ask.item) == ("pages", 0)
    assert ask.interaction.points == (pixel(3, 3), pixel(4, 4))


def test_keys_are_the_same_for_the_same_prompt_whatever_it_is_called():
    first = prompt_keys(golden("click_context"))
    assert len(first) == 2
    assert prompt_keys(golden("reloaded_context")) < first
    renamed = [region | {"id": "new", "origin": "prediction"} for region in golden("click_context")]
    renamed[0]["value"] = renamed[0]["value"] | {"width": 0.7, "x": 31.0000001}
    assert prompt_keys(renamed) == first


def test_keys_differ_where_prompts_mean_something_else():
    regions = [
        keypoint(5, 5),
        keypoint(5, 5, "Other"),
        keypoint(5, 5, is_positive=False),
        keypoint(6, 5),
        keypoint(5, 5, to_name="b"),
        keypoint(5, 5, item_index=1),
        rectangle(5, 5, 5, 5),
        rectangle(5, 5, 5, 5, rotation=3),
        brush([1, 2]),
        brush([1, 3]),
    ]
    assert len(prompt_keys(regions)) == len(regions)
    assert prompt_keys([{"type": "choices", "value": {}}, {"type": "polygonlabels"}]) == frozenset()


def on_task(**results):
    return {"id": 1, "data": {"image": "x"}, **results}


def entry(*regions, **more):
    return {"result": list(regions)} | more


def test_what_lies_on_a_task_is_one_object_for_each_box_and_point():
    regions = [
        rectangle(0, 0, 10, 10),
        keypoint(5, 5),
        keypoint(50, 50),
        keypoint(60, 60),
        keypoint(70, 70, parentID="p"),
        keypoint(80, 80, parentID="p"),
        keypoint(75, 75, is_positive=False, parentID="p"),
        brush(rle_of(blobs(1))),
        {"type": "polygonlabels", "to_name": "image", "value": {"points": []}},
    ]
    known = task_asks(CONFIG, on_task(annotations=[entry(*regions)]), "image", None, SIZE)
    assert [(ask.interaction.box, ask.interaction.points) for ask in known] == [
        ((0, 0, 80, 60), (pixel(5, 5),)),
        (None, (pixel(50, 50),)),
        (None, (pixel(60, 60),)),
        (None, (pixel(70, 70), pixel(80, 80), pixel(75, 75, 0))),
    ]
    assert all(ask.interaction.scribbles == () for ask in known)


def test_points_may_name_the_box_they_belong_to():
    box, far = rectangle(0, 0, 10, 10, id="b"), rectangle(50, 50, 10, 10, id="far")
    regions = [
        box,
        far,
        keypoint(55, 55, parentID="b"),
        keypoint(56, 56, parentID="b", is_positive=0),
    ]
    known = task_asks(CONFIG, on_task(annotations=[entry(*regions)]), "image", None, SIZE)
    assert [ask.interaction.points for ask in known] == [(pixel(55, 55), pixel(56, 56, 0)), ()]


def test_the_newest_annotation_counts_then_drafts_then_predictions():
    task = on_task(
        annotations=[
            entry(keypoint(1, 1), id=1, updated_at="2026-01-03T00:00:00Z"),
            entry(keypoint(2, 2), id=2, updated_at="2026-01-04T00:00:00Z"),
            entry(keypoint(3, 3), id=3, updated_at="2026-01-05T00:00:00Z", was_cancelled=True),
        ],
        drafts=[entry(keypoint(4, 4))],
        predictions=[entry(keypoint(5, 5))],
    )

    def first_point():
        (ask,) = task_asks(CONFIG, task, "image", None, SIZE)
        return ask.interaction.points

    assert first_point() == (pixel(2, 2),)
    task["annotations"] = [entry(brush(rle_of(blobs(1)))), None, {"result": None}]
    assert first_point() == (pixel(4, 4),)
    task["drafts"] = None
    assert first_point() == (pixel(5, 5),)
    task["predictions"] = "nonsense"
    assert task_asks(CONFIG, task, "image", None, SIZE) == []


def test_only_the_page_that_is_asked_for():
    regions = [keypoint(n, n, to_name="pages", item_index=n) for n in range(3)]
    task = on_task(annotations=[entry(*regions)])
    (ask,) = task_asks(PAGES, task, "pages", 1, SIZE)
    assert (ask.item, ask.interaction.points) == (1, (pixel(1, 1),))
    assert task_asks(PAGES, task, "image", None, SIZE) == []


def test_submitted_masks_of_polygons_and_boxes_and_what_is_none():
    config = config_with(labelled("RectangleLabels", "box"), labelled("PolygonLabels", "poly"))
    points = [[25, 25], [50, 25], [50, 50], [25, 50]]
    polygon = {"points": points, "closed": True, "polygonlabels": ["Other"]}
    regions = [
        keypoint(5, 5),
        rectangle(-10, 10, 20, 10),
        {"type": "polygonlabels", "to_name": "image", "value": polygon},
        rectangle(200, 10, 20, 10),
        {"type": "ellipselabels", "to_name": "image", "value": {"x": 5}},
    ]
    (box_label, *box), (label, *ring) = read_masks(config, regions, SIZE)
    assert (box_label, box[1]) == ("Blob", (0, 60, 80, 120))
    assert box[0].all()
    assert (label, ring[1]) == ("Other", (200, 150, 400, 300))
    assert ring[0].all()
    # Smart rectangles are prompts.
    assert [kept[0] for kept in read_masks(CONFIG, regions, SIZE)] == ["Other"]


def test_a_turned_box_as_a_mask_is_turned():
    config = config_with(labelled("RectangleLabels", "box"))
    ((_, crop, box),) = read_masks(config, [rectangle(50, 50, 20, 20, rotation=45)], SIZE)
    mask = whole(crop, box, SIZE)
    assert mask.sum() == pytest.approx(160 * 120, rel=0.01)
    assert not mask[301, 320]
    assert mask[310, 400]


def png_of(*chunks):
    """A data URI of a PNG of these chunks."""
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(inner)) + name + inner + struct.pack(">I", zlib.crc32(name + inner))
        for name, inner in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()


def header(height, width):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"abCd", header(*SIZE)[1]), header(9_000, 9_000)],
        [header(*SIZE), header(9_000, 9_000)],
        [header(*SIZE), header(40_000, 40_000)],
    ],
    ids=["behind another chunk", "behind a good one", "beyond what Pillow opens"],
)
def test_a_bitmask_of_another_size_than_it_says_first_is_not_decoded(chunks):
    address = png_of(*chunks, (b"IDAT", zlib.compress(bytes(9_000 * 1126), 1)), (b"IEND", b""))
    region = {"type": "bitmasklabels", "to_name": "image", "value": {"imageDataURL": address}}
    with pytest.raises(RequestError, match="PNG"):
        read_masks(CONFIG, [region], SIZE)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("brushlabels", {"format": "rle", "rle": "x"}, "list of numbers"),
        ("brushlabels", {"format": "rle", "rle": [1, 2, 3]}, "cut off"),
        ("brushlabels", {"format": "rle", "rle": [1, 999]}, "0 to 255"),
        ("brushlabels", {"format": "rle", "rle": rle_of(np.ones((5, 5), bool))}, "600 x 800"),
        ("polygonlabels", {"points": [[1, 1], [2, 2]]}, "three"),
        ("polygonlabels", {"points": [[1, 1], [2, 2], [3]]}, "pairs"),
        ("polygonlabels", {"points": [[1, 1], [2, 2], [3, float("nan")]]}, "finite"),
        ("polygonlabels", {}, "three"),
        ("bitmasklabels", {"imageDataURL": "data:image/jpeg;base64,xx"}, "PNG"),
        ("bitmasklabels", {"imageDataURL": 5}, "PNG"),
        ("bitmasklabels", {"imageDataURL": "data:image/png;base64,*"}, "base 64"),
        ("bitmasklabels", {"imageDataURL": "data:image/png;base64,aGVsbG8="}, "whole PNG"),
    ],
)
def test_masks_that_cannot_be_read_are_refused_with_their_name(kind, value, message):
    region = {"id": "the-one", "type": kind, "to_name": "image", "value": value}
    with pytest.raises(RequestError, match=f"'the-one'.*{message}"):
        read_masks(CONFIG, [region], SIZE)
