"""Candidates for mistakes in labels: attributes, saved views, and finding them again."""

import pytest
from operating import execute, form, outputs
from rectangles import rectangle, scored

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.evaluating import (
    delete_evaluation,
    find_label_mistakes,
    load_evaluation,
)
from fiftyone_plugin.start.plugin_folder import install_plugin
from sam_plugins.evaluation import MistakeSettings, find_mistakes

URI = "@sam-plugins/sam/find_mistakes"


@pytest.fixture(autouse=True)
def plugin(fiftyone_here, fiftyone_folder):
    install_plugin(fiftyone_folder / "plugins")


MISFIT = rectangle(10, 10, 40, 40)
ANSWER = rectangle(10, 10, 22, 40, confidence=0.95)
SPURIOUS = rectangle(90, 60, 110, 80)
MISSING = rectangle(60, 50, 80, 70, confidence=0.9)
GOOD = rectangle(50, 5, 70, 25, confidence=0.99)
NAMED = rectangle(90, 5, 110, 25)
OTHERWISE = rectangle(90, 5, 110, 25, label="dirt", confidence=0.85)


@pytest.fixture
def dataset(known):
    return known(
        [[GOOD], [GOOD, NAMED], [MISFIT, SPURIOUS]],
        [[GOOD], [GOOD, OTHERWISE], [ANSWER, MISSING]],
    )


def values(dataset, name, field="truth"):
    return dataset.values(f"{field}.detections.{name}")


def test_labels_are_told_what_the_core_finds(dataset):
    report = find_label_mistakes(dataset, "truth", "sam")
    dataset.reload()
    assert values(dataset, "mistakes") == [
        [[]],
        [[], ["other label"]],
        [["does not fit"], ["spurious"]],
    ]
    assert values(dataset, "mistakes", "sam") == [[[]], [[], []], [[], ["missing"]]]
    expected = find_mistakes(scored([MISFIT, SPURIOUS]), scored([ANSWER, MISSING]))
    misfit = next(m for m in expected if m.kind == "does not fit")
    assert values(dataset, "mistake_reason")[2][0] == misfit.reason
    assert values(dataset, "mistake_score")[2][0] == pytest.approx(misfit.score)
    assert values(dataset, "mistake_score")[0] == [None]
    assert report.mistakes == dict.fromkeys(
        ("other label", "does not fit", "spurious", "missing"), 1
    )
    assert load_evaluation(dataset, "mistakes_truth")["mistakes"]["double"] == 0


def test_saved_views_show_what_is_in_question_worst_first(dataset):
    report = find_label_mistakes(dataset, "truth", "sam")
    assert report.views[0] == "truth: mistakes"
    everything = dataset.load_saved_view("truth: mistakes")
    assert everything.values("id") == dataset.values("id")[:0:-1]
    assert everything.count("truth.detections") == 3
    assert everything.count("sam.detections") == 1
    missing = dataset.load_saved_view("truth: mistakes, missing")
    assert missing.count("truth.detections") == 0
    assert missing.values("sam.detections.mistake_reason", unwind=True)[0].startswith("The model")
    sample = dataset.last()
    sample.truth.detections[0]["review"] = "rejected"
    sample.save()
    assert dataset.load_saved_view("truth: mistakes").count("truth.detections") == 2


def test_a_picture_without_any_labels_is_in_its_place(dataset):
    sample = dataset.first()
    sample.truth = None
    sample.save()
    assert find_label_mistakes(dataset, "truth", "sam").mistakes["missing"] == 2
    scores = [
        max(score for field in ("truth", "sam") for score in found(view, field))
        for view in dataset.load_saved_view("truth: mistakes").iter_samples()
    ]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3


def found(sample, field):
    return [] if sample[field] is None else [d.mistake_score for d in sample[field].detections]


def test_finding_again_replaces_what_was_found_and_nothing_else(dataset):
    find_label_mistakes(dataset, "truth", "sam")
    before = [(d.id, d.mask.tobytes(), d.label) for d in dataset.last().truth.detections]
    sample = dataset.last()
    sample.truth.detections[0]["mine"] = "kept"
    sample.save()
    report = find_label_mistakes(dataset, "truth", "sam", MistakeSettings(min_score=0.97))
    assert set(report.mistakes) == {"spurious"}
    assert values(dataset, "mistakes") == [[[]], [[], []], [[], ["spurious"]]]
    assert values(dataset, "mistake_reason")[2][0] is None
    assert dataset.last().truth.detections[0].mine == "kept"
    assert [(d.id, d.mask.tobytes(), d.label) for d in dataset.last().truth.detections] == before
    delete_evaluation(dataset, "mistakes_truth")
    dataset.reload()
    assert dataset.get_field("truth.detections.mistakes") is None
    assert dataset.list_saved_views() == []


def test_a_mask_is_compared_with_the_label_that_asked_for_it(known):
    near, far = rectangle(10, 10, 30, 30), rectangle(60, 40, 80, 60)
    dataset = known([[near, far]], [[]])
    asked = dataset.first().truth.detections[1].id
    wrong = {**near, "confidence": 0.9, "prompt_id": asked}
    other = known([[near, far]], [[wrong]])
    sample = other.first()
    sample.sam.detections[0]["prompt_id"] = sample.truth.detections[1].id
    sample.save()
    report = find_label_mistakes(other, "truth", "sam")
    assert report.by_prompt == 1
    assert values(other, "mistakes")[0][1] == ["does not fit"]
    assert "shares no pixel" in values(other, "mistake_reason")[0][1]
    by_iou = find_label_mistakes(known([[near, far]], [[wrong]]), "truth", "sam")
    assert by_iou.by_prompt == 0
    assert set(by_iou.mistakes) == {"spurious"}


def test_attributes_of_others_are_replaced_with_consent_only(known):
    dataset = known([[{**GOOD, "mistake_score": 3.0}]], [[GOOD]])
    dataset.add_dynamic_sample_fields()
    with pytest.raises(FieldError, match=r"truth\.detections\.mistake_score"):
        find_label_mistakes(dataset, "truth", "sam")
    assert values(dataset, "mistake_score") == [[3.0]]
    assert not find_label_mistakes(dataset, "truth", "sam", overwrite=True).mistakes
    assert values(dataset, "mistake_score") == [[None]]


def test_the_operator(dataset):
    properties = form(URI, dataset, truth_field="truth", more=True)
    assert {"prediction_field", "min_score", "fit_iou"} <= set(properties)
    result = execute(URI, dataset, truth_field="truth", prediction_field="sam", min_score=0.92)
    assert result["mistakes"]["does not fit"] == 1
    assert result["mistakes"]["missing"] == 0
    shown = outputs(URI, dataset, result)
    assert any("does not fit" in str(each) for each in shown.values())
