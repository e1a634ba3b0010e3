"""Masks that people asked for, in a real dataset: written, kept apart, and taken back."""

from typing import Any

import numpy as np
import pytest
from bson import ObjectId
from PIL import Image

from fiftyone_plugin.errors import LabelChangedError, ReviewError
from fiftyone_plugin.fields import REPROMPT_STORE
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.review import Corrections, detections_fields
from fiftyone_plugin.review.steps import MOST_KEPT, Steps
from sam_plugins import Refined

SIZE = (96, 128)


def refined(box: Any = (10, 20, 40, 50), score: float = 0.875) -> Refined:
    crop = np.ones((box[3] - box[1], box[2] - box[0]), bool)
    crop[1:3, 1:4] = False
    return Refined(crop, box, score, 0, 3)


NOTHING = Refined(np.zeros((0, 0), bool), (5, 5, 5, 5), 0.1, 0, 3)


@pytest.fixture
def dataset(make_dataset: Any) -> Any:
    dataset = make_dataset(2)
    for sample in dataset:
        for label in sample["boxes"].detections:
            label["prompt_id"] = "p" + label.id
            label["review"] = "accepted"
            label["run_id"] = "sam_1"
        sample.save()
    return dataset


def test_a_replaced_mask_is_exact_and_the_rest_of_the_label_stays(dataset: Any) -> None:
    sample = dataset.first()
    before, other = sample["boxes"].detections
    Corrections(dataset, sample.id).replace("boxes", before.id, refined(), SIZE, "model")
    sample.reload()
    after, same = sample["boxes"].detections
    assert same.to_dict() == other.to_dict()
    crop, box = mask_of(after, SIZE)
    assert box == (10, 20, 40, 50)
    assert np.array_equal(crop, refined().crop)
    for name in ("id", "label", "index", "tags", "group", "prompt_id", "review", "run_id"):
        assert after[name] == before[name], name
    assert (after.confidence, after.model_id, after.reprompted) == (0.875, "model", True)
    assert (after.area, after.components, after.holes) == (30 * 30 - 6, 1, 1)
    assert after.touches_border is False


def test_each_correction_is_taken_back_the_last_one_first(dataset: Any) -> None:
    sample = dataset.first()
    before = sample["boxes"].to_dict()
    first, second = sample["boxes"].detections
    corrections = Corrections(dataset, sample.id)
    corrections.replace("boxes", first.id, refined(), SIZE, "model")
    corrections.replace("boxes", first.id, refined((0, 0, 9, 9)), SIZE, "model")
    added = corrections.add("boxes", "new", refined(), SIZE, "model")
    corrections.replace("boxes", second.id, refined(), SIZE, "model")
    assert corrections.count == 4
    later = Corrections(dataset, sample.id)  # as after a restart
    assert later.undo() == second.id
    assert later.undo() == added
    assert later.undo() == first.id
    sample.reload()
    assert mask_of(sample["boxes"].detections[0], SIZE)[1] == (10, 20, 40, 50)
    assert later.undo() == first.id
    sample.reload()
    assert sample["boxes"].to_dict() == before
    with pytest.raises(ReviewError, match="Nothing of this sample is left"):
        later.undo()


def test_a_mask_in_a_file_comes_back_as_that_file(dataset: Any, tmp_path: Any) -> None:
    sample = dataset.first()
    label = sample["boxes"].detections[0]
    file = tmp_path / "mask.png"
    Image.fromarray(refined().crop).save(file)
    label.mask_path = str(file)
    sample.save()
    corrections = Corrections(dataset, sample.id)
    corrections.replace("boxes", label.id, refined(), SIZE, "model")
    sample.reload()
    assert sample["boxes"].detections[0].mask_path is None
    corrections.undo()
    sample.reload()
    assert sample["boxes"].detections[0].mask_path == str(file)
    assert sample["boxes"].detections[0].mask is None
    corrections.replace("boxes", label.id, refined((0, 0, 9, 9)), SIZE, "model")
    away = file.rename(tmp_path / "away.png")
    with pytest.raises(ReviewError, match="which is not there"):
        corrections.undo()
    sample.reload()
    assert sample["boxes"].detections[0].mask.shape == (9, 9)
    away.rename(file)  # as where a share is connected again
    corrections.undo()
    sample.reload()
    assert sample["boxes"].detections[0].mask_path == str(file)


