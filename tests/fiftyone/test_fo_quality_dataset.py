"""Judging, comparing and saved views on real datasets."""

import numpy as np
import pytest

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.quality import (
    Finding,
    Thresholds,
    compare_fields,
    judge_masks,
    save_views,
    view_name,
)

SIZE = (96, 128)


@pytest.fixture
def masked(make_dataset, fiftyone_here):
    """``masked(rows)``: one sample per row of ``(x0, y0, x1, y1, known)``: Detections `masks`."""
    fo = fiftyone_here

    def detection(x0, y0, x1, y1, known=None):
        height, width = SIZE
        box = [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]
        known = {"label": "disc", "mask": np.ones((y1 - y0, x1 - x0), bool), **(known or {})}
        return fo.Detection(bounding_box=box, **known)

    def make(rows, other=None):
        dataset = make_dataset(len(rows), boxes=1, size=SIZE)
        for name, given in (("masks", rows), ("other", other)):
            labels = [fo.Detections(detections=[detection(*d) for d in row]) for row in given or ()]
            if labels:
                dataset.set_values(name, labels)
        dataset.reload()
        return dataset

    return make


def attributes(dataset, name, field="masks"):
    return dataset.values(f"{field}.detections.{name}")


BLOCK = (10, 10, 50, 50)
NESTED = (14, 14, 22, 22, {"confidence": 0.5})


def test_findings_and_missing_measures_are_written_into_the_labels(masked):
    dataset = masked([[BLOCK, NESTED], [(0, 0, 3, 3)], []])
    report = judge_masks(dataset, "masks")
    assert attributes(dataset, "findings") == [[[], ["duplicate"]], [["tiny"]], []]
    assert attributes(dataset, "area") == [[1600, 64], [9], []]
    assert attributes(dataset, "touches_border") == [[False, False], [True], []]
    first, second = dataset.first().masks.detections
    assert (second.duplicate_of, first.duplicates) == (first.id, 1)
    assert (report.samples, report.objects, report.filled) == (3, 3, 3)
    assert report.findings == {Finding.DUPLICATE: 1, Finding.TINY: 1}


def test_judging_again_changes_nothing_and_other_findings_stay(masked):
    dataset = masked([[BLOCK, NESTED]], [[(60, 10, 100, 50)]])
    judge_masks(dataset, "masks")
    compare_fields(dataset, "masks", "other")
    both = attributes(dataset, "findings")
    assert both == [[["fields disagree"], ["duplicate", "fields disagree"]]]
    report = judge_masks(dataset, "masks")
    assert report.filled == 0
    assert attributes(dataset, "findings") == both
    judge_masks(dataset, "masks", Thresholds(duplicate_containment=2))
    assert attributes(dataset, "findings") == [[["fields disagree"], ["fields disagree"]]]
    assert attributes(dataset, "duplicate_of") == [[None, None]]


def test_what_others_wrote_is_not_overwritten(masked, fiftyone_here):
    dataset = masked([[(*BLOCK, {"area": 7.5, "tags": ["mine"]})]])
    dataset.add_sample_field("masks.detections.area", fiftyone_here.FloatField)
    judge_masks(dataset, "masks")
    assert attributes(dataset, "area") == [[7.5]]
    assert attributes(dataset, "tags") == [[["mine"]]]
    assert attributes(dataset, "holes") == [[0]]


def test_measures_of_our_own_masks_follow_the_mask(masked):
    dataset = masked([[(*BLOCK, {"area": 7, "run_id": "sam_x"})]])
    judge_masks(dataset, "masks")
    assert attributes(dataset, "area") == [[1600]]


def test_an_attribute_of_another_type_is_refused_before_anything_is_written(masked):
    dataset = masked([[(*BLOCK, {"findings": "many"})]])
    dataset.add_dynamic_sample_fields()
    with pytest.raises(FieldError, match=r"masks\.detections\.findings"):
        judge_masks(dataset, "masks")
    assert attributes(dataset, "findings") == [["many"]]


def test_a_mask_that_cannot_be_read_costs_no_other(masked):
    broken = (*BLOCK, {"mask": None, "mask_path": "/nowhere/mask.png"})
    dataset = masked([[broken, (*BLOCK, {"mask": None}), (60, 10, 100, 50)]])
    report = judge_masks(dataset, "masks")
    assert (report.objects, report.unreadable, report.without_mask) == (1, 1, 1)
    assert attributes(dataset, "findings") == [[None, None, []]]


def test_masks_that_are_tiny_for_their_class(masked):
    small = (60, 60, 65, 65)
    dataset = masked(
        [[BLOCK] * 1 for _ in range(11)] + [[small], [(*small[:4], {"label": "bolt"})]]
    )
    report = judge_masks(dataset, "masks")
    assert attributes(dataset, "findings")[-2:] == [[["tiny"]], [[]]]
    assert report.findings == {Finding.TINY: 1}
    judge_masks(dataset, "masks", Thresholds(tiny_of_class=0.01))
    assert attributes(dataset, "findings")[-2:] == [[[]], [[]]]


