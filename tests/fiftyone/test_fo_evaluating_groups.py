"""Any number by any field, with intervals, on real datasets."""

import csv
import io
import json

import numpy as np
import pytest
from operating import execute, form, outputs
from rectangles import SIZE, random_rows, rectangle, scored

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.evaluating import GroupSettings, compare_groups, load_evaluation
from fiftyone_plugin.start.plugin_folder import install_plugin
from sam_plugins.errors import DatasetError
from sam_plugins.evaluation import (
    crop_boundary_iou,
    group_table,
    match_image,
    precision_groups,
    quantile_bins,
)

URI = "@sam-plugins/sam/compare_groups"
SOME = GroupSettings(resamples=400, min_images=3)


@pytest.fixture(autouse=True)
def plugin(fiftyone_here, fiftyone_folder):
    install_plugin(fiftyone_folder / "plugins")


def shifted(count):
    """One object a picture, found with a shift of as many pixels as its number has threes."""
    truths = [[rectangle(10, 10, 40, 40)] for _ in range(count)]
    found = [
        [rectangle(10 + n % 3 * 5, 10, 40 + n % 3 * 5, 40, confidence=1 - n / 100)]
        for n in range(count)
    ]
    return truths, found


def ious(count):
    return [(30 - s) / (30 + s) for s in (n % 3 * 5 for n in range(count))]


@pytest.fixture
def dataset(known):
    count = 18
    made = known(*shifted(count))
    made.set_values("place", [("near", "mid", "far")[n % 3] for n in range(count)])
    made.set_values("flag", [bool(n % 2) for n in range(count)])
    made.set_values("depth", [float(n) if n else None for n in range(count)])
    made.set_values("tags", [["day"] * (n % 2) + ["wet"] * (n % 3 == 2) for n in range(count)])
    made.reload()
    return made


def same(report, table):
    assert [row.group for row in report.rows] == [row.group for row in table.rows]
    for mine, core in zip(report.rows, table.rows, strict=True):
        assert mine.verdict == core.verdict
        assert mine.sentence == core.sentence
        assert mine.estimate == core.estimate


def core_table(dataset, names, **more):
    return group_table(ious(18), names, dataset.values("id"), resamples=400, min_images=3, **more)


def test_the_table_is_that_of_the_core(dataset):
    report = compare_groups(dataset, "truth", "place", "iou", SOME, prediction_field="sam")
    same(report, core_table(dataset, dataset.values("place")))
    far = next(row for row in report.rows if row.group == "far")
    assert far.verdict == "lower"
    assert f"far: {far.sentence}" in report.sentences
    assert far.sentence in report.to_markdown()
    against = GroupSettings(resamples=400, min_images=3, reference="near")
    report = compare_groups(dataset, "truth", "place", "iou", against, prediction_field="sam")
    same(report, core_table(dataset, dataset.values("place"), reference="near"))
    with pytest.raises(DatasetError, match="none of the 3 groups"):
        compare_groups(
            dataset, "truth", "place", "iou", GroupSettings(reference="x"), prediction_field="sam"
        )


def test_bools_numbers_and_missing_values(dataset):
    report = compare_groups(dataset, "truth", "flag", "iou", SOME, prediction_field="sam")
    assert [row.group for row in report.rows] == ["false", "true"]
    report = compare_groups(dataset, "truth", "depth", "iou", SOME, prediction_field="sam")
    numbers = [np.nan if v is None else v for v in dataset.values("depth")]
    same(report, core_table(dataset, quantile_bins(numbers, 4)))
    (missing,) = [row for row in report.rows if row.group == "no value"]
    assert (missing.estimate.n_objects, missing.verdict) == (1, "too few images")
    assert any("1 objects have no value of depth" in note for note in report.notes)


def test_each_tag_is_compared_with_what_does_not_have_it(dataset):
    report = compare_groups(dataset, "truth", "tags", "iou", SOME, prediction_field="sam")
    assert [row.group for row in report.rows] == ["day", "no value", "wet"]
    for row in report.rows:
        has = [row.group in (tags or ["no value"]) for tags in dataset.values("tags")]
        names = [row.group if each else "other" for each in has]
        table = core_table(dataset, names, confidence=1 - 0.05 / 3)
        expected = next(each for each in table.rows if each.group == row.group)
        assert row.sentence == expected.sentence
    assert next(row for row in report.rows if row.group == "wet").verdict == "lower"
    with pytest.raises(FieldError, match="no reference"):
        compare_groups(
            dataset, "truth", "tags", "iou", GroupSettings(reference="day"), prediction_field="sam"
        )


