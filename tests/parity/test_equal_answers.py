"""Everything-mode against the published generator when both decoders say the same.

Then boxes, run lengths and scores must be equal to the last digit. The one excuse is a logit or a
score that lies within 1e-5 of its threshold, where another order of rounding may decide; how often
it was needed is printed with ``pytest -rP``, and bounded.
"""

import importlib
import sys

import equal_answers
import numpy as np
import peers
import pytest

from sam_plugins.automatic import AutomaticSettings, generate_masks
from sam_plugins.formats import record_to_published, rle_to_mask
from sam_plugins.types import MaskRecord

NEAR = 1e-5

CASES = {
    "one picture": ((333, 517), {}, 256),
    "published size of logits": ((768, 1000), {"points_per_side": 7}, 1024),
    "small and odd": ((61, 97), {"crop_edge_margin": 20}, 256),
    "nano's size of logits": ((501, 300), {"points_per_side": 8}, 768),
    "one layer of crops": ((400, 601), {"crop_n_layers": 1}, 256),
    "two layers, fewer points": (
        (640, 479),
        {"crop_n_layers": 2, "crop_n_points_downscale_factor": 2, "points_per_side": 12},
        256,
    ),
    "strict suppression": ((301, 400), {"box_nms_thresh": 0.3}, 256),
    "small regions": ((260, 333), {"min_mask_region_area": 60}, 256),
    "small regions and crops": ((300, 301), {"min_mask_region_area": 25, "crop_n_layers": 1}, 256),
    "regions as large as pictures": ((90, 80), {"min_mask_region_area": 3500}, 256),
}


@pytest.mark.parametrize("case", CASES)
def test_equal_answers_give_equal_records(require, case):
    size, changes, image_size = CASES[case]
    settings = settings_of(**changes)
    if settings.min_mask_region_area:
        require("cv2")
    segmenter, ours, theirs = both(size, settings, image_size)
    if settings.min_mask_region_area or settings.crop_n_layers:
        theirs = sorted(theirs, key=lambda other: -other["predicted_iou"])
    assert [r.predicted_iou for r in ours] == [other["predicted_iou"] for other in theirs]
    assert len(ours) >= 20
    excused = 0
    for mine, other in zip(ours, theirs, strict=True):
        x0, y0, width, height = other["bbox"]
        x, y = other["point_coords"][0]
        assert mine.point_coords == (x, y)
        left, top, right, bottom = mine.crop_box
        assert [left, top, right - left, bottom - top] == other["crop_box"]
        equal = (
            mine.segmentation == other["segmentation"]
            and mine.box == (x0, y0, x0 + width + 1, y0 + height + 1)
            and mine.area == other["area"]
            and mine.stability_score == other["stability_score"]
        )
        if not equal:
            assert not settings.min_mask_region_area
            excuse(segmenter, settings, mine, other)
            excused += 1
    sys.stdout.write(f"{case}: {len(ours)} masks, {excused} with a logit within {NEAR}\n")
    assert excused <= 0.05 * len(ours)


@pytest.mark.parametrize("mode", ["binary_mask", "coco_rle", "uncompressed_rle"])
def test_published_records_are_given_in_every_form(mode):
    settings = settings_of(points_per_side=6, crop_n_layers=1, box_nms_thresh=0.5)
    _, ours, theirs = both((60, 83), settings, 256, mode)
    theirs = sorted(theirs, key=lambda other: -other["predicted_iou"])
    assert len(ours) == len(theirs) > 10
    for mine, other in zip(ours, theirs, strict=True):
        found = record_to_published(mine, mode)
        assert list(found) == list(other)
        if mode == "binary_mask":
            np.testing.assert_array_equal(found.pop("segmentation"), other.pop("segmentation"))
        assert found == other


def excuse(segmenter, settings, mine, other):
    """Fail unless each pixel that differs lies at a threshold."""
    masks, index = segmenter.given[mine.predicted_iou]
    logits, offset = masks.logits(index), settings.stability_score_offset
    left, top, right, bottom = masks.region
    differs = rle_to_mask(mine.segmentation) != rle_to_mask(other["segmentation"])
    assert np.abs(logits[differs[top:bottom, left:right]]).max(initial=0) <= NEAR
    inner, outer = (np.count_nonzero(np.abs(logits - level) <= NEAR) for level in (offset, -offset))
    pixels = np.count_nonzero(logits > -offset)
    assert abs(mine.stability_score - other["stability_score"]) <= (inner + outer) / pixels + 1e-7


def settings_of(**changes):
    return AutomaticSettings(
        **{
            "points_per_side": 14,
            "pred_iou_thresh": 0.6,
            "stability_score_thresh": 0.7,
            "max_area_fraction": 1.0,
            **changes,
        }
    )


def both(size, settings, image_size, output_mode="coco_rle"):
    peers.require("segment_anything")
    module = importlib.import_module("segment_anything")
    answers = equal_answers.Answers(image_size, seed=sum(size))
    image = np.zeros((*size, 3), np.uint8)
    generator = module.SamAutomaticMaskGenerator(
        equal_answers.published_model(answers),
        points_per_side=settings.points_per_side,
        points_per_batch=16,
        pred_iou_thresh=settings.pred_iou_thresh,
        stability_score_thresh=settings.stability_score_thresh,
        stability_score_offset=settings.stability_score_offset,
        box_nms_thresh=settings.box_nms_thresh,
        crop_n_layers=settings.crop_n_layers,
        crop_nms_thresh=settings.crop_nms_thresh,
        crop_overlap_ratio=settings.crop_overlap_ratio,
        crop_n_points_downscale_factor=settings.crop_n_points_downscale_factor,
        min_mask_region_area=settings.min_mask_region_area,
        output_mode=output_mode,
    )
    theirs = generator.generate(image)
    segmenter = equal_answers.OurSegmenter(answers)
    ours = [r for r in generate_masks(segmenter, image, settings) if isinstance(r, MaskRecord)]
    return segmenter, ours, theirs
