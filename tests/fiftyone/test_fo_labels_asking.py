"""What a sample's labels ask for, and what becomes of labels that cannot be used."""

import numpy as np
import pytest

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import WRITTEN
from fiftyone_plugin.labels import read_asked
from fiftyone_plugin.values import Mode, RunConfig

SIZE = (100, 200)
NAN = float("nan")


def configured(**fields):
    return RunConfig(mode=Mode.PROMPTS, label_field="masks", **fields)


def boxes(fo, *labels):
    return fo.Detections(detections=list(labels))


def points(fo, *labels):
    return fo.Keypoints(keypoints=list(labels))


@pytest.fixture
def fo(fiftyone_here):
    return fiftyone_here


def test_a_box_asks_in_pixels_inside_the_picture(fo):
    inside = fo.Detection(bounding_box=[0.1, 0.2, 0.3, 0.4])
    over = fo.Detection(bounding_box=[-0.1, 0.9, 0.3, 0.4])
    sample = fo.Sample(filepath="x.png", boxes=boxes(fo, inside, over))
    (first, second), bad = read_asked(sample, SIZE, configured(box_field="boxes"))
    assert bad == ()
    assert first.prompt_id == inside.id
    assert first.prompt.box.tolist() == pytest.approx([20, 20, 80, 60])
    assert second.prompt.box.tolist() == pytest.approx([0, 90, 40, 100])
    assert second.given_box == pytest.approx((-20, 90, 40, 130))


def test_a_bad_label_costs_no_other(fo):
    bad = [
        [NAN, 0, 1, 1],
        [0, 0, float("inf"), 1],
        [0, 0, 1e308, 1],
        [2, 2, 0.1, 0.1],
        [0.1, 0.1, 0, 0.5],
        [0.5, 0.5, -0.1, 0.2],
        [0.1, 0.2],
        [],
        [0.5, 0.5, 1e-12, 0.5],
    ]
    labels = [fo.Detection(bounding_box=box) for box in bad]
    solid = fo.Detection(location=[1, 2, 3], dimensions=[1, 1, 1], rotation=[0, 0, 0])
    good = fo.Detection(bounding_box=[0, 0, 0.5, 0.5])
    sample = fo.Sample(filepath="x.png", boxes=boxes(fo, *labels, solid, good))
    asked, unanswered = read_asked(sample, SIZE, configured(box_field="boxes"))
    assert [each.prompt_id for each in asked] == [good.id]
    assert [each.prompt_id for each in unanswered] == [each.id for each in (*labels, solid)]
    assert "3D" in unanswered[-1].reason
    assert all(each.reason.endswith(".") for each in unanswered)


def test_a_keypoint_asks_with_signed_points(fo):
    keypoint = fo.Keypoint(
        points=[[0.5, 0.5], [NAN, NAN], [0, 0], [1, 1]], sam_labels=[1, None, 0, True]
    )
    sample = fo.Sample(filepath="x.png", clicks=points(fo, keypoint))
    (asked,), bad = read_asked(sample, SIZE, configured(point_field="clicks"))
    assert bad == ()
    assert asked.prompt.point_coords.tolist() == [[99.5, 49.5], [-0.5, -0.5], [199.5, 99.5]]
    assert asked.prompt.point_labels.tolist() == [1, 0, 1]
    assert (asked.prompt.box, asked.given_box, asked.prompt_id) == (None, None, keypoint.id)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        (None, [1, 1]),
        ([1, 0], [1, 0]),
        ([True, False], [1, 0]),
        ([1.0, 0.0], [1, 0]),
        (["positive", "negative"], [1, 0]),
        (["foreground", "Background"], [1, 0]),
        (np.array([0, 1]), [0, 1]),
    ],
)
def test_signs_are_numbers_bools_or_words(fo, signs, expected):
    keypoint = fo.Keypoint(points=[[0.1, 0.1], [0.2, 0.2]], signs=signs)
    sample = fo.Sample(filepath="x.png", clicks=points(fo, keypoint))
    config = configured(point_field="clicks", point_label_attribute="signs")
    (asked,), _ = read_asked(sample, SIZE, config)
    assert asked.prompt.point_labels.tolist() == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"sam_labels": [1]},
        {"sam_labels": [1, 2]},
        {"sam_labels": [1, None]},
        {"sam_labels": "positive"},
        {"sam_labels": 1},
        {"sam_labels": [0, 0]},
        {"points": [[0.5, 0.5], [1.5, 0.5]]},
        {"points": [[0.5, 0.5], [float("inf"), 0.5]]},
        {"points": [[NAN, NAN]]},
        {"points": []},
    ],
)
def test_a_keypoint_that_cannot_be_used_says_why(fo, wrong):
    keypoint = fo.Keypoint(**{"points": [[0.1, 0.1], [0.2, 0.2]], **wrong})
    good = fo.Keypoint(points=[[0.3, 0.3]])
    sample = fo.Sample(filepath="x.png", clicks=points(fo, keypoint, good))
    asked, unanswered = read_asked(sample, SIZE, configured(point_field="clicks"))
    assert [each.prompt_id for each in asked] == [good.id]
    assert [each.prompt_id for each in unanswered] == [keypoint.id]


