import contextlib
import io
import pickle
import tracemalloc

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import (
    MatchSettings,
    ScoredMask,
    average_precision,
    find_duplicates,
    find_mistakes,
    match_image,
)
from sam_plugins.evaluation.metrics import band_width, boundary_band
from sam_plugins.evaluation.precision import RankedClass
from sam_plugins.formats import rle_to_mask
from sam_plugins.masks import mask_to_box

SIZE = (150, 170)


def cut(mask, *, loose=0, **known):
    """A whole mask as a `ScoredMask`, its box wider than need be by `loose` pixels."""
    x0, y0, x1, y1 = mask_to_box(mask)
    box = (
        max(x0 - loose, 0),
        max(y0 - loose, 0),
        min(x1 + loose, mask.shape[1]),
        min(y1 + loose, mask.shape[0]),
    )
    return ScoredMask(crop=mask[box[1] : box[3], box[0] : box[2]].copy(), box=box, **known)


def whole(mask):
    canvas = np.zeros(SIZE, bool)
    x0, y0, x1, y1 = mask.box
    canvas[y0:y1, x0:x1] = mask.crop
    return canvas


def scenes(seed, n_images=12):
    """Images with ties, crowds, wrong labels, classes on one side only, and empty ones."""
    rng = np.random.default_rng(seed)
    for number in range(n_images):
        truths, predictions = [], []
        for _ in range(0 if number % 5 == 4 else rng.integers(0, 9)):
            side = rng.choice([6, 20, 60, 110])
            x, y = rng.integers(0, SIZE[1] - side // 2), rng.integers(0, SIZE[0] - side // 2)
            label = str(rng.choice(["a", "b", "only known"], p=[0.5, 0.4, 0.1]))
            mask = np.zeros(SIZE, bool)
            mask[y : y + side, x : x + side] = rng.random() > 0.3
            mask[y : y + side // 3, x : x + side // 3] = True
            for _ in range(rng.choice([1, 2], p=[0.85, 0.15])):  # a tie of IoU now and then
                crowd = bool(rng.random() < 0.15)
                truths.append(cut(mask, loose=2, label=label, is_crowd=crowd))
            for _ in range(rng.integers(0, 4)):
                shift = rng.integers(-2, 3, 2)
                moved = np.roll(mask, shift, (0, 1))
                moved &= rng.random(SIZE) > rng.choice([0.0, 0.1, 0.4])
                if not moved.any():
                    continue
                wrong = rng.random() < 0.1
                predictions.append(
                    cut(
                        moved,
                        loose=int(rng.integers(0, 4)),
                        label="only predicted" if wrong else label,
                        score=float(np.round(rng.random(), 1)),
                    )
                )
        if number % 7 == 3:
            predictions = []
        if number % 7 == 5:
            truths = []
        yield f"{number:03}", predictions, truths


def published(images, *, max_detections, by_class, boundary=False):
    """The statistics of pycocotools for the same scenes."""
    labels = sorted({m.label for _, p, t in images for m in (*p, *t)})
    ids = {label: number for number, label in enumerate(labels, 1)}
    truths, answers = [], []
    for number, (_, predictions, known) in enumerate(images, 1):
        for mask in known:
            truths.append(record(mask, number, ids) | {"iscrowd": int(mask.is_crowd)})
        answers += [record(m, number, ids) | {"score": m.score} for m in predictions]
    for number, entry in enumerate(truths, 1):
        entry["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {
            "images": [
                {"id": n, "height": SIZE[0], "width": SIZE[1]} for n in range(1, len(images) + 1)
            ],
            "categories": [{"id": n, "name": label} for label, n in ids.items()],
            "annotations": truths,
        }
        ground.createIndex()
        judge = (BoundaryEval if boundary else COCOeval)(ground, ground.loadRes(answers), "segm")
        judge.params.maxDets = [1, 2, max_detections]
        judge.params.useCats = int(by_class)
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"], judge.eval["recall"]

    def mean(part):
        part = part[part > -1]
        return part.mean() if len(part) else float("nan")

    return {
        "ap": mean(precision[..., 0, 2]),
        "ap50": mean(precision[0, ..., 0, 2]),
        "ap75": mean(precision[5, ..., 0, 2]),
        "ap_small": mean(precision[..., 1, 2]),
        "ap_medium": mean(precision[..., 2, 2]),
        "ap_large": mean(precision[..., 3, 2]),
        "recall": mean(recall[..., 0, 2]),
    }


def record(mask, number, ids):
    canvas = whole(mask)
    return {
        "image_id": number,
        "category_id": ids[mask.label],
        "segmentation": coco_mask.encode(np.asfortranarray(canvas.astype(np.uint8))),
        "area": int(canvas.sum()),
    }


class BoundaryEval(COCOeval):
    """The smaller of mask and boundary IoU, each from whole images by pycocotools."""

    def computeIoU(self, image, label):
        plain = super().computeIoU(image, label)
        known, found = self._gts[image, label], self._dts[image, label]
        if not known or not found:
            return plain
        order = np.argsort([-d["score"] for d in found], kind="mergesort")
        found = [found[i] for i in order][: self.params.maxDets[-1]]
        crowd = [int(t["iscrowd"]) for t in known]
        bands = [[band(o["segmentation"]) for o in objects] for objects in (found, known)]
        along = coco_mask.iou(*bands, crowd)
        return np.where(np.array(crowd, bool), plain, np.minimum(plain, along))


def band(rle):
    mask = rle_to_mask(rle)
    edge = boundary_band(mask, band_width(SIZE))
    return coco_mask.encode(np.asfortranarray(edge.astype(np.uint8)))


def by_label(masks):
    return sorted(masks, key=lambda mask: mask.label)


def ours(images, settings):
    return average_precision(
        match_image(name, predictions, truths, SIZE, settings)
        for name, predictions, truths in images
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("max_detections", "by_class", "boundary"),
    [(100, True, False), (3, True, False), (100, False, False), (100, True, True)],
)
def test_equals_pycocotools(seed, max_detections, by_class, boundary):
    images = list(scenes(seed))
    if not by_class:  # pycocotools then takes the objects of an image label by label
        images = [(n, by_label(p), by_label(t)) for n, p, t in images]
    settings = MatchSettings(max_detections=max_detections, by_class=by_class, boundary=boundary)
    expected = published(
        images, max_detections=max_detections, by_class=by_class, boundary=boundary
    )
    report = ours(images, settings)
    found = {name: getattr(report.overall, name) for name in expected}
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert 0 < found["ap"] < 1


def test_of_two_objects_that_overlap_equally_the_later_is_found():
    strips = np.zeros((4, *SIZE), bool)
    for strip, (start, stop) in zip(strips, ((0, 60), (10, 70), (5, 65), (10, 70)), strict=True):
        strip[20:50, start:stop] = True
    first, later, between, exact = strips
    truths = [cut(first, label="a"), cut(later, label="a")]
    answers = [cut(between, label="a", score=0.9), cut(exact, label="a", score=0.5)]
    for known in (truths, truths[::-1]):
        images = [("1", answers, known)]
        expected = published(images, max_detections=100, by_class=True)
        assert ours(images, MatchSettings()).overall.ap == pytest.approx(expected["ap"])
    assert (
        ours(images, MatchSettings()).overall.ap > ours([("1", answers, truths)], None).overall.ap
    )


def test_recalls_are_compared_as_floating_point_numbers():
    for n_truths in range(1, 301):
        hits = np.random.default_rng(n_truths).random(2 * n_truths) < 0.5
        found = np.cumsum(hits)
        hits &= found <= n_truths
        found = np.cumsum(hits)
        recall, precision = found / n_truths, found / np.arange(1, len(hits) + 1)
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
        expected = best[np.searchsorted(recall, np.linspace(0, 1, 101), side="left")].mean()
        ranked = RankedClass(
            np.zeros(len(hits), np.int64),
            hits.astype(np.int8)[None, None],
            np.array([[n_truths]]),
        )
        ap = ranked.precisions(np.ones((1, 1), np.int64)).item()
        assert ap == pytest.approx(expected, abs=1e-12)


def test_counts_and_classes():
    images = list(scenes(0))
    report = ours(images, MatchSettings())
    assert report.n_images == len(images)
    counted = {"a": 0, "b": 0, "only known": 0, "only predicted": 0}
    for _, _, truths in images:
        for truth in truths:
            counted[truth.label] += not truth.is_crowd
    assert {label: s.n_truths for label, s in report.classes.items()} == counted
    assert np.isnan(report.classes["only predicted"].ap)
    known = [s.ap for s in report.classes.values() if s.n_truths]
    assert report.overall.ap == pytest.approx(np.mean(known))
    assert report.overall.n_truths == sum(counted.values())


def test_perfect_and_empty():
    square = np.zeros(SIZE, bool)
    square[10:30, 10:30] = True
    truth = cut(square, label="a")
    found = match_image("1", [cut(square, label="a", score=0.3)], [truth], SIZE)
    missed = match_image("2", [], [truth], SIZE)
    nothing = match_image("3", [], [], SIZE)
    assert average_precision([found]).overall.ap == 1
    assert np.isnan(average_precision([found]).overall.ap_large)
    assert average_precision([missed]).overall.ap == 0
    assert average_precision([found, missed]).overall.recall == 0.5
    assert np.isnan(average_precision([nothing]).overall.ap)
    assert average_precision([nothing]).overall.n_truths == 0
    wrong = match_image("4", [cut(square, label="b")], [truth], SIZE)
    assert average_precision([wrong]).overall.ap == 0
    blind = match_image("4", [cut(square, label="b")], [truth], SIZE, MatchSettings(by_class=False))
    assert average_precision([blind]).overall.ap == 1


def test_matches_are_small_and_travel():
    square = np.ones((1000, 1000), bool)
    masks = [cut(square, label="a", score=0.5)] * 3
    matches = match_image("1", masks, masks, square.shape)
    data = pickle.dumps(matches)
    assert len(data) < 3000
    again = average_precision([pickle.loads(data)])
    assert repr(again) == repr(average_precision([matches]))


def test_a_large_image_with_many_objects_is_never_a_whole_mask():
    size = (3000, 4000)
    rng = np.random.default_rng(0)
    masks = []
    for number in range(500):
        x, y = int(rng.integers(0, size[1] - 60)), int(rng.integers(0, size[0] - 60))
        box, crop = (x, y, x + 60, y + 60), rng.random((60, 60)) > 0.1
        masks.append(ScoredMask(crop=crop, box=box, score=float(rng.random()), id=str(number)))
    settings = MatchSettings(max_detections=500, boundary=True)
    tracemalloc.start()
    try:
        matches = match_image("1", masks, masks, size, settings)
        pairs = find_duplicates([(mask.crop, mask.box) for mask in masks])
        find_mistakes(masks, masks)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size[0] * size[1]  # one whole mask
    assert pairs == []
    assert average_precision([matches]).overall.ap == 1


def test_thresholds_must_make_sense():
    for wrong in ({"iou_thresholds": ()}, {"iou_thresholds": (0.0,)}, {"max_detections": 0}):
        with pytest.raises(DatasetError, match="IoU thresholds above 0"):
            MatchSettings(**wrong)


def test_settings_must_agree():
    one = match_image("1", [], [], SIZE)
    other = match_image("2", [], [], SIZE, MatchSettings(boundary=True))
    with pytest.raises(DatasetError, match="2 settings"):
        average_precision([one, other])
    with pytest.raises(DatasetError, match="0 images"):
        average_precision([])


def test_a_mask_must_fit_its_box():
    with pytest.raises(DatasetError, match="cut it to its box"):
        ScoredMask(crop=np.ones((2, 3), bool), box=(0, 0, 2, 3))
    with pytest.raises(DatasetError, match="confidence"):
        ScoredMask(crop=np.ones((2, 3), bool), box=(0, 0, 3, 2), score=float("nan"))
