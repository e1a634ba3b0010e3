"""One click and the box of each known object, asked of a model."""

import numpy as np
import pytest
from operating import execute, form, outputs
from PIL import Image
from rectangles import SIZE, crop_of, rectangle

from fiftyone_plugin.evaluating import ClickSettings, evaluate_prompts, load_evaluation
from fiftyone_plugin.start.plugin_folder import install_plugin
from sam_plugins import open_segmenter
from sam_plugins.evaluation import KnownImage, Target, cluster_mean, score_objects
from sam_plugins.images import load_image

URI = "@sam-plugins/sam/evaluate_prompts"
ROWS = [
    [rectangle(10, 10, 40, 40), rectangle(70, 20, 100, 50, label="disc")],
    [rectangle(30, 30, 60, 70)],
    [],
]


@pytest.fixture(autouse=True)
def plugin(fiftyone_here, fiftyone_folder):
    install_plugin(fiftyone_folder / "plugins")


def expected(dataset, segmenter, rows=ROWS):
    """By prompt, the IoUs of all objects as the core computes them from the known masks."""
    found = {"click": [], "box": []}
    for path, row in zip(dataset.values("filepath"), rows, strict=True):
        targets = [Target.of(str(n), crop_of(d), d["box"]) for n, d in enumerate(row)]
        (scores,) = score_objects(
            segmenter, [KnownImage(id=path, image=load_image(path), targets=targets)]
        )
        for score in scores:
            found[score.prompt].append(score.iou)
    return found


def test_the_scores_are_those_of_the_core_and_stand_at_the_known_labels(known, segmenter):
    dataset = known(ROWS, [[]] * 3)
    report = evaluate_prompts(
        dataset, "truth", segmenter, ClickSettings(attributes="fake"), key="clicks"
    )
    ious = expected(dataset, segmenter)
    dataset.reload()
    for prompt, numbers in ious.items():
        stored = dataset.values(f"truth.detections.fake_{prompt}_iou", unwind=True)
        assert stored == pytest.approx(numbers)
        row = next(r for r in report.rows if (r.name, r.prompt) == ("all", prompt))
        mean = cluster_mean(numbers, ["0", "0", "1"])
        assert row.estimate.mean == pytest.approx(mean.mean)
        assert (row.estimate.n_objects, row.estimate.n_clusters) == (3, 2)
    assert {row.name for row in report.rows} == {"all", "cell", "disc"}
    assert load_evaluation(dataset, "clicks")["rows"] == report.to_json()["rows"]


def test_a_picture_that_fails_costs_no_other(known, segmenter, tmp_path):
    dataset = known(ROWS, [[]] * 3)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    sample = dataset.first()
    sample.filepath = str(broken)
    sample.save()
    report = evaluate_prompts(dataset, "truth", segmenter)
    assert len(report.objects) == 2
    assert report.failed.total() == 1
    assert any("1 pictures could not be asked about" in said for said in report.sentences)


def test_a_model_that_fails_costs_one_picture(known, segmenter):
    class Failing:
        info = segmenter.info
        encoded = 0

        def encode(self, *args, **kwargs):
            self.encoded += 1
            if self.encoded == 1:
                raise RuntimeError("out of memory")
            return segmenter.encode(*args, **kwargs)

        decode_many = staticmethod(segmenter.decode_many)

    dataset = known(ROWS, [[]] * 3)
    report = evaluate_prompts(dataset, "truth", Failing())
    assert {each.sample_id for each in report.objects} == {dataset.values("id")[1]}
    assert "out of memory" in next(iter(report.failed))


def test_the_turned_pictures_of_cameras_are_asked_as_they_are_shown(known, segmenter, tmp_path):
    dataset = known([[rectangle(10, 10, 40, 40)]], [[]])
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((SIZE[1], SIZE[0], 3), np.uint8)).save(turned, exif=exif)
    sample = dataset.first()
    sample.filepath = str(turned)
    sample.save()
    report = evaluate_prompts(dataset, "truth", segmenter)
    ious = expected(dataset, segmenter, [[rectangle(10, 10, 40, 40)]])
    assert [o.iou for o in report.objects if o.prompt == "box"] == pytest.approx(ious["box"])


def test_crowds_and_empty_masks_are_not_asked_about_and_objects_can_be_drawn(known, segmenter):
    rows = [[rectangle(0, 0, 9, 9, iscrowd=1), rectangle(0, 0, 9, 9, dent=9), *ROWS[0]]]
    dataset = known(rows, [[]])
    assert len(evaluate_prompts(dataset, "truth", segmenter).objects) == 4
    one = ClickSettings(max_objects=1)
    first, again = (evaluate_prompts(dataset, "truth", segmenter, one) for _ in range(2))
    assert len(first.objects) == 2
    assert first.objects == again.objects
    large = evaluate_prompts(dataset, "truth", segmenter, ClickSettings(min_area=5000))
    assert "no known object" in large.sentences[0]


def test_a_stop_ends_between_pictures(known, segmenter):
    dataset = known(ROWS, [[]] * 3)
    told = []
    report = evaluate_prompts(
        dataset, "truth", segmenter, progress=told.append, stop=lambda: len(told) == 1
    )
    assert report.stopped
    assert len(report.objects) == 4
    assert [(made.done, made.total) for made in told] == [(0, 3)]


def test_the_operator_asks_the_bundled_model(known):
    dataset = known(ROWS[:1], [[]])
    assert {"model", "max_objects", "overwrite"} <= set(form(URI, dataset, write=True))
    result = execute(URI, dataset, truth_field="truth", key="mine", attributes="nano")
    ious = expected(dataset, open_segmenter("nano"), ROWS[:1])
    assert dataset.values("truth.detections.nano_box_iou", unwind=True) == pytest.approx(
        ious["box"]
    )
    assert load_evaluation(dataset, "mine")["rows"] == result["rows"]
    assert "| class | prompt |" in outputs(URI, dataset, result)["markdown"]["default"]
