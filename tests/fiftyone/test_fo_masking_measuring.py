"""Area, pieces, holes and the picture's edge, beside an independent way to count them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fiftyone_plugin.masking import mask_everything, measure_mask
from fiftyone_plugin.masking.measuring import why_left_out
from fiftyone_plugin.values import AskedObject, Mode, RunConfig
from sam_plugins import load_sample, open_segmenter
from sam_plugins.masks import mask_to_box


@st.composite
def masks(draw):
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    bits = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    return np.array(bits, bool).reshape(height, width)


@given(masks())
@settings(max_examples=200, deadline=None)
def test_pieces_and_holes_are_those_that_labelling_finds(mask):
    x0, y0, x1, y1 = mask_to_box(mask)
    quality = measure_mask(mask[y0:y1, x0:x1], (x0, y0, x1, y1), mask.shape)
    assert quality.area == mask.sum()
    assert quality.components == ndimage.label(mask, np.ones((3, 3)))[1]
    _, background = ndimage.label(~np.pad(mask, 1))
    assert quality.holes == background - 1
    edge = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
    assert quality.touches_border == edge


def test_a_mask_that_does_not_fill_its_box_touches_the_edge_only_where_it_is():
    crop = np.zeros((10, 10), bool)
    crop[4:6, 4:6] = True
    assert not measure_mask(crop, (0, 0, 10, 10), (10, 10)).touches_border


def test_everything_has_quality_and_follows_the_configuration():
    sample = load_sample("nuclei")
    segmenter = open_segmenter("nano", engine="torch")
    config = RunConfig(mode=Mode.EVERYTHING, label_field="x", points_per_side=8)
    answer = mask_everything(segmenter, sample.image, config)
    assert len(answer.objects) > 5
    for one in answer.objects:
        x0, y0, x1, y1 = one.box
        assert one.crop.shape == (y1 - y0, x1 - x0)
        assert one.quality.area == one.crop.sum() > 0
        assert one.prompt_id == ""
        assert one.quality.predicted_iou > 0.5
        assert one.quality.stability_score >= 0.8
    areas = sorted(one.quality.area for one in answer.objects)
    least = areas[len(areas) // 2]
    config = RunConfig(mode=Mode.EVERYTHING, label_field="x", points_per_side=8, min_area=least)
    fewer = mask_everything(segmenter, sample.image, config)
    assert sorted(one.quality.area for one in fewer.objects) == [a for a in areas if a >= least]
    patches = [AskedObject(prompt_id="p", prompt=None, given_box=(40.0, 30.0, 168.0, 130.0))]
    part = np.ascontiguousarray(sample.image[30:130, 40:168])
    inside = mask_everything(segmenter, sample.image, config, patches)
    alone = mask_everything(segmenter, part, config)
    assert len(inside.objects) > 0
    for here, there in zip(inside.objects, alone.objects, strict=True):
        assert here.prompt_id == "p"
        assert (here.crop == there.crop).all()
        x0, y0, x1, y1 = there.box
        assert here.box == (x0 + 40, y0 + 30, x1 + 40, y1 + 30)
    stopped = mask_everything(segmenter, sample.image, config, stop=lambda: True)
    assert len(stopped.objects) < len(fewer.objects)


def test_a_threshold_of_nothing_keeps_what_a_model_thinks_little_of():
    quality = measure_mask(np.ones((2, 2), bool), (0, 0, 2, 2), (4, 4), predicted_iou=-0.3)
    assert why_left_out(quality, RunConfig(mode=Mode.PROMPTS, label_field="x")) is None
    config = RunConfig(mode=Mode.PROMPTS, label_field="x", min_predicted_iou=0.1)
    assert "-0.300" in why_left_out(quality, config)