def test_labels_with_an_equal_value_are_one_object(fo):
    box = fo.Detection(label="cell", bounding_box=[0, 0, 0.5, 0.5], index=1)
    other = fo.Detection(bounding_box=[0.5, 0.5, 0.5, 0.5])
    on = fo.Keypoint(label="on", points=[[0.2, 0.2]], index=1)
    off = fo.Keypoint(points=[[0.3, 0.3]], sam_labels=[0], index=1)
    alone = fo.Keypoint(points=[[0.6, 0.6]], index=2)
    unlinked = fo.Keypoint(points=[[0.7, 0.7]])
    sample = fo.Sample(
        filepath="x.png",
        boxes=boxes(fo, box, other),
        clicks=points(fo, on, off, alone, unlinked),
    )
    config = configured(box_field="boxes", point_field="clicks", link_attribute="index")
    asked, unanswered = read_asked(sample, SIZE, config)
    assert unanswered == ()
    assert [each.prompt_id for each in asked] == [box.id, other.id, alone.id, unlinked.id]
    assert asked[0].prompt.point_labels.tolist() == [1, 0]
    assert asked[0].prompt.box is not None
    assert asked[0].carried["label"] == "cell"
    assert asked[1].prompt.point_coords is None


def test_what_belongs_to_two_objects_is_asked_for_none(fo):
    pair = [fo.Detection(bounding_box=[0, 0, 0.5, 0.5], name="same") for _ in range(2)]
    keypoint = fo.Keypoint(points=[[0.2, 0.2]], name="same")
    sample = fo.Sample(filepath="x.png", boxes=boxes(fo, *pair), clicks=points(fo, keypoint))
    config = configured(box_field="boxes", point_field="clicks", link_attribute="name")
    asked, unanswered = read_asked(sample, SIZE, config)
    assert [each.prompt_id for each in asked] == [each.id for each in pair]
    assert all(each.prompt.point_coords is None for each in asked)
    assert [each.prompt_id for each in unanswered] == [keypoint.id]
    assert "same" in unanswered[0].reason


def test_instances_link_as_well(fo):
    instance = fo.Instance()
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], instance=instance)
    keypoint = fo.Keypoint(points=[[0.2, 0.2]], instance=instance)
    sample = fo.Sample(filepath="x.png", boxes=boxes(fo, box), clicks=points(fo, keypoint))
    config = configured(box_field="boxes", point_field="clicks", link_attribute="instance")
    (asked,), _ = read_asked(sample, SIZE, config)
    assert asked.prompt.point_labels.tolist() == [1]
    assert asked.carried["instance"].id == instance.id


