"""Answers as regions: the shapes in the golden files, masks that come back, what polygons lose."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from controls_samples import SIZE, ask, blobs, config_with, found, labelled, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from scipy import ndimage

from labelstudio_backend.controls import area_lost, read_masks, write_regions
from labelstudio_backend.errors import ConfigError, RequestError
from sam_plugins.masks import mask_iou

GOLDEN = Path(__file__).parent / "golden"
VERSION = "nano-0123456789"
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def block():
    mask = np.zeros(SIZE, bool)
    mask[150:300, 200:400] = True
    return mask


def written(mask, *tags, label="Blob", score=0.90126, item=None, version=VERSION):
    config = config_with(*tags)
    regions = write_regions(config, [(ask(label, item=item), found(mask, score))], version)
    return config, regions


def without_ids(regions):
    return [{key: value for key, value in region.items() if key != "id"} for region in regions]


def read_back(config, regions, size):
    masks = [whole(crop, box, size) for _, crop, box in read_masks(config, regions, size)]
    return np.any(masks, axis=0) if masks else np.zeros(size, bool)


@pytest.mark.parametrize("tag", ["RectangleLabels", "PolygonLabels"])
def test_rectangles_and_polygons_look_as_label_studio_writes_them(tag):
    _, regions = written(block(), labelled(tag))
    assert without_ids(regions) == golden(f"{tag.removesuffix('Labels').lower()}_answer")


def test_brushes_look_as_label_studio_writes_them():
    mask = np.zeros((5, 7), bool)
    mask[1:3, 2:6] = True
    mask[4, 6] = True
    _, regions = written(mask, labelled("BrushLabels"))
    assert without_ids(regions) == golden("brush_answer")


def test_unlabelled_tags_write_two_entries_with_one_id():
    labels = '<Labels name="labels" toName="image"><Label value="Blob"/></Labels>'
    _, regions = written(block(), labels, '<Polygon name="out" toName="image"/>', item=2)
    assert without_ids(regions) == golden("split_answer")
    assert regions[0]["id"] == regions[1]["id"]


def test_without_a_label_an_unlabelled_tag_writes_one_entry():
    _, (region,) = written(block(), '<Brush name="out" toName="image"/>', label=None)
    assert region["type"] == "brush"
    assert set(region["value"]) == {"format", "rle"}


def test_a_tag_with_a_single_label_gives_it_to_what_has_none():
    _, (region,) = written(block(), labelled("BrushLabels", labels=["Only"]), label=None)
    assert region["value"]["brushlabels"] == ["Only"]


def test_bitmasks_are_black_on_transparent_and_as_large_as_the_picture():
    mask = blobs(2)
    _, (region,) = written(mask, labelled("BitmaskLabels"))
    assert region["type"] == "bitmasklabels"
    assert region["value"]["bitmasklabels"] == ["Blob"]
    head, data = region["value"]["imageDataURL"].split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        colours = np.asarray(picture.convert("RGBA"))
    assert (colours[..., 3] == np.where(mask, 255, 0)).all()
    assert (colours[..., :3] == 0).all()


def test_an_alias_is_what_results_hold():
    tag = '<BrushLabels name="b" toName="image"><Label value="Cell" alias="c"/></BrushLabels>'
    _, (region,) = written(block(), tag, label="Cell")
    assert region["value"]["brushlabels"] == ["c"]


def test_a_label_that_was_picked_by_the_alias_of_another_tag():
    point = (
        '<KeyPointLabels name="k" toName="image"><Label value="Cell" alias="k1"/></KeyPointLabels>'
    )
    _, (region,) = written(block(), point, labelled("BrushLabels", labels=["Cell"]), label="k1")
    assert region["value"]["brushlabels"] == ["Cell"]


def test_every_region_has_an_id_of_its_own_and_plain_json():
    config = config_with(labelled("PolygonLabels"))
    answers = [(ask(), found(blobs(seed))) for seed in range(3)]
    regions = write_regions(config, answers, VERSION)
    assert len({region["id"] for region in regions}) == len(regions) > 3
    assert json.loads(json.dumps(regions, allow_nan=False)) == regions


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.5, 0.5), (1.00001, 1.0), (-0.2, 0.0), (float("nan"), 0.0), (np.float32(0.25), 0.25)],
)
def test_scores_lie_between_0_and_1(score, expected):
    _, (region,) = written(block(), labelled("BrushLabels"), score=score)
    assert region["score"] == expected
    assert type(region["score"]) is float


def test_nothing_found_is_nothing_written_and_the_rest_is():
    config = config_with(labelled("BrushLabels"))
    answers = [(ask(), found(np.zeros(SIZE, bool))), (ask("Other"), found(block()))]
    (region,) = write_regions(config, answers, "")
    assert region["value"]["brushlabels"] == ["Other"]
    assert "meta" not in region
    assert "item_index" not in region


@pytest.mark.parametrize("tag", ["Brush", "Bitmask"])
@settings(max_examples=40, deadline=None)
@given(mask=masks)
def test_brushes_and_bitmasks_come_back_as_they_were(tag, mask):
    config, regions = written(mask, labelled(f"{tag}Labels"))
    assert len(regions) == int(mask.any())
    assert (read_back(config, regions, mask.shape) == mask).all()
    assert [label for label, _, _ in read_masks(config, regions, mask.shape)] == ["Blob"] * len(
        regions
    )


@settings(max_examples=40, deadline=None)
@given(mask=masks)
def test_rectangles_come_back_as_the_box_of_the_mask(mask):
    config, regions = written(mask, labelled("RectangleLabels"))
    expected = np.zeros_like(mask)
    if mask.any():
        x0, y0, x1, y1 = found(mask).box
        expected[y0:y1, x0:x1] = True
    assert (read_back(config, regions, mask.shape) == expected).all()


@settings(max_examples=40, deadline=None)
@given(mask=masks, parts=st.sampled_from(["split", "bridge"]))
def test_exact_polygons_come_back_as_they_were(mask, parts):
    tag = labelled("PolygonLabels", sam_simplify="0", sam_parts=parts, sam_min_area="0")
    config, regions = written(mask, tag)
    shown = np.zeros_like(mask)
    for _, crop, box in read_masks(config, regions, mask.shape):
        shown ^= whole(crop, box, mask.shape)
    assert (shown == mask).all()
    assert all(area_lost(region) == 0 for region in regions)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(80, 900),
    width=st.integers(80, 900),
    fine=st.floats(4, 25),
    simplify=st.sampled_from(["0.5", "1", "1.5", "4"]),
)
def test_objects_without_holes_share_98_percent_with_their_polygon(
    seed, height, width, fine, simplify
):
    mask = ndimage.binary_fill_holes(blobs(seed, (height, width), fine))
    parts, count = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())[1:]
    if not count or sizes.max() < 1000:
        return
    mask = parts == np.argmax(sizes) + 1
    config, regions = written(mask, labelled("PolygonLabels", sam_simplify=simplify))
    (region,) = regions
    points = np.array(region["value"]["points"])
    assert (points >= 0).all()
    assert (points <= 100).all()
    assert mask_iou(read_back(config, regions, mask.shape), mask) >= 0.98


def ring_and_speck():
    mask = block()
    mask[200:220, 250:300] = False
    mask[400:403, 400:403] = True
    mask[500:540, 100:140] = True
    return mask


@pytest.mark.parametrize(
    ("attributes", "regions", "lost"),
    [
        ({}, 2, 9),
        ({"sam_min_area": "0"}, 3, 0),
        ({"sam_holes": "drop"}, 2, 9 + 1000),
        ({"sam_parts": "largest"}, 1, 9 + 1600),
        ({"sam_parts": "bridge", "sam_min_area": "0"}, 1, 0),
        ({"sam_parts": "bridge", "sam_min_area": "2000"}, 1, 9 + 1600 + 1000),
    ],
)
def test_what_polygons_leave_out_stands_in_meta(attributes, regions, lost):
    mask = ring_and_speck()
    _, known = written(mask, labelled("PolygonLabels", **attributes))
    assert len(known) == regions
    for region in known:
        assert area_lost(region) == pytest.approx(lost / mask.sum(), abs=1e-4)
        assert ("area_lost" in region["meta"]) == (lost > 0)
        assert "text" not in region["meta"]


def test_a_hole_in_a_polygon_survives_the_round_trip():
    mask = block()
    mask[200:220, 250:300] = False
    config, regions = written(mask, labelled("PolygonLabels"))
    assert len(regions) == 1
    assert (read_back(config, regions, SIZE) == mask).all()


@pytest.mark.parametrize(
    "attributes",
    [
        {"sam_simplify": "much"},
        {"sam_simplify": "-1"},
        {"sam_simplify": "nan"},
        {"sam_holes": "fill"},
        {"sam_parts": "all"},
        {"sam_min_area": "inf"},
    ],
)
def test_attributes_that_cannot_be_used_are_config_errors(attributes):
    (name,) = attributes
    with pytest.raises(ConfigError, match=f"{name} of the tag 'out'"):
        written(block(), labelled("PolygonLabels", **attributes))


def test_a_label_that_no_tag_can_write_is_a_config_error():
    with pytest.raises(ConfigError, match="'Nobody'"):
        written(block(), labelled("BrushLabels"), label="Nobody")


@pytest.mark.parametrize("meta", [None, {}, {"area_lost": "x"}, {"area_lost": 0.25}])
def test_area_lost_reads_any_region(meta):
    expected = 0.25 if meta and meta.get("area_lost") == 0.25 else 0
    assert area_lost({"meta": meta}) == expected


def data_uri(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def bitmask(address, key="imageDataURL", kind="bitmasklabels"):
    value = {key: address, kind: ["Blob"]}
    return {"id": "the-one", "type": kind, "to_name": "image", "value": value}


@pytest.mark.parametrize("key", ["imageDataURL", "maskDataURL"])
@pytest.mark.parametrize("kind", ["bitmasklabels", "brushlabels"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1"])
def test_pngs_of_other_programs_are_read(key, kind, mode):
    mask = np.zeros((9, 13), bool)
    mask[2:5, 3:7] = True
    alpha = np.where(mask, 120, 0).astype(np.uint8)
    if mode in ("RGBA", "LA"):
        channels = [np.zeros_like(alpha)] * (len(mode) - 1) + [alpha]
        picture = Image.merge(mode, [Image.fromarray(channel) for channel in channels])
    else:
        picture = Image.fromarray(mask.astype(np.uint8) * 255).convert(mode)
    config = config_with(labelled("BitmaskLabels"))
    ((label, crop, box),) = read_masks(config, [bitmask(data_uri(picture), key, kind)], mask.shape)
    assert label == "Blob"
    assert (whole(crop, box, mask.shape) == mask).all()


def test_a_png_of_another_size_is_refused_before_it_is_decoded():
    address = data_uri(Image.new("L", (30_000, 30_000)))
    with pytest.raises(RequestError, match="30000 x 30000 does not belong"):
        read_masks(config_with(labelled("BitmaskLabels")), [bitmask(address)], SIZE)


def test_a_png_that_is_cut_off_is_refused():
    address = data_uri(Image.new("L", (800, 600), 255))
    data = base64.b64decode(address.split(",")[1])
    cut = "data:image/png;base64," + base64.b64encode(data[: len(data) // 2]).decode()
    with pytest.raises(RequestError, match="whole PNG"):
        read_masks(config_with(labelled("BitmaskLabels")), [bitmask(cut)], SIZE)


def test_more_pixels_than_strangers_may_send_are_refused():
    size = (8001, 8000)
    address = data_uri(Image.new("1", size[::-1]))
    with pytest.raises(RequestError, match=r"64,000,000"):
        read_masks(config_with(labelled("BitmaskLabels")), [bitmask(address)], size)
