"""The queue, decisions of several curators, undo, and rejected labels that go and come back."""

import subprocess
import sys

import numpy as np
import pytest

from fiftyone_plugin.errors import FieldError, ReviewError
from fiftyone_plugin.quality import (
    LabelRef,
    delete_duplicates,
    find_found,
    judge_masks,
    list_removals,
    merge_duplicates,
    purge,
    refs_of,
    remove_labels,
    restore,
)
from fiftyone_plugin.review import (
    Counts,
    History,
    Ranking,
    Verdict,
    count_reviews,
    decide,
    find_rejected,
    next_open,
    remove_rejected,
    undo,
)

ANN, BOB = {"reviewer": "ann"}, {"reviewer": "bob"}


@pytest.fixture
def dataset(make_dataset, fiftyone_here):
    """Two samples of three masks of falling confidence; the third of each lies in the first."""
    fo = fiftyone_here
    made = make_dataset(2, boxes=1, size=(100, 100))
    boxes = ([0.1, 0.1, 0.4, 0.4], [0.6, 0.6, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1])

    def labels(first):
        return [
            fo.Detection(
                label="disc",
                bounding_box=box,
                mask=np.ones((round(box[3] * 100), round(box[2] * 100)), bool),
                confidence=first - 0.1 * number,
                tags=["drawn"],
            )
            for number, box in enumerate(boxes)
        ]

    found = [fo.Detections(detections=labels(first)) for first in (0.9, 0.8)]
    made.set_values("masks", found)
    return made


def refs(dataset):
    return refs_of(dataset, "masks")


def values(dataset, name):
    return [value for row in dataset.values(f"masks.detections.{name}") for value in row]


def test_the_queue_begins_with_what_can_be_trusted_least(dataset):
    judge_masks(dataset, "masks")
    queue = next_open(dataset, "masks", limit=9)
    assert [round(item.trust, 6) for item in queue] == [0.3, 0.35, 0.7, 0.8, 0.8, 0.9]
    assert queue[0].ref == refs(dataset)[5]
    assert queue[0].findings == ("duplicate",)
    assert queue[0].duplicate_of == refs(dataset)[3].label_id
    assert queue[0].numbers["area"] == 100
    skipped = next_open(dataset, "masks", without=[queue[0].ref.label_id])
    assert [item.ref for item in skipped] == [queue[1].ref]


def test_ranking_is_the_formula_it_says(dataset):
    first = refs(dataset)[0].label_id
    known = {"confidence": 0.5, "stability_score": 0.25, "box_iou": 0.36, "agreement": 4.0}
    for name, value in known.items():
        dataset.set_label_values(f"masks.detections.{name}", {first: value}, dynamic=True)
    dataset.set_label_values("masks.detections.findings", {first: ["tiny", "ragged"]}, dynamic=True)
    ranking = Ranking(confidence=2, stability=1, box=0.5, agreement=1, finding=0.5)
    (item,) = next_open(dataset, "masks", ranking)
    assert item.trust == pytest.approx(0.25 * 0.25 * 0.6 * 1 * 0.25)
    nothing = Ranking(confidence=0, stability=0, box=0, agreement=0, finding=1)
    assert {item.trust for item in next_open(dataset, "masks", nothing, limit=9)} == {1.0}


def test_a_confidence_that_is_no_number_comes_first(dataset):
    second = refs(dataset)[1].label_id
    dataset.set_label_values("masks.detections.confidence", {second: float("nan")})
    (item,) = next_open(dataset, "masks")
    assert (item.ref.label_id, item.trust) == (second, 0.0)
    assert "confidence" not in item.numbers


@pytest.mark.parametrize("bad", [{"box": -1}, {"finding": 1.5}, {"confidence": "high"}])
def test_ranking_refuses_what_makes_no_order(bad):
    with pytest.raises(ReviewError, match=next(iter(bad))):
        Ranking(**bad)


def test_a_view_restricts_the_queue_and_the_counts(dataset):
    from fiftyone import ViewField as F

    view = dataset.filter_labels("masks", F("confidence") > 0.75)
    assert [item.numbers["confidence"] for item in next_open(view, "masks", limit=9)] == [
        pytest.approx(0.8),
        pytest.approx(0.8),
        pytest.approx(0.9),
    ]
    assert count_reviews(view, "masks").total == 3
    patches = view.to_patches("masks")
    assert count_reviews(patches, "masks").open == 3
    assert next_open(patches, "masks", limit=9) == next_open(view, "masks", limit=9)


