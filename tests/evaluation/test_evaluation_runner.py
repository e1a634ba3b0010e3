import numpy as np
import pytest
from PIL import Image

from sam_plugins.errors import DatasetError, ModelError
from sam_plugins.evaluation import runner, tuning
from sam_plugins.evaluation.baselines import BaselineSettings, flood_fill
from sam_plugins.evaluation.dataset import IGNORE_LABEL, KnownImage, Target, load_known, read_folder
from sam_plugins.evaluation.report import Report
from sam_plugins.evaluation.runner import (
    evaluate_baselines,
    evaluate_segmenter,
    score_images,
    score_objects,
    segmenter_method,
)
from sam_plugins.ports import Segmenter, SegmenterInfo
from sam_plugins.types import Embedding, Masks


class KnowingSegmenter:
    """Knows the true labels by the picture's first pixel and answers as it is told.

    `answers(target)` turns the true mask into [(mask, predicted IoU)].
    """

    def __init__(self, truth, answers, kinds=("points", "box")):
        self.truth, self.answers, self.kinds = truth, answers, kinds
        self.encoded, self.asked = 0, []

    @property
    def info(self):
        return SegmenterInfo(
            name="knowing",
            encoder_id="e",
            model_id="m",
            image_size=32,
            low_res_size=(32, 32),
            numerics="fp32",
            device="cpu",
            engine="none",
            prompt_kinds=self.kinds,
        )

    def encode(self, image, *, region=None):
        self.encoded += 1
        height, width = image.shape[:2]
        key = str(image[0, 0, 0])
        return Embedding(
            features={"x": np.zeros((1, 1, 1), np.float32)},
            region=(0, 0, width, height),
            original_size=(height, width),
            input_size=(height, width),
            padded_size=(height, width),
            encoder_id="e",
            key=key,
        )

    def encode_many(self, images):
        return map(self.encode, images)

    def decode_many(self, embedding, prompts, *, multimask_output=None):
        for prompt in prompts:
            yield self.decode(embedding, prompt, multimask_output=multimask_output)

    def decode(self, embedding, prompt, *, multimask_output=None):
        self.asked.append((prompt, multimask_output))
        labels = self.truth[embedding.key]
        if prompt.box is None:
            x, y = prompt.point_coords[0].astype(int)
            label = labels[y, x]
        else:
            x0, y0, x1, y1 = prompt.box.astype(int)
            values, counts = np.unique(labels[y0:y1, x0:x1], return_counts=True)
            label = values[np.argmax(np.where(np.isin(values, (0, IGNORE_LABEL)), 0, counts))]
        found = self.answers(labels == label)
        return Masks(
            low_res_logits=np.stack([np.where(m, 9, -9) for m, _ in found]).astype(np.float32),
            iou_predictions=np.array([p for _, p in found], np.float32),
            region=embedding.region,
            original_size=embedding.original_size,
            input_size=embedding.input_size,
            padded_size=embedding.padded_size,
        )


@pytest.fixture
def scene(tmp_path):
    """Three pictures: two objects and a speck, one object with unknown pixels, and nothing."""
    truth = {}
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        labels = np.zeros((32, 40), np.uint16)
        if number == 0:
            labels[2:12, 3:13], labels[20:30, 15:35], labels[0, 39] = 1, 2, 3
        if number == 1:
            labels[5:15, 5:25], labels[5:15, 25:30] = 9, IGNORE_LABEL
        image = rng.integers(0, 60, (32, 40, 3), np.uint8)
        image[(labels > 0) & (labels < IGNORE_LABEL)] += 150
        image[0, 0] = number
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / "masks" / f"{number}.png")
        truth[str(number)] = labels
    return read_folder(tmp_path), truth


