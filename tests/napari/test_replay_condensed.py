"""From what is known of the objects to a document that ends with the same labels, always."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_plugin.export import (
    ImageRecord,
    ModelRecord,
    Provenance,
    condensed,
    read_provenance,
    replay,
    write_provenance,
)
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins.errors import DatasetError, PromptError
from sam_plugins.formats import LabelStack, mask_to_rle

SHAPES = {"YX": (6, 7), "ZYX": (3, 6, 7), "TZYX": (2, 2, 6, 7), "ZXY": (2, 7, 6), "YXC": (6, 7, 1)}


@dataclass
class Record:
    id: int
    origin: str = "prompt"
    prompts: dict = field(default_factory=dict)
    written: dict = field(default_factory=dict)


def square(plane, said):
    x, y, label = map(int, said.points[0])
    if not label:
        raise PromptError("Expected a point on the object.")
    return PlaneMask(plane, (x, y, x + 3, y + 2), np.ones((2, 3), bool))


def document(labels, axes, operations):
    return Provenance(
        model=ModelRecord(name="nano", model_id="m", encoder_id="e"),
        image=ImageRecord(name="a", paths=(), fingerprint="f", shape=labels.shape, dtype="uint8"),
        labels_shape=labels.shape,
        axes=axes,
        operations=operations,
    )


def made(labels, axes, records, answer, later=square):
    """The labels that a replay makes of a document of these labels."""
    *steps, operations = condensed(labels, axes, records, answer)
    assert steps[-1].done == steps[-1].total
    *_, again = replay(document(labels, axes, operations), later)
    return again, operations


@given(st.data(), st.sampled_from(sorted(SHAPES)), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_replay_ends_with_the_labels_whatever_happened(data, axes, asked):
    shape = SHAPES[axes]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    labels = rng.integers(0, 5, shape).astype(data.draw(st.sampled_from(["int32", "uint8"])))
    rows, columns = axes.index("Y"), axes.index("X")

    def some_plane():
        index = [int(rng.integers(0, side)) for side in shape]
        index[rows] = index[columns] = 0
        return Plane(rows, columns, tuple(index))

    records = []
    for number in rng.permutation(6)[:4] + 1:
        record = Record(id=int(number))
        for _ in range(int(rng.integers(0, 3))):
            point = (int(rng.integers(0, 4)), int(rng.integers(0, 4)), int(rng.random() < 0.8))
            record.prompts[some_plane()] = PromptSet(points=(point,))
        for plane in [*record.prompts, some_plane()]:
            if rng.random() < 0.7:
                record.written[plane] = mask_to_rle(rng.random((6, 7)) < 0.3)
        records.append(record)
    if asked:
        again, operations = made(labels, axes, records, square)
    else:
        for record in records:
            record.prompts = {}
        again, operations = made(labels, axes, records, None, None)
    np.testing.assert_array_equal(again, labels)
    assert [each["kind"] for each in operations].count("paint") <= 1


def test_objects_that_prompts_make_again_carry_no_pixels():
    labels = np.zeros((6, 7), np.int32)
    plane = Plane(0, 1, (0, 0))
    records = []
    for number, (x, y) in ((4, (1, 1)), (2, (3, 2))):
        before = labels == 0
        mask = np.zeros(labels.shape, bool)
        mask[y : y + 2, x : x + 3] = True
        labels[mask & before] = number
        written = {plane: mask_to_rle(mask & before)}
        records.append(Record(number, "prompt", {plane: PromptSet(points=((x, y, 1),))}, written))
    gone = Record(9, "prompt", {plane: PromptSet(points=((0, 0, 1),))})
    again, operations = made(labels, "YX", [*records, gone], square)
    np.testing.assert_array_equal(again, labels)
    assert [(each["kind"], each["id"]) for each in operations] == [("accept", 4), ("accept", 2)]
    assert all(set(entry) == {"plane", "prompts"} for op in operations for entry in op["planes"])
    without, same = made(labels, "YX", records, None)
    np.testing.assert_array_equal(without, labels)
    assert same == operations


def test_the_document_is_valid_and_says_so_itself(tmp_path):
    labels = np.zeros((2, 6, 7), np.int32)
    labels[:, 1:4, 2:5] = 3
    plane = Plane(1, 2, (1, 0, 0))
    record = Record(3, "propagated", {plane: PromptSet(points=((2, 1, 1),))})
    *_, operations = condensed(labels, "ZYX", [record], square)
    path = tmp_path / "a.sam.json"
    list(write_provenance(path, document(labels, "ZYX", operations), LabelStack(labels, "ZYX")))
    back = read_provenance(path)
    assert back.operations == operations
    assert back.asks
    *_, again = replay(back, square)
    np.testing.assert_array_equal(again, labels)


def test_prompts_without_a_model_are_a_sentence():
    operations = ({"kind": "delete", "ids": [1]},)
    nothing = document(np.zeros((6, 7), int), "YX", operations)
    assert not nothing.asks
    assert list(replay(nothing, None))[-1].max() == 0
    plane = Plane(0, 1, (0, 0))
    labels = np.zeros((6, 7), np.int32)
    labels[1:3, 1:4] = 1
    record = Record(1, "prompt", {plane: PromptSet(points=((1, 1, 1),))})
    *_, operations = condensed(labels, "YX", [record], square)
    with pytest.raises(DatasetError, match="no model"):
        list(replay(document(labels, "YX", operations), None))