def test_decisions_are_attributes_and_tags_and_leave_the_queue(dataset):
    one, two, *_ = refs(dataset)
    assert decide(dataset, "masks", [one], Verdict.ACCEPTED, **ANN).changed == 1
    decide(dataset, "masks", [two], Verdict.REJECTED, **ANN)
    assert values(dataset, "review")[:3] == ["accepted", "rejected", None]
    assert values(dataset, "tags")[:3] == [["drawn", "accepted"], ["drawn", "rejected"], ["drawn"]]
    assert count_reviews(dataset, "masks") == Counts(accepted=1, rejected=1, open=4)
    assert not {one, two} & {item.ref for item in next_open(dataset, "masks", limit=9)}
    again = decide(dataset, "masks", [one], Verdict.ACCEPTED, **ANN)
    assert (again.changed, again.unchanged) == (0, 1)
    decide(dataset, "masks", [one], Verdict.REJECTED, **ANN)
    assert values(dataset, "tags")[0] == ["drawn", "rejected"]
    decide(dataset, "masks", [one], Verdict.OPEN, **ANN)
    assert (values(dataset, "review")[0], values(dataset, "tags")[0]) == (None, ["drawn"])


def test_samples_in_memory_see_the_decision(dataset):
    sample = dataset.first()
    decide(dataset, "masks", refs(dataset)[:1], Verdict.ACCEPTED, **ANN)
    assert sample.masks.detections[0].review == "accepted"
    sample.masks.detections[0].label = "ring"
    sample.save()
    assert values(dataset, "review")[0] == "accepted"