def test_a_box_is_found_by_the_id_of_the_label_that_asked(masked):
    dataset = masked([[BLOCK]])
    asked = dataset.first().boxes.detections[0].id
    dataset.set_values("boxes.detections.bounding_box", [[[0.5, 0.5, 0.4, 0.4]]])
    dataset.set_values("masks.detections.prompt_id", [[asked]], dynamic=True)
    judge_masks(dataset, "masks")
    assert attributes(dataset, "box_iou") == [[1.0]]
    judge_masks(dataset, "masks", box_field="boxes")
    assert attributes(dataset, "findings") == [[["box disagrees", "leaking"]]]


def test_a_view_is_judged_with_all_masks_of_its_samples_and_no_others(masked):
    dataset = masked([[BLOCK, NESTED], [BLOCK, NESTED]])
    ids = [dataset.last().masks.detections[1].id]
    judge_masks(dataset.select_labels(ids=ids), "masks")
    assert attributes(dataset, "findings") == [[None, None], [[], ["duplicate"]]]
    judge_masks(dataset.to_patches("masks"), "masks")
    assert attributes(dataset, "findings") == [[[], ["duplicate"]]] * 2


def test_metadata_is_computed_where_it_is_missing(masked):
    dataset = masked([[BLOCK], [BLOCK]])
    dataset.clear_sample_field("metadata")
    last = dataset.last()
    last.filepath = "/nowhere.png"
    last.save()
    report = judge_masks(dataset, "masks")
    assert (report.samples, report.without_size) == (1, 1)
    assert attributes(dataset, "area") == [[1600], [None]]


def test_it_stops_between_batches_and_goes_on_when_judged_again(masked, monkeypatch):
    monkeypatch.setattr("fiftyone_plugin.quality.judge._BATCH", 1)
    dataset = masked([[BLOCK]] * 3)
    told = []
    report = judge_masks(dataset, "masks", progress=told.append, stop=lambda: len(told) == 2)
    assert report.stopped
    assert [(p.done, p.total) for p in told] == [(0, 3), (1, 3)]
    assert attributes(dataset, "findings") == [[[]], [[]], [None]]
    assert not judge_masks(dataset, "masks").stopped
    assert attributes(dataset, "findings") == [[[]]] * 3


def test_two_fields_know_how_far_they_agree(masked):
    dataset = masked([[BLOCK, (60, 10, 100, 50)]], [[(10, 10, 50, 46)]])
    report = compare_fields(dataset, "masks", "other")
    assert attributes(dataset, "agreement") == [[pytest.approx(0.9), 0.0]]
    assert attributes(dataset, "agreement", "other") == [[pytest.approx(0.9)]]
    assert attributes(dataset, "agreement_with", "other") == [["masks"]]
    assert attributes(dataset, "findings") == [[["in both fields"], ["fields disagree"]]]
    assert (report.objects, report.partners) == ((2, 1), 1)
    assert report.mean_agreement == pytest.approx(0.9)
    with pytest.raises(FieldError, match="twice"):
        compare_fields(dataset, "masks", "masks")


def test_each_finding_is_a_saved_view_that_follows_the_labels(masked):
    dataset = masked([[BLOCK, NESTED, (60, 60, 100, 90)], [(0, 0, 3, 3)]])
    judge_masks(dataset, "masks")
    names = save_views(dataset, "masks")
    assert names == [
        f"masks: {w}" for w in ("duplicates", "tiny", "ragged", "leaking", "box disagrees")
    ]
    duplicates = dataset.load_saved_view("masks: duplicates")
    assert duplicates.count("masks.detections") == 2
    assert dataset.load_saved_view("masks: tiny").count() == 1
    assert len(dataset.load_saved_view("masks: ragged")) == 0
    tiny = dataset.last().masks.detections[0].id
    dataset.set_label_values("masks.detections.review", {tiny: "rejected"})
    assert len(dataset.load_saved_view("masks: tiny")) == 0
    assert save_views(dataset, "masks", Thresholds(tiny_area=9)) == names
    info = dataset.get_saved_view_info("masks: tiny")
    assert "9 pixels" in info["description"]


def test_views_of_a_comparison_show_both_fields(masked):
    dataset = masked([[BLOCK], []], [[], [BLOCK]])
    with pytest.raises(FieldError, match="judged"):
        save_views(dataset, "masks")
    compare_fields(dataset, "masks", "other")
    names = save_views(dataset, "masks", other_field="other")
    assert names == ["masks: in both fields", "masks: fields disagree"]
    view = dataset.load_saved_view("masks: fields disagree")
    assert (view.count("masks.detections"), view.count("other.detections")) == (1, 1)


def test_a_view_of_somebody_else_is_not_overwritten(masked):
    dataset = masked([[BLOCK]])
    judge_masks(dataset, "masks")
    dataset.save_view(view_name("masks", Finding.TINY), dataset.limit(1))
    with pytest.raises(FieldError, match="masks: tiny"):
        save_views(dataset, "masks")
    assert not dataset.has_saved_view("masks: duplicates")


def test_only_detections_can_be_judged(masked):
    dataset = masked([[BLOCK]])
    with pytest.raises(FieldError, match="boxes, masks"):
        judge_masks(dataset, "filepath")