def test_classes_attributes_and_every_measure_of_pairs(known):
    truths, predictions = random_rows(12, seed=5)
    for row in truths:
        for n, each in enumerate(row):
            each["corner"] = ["left", "right"][n // 2]
    dataset = known(truths, predictions)
    dataset.add_dynamic_sample_fields()
    labels = [d["label"] for row in truths for d in row]
    by_class = compare_groups(
        dataset, "truth", "truth.label", "found", SOME, prediction_field="sam"
    )
    assert {r.group: r.estimate.n_objects for r in by_class.rows} == {
        name: labels.count(name) for name in "ab"
    }
    report = compare_groups(
        dataset, "truth", "truth.detections.corner", "boundary_iou", SOME, prediction_field="sam"
    )
    assert [row.group for row in report.rows] == ["left", "right"]
    for row in report.rows:
        expected = []
        for known_row, found_row in zip(truths, predictions, strict=True):
            for truth, mask in zip(known_row, scored(known_row), strict=True):
                rivals = [
                    (crop_boundary_iou(p.crop, p.box, mask.crop, mask.box, SIZE))
                    for p in scored(found_row)
                    if p.label == mask.label and p.box[1] < 70 and abs(p.box[0] - mask.box[0]) < 10
                ]
                if truth["corner"] == row.group:
                    expected.append(max(rivals, default=0.0))
        assert row.estimate.mean == pytest.approx(np.mean(expected))


def test_ap_by_a_field_of_the_samples(known):
    truths, predictions = random_rows(12, seed=2)
    dataset = known(truths, predictions)
    places = ["in", "out"] * 6
    dataset.set_values("place", places)
    report = compare_groups(dataset, "truth", "place", "ap50", SOME, prediction_field="sam")
    matches = [
        match_image(str(n), scored(p), scored(t), SIZE)
        for n, (t, p) in enumerate(zip(truths, predictions, strict=True))
    ]
    table = precision_groups(matches, places, iou_threshold=0.5, resamples=400, min_images=3)
    same(report, table)
    with pytest.raises(FieldError, match="attribute of labels"):
        compare_groups(dataset, "truth", "truth.label", "ap", SOME, prediction_field="sam")


def test_numbers_that_labels_have_need_no_mask(dataset):
    report = compare_groups(dataset, "sam", "place", "predicted_iou", SOME)
    values = dataset.values("sam.detections.confidence", unwind=True)
    table = group_table(
        values, dataset.values("place"), dataset.values("id"), resamples=400, min_images=3
    )
    same(report, table)
    sample = dataset.first()
    sample.sam.detections[0].confidence = None
    sample.save()
    report = compare_groups(dataset, "sam", "place", "confidence", SOME)
    assert "1 objects have no confidence: left out." in report.notes
    with pytest.raises(FieldError, match="no number 'beauty'"):
        compare_groups(dataset, "sam", "place", "beauty")


def test_the_click_of_a_model_by_group(dataset, segmenter):
    report = compare_groups(dataset, "truth", "truth.label", "click_iou", SOME, segmenter=segmenter)
    assert [(r.group, r.estimate.n_objects) for r in report.rows] == [("cell", 18)]
    assert report.rows[0].verdict == "nothing to compare"


def test_few_images_say_nothing(known):
    dataset = known(*shifted(4))
    dataset.set_values("place", ["a", "b", "a", "b"])
    report = compare_groups(dataset, "truth", "place", "iou", prediction_field="sam")
    assert {row.verdict for row in report.rows} == {"too few images"}
    assert "Too few images to say: 2, at least 10 are needed." in report.to_markdown()


def test_exports_hold_the_same_numbers_and_no_formula(dataset):
    dataset.set_values("place", ["=1+1", "b"] * 9)
    report = compare_groups(
        dataset, "truth", "place", "iou", SOME, prediction_field="sam", key="kept"
    )
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert load_evaluation(dataset, "kept") == content
    rows = list(csv.DictReader(io.StringIO(content["csv"])))
    assert [row["group"] for row in rows] == ["'=1+1", "b"]
    for row, group in zip(rows, content["groups"], strict=True):
        assert float(row["mean"]) == group["estimate"]["mean"]
        assert float(row["difference_low"]) == group["difference"]["low"]
        assert row["sentence"] == group["sentence"]


def test_what_is_refused(dataset):
    for by, words in (
        ("nothing", "found no 'nothing'"),
        ("truth.detections.nothing", "found no 'truth.detections.nothing'"),
        ("created_at", "DateTimeField"),
    ):
        with pytest.raises(FieldError, match=words):
            compare_groups(dataset, "truth", by, "iou", prediction_field="sam")
    with pytest.raises(FieldError, match="name it"):
        compare_groups(dataset, "truth", "place", "iou")
    with pytest.raises(FieldError, match="Expected a model"):
        compare_groups(dataset, "truth", "place", "click_iou")
    with pytest.raises(FieldError, match="found none"):
        compare_groups(dataset.limit(1), "sam", "place", "index")


def test_fields_with_too_many_values_are_refused(known):
    dataset = known([[rectangle(0, 0, 2, 2)] * 101], [[]])
    sample = dataset.first()
    for n, label in enumerate(sample.truth.detections):
        label.label = f"class {n}"
    sample.save()
    with pytest.raises(FieldError, match="at most 100 groups, found 101"):
        compare_groups(dataset, "truth", "truth.label", "iou", prediction_field="sam")


def test_the_operator(dataset):
    properties = form(URI, dataset, label_field="truth", more=True)
    assert {"measure", "by", "prediction_field", "reference", "bins"} <= set(properties)
    params = {"label_field": "truth", "prediction_field": "sam", "by": "place", "key": "mine"}
    result = execute(URI, dataset, min_images=3, **params)
    report = compare_groups(
        dataset, "truth", "place", "iou", GroupSettings(min_images=3), prediction_field="sam"
    )
    assert result["groups"] == report.to_json()["groups"]
    assert load_evaluation(dataset, "mine")["csv"] == result["csv"]
    shown = outputs(URI, dataset, result)
    assert report.rows[0].sentence in shown["markdown"]["default"]
    model = form(URI, dataset, label_field="truth", measure="click_iou")
    assert "model" in model
    assert "prediction_field" not in model
