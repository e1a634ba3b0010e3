"""Masks of one field against those of another, on real datasets with known IoUs."""

import json
import math

import numpy as np
import pytest
from operating import execute, form, outputs
from rectangles import SIZE, random_rows, rectangle, scored

from fiftyone_plugin.errors import FieldError, RunError
from fiftyone_plugin.evaluating import (
    MaskSettings,
    delete_evaluation,
    evaluate_masks,
    list_evaluations,
    load_evaluation,
)
from fiftyone_plugin.start.plugin_folder import install_plugin
from sam_plugins.evaluation import (
    MatchSettings,
    average_precision,
    cluster_mean,
    crop_boundary_iou,
    crop_iou,
    match_image,
)

URI = "@sam-plugins/sam/evaluate_masks"


@pytest.fixture(autouse=True)
def plugin(fiftyone_here, fiftyone_folder):
    install_plugin(fiftyone_folder / "plugins")


@pytest.mark.parametrize("by_class", [True, False])
def test_the_numbers_are_those_of_the_core(known, by_class):
    truths, predictions = random_rows()
    dataset = known(truths, predictions)
    report = evaluate_masks(dataset, "sam", "truth", MaskSettings(by_class=by_class))
    for scores, boundary in ((report.overall.mask, False), (report.overall.boundary, True)):
        settings = MatchSettings(by_class=by_class, boundary=boundary)
        expected = average_precision(
            match_image(str(number), scored(p), scored(t), SIZE, settings)
            for number, (t, p) in enumerate(zip(truths, predictions, strict=True))
        )
        for name in ("ap", "ap50", "ap75", "ap_small", "recall", "n_truths", "n_predictions"):
            assert getattr(scores, name) == pytest.approx(getattr(expected.overall, name), nan_ok=1)
        for row in report.classes:
            got = row.boundary if boundary else row.mask
            assert got.ap == pytest.approx(expected.classes[row.name].ap)
    assert math.isnan(report.overall.mask.ap_large)
    assert report.ap.mean == pytest.approx(report.overall.mask.ap)
    assert report.ap.low <= report.ap.mean <= report.ap.high
    assert [row.name for row in report.classes] == (["a", "b"] if by_class else [])
    assert report.overall.found + report.overall.missed == 48


def test_attributes_say_what_became_of_each_label(known):
    dataset = known(
        [[rectangle(10, 10, 30, 30), rectangle(60, 10, 80, 30)], [rectangle(0, 0, 20, 20)]],
        [
            [rectangle(15, 10, 35, 30, confidence=0.9), rectangle(90, 60, 110, 80, confidence=0.5)],
            [rectangle(0, 0, 20, 20, dent=5, confidence=0.8)],
        ],
    )
    before = frozen(dataset)
    settings = MaskSettings(attributes="eval", save_views=True)
    report = evaluate_masks(dataset, "sam", "truth", settings)
    dataset.reload()
    assert dataset.values("sam.detections.eval_result") == [["tp", "fp"], ["tp"]]
    assert dataset.values("truth.detections.eval_result") == [["tp", "fn"], ["tp"]]
    ious = dataset.values("truth.detections.eval_iou")
    assert ious[0][0] == pytest.approx(15 / 25)
    assert ious[0][1] is None
    assert ious[1][0] == pytest.approx(0.75)
    assert dataset.values("sam.detections.eval_iou")[1] == ious[1]
    partner = dataset.first().sam.detections[0]
    assert dataset.first().truth.detections[0].eval_match == partner.id
    crop = np.ones((20, 20), bool)
    expected = crop_boundary_iou(crop, (15, 10, 35, 30), crop, (10, 10, 30, 30), SIZE)
    assert partner.eval_boundary_iou == pytest.approx(expected)
    mean = cluster_mean([0.6, 0.75], ["0", "1"])
    assert report.overall.iou.mean == pytest.approx(mean.mean)
    assert (report.overall.found, report.overall.false, report.overall.missed) == (2, 1, 1)
    false = dataset.load_saved_view("eval: false positives")
    assert false.values("sam.detections.eval_result") == [["fp"]]
    missed = dataset.load_saved_view("eval: missed")
    assert missed.values("truth.detections.eval_result") == [["fn"]]
    assert frozen(dataset) == before


def frozen(dataset):
    """All that an evaluation must not change."""
    return [
        (
            sample.filepath,
            sample.tags,
            [
                (d.id, d.label, d.bounding_box, d.mask.tobytes(), d.confidence, d.tags)
                for name in ("truth", "sam")
                for d in sample[name].detections
            ],
            sample.boxes.to_dict(),
        )
        for sample in dataset
    ]