def half(mask):
    """The left half of a mask's bounding box: IoU 0.5 for a rectangle."""
    columns = np.flatnonzero(mask.any(axis=0))
    kept = mask.copy()
    kept[:, (columns[0] + columns[-1] + 1) // 2 :] = False
    return kept


def test_the_truth_scores_one(scene):
    items, truth = scene
    segmenter = KnowingSegmenter(truth, lambda mask: [(mask, 0.9)])
    assert isinstance(segmenter, Segmenter)
    report = evaluate_segmenter(segmenter, items)
    assert [s.iou for s in report.scores] == [1] * 6
    assert {s.oracle for s in report.scores} == {None}
    assert {(s.image_id, s.label, s.area) for s in report.scores} == {
        ("0", 1, 100),
        ("0", 2, 200),
        ("1", 9, 200),
    }
    assert {s.group for s in report.scores} == {items[0].group}
    assert report.settings["model_id"] == "m"
    assert report.settings["min_area"] == 50


def test_the_predicted_iou_chooses_and_the_oracle_stands_beside(scene):
    items, truth = scene
    segmenter = KnowingSegmenter(
        truth, lambda mask: [(mask, 0.2), (half(mask), 0.8), (mask & False, 0.1)]
    )
    report = evaluate_segmenter(segmenter, items)
    assert [s.iou for s in report.scores] == [0.5] * 6
    assert [s.oracle for s in report.scores] == [1] * 6


def test_unknown_pixels_are_left_out(scene):
    items, truth = scene
    spill = {key: labels == IGNORE_LABEL for key, labels in truth.items()}

    def too_wide(mask):
        return mask | spill["1"] if mask[10, 10] and mask[10, 20] else mask

    report = evaluate_segmenter(KnowingSegmenter(truth, lambda m: [(too_wide(m), 1)]), items[1:2])
    assert [s.iou for s in report.scores] == [1, 1]


def test_each_picture_is_encoded_once_and_asked_by_click_and_box(scene):
    items, truth = scene
    segmenter = KnowingSegmenter(truth, lambda mask: [(mask, 1)])
    evaluate_segmenter(segmenter, items, multimask_output=True)
    assert segmenter.encoded == 2
    clicks = [p for p, _ in segmenter.asked if p.box is None]
    boxes = [p.box.tolist() for p, _ in segmenter.asked if p.box is not None]
    assert boxes == [[3, 2, 13, 12], [15, 20, 35, 30], [5, 5, 25, 15]]
    assert all(p.point_labels.tolist() == [1] for p in clicks)
    assert all(
        x0 < p.point_coords[0, 0] < x1 and y0 < p.point_coords[0, 1] < y1
        for p, (x0, y0, x1, y1) in zip(clicks, boxes, strict=True)
    )
    assert {given for _, given in segmenter.asked} == {True}


def test_only_the_prompts_a_model_takes_are_asked(scene):
    items, truth = scene
    boxes_only = KnowingSegmenter(truth, lambda mask: [(mask, 1)], kinds=("box", "text"))
    assert {s.prompt for s in evaluate_segmenter(boxes_only, items).scores} == {"box"}
    with pytest.raises(ModelError, match="takes points or boxes"):
        evaluate_segmenter(KnowingSegmenter(truth, None, kinds=("text",)), items)


def test_objects_are_bounded_by_area_and_number(scene):
    items, truth = scene
    segmenter = KnowingSegmenter(truth, lambda mask: [(mask, 1)])
    every = evaluate_segmenter(segmenter, items, min_area=1).scores
    assert len(every) == 8
    one = evaluate_segmenter(segmenter, items, min_area=1, max_objects_per_image=1).scores
    assert [s.image_id for s in one] == ["0", "0", "1", "1"]
    with pytest.raises(DatasetError, match="at least 900 px"):
        evaluate_segmenter(segmenter, items, min_area=900)


def test_progress_counts_pictures_and_closing_stops(scene):
    items, truth = scene
    segmenter = KnowingSegmenter(truth, lambda mask: [(mask, 1)])
    seen = []
    evaluate_segmenter(segmenter, items, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    steps = score_images(segmenter_method(segmenter), items)
    segmenter.encoded = 0
    assert len(next(steps)) == 4
    steps.close()
    assert segmenter.encoded == 1


def test_objects_need_no_folder(scene):
    items, truth = scene
    segmenter = KnowingSegmenter(truth, lambda mask: [(half(mask), 0.9), (mask, 0.1)])
    taken = []

    def pictures():
        for item in items:
            taken.append(item.id)
            known = load_known(item)
            targets = [
                # As a host may have it: a name, and a mask in a box with margins.
                Target.of(
                    f"object {target.label}",
                    np.pad(target.crop, ((1, 0), (0, 0))) if target.box[1] else target.crop,
                    (target.box[0], max(target.box[1] - 1, 0), *target.box[2:]),
                    group="first" if target.label == 1 else None,
                )
                for target in known.targets
            ]
            yield KnownImage(
                id=item.id, image=known.image, targets=targets, group="pool", ignore=known.ignore
            )

    steps = score_objects(segmenter, pictures(), min_area=50)
    assert taken == []
    first = next(steps)
    assert taken == ["0"]
    assert {(s.label, s.group, s.area) for s in first} == {
        ("object 1", "first", 100),
        ("object 2", "pool", 200),
    }
    expected = evaluate_segmenter(segmenter, items).scores
    found = [*first, *(score for step in steps for score in step)]
    assert [(s.prompt, s.iou, s.oracle, s.area) for s in found] == [
        (s.prompt, s.iou, s.oracle, s.area) for s in expected
    ]
    report = Report(tuple(found))
    assert set(Report.from_json(report.to_json()).scores) == set(found)
    assert len(next(score_objects(segmenter, pictures()))) == 6
    assert len(next(score_objects(segmenter, pictures(), max_objects_per_image=1))) == 2


def test_an_empty_mask_is_no_object(scene):
    _, truth = scene
    segmenter = KnowingSegmenter(truth, lambda mask: [(mask, 1)])
    nothing = Target.of("a", np.zeros((3, 4), bool), (5, 5, 9, 8))
    assert (nothing.box, nothing.area) == ((5, 5, 5, 5), 0)
    picture = KnownImage(id="0", image=np.zeros((32, 40, 3), np.uint8), targets=[nothing])
    assert list(score_objects(segmenter, [picture], min_area=0)) == [()]
    assert segmenter.encoded == 0


def test_baselines_answer_the_same_objects(scene):
    items, truth = scene
    settings = {items[0].group: BaselineSettings(tolerance=80.0, beta=500.0)}
    baselines = evaluate_baselines(items, settings=settings)
    model = evaluate_segmenter(KnowingSegmenter(truth, lambda mask: [(mask, 1)]), items)
    report = model.joined(baselines)
    assert {(r.prompt, r.method) for r in baselines.rows()} == {
        ("click", "flood fill"),
        ("click", "random walker"),
        ("box", "filled box"),
        ("box", "inscribed ellipse"),
        ("box", "GrabCut"),
    }
    assert {m.difference.n_objects for m in report.margins("knowing")} == {3}
    means = {r.method: r.estimate.mean for r in baselines.rows()}
    assert means["filled box"] == 1
    assert means["inscribed ellipse"] == pytest.approx(np.pi / 4, abs=0.03)
    assert means["flood fill"] > 0.9
    assert means["random walker"] > 0.7
    assert baselines.settings["baselines"][items[0].group]["tolerance"] == 80


def test_settings_follow_the_group(scene, monkeypatch):
    items, _ = scene
    used = []

    def spy(image, click, tolerance):
        used.append(tolerance)
        return np.zeros(image.shape[:2], bool)

    monkeypatch.setattr(runner, "flood_fill", spy)
    evaluate_baselines(items[:1], settings={"others": BaselineSettings(tolerance=1.0)})
    evaluate_baselines(items[:1], settings={items[0].group: BaselineSettings(tolerance=2.0)})
    assert set(used[:2]) == {BaselineSettings().tolerance}
    assert set(used[2:]) == {2.0}


def test_tuning_takes_the_best_of_the_grid(scene, monkeypatch):
    items, _ = scene

    def walk(image, click, *, beta, radius):
        tolerance = 90 if (beta, radius) == (800, 3) else 255
        return flood_fill(image, click, tolerance)

    monkeypatch.setattr(tuning, "random_walk", walk)
    monkeypatch.setattr(tuning, "TOLERANCES", (1.0, 255.0, 90.0))
    monkeypatch.setattr(tuning, "BETAS", (1.0, 800.0))
    monkeypatch.setattr(tuning, "RADII", (0.0, 3.0))
    ((group, chosen),) = tuning.tune_baselines(items)
    assert group == items[0].group
    assert chosen.tolerance == 90
    assert (chosen.beta, chosen.radius) == (800, 3)
    assert chosen.margin in tuning.MARGINS
    with pytest.raises(DatasetError, match="nothing can be tuned"):
        list(tuning.tune_baselines(items, min_area=900))
