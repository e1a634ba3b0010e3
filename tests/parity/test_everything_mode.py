"""Everything-mode against the published automatic mask generator, same random weights."""

import importlib
from functools import cache

import numpy as np
import peers
import pytest
from pycocotools import mask as coco_mask

from sam_plugins.automatic import AutomaticSettings, generate_masks, point_grid
from sam_plugins.predictor import TorchSegmenter
from sam_plugins.testing import sample_image
from sam_plugins.types import MaskRecord, Prompt

POINTS = 6


@cache
def built(seed):
    config = peers.Config()
    model, state = peers.ours(config, seed)
    return TorchSegmenter(model, name="small", device="cpu"), peers.SegmentAnything(config, state)


@cache
def middling(seed, height, width):
    """Thresholds that about half of the answers pass, as random weights predict anything."""
    segmenter, _ = built(seed)
    image = sample_image(height, width, seed)
    embedding = segmenter.encode(image)
    grid = point_grid(POINTS, (0, 0, width, height))
    prompts = [Prompt(point_coords=[point], point_labels=[1]) for point in grid]
    answers = list(segmenter.decode_many(embedding, prompts, multimask_output=True))
    return float(np.median([answer.iou_predictions for answer in answers]))


def published(peer, image, settings):
    module = importlib.import_module("segment_anything")
    generator = module.SamAutomaticMaskGenerator(
        peer.model,
        points_per_side=settings.points_per_side,
        pred_iou_thresh=settings.pred_iou_thresh,
        stability_score_thresh=settings.stability_score_thresh,
        stability_score_offset=settings.stability_score_offset,
        box_nms_thresh=settings.box_nms_thresh,
        min_mask_region_area=settings.min_mask_region_area,
        output_mode="coco_rle",
    )
    return generator.generate(image)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(90, 128), (200, 140), (97, 61)])
@pytest.mark.parametrize(("stability", "nms"), [(0.0, 0.7), (0.6, 0.7), (0.3, 0.95)])
def test_the_same_masks_are_found_in_the_same_order(seed, size, stability, nms):
    ours, theirs = found(seed, size, stability=stability, nms=nms)
    compare(ours, theirs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("area", [20, 200])
def test_small_regions_are_removed_alike(require, seed, area):
    require("cv2")
    ours, theirs = found(seed, (90, 128), area=area, nms=0.95)
    assert [r.segmentation for r in ours] != [r.segmentation for r in found(seed, (90, 128))[0]]
    compare(ours, sorted(theirs, key=lambda other: -other["predicted_iou"]))


def found(seed, size, *, stability=0.3, nms=0.95, area=0):
    segmenter, peer = built(seed)
    image = sample_image(*size, seed)
    settings = AutomaticSettings(
        points_per_side=POINTS,
        pred_iou_thresh=max(middling(seed, *size), 0.0),
        stability_score_thresh=stability,
        stability_score_offset=0.05,
        box_nms_thresh=nms,
        min_mask_region_area=area,
        max_area_fraction=1.0,
    )
    ours = [r for r in generate_masks(segmenter, image, settings) if isinstance(r, MaskRecord)]
    assert ours, "the thresholds must leave something to compare"
    return ours, published(peer, image, settings)


def compare(ours, theirs):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.predicted_iou == pytest.approx(other["predicted_iou"], abs=1e-5)
        assert mine.stability_score == pytest.approx(other["stability_score"], abs=1e-3)
        assert mine.point_coords == pytest.approx(tuple(other["point_coords"][0]), abs=1e-4)
        overlap = coco_mask.iou([mine.segmentation], [other["segmentation"]], [0])[0, 0]
        assert overlap > 0.999
        x0, y0, width, height = other["bbox"]
        np.testing.assert_allclose(mine.box, (x0, y0, x0 + width + 1, y0 + height + 1), atol=1)