def test_any_number_of_steps_is_taken_back_in_another_process_too(
    dataset, fiftyone_environment, fiftyone_here
):
    one, two, three, *_ = refs(dataset)
    decide(dataset, "masks", [one, two], Verdict.ACCEPTED, **ANN)
    decide(dataset, "masks", [one], Verdict.REJECTED, **ANN)
    decide(dataset, "masks", [three], Verdict.REJECTED, **ANN)
    code = (
        "import fiftyone as fo; from fiftyone_plugin.review import undo; "
        f"d = fo.load_dataset({dataset.name!r}); "
        "print([undo(d, 'masks', reviewer='ann').verdict for _ in range(2)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=fiftyone_environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "['rejected', 'rejected']" in done.stdout, done.stderr
    assert values(dataset, "review")[:3] == ["accepted", "accepted", None]
    assert undo(dataset, "masks", **ANN).labels == (one, two)
    assert values(dataset, "review") == [None] * 6
    assert values(dataset, "tags") == [["drawn"]] * 6
    with pytest.raises(ReviewError, match="found none"):
        undo(dataset, "masks", **ANN)


def test_curators_do_not_change_each_others_decisions(dataset):
    one, two, *_ = refs(dataset)
    decide(dataset, "masks", [one], Verdict.ACCEPTED, **ANN)
    bobs = decide(dataset, "masks", [one, two], Verdict.REJECTED, **BOB)
    assert (bobs.changed, bobs.held) == (1, ("It was accepted by ann.",))
    assert values(dataset, "review")[:2] == ["accepted", "rejected"]
    assert undo(dataset, "masks", **ANN).labels == (one,)
    assert values(dataset, "review")[:2] == [None, "rejected"]


def test_undo_is_refused_where_another_has_decided_since(dataset):
    one, two, *_ = refs(dataset)
    decide(dataset, "masks", [two], Verdict.ACCEPTED, **ANN)
    decide(dataset, "masks", [one], Verdict.ACCEPTED, **ANN)
    decide(dataset, "masks", [one], Verdict.REJECTED, over_others=True, **BOB)
    decide(dataset, "masks", [one], Verdict.ACCEPTED, over_others=True, **BOB)
    with pytest.raises(ReviewError, match="It was accepted by bob"):
        undo(dataset, "masks", **ANN)
    assert values(dataset, "review")[0] == "accepted"
    assert undo(dataset, "masks", **ANN).labels == (two,)
    undo(dataset, "masks", **BOB)
    undo(dataset, "masks", **BOB)
    assert values(dataset, "reviewed_by")[:2] == ["ann", None]


def test_of_two_who_decide_at_once_one_is_told(dataset, monkeypatch):
    one = refs(dataset)[0]
    begin = History.begin

    def slow(self, verdict, before):
        monkeypatch.setattr(History, "begin", begin)
        decide(dataset, "masks", [one], Verdict.REJECTED, **BOB)
        return begin(self, verdict, before)

    monkeypatch.setattr(History, "begin", slow)
    result = decide(dataset, "masks", [one], Verdict.ACCEPTED, **ANN)
    assert (result.changed, result.held) == (0, ("It was rejected by bob.",))
    assert values(dataset, "review")[0] == "rejected"
    assert History(dataset, "masks", "ann").count() == 0


def test_a_step_that_was_written_but_never_done_is_passed_over(dataset, monkeypatch):
    one, two, *_ = refs(dataset)
    decide(dataset, "masks", [one], Verdict.ACCEPTED, **ANN)
    with monkeypatch.context() as dying:
        dying.setattr("fiftyone_plugin.review.decisions._write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            decide(dataset, "masks", [two], Verdict.ACCEPTED, **ANN)
    assert History(dataset, "masks", "ann").count() == 2
    assert undo(dataset, "masks", **ANN).labels == (one,)
    assert History(dataset, "masks", "ann").count() == 0


def test_a_step_of_many_labels_is_one_step(dataset, monkeypatch):
    monkeypatch.setattr("fiftyone_plugin.review.history._LABELS_OF_A_PART", 2)
    assert decide(dataset, "masks", refs(dataset), Verdict.ACCEPTED, **ANN).changed == 6
    assert History(dataset, "masks", "ann").count() == 1
    assert len(undo(dataset, "masks", **ANN).labels) == 6


def test_labels_that_are_gone_are_counted_and_names_are_needed(dataset):
    gone = LabelRef(refs(dataset)[0].sample_id, "0" * 24)
    assert decide(dataset, "masks", [gone], Verdict.ACCEPTED, **ANN).gone == 1
    with pytest.raises(ReviewError, match="name"):
        decide(dataset, "masks", refs(dataset), Verdict.ACCEPTED, reviewer=" ")
    with pytest.raises(FieldError, match="Detections"):
        next_open(dataset, "missing")


def test_rejected_labels_stay_until_they_are_removed_and_come_back_as_they_were(dataset):
    with pytest.raises(ReviewError, match="found none"):
        remove_rejected(dataset, "masks")
    gone = refs(dataset)[1:3]
    decide(dataset, "masks", gone, Verdict.REJECTED, **ANN)
    assert find_rejected(dataset, "masks") == gone
    before = {d.id: d.to_dict() for d in dataset.first().masks.detections}
    removal = remove_rejected(dataset, "masks", made_by="ann")
    assert (removal.removed, removal.made_by) == (2, "ann")
    assert len(refs(dataset)) == 4
    assert list_removals(dataset) == [removal]
    assert restore(dataset, removal.removal_id).labels == 2
    assert {d.id: d.to_dict() for d in dataset.first().masks.detections} == before
    assert list_removals(dataset) == []
    assert undo(dataset, "masks", **ANN).labels == tuple(gone)


def test_a_label_accepted_while_rejected_ones_go_stays(dataset, monkeypatch):
    one, two, *_ = refs(dataset)
    decide(dataset, "masks", [one, two], Verdict.REJECTED, **ANN)
    import fiftyone_plugin.quality.removal as removal

    pull = removal._pull

    def slow(*arguments):
        decide(dataset, "masks", [one], Verdict.ACCEPTED, over_others=True, **BOB)
        pull(*arguments)

    monkeypatch.setattr(removal, "_pull", slow)
    removed = remove_rejected(dataset, "masks")
    assert one in refs(dataset)
    assert two not in refs(dataset)
    assert restore(dataset, removed.removal_id).kept == 1
    assert values(dataset, "review")[0] == "accepted"
    assert len(refs(dataset)) == 6


def test_what_is_purged_is_gone(dataset):
    decide(dataset, "masks", refs(dataset)[:1], Verdict.REJECTED, **ANN)
    removal = remove_rejected(dataset, "masks")
    purge(dataset, removal.removal_id)
    with pytest.raises(ReviewError, match="purged"):
        restore(dataset, removal.removal_id)
    assert len(refs(dataset)) == 5


def test_killed_while_removing_no_label_is_lost(dataset, monkeypatch):
    decide(dataset, "masks", refs(dataset), Verdict.REJECTED, **ANN)
    import fiftyone_plugin.quality.removal as removal

    pull, calls = removal._pull, []

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        pull(*arguments)

    with monkeypatch.context() as killing:
        killing.setattr(removal, "_pull", dying)
        with pytest.raises(KeyboardInterrupt):
            remove_rejected(dataset, "masks")
    assert len(refs(dataset)) == 3
    (left,) = list_removals(dataset)
    result = restore(dataset, left.removal_id)
    assert (result.labels, result.kept) == (3, 3)
    assert len(refs(dataset)) == 6


def test_the_best_of_duplicates_is_kept_and_the_others_can_come_back(dataset):
    judge_masks(dataset, "masks")
    assert len(find_found(dataset, "masks").going) == 2
    removal = delete_duplicates(dataset.limit(1), "masks")
    assert (removal.removed, removal.changed) == (1, 1)
    assert values(dataset, "duplicates") == [0, 0, 1, 0, 0]
    restore(dataset, removal.removal_id)
    assert sorted(values(dataset, "duplicates")) == [0, 0, 0, 0, 1, 1]
    assert len(refs(dataset)) == 6


def test_stale_duplicates_are_left_alone(dataset):
    judge_masks(dataset, "masks")
    first = refs(dataset)
    decide(dataset, "masks", [first[0]], Verdict.REJECTED, **ANN)
    decide(dataset, "masks", [first[5]], Verdict.ACCEPTED, **ANN)
    found = find_found(dataset, "masks")
    assert (found.groups, found.stale) == ({}, 2)
    with pytest.raises(ReviewError, match="found none"):
        delete_duplicates(dataset, "masks")


def test_merged_duplicates_cover_all_their_pixels(dataset):
    out = refs(dataset)[2]
    dataset.set_label_values("masks.detections.bounding_box", {out.label_id: [0.45, 0.2, 0.1, 0.1]})
    from fiftyone_plugin.quality import Thresholds

    judge_masks(dataset, "masks", Thresholds(duplicate_containment=0.4))
    before = dataset.first().masks.detections[0].to_dict()
    removal = merge_duplicates(dataset.limit(1), "masks")
    kept, _ = dataset.first().masks.detections
    assert kept.mask.shape == (40, 45)
    assert kept.bounding_box == pytest.approx([0.1, 0.1, 0.45, 0.4])
    assert kept.area == kept.mask.sum() == 1600 + 50
    assert (kept.confidence, kept.tags) == (0.9, ["drawn"])
    assert judge_masks(dataset.limit(1), "masks").findings == {}
    assert restore(dataset, removal.removal_id).labels == 2
    after = next(d for d in dataset.first().masks.detections if d.id == kept.id)
    assert after.to_dict() == before


def test_nothing_is_merged_into_a_mask_that_cannot_be_read(dataset, tmp_path):
    judge_masks(dataset, "masks")
    sample, other = dataset
    best = sample.masks.detections[0]
    best.mask, best.mask_path = None, str(tmp_path / "gone.png")
    sample.save()
    before = sample.masks.to_dict()
    removal = merge_duplicates(dataset, "masks")
    assert (removal.removed, removal.changed) == (1, 1)
    sample.reload()
    assert sample.masks.to_dict() == before
    assert len(other.masks.detections) == 2


def test_a_label_changed_after_merging_is_not_put_back(dataset):
    judge_masks(dataset, "masks")
    removal = merge_duplicates(dataset.limit(1), "masks")
    dataset.set_label_values("masks.detections.changed_by", {refs(dataset)[0].label_id: "me"})
    result = restore(dataset, removal.removal_id)
    assert (result.labels, result.kept) == (1, 1)


@pytest.mark.parametrize("resolve", [delete_duplicates, merge_duplicates])
def test_what_was_said_since_of_the_one_that_stayed_is_not_put_back(dataset, resolve):
    judge_masks(dataset, "masks")
    first = refs(dataset)[0]
    before = dataset.first().masks.detections[0].to_dict()
    removal = resolve(dataset.limit(1), "masks")
    decide(dataset, "masks", [first], Verdict.ACCEPTED, **ANN)
    dataset.set_label_values("masks.detections.label", {first.label_id: "ring"})
    result = restore(dataset, removal.removal_id)
    assert (result.labels, result.kept) == (2, 0)
    after = dataset.first().masks.detections[0].to_dict()
    assert (after["review"], after["label"]) == ("accepted", "ring")
    assert after["tags"] == ["drawn", "accepted"]
    assert "changed_by" not in after
    own = ("mask", "mask_path", "bounding_box", "duplicates", "area")
    assert [after.get(name) for name in own] == [before.get(name) for name in own]
    assert undo(dataset, "masks", **ANN).labels == (first,)


@pytest.mark.parametrize("resolve", [delete_duplicates, merge_duplicates])
@pytest.mark.parametrize("changed", ["mask", "bounding_box"])
def test_another_mask_of_the_one_that_stayed_stays(dataset, resolve, changed):
    judge_masks(dataset, "masks")
    removal = resolve(dataset.limit(1), "masks")
    sample = dataset.first()
    best = sample.masks.detections[0]
    best[changed] = {"mask": np.eye(40, dtype=bool), "bounding_box": [0.1, 0.1, 0.3, 0.4]}[changed]
    sample.save()
    before = best.to_dict()
    result = restore(dataset, removal.removal_id)
    assert (result.labels, result.kept) == (1, 1)
    assert dataset.first().masks.detections[0].to_dict() == before


@pytest.mark.parametrize("resolve", [delete_duplicates, merge_duplicates])
@pytest.mark.parametrize("accepted", [False, True])
def test_records_of_before_attributes_were_kept_are_put_back(dataset, resolve, accepted):
    from fiftyone.operators.store import ExecutionStore

    from fiftyone_plugin.fields import REMOVED_STORE

    judge_masks(dataset, "masks")
    first = refs(dataset)[0]
    before = dataset.first().masks.detections[0].to_dict()
    removal = resolve(dataset.limit(1), "masks")
    store = ExecutionStore.create(REMOVED_STORE, dataset._doc.id)
    (key,) = (each for each in store.list_keys() if "/" in each)
    part = store.get(key)
    store.set(key, {name: part[name] for name in ("sample_id", "removed", "changed")})
    if accepted:
        decide(dataset, "masks", [first], Verdict.ACCEPTED, **ANN)
    result = restore(dataset, removal.removal_id)
    assert (result.labels, result.kept) == ((1, 1) if accepted else (2, 0))
    after = dataset.first().masks.detections[0].to_dict()
    assert after.get("review") == ("accepted" if accepted else None)
    if not accepted:
        assert after == before


def test_a_mask_that_asks_again_leaves_its_judgement_and_review_behind(dataset):
    from fiftyone_plugin.labels.carrying import carried_of

    judge_masks(dataset, "masks")
    decide(dataset, "masks", refs(dataset)[:1], Verdict.ACCEPTED, **ANN)
    carried = carried_of(dataset.first().masks.detections[0])
    assert carried["tags"] == ["drawn"]
    assert not {"findings", "duplicates", "box_iou", "review", "review_step"} & set(carried)


@pytest.mark.parametrize("gone", ["the value", "the field"])
def test_removed_labels_come_back_where_their_field_is_gone(dataset, gone):
    ref = refs(dataset)[0]
    before = dataset[ref.sample_id].masks.detections[0].to_dict()
    removal = remove_labels(dataset, "masks", [ref], reason="")
    if gone == "the value":
        dataset.clear_sample_field("masks")
    else:
        dataset.delete_sample_field("masks")
    assert restore(dataset, removal.removal_id).labels == 1
    (back,) = dataset[ref.sample_id].masks.detections
    assert back.to_dict() == before


def test_removed_labels_do_not_come_back_into_a_field_of_something_else(dataset, fiftyone_here):
    removal = remove_labels(dataset, "masks", refs(dataset)[:1], reason="")
    dataset.delete_sample_field("masks")
    dataset.add_sample_field("masks", fiftyone_here.StringField)
    with pytest.raises(FieldError, match="Expected a field of Detections"):
        restore(dataset, removal.removal_id)
    assert len(list_removals(dataset)) == 1