def test_a_mask_asks_alone_or_beside_a_box(fo):
    mask = np.eye(10, dtype=bool)
    drawn = fo.Detection(bounding_box=[0, 0, 0.05, 0.1], mask=mask, index=1)
    empty = fo.Detection(bounding_box=[0, 0, 0.05, 0.1], mask=mask & False)
    none = fo.Detection(bounding_box=[0, 0, 0.5, 0.5])
    box = fo.Detection(bounding_box=[0, 0, 0.5, 0.5], index=1)
    sample = fo.Sample(filepath="x.png", drawn=boxes(fo, drawn, empty, none), boxes=boxes(fo, box))
    (asked,), unanswered = read_asked(sample, SIZE, configured(mask_field="drawn"))
    assert (asked.prompt, asked.given_box) == (None, None)
    assert asked.mask[1] == (0, 0, 10, 10)
    assert np.array_equal(asked.mask[0], mask)
    assert [each.prompt_id for each in unanswered] == [empty.id, none.id]
    config = configured(mask_field="drawn", box_field="boxes", link_attribute="index")
    (asked,), _ = read_asked(sample, SIZE, config)
    assert asked.prompt_id == box.id
    assert asked.mask is not None
    assert asked.prompt.box is not None
    both, unanswered = read_asked(sample, SIZE, configured(mask_field="drawn", box_field="drawn"))
    assert [each.mask is not None for each in both] == [True, True, False]
    assert unanswered == ()


def test_everything_that_describes_an_object_is_carried_and_nothing_is_shared(fo):
    label = fo.Detection(
        label="cell",
        tags=["t"],
        index=3,
        confidence=0.5,
        bounding_box=[0, 0, 0.5, 0.5],
        mask=np.ones((2, 2), bool),
        attributes={"old": fo.CategoricalAttribute(value="v")},
        group="b",
        nested=fo.DynamicEmbeddedDocument(a=1, b=[1, 2]),
        lists=[[1], {"x": [2]}],
        review="accepted",
        run_id="sam_former",
        stability_score=0.1,
        **{WRITTEN: "mark"},
    )
    before = label.to_dict()
    sample = fo.Sample(filepath="x.png", boxes=boxes(fo, label))
    (asked,), _ = read_asked(sample, SIZE, configured(box_field="boxes"))
    carried = asked.carried
    assert set(carried) == {
        *("label", "tags", "index", "attributes", "group", "nested", "lists", "source_confidence"),
    }
    assert (carried["label"], carried["tags"], carried["index"]) == ("cell", ["t"], 3)
    assert carried["source_confidence"] == 0.5
    assert carried["attributes"]["old"].value == "v"
    carried["nested"].b.append(3)
    carried["lists"][1]["x"].append(3)
    carried["tags"].append("u")
    carried["attributes"]["old"].value = "w"
    assert label.to_dict() == before


def test_the_signs_of_points_are_not_carried(fo):
    keypoint = fo.Keypoint(label="k", points=[[0.2, 0.2]], sam_labels=[1], confidence=[0.5], a=1)
    sample = fo.Sample(filepath="x.png", clicks=points(fo, keypoint))
    (asked,), _ = read_asked(sample, SIZE, configured(point_field="clicks"))
    assert asked.carried == {"label": "k", "tags": [], "index": None, "attributes": {}, "a": 1}


def test_samples_without_labels_ask_for_nothing(fo):
    config = configured(box_field="boxes", point_field="clicks")
    for sample in (
        fo.Sample(filepath="x.png"),
        fo.Sample(filepath="x.png", boxes=None, clicks=points(fo)),
        fo.Sample(filepath="x.png", boxes=boxes(fo)),
    ):
        assert read_asked(sample, SIZE, config) == ((), ())


def test_other_labels_are_refused(fo):
    sample = fo.Sample(filepath="x.png", boxes=fo.Classification(label="a"))
    with pytest.raises(FieldError, match="Classification"):
        read_asked(sample, SIZE, configured(box_field="boxes"))


def test_one_detection_of_a_patch_and_a_frame_ask_too(fo):
    detection = fo.Detection(bounding_box=[0, 0, 0.5, 0.5])
    sample = fo.Sample(filepath="x.png", boxes=detection)
    assert len(read_asked(sample, SIZE, configured(box_field="boxes"))[0]) == 1
    frame = fo.Frame(boxes=boxes(fo, detection))
    for name in ("boxes", "frames.boxes"):
        assert len(read_asked(frame, SIZE, configured(box_field=name))[0]) == 1