def test_a_new_label_makes_its_field_and_an_empty_one(dataset: Any) -> None:
    sample = dataset.first()
    label_id = Corrections(dataset, sample.id).add("curated", " leaf ", refined(), SIZE, "model")
    assert detections_fields(dataset) == ["boxes", "curated"]
    sample.reload()
    (added,) = sample["curated"].detections
    assert (added.id, added.label) == (label_id, "leaf")
    assert dataset.last()["curated"] is None


def test_what_is_kept_of_a_sample_is_bounded(dataset: Any) -> None:
    sample = dataset.first()
    label = sample["boxes"].detections[0]
    corrections = Corrections(dataset, sample.id)
    for _ in range(MOST_KEPT + 3):
        corrections.replace("boxes", label.id, refined(), SIZE, "model")
    assert corrections.count == MOST_KEPT
    assert Corrections(dataset, dataset.last().id).count == 0


def test_what_does_not_fit_is_refused_and_nothing_is_written(dataset: Any) -> None:
    sample = dataset.first()
    before = sample.to_dict(include_private=True)
    label = sample["boxes"].detections[0]
    corrections = Corrections(dataset, sample.id)
    for match, act in {
        "found none: it was deleted": lambda: corrections.replace(
            "boxes", "0" * 24, refined(), SIZE, "m"
        ),
        "a field of Detections": lambda: corrections.replace(
            "filepath", label.id, refined(), SIZE, "m"
        ),
        "found 'tags'": lambda: corrections.add("tags", "new", refined(), SIZE, "m"),
        "the name of a field": lambda: corrections.add("a.b", "new", refined(), SIZE, "m"),
        "Expected a class": lambda: corrections.add("boxes", " ", refined(), SIZE, "m"),
        "Nothing was found": lambda: corrections.add("boxes", "new", NOTHING, SIZE, "m"),
        "Nothing was found at": lambda: corrections.replace("boxes", label.id, NOTHING, SIZE, "m"),
        "not in the dataset": lambda: Corrections(dataset, "0" * 24).add(
            "boxes", "new", refined(), SIZE, "m"
        ),
    }.items():
        with pytest.raises(ReviewError, match=match):
            act()
    sample.reload()
    assert sample.to_dict(include_private=True) == before
    assert corrections.count == 0


def test_a_label_that_was_deleted_since_is_said_to_be_gone(dataset: Any) -> None:
    sample = dataset.first()
    label = sample["boxes"].detections[0]
    corrections = Corrections(dataset, sample.id)
    corrections.replace("boxes", label.id, refined(), SIZE, "model")
    dataset.delete_labels(ids=[label.id])
    with pytest.raises(ReviewError, match="was deleted since"):
        corrections.undo()
    assert corrections.count == 0


def test_taking_back_a_mask_leaves_what_was_said_of_the_label_since(dataset: Any) -> None:
    sample = dataset.first()
    label = sample["boxes"].detections[0]
    former = label.bounding_box
    corrections = Corrections(dataset, sample.id)
    corrections.replace("boxes", label.id, refined(), SIZE, "model")
    sample.reload()
    later = sample["boxes"].detections[0]
    later.tags, later["review"], later.label = ["seen"], "rejected", "cell"
    sample.save()
    corrections.undo()
    sample.reload()
    back = sample["boxes"].detections[0]
    assert (back.mask, back.bounding_box) == (None, former)
    assert (back.tags, back["review"], back.label) == (["seen"], "rejected", "cell")
    assert "area" not in back.to_dict()