def test_the_ious_are_those_of_fiftyone(known):
    truths, predictions = random_rows(6, seed=3)
    dataset = known(truths, predictions)
    evaluate_masks(dataset, "sam", "truth", MaskSettings(attributes="ours", match_iou=0.5))
    dataset.evaluate_detections(
        "sam", gt_field="truth", eval_key="theirs", use_masks=True, iou=0.5, progress=False
    )
    ours = dataset.values("truth.detections.ours_iou", unwind=True)
    theirs = dataset.values("truth.detections.theirs_iou", unwind=True)
    assert sum(iou is not None for iou in ours) > 10
    assert ours == [None if iou is None else pytest.approx(iou) for iou in theirs]
    for field in ("sam", "truth"):
        assert dataset.values(f"{field}.detections.ours_result") == dataset.values(
            f"{field}.detections.theirs"
        )


def test_the_result_is_kept_as_a_run_and_can_be_deleted_with_what_it_wrote(known):
    dataset = known(*random_rows(3))
    fields = set(dataset.get_field_schema(flat=True))
    settings = MaskSettings(attributes="first", save_views=True)
    report = evaluate_masks(dataset, "sam", "truth", settings, key="mine")
    (record,) = list_evaluations(dataset)
    assert (record.key, record.kind) == ("mine", "masks")
    content = load_evaluation(dataset, "mine")
    assert content["overall"]["mask"]["ap"] == pytest.approx(report.overall.mask.ap)
    assert content["overall"]["mask"]["ap_large"] is None
    json.dumps(content, allow_nan=False)
    delete_evaluation(dataset, "mine")
    dataset.reload()
    assert set(dataset.get_field_schema(flat=True)) == fields
    assert dataset.list_saved_views() == []
    assert dataset.list_runs() == []
    with pytest.raises(RunError, match="there are: none"):
        load_evaluation(dataset, "mine")


def test_attributes_of_others_are_replaced_with_consent_only(known):
    dataset = known([[rectangle(0, 0, 9, 9)]], [[rectangle(0, 0, 9, 9, eval_iou=7.0)]])
    dataset.add_dynamic_sample_fields()
    settings = MaskSettings(attributes="eval")
    with pytest.raises(FieldError, match=r"sam\.detections\.eval_iou"):
        evaluate_masks(dataset, "sam", "truth", settings)
    assert dataset.first().sam.detections[0].eval_iou == 7.0
    assert not dataset.list_runs()
    evaluate_masks(dataset, "sam", "truth", settings, overwrite=True)
    evaluate_masks(dataset, "sam", "truth", settings)
    dataset.reload()
    assert dataset.first().sam.detections[0].eval_iou == 1.0
    with pytest.raises(FieldError, match="free"):
        evaluate_masks(dataset, "sam", "truth", settings, key="another")


def test_labels_that_a_view_filters_take_no_part(known, fiftyone_here):
    F = fiftyone_here.ViewField
    dataset = known(
        [[rectangle(0, 0, 9, 9)], []],
        [[rectangle(0, 0, 9, 9, confidence=0.9), rectangle(50, 50, 60, 60, confidence=0.1)], []],
    )
    view = dataset.filter_labels("sam", F("confidence") > 0.5, only_matches=False)
    assert evaluate_masks(view, "sam", "truth").overall.false == 0
    assert evaluate_masks(dataset, "sam", "truth").overall.false == 1


def test_crowds_are_neither_found_nor_missed_and_take_what_lies_in_them(known):
    dataset = known(
        [[rectangle(0, 0, 60, 60, iscrowd=1), rectangle(80, 10, 100, 30)]],
        [[rectangle(5, 5, 15, 15, confidence=0.9), rectangle(80, 10, 100, 30, confidence=0.8)]],
    )
    report = evaluate_masks(dataset, "sam", "truth", MaskSettings(attributes="eval"))
    assert (report.overall.found, report.overall.false, report.overall.missed) == (1, 0, 0)
    assert report.overall.mask.ap == pytest.approx(1)
    assert dataset.values("sam.detections.eval_result") == [[None, "tp"]]


def test_what_cannot_be_read_is_told_and_costs_no_other(known, fiftyone_here):
    dataset = known([[rectangle(0, 0, 9, 9)]], [[rectangle(0, 0, 9, 9)]])
    sample = dataset.first()
    box = [0.5, 0.5, 0.1, 0.1]
    sample.sam.detections.append(fiftyone_here.Detection(bounding_box=box, label="cell"))
    sample.sam.detections.append(
        fiftyone_here.Detection(bounding_box=box, mask_path="/nowhere/mask.png")
    )
    sample.save()
    report = evaluate_masks(dataset, "sam", "truth")
    assert report.overall.false == 0
    said = " ".join(report.sentences)
    assert "1 labels of sam have no mask" in said
    assert "1 labels of sam have a mask that cannot be read" in said
    assert "1 labels of sam have no confidence" in said