@pytest.mark.parametrize("added", [False, True])
def test_a_mask_that_somebody_drew_since_is_not_taken_back(dataset: Any, added: bool) -> None:
    sample = dataset.first()
    corrections = Corrections(dataset, sample.id)
    if added:
        corrections.add("boxes", "new", refined(), SIZE, "model")
    else:
        label_id = sample["boxes"].detections[-1].id
        corrections.replace("boxes", label_id, refined(), SIZE, "model")
    sample.reload()
    drawn = np.ones((30, 30), bool)
    sample["boxes"].detections[-1].mask = drawn
    sample.save()
    with pytest.raises(ReviewError, match="has another mask by now"):
        corrections.undo()
    sample.reload()
    assert np.array_equal(sample["boxes"].detections[-1].mask, drawn)
    assert corrections.count == 0


@pytest.fixture
def meanwhile(monkeypatch: Any) -> Any:
    """``meanwhile(act)``: somebody does that once, between reading a label and writing it."""

    def arrange(act: Any, moment: str = "begin") -> None:
        real = getattr(Steps, moment)

        def slowly(self: Any, *arguments: Any) -> Any:
            result = real(self, *arguments)
            monkeypatch.setattr(Steps, moment, real)
            act()
            return result

        monkeypatch.setattr(Steps, moment, slowly)

    return arrange


def test_it_finds_its_label_where_others_take_one_out_meanwhile(
    dataset: Any, meanwhile: Any
) -> None:
    sample = dataset.first()
    other, label = sample["boxes"].detections
    taken = {"$pull": {"boxes.detections": {"_id": ObjectId(other.id)}}}
    meanwhile(lambda: dataset._sample_collection.update_one({"_id": ObjectId(sample.id)}, taken))
    corrections = Corrections(dataset, sample.id)
    corrections.replace("boxes", label.id, refined(), SIZE, "model")
    sample.reload()
    assert [one.id for one in sample["boxes"].detections] == [label.id]
    assert sample["boxes"].detections[0].mask.shape == (30, 30)


def test_of_two_who_correct_one_mask_at_once_the_second_is_refused(
    dataset: Any, meanwhile: Any
) -> None:
    sample = dataset.first()
    before = sample["boxes"].to_dict()
    label_id = sample["boxes"].detections[0].id
    ann, bob = Corrections(dataset, sample.id), Corrections(dataset, sample.id)
    meanwhile(lambda: ann.replace("boxes", label_id, refined((0, 0, 9, 9)), SIZE, "model"))
    with pytest.raises(LabelChangedError, match="accept again"):
        bob.replace("boxes", label_id, refined(), SIZE, "model")
    sample.reload()
    assert sample["boxes"].detections[0].mask.shape == (9, 9)
    assert bob.count == 1
    bob.undo()
    sample.reload()
    assert sample["boxes"].to_dict() == before


def test_a_mask_other_than_the_one_that_was_looked_at_is_not_written_over(dataset: Any) -> None:
    sample = dataset.first()
    label_id = sample["boxes"].detections[0].id
    corrections = Corrections(dataset, sample.id)
    _, mark = corrections.label("boxes", label_id)
    sample["boxes"].detections[0].tags = ["seen"]  # which is not its mask
    sample.save()
    corrections.replace("boxes", label_id, refined((0, 0, 9, 9)), SIZE, "model", mark=mark)
    with pytest.raises(LabelChangedError, match="look at it as it is now"):
        corrections.replace("boxes", label_id, refined(), SIZE, "model", mark=mark)
    sample.reload()
    assert sample["boxes"].detections[0].mask.shape == (9, 9)
    _, mark = corrections.label("boxes", label_id)
    corrections.replace("boxes", label_id, refined(), SIZE, "model", mark=mark)
    assert corrections.count == 2


def test_a_mask_that_is_corrected_while_it_is_taken_back_stays(
    dataset: Any, meanwhile: Any
) -> None:
    sample = dataset.first()
    label_id = sample["boxes"].detections[0].id
    corrections = Corrections(dataset, sample.id)
    corrections.replace("boxes", label_id, refined(), SIZE, "model")

    def correct() -> None:
        later = Corrections(dataset, sample.id)
        later.replace("boxes", label_id, refined((0, 0, 9, 9)), SIZE, "model")

    meanwhile(correct, "last")
    with pytest.raises(ReviewError):
        corrections.undo()
    sample.reload()
    assert sample["boxes"].detections[0].mask.shape == (9, 9)


def test_no_step_is_lost_where_two_curators_write_at_once(dataset: Any, meanwhile: Any) -> None:
    sample = dataset.first()
    before = sample["boxes"].to_dict()
    first, second = (one.id for one in sample["boxes"].detections)
    ann, bob = Corrections(dataset, sample.id), Corrections(dataset, sample.id)
    ann.replace("boxes", first, refined((0, 0, 5, 5)), SIZE, "model")
    meanwhile(lambda: ann.replace("boxes", second, refined((0, 0, 9, 9)), SIZE, "model"), "last")
    bob.undo()
    assert bob.count == 1
    assert bob.undo() == second
    sample.reload()
    assert sample["boxes"].to_dict() == before


def test_steps_of_an_older_version_are_taken_back_after_those_of_now(dataset: Any) -> None:
    from fiftyone.operators.store import ExecutionStore

    sample = dataset.first()
    before = sample["boxes"].to_dict()
    label = sample["boxes"].detections[0]
    corrections = Corrections(dataset, sample.id)
    corrections.replace("boxes", label.id, refined(), SIZE, "model")
    step = corrections._steps.last()
    corrections._steps.strike(step)
    old = {"field": "boxes", "label_id": label.id, "former": step.former}
    store = ExecutionStore.create(REPROMPT_STORE, dataset._doc.id)
    store.set(sample.id, {"kept": [old, old | {"written": step.written}]})
    corrections.replace("boxes", label.id, refined((0, 0, 9, 9)), SIZE, "model")
    assert corrections.count == 3
    corrections.undo()
    corrections.undo()
    assert corrections.count == 1
    sample.reload()
    assert sample["boxes"].to_dict() == before


@pytest.mark.parametrize("said", [{"tags": ["seen"]}, {"review": "accepted"}])
def test_an_added_label_that_others_spoke_of_since_stays(dataset: Any, said: Any) -> None:
    sample = dataset.first()
    corrections = Corrections(dataset, sample.id)
    added = corrections.add("boxes", "new", refined(), SIZE, "model")
    sample.reload()
    label = sample["boxes"].detections[-1]
    for name, value in said.items():
        label[name] = value
    sample.save()
    with pytest.raises(ReviewError, match=r"(tagged seen|accepted by somebody) since, so it stays"):
        corrections.undo()
    sample.reload()
    assert sample["boxes"].detections[-1].id == added
    for name in said:
        sample["boxes"].detections[-1][name] = [] if name == "tags" else None
    sample.save()
    assert corrections.undo() == added
    sample.reload()
    assert len(sample["boxes"].detections) == 2


def test_a_step_of_a_field_that_was_deleted_is_forgotten(dataset: Any) -> None:
    sample = dataset.first()
    corrections = Corrections(dataset, sample.id)
    corrections.add("curated", "new", refined(), SIZE, "model")
    dataset.delete_sample_field("curated")
    with pytest.raises(ReviewError, match="was deleted since"):
        corrections.undo()
    assert corrections.count == 0


def test_what_was_found_about_the_former_mask_goes(dataset: Any) -> None:
    sample = dataset.first()
    label = sample["boxes"].detections[0]
    label["findings"], label["raggedness"] = ["leaking"], 3.0
    sample.save()
    Corrections(dataset, sample.id).replace("boxes", label.id, refined(), SIZE, "model")
    sample.reload()
    assert sample["boxes"].detections[0]["findings"] is None
    assert sample["boxes"].detections[0]["raggedness"] is None