def test_what_is_refused(known, fiftyone_here):
    dataset = known([[rectangle(0, 0, 9, 9)]], [[]])
    for prediction, truth, words in (
        ("truth", "truth", "twice"),
        ("nothing", "truth", "nothing in 'nothing'"),
        ("filepath", "truth", "field of Detections"),
    ):
        with pytest.raises(FieldError, match=words):
            evaluate_masks(dataset, prediction, truth)
    with pytest.raises(FieldError, match="patches"):
        evaluate_masks(dataset.to_patches("truth"), "truth", "boxes")
    with pytest.raises(FieldError, match="letters, digits"):
        MaskSettings(attributes="a.b")
    with pytest.raises(FieldError, match="max_detections"):
        MaskSettings(max_detections=0)
    with pytest.raises(RunError, match="letters, digits"):
        evaluate_masks(dataset, "sam", "truth", key="a b")
    dataset.register_run("theirs", dataset.init_run(method="somebody"))
    with pytest.raises(RunError, match="something else"):
        evaluate_masks(dataset, "sam", "truth", key="theirs", overwrite=True)


def test_without_a_known_object_there_is_no_ap_and_json_has_none(known):
    dataset = known([[]], [[rectangle(0, 0, 9, 9, confidence=0.5)]])
    report = evaluate_masks(dataset, "sam", "truth")
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert content["overall"]["mask"]["ap"] is None
    assert content["overall"]["iou"] is None
    assert "no known object to be found" in " ".join(report.sentences)


def test_pictures_over_cocos_limit_are_told(known):
    crowd = [rectangle(x, 0, x + 2, 2, confidence=0.5) for x in range(0, 120, 4)]
    dataset = known([crowd], [crowd])
    report = evaluate_masks(dataset, "sam", "truth", MaskSettings(max_detections=10))
    assert report.overall.mask.ap < 0.5
    assert "In 1 pictures only the 10 surest" in " ".join(report.sentences)
    assert evaluate_masks(dataset, "sam", "truth").overall.mask.ap == pytest.approx(1)


def test_a_stop_keeps_no_result(known):
    dataset = known([[rectangle(0, 0, 9, 9)]], [[]])
    told = []
    report = evaluate_masks(dataset, "sam", "truth", key="x", stop=lambda: True)
    assert report.stopped
    assert report.n_images == 0
    with pytest.raises(RunError, match="its end"):
        load_evaluation(dataset, "x")
    assert not evaluate_masks(dataset, "sam", "truth", key="x", progress=told.append).stopped
    assert [(made.done, made.total) for made in told] == [(0, 1), (1, 1)]
    assert load_evaluation(dataset, "x")["images"] == 1


def test_the_operator_evaluates_keeps_and_shows(known):
    dataset = known(*random_rows(3))
    properties = form(URI, dataset, truth_field="truth", write=True)
    assert {"prediction_field", "attributes", "overwrite", "save_views"} <= set(properties)
    assert "truth" not in properties["prediction_field"]["type"]["values"]
    result = execute(
        URI,
        dataset,
        truth_field="truth",
        prediction_field="sam",
        key="mine",
        attributes="mine",
        save_views=True,
    )
    report = evaluate_masks(dataset, "sam", "truth")
    assert result["overall"]["mask"]["ap"] == pytest.approx(report.overall.mask.ap)
    assert load_evaluation(dataset, "mine")["overall"] == result["overall"]
    assert "mine: missed" in dataset.list_saved_views()
    shown = outputs(URI, dataset, result)
    assert "| class |" in shown["markdown"]["default"]
    assert "known objects found" in json.dumps(shown["said_0"])


def test_the_operators_form_says_what_is_wrong(known):
    from fiftyone.operators.executor import ExecutionError

    dataset = known([[rectangle(0, 0, 9, 9)]], [[]])
    problems = form(URI, dataset, truth_field="truth", write=True, attributes="a b")["_errors"]
    assert any("letters, digits" in each for each in problems)
    with pytest.raises(ExecutionError, match="prediction_field"):
        execute(URI, dataset, truth_field="truth")


def test_the_core_agrees_on_the_iou():
    crop = np.ones((20, 20), bool)
    assert crop_iou(crop, (15, 10, 35, 30), crop, (10, 10, 30, 30)) == pytest.approx(0.6)


def test_of_groups_the_samples_of_the_active_slice_are_evaluated(known, fiftyone_here):
    fo = fiftyone_here
    source = known([[rectangle(0, 0, 9, 9)]], [[rectangle(0, 0, 9, 9)]])
    grouped = fo.Dataset()
    try:
        grouped.add_group_field("group", default="left")
        group, sample = fo.Group(), source.first()
        grouped.add_samples(
            [
                fo.Sample(
                    filepath=sample.filepath,
                    group=group.element(name),
                    truth=sample.truth.copy(),
                    sam=sample.sam.copy(),
                )
                for name in ("left", "right")
            ],
            progress=False,
        )
        report = evaluate_masks(grouped, "sam", "truth", MaskSettings(attributes="eval"))
        assert (report.n_images, report.overall.found) == (1, 1)
        both = grouped.select_group_slices(["left", "right"])
        assert both.values("sam.detections.eval_result") == [["tp"], [None]]
        assert evaluate_masks(both, "sam", "truth").n_images == 2
    finally:
        grouped.delete()
