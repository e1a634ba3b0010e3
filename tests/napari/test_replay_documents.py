"""Provenance: what was done is written, read strictly, and done again to the same pixels."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_plugin.export import (
    ImageRecord,
    ModelRecord,
    Provenance,
    accept_operation,
    compare_labels,
    delete_operation,
    labels_digest,
    merge_operation,
    paint_operation,
    read_provenance,
    relabel_operation,
    replay,
    rest_operation,
    split_operation,
    write_provenance,
)
from napari_plugin.values import Plane, PlaneMask, PromptSet, Scribble
from sam_plugins.errors import DatasetError, ImageError, PromptError
from sam_plugins.formats import LabelStack, mask_to_rle

SHAPE = (3, 6, 7)
PLANE = Plane(1, 2, (0, 0, 0))


def document(operations, shape=SHAPE, axes="ZYX"):
    return Provenance(
        model=ModelRecord(name="nano", model_id="m", encoder_id="e"),
        image=ImageRecord(
            name="cells",
            paths=("cells.tif",),
            fingerprint="f",
            shape=shape,
            dtype="uint8",
            choice={"channels": [0, 1]},
        ),
        labels_shape=shape,
        axes=axes,
        operations=tuple(operations),
        tiles={"tile": 512, "threshold": 768},
        settings={"detail": "automatic"},
    )


def square(plane, said):
    """Two by two pixels from the first point."""
    x, y = int(said.points[0][0]), int(said.points[0][1])
    return PlaneMask(plane, (x, y, x + 2, y + 2), np.ones((2, 2), bool))


def replayed(operations, answer=square, shape=SHAPE):
    *steps, labels = replay(document(operations, shape), answer)
    assert [step.done for step in steps] == list(range(len(operations) + 1))
    return labels


def click(x, y):
    return PromptSet(points=((x, y, 1),))


def block(plane, x0, y0, x1, y1):
    return PlaneMask(plane, (x0, y0, x1, y1), np.ones((y1 - y0, x1 - x0), bool))


def accept(object_id, *entries, **options):
    return accept_operation(object_id, entries, SHAPE, **options)


def test_masks_are_made_again_from_prompts_on_their_planes():
    second = PLANE.at(0, 2)
    labels = replayed([accept(5, (PLANE, click(1, 2)), (second, click(4, 0)))])
    assert labels.dtype == np.uint32
    assert np.argwhere(labels == 5).tolist() == [
        [0, 2, 1],
        [0, 2, 2],
        [0, 3, 1],
        [0, 3, 2],
        [2, 0, 4],
        [2, 0, 5],
        [2, 1, 4],
        [2, 1, 5],
    ]


def test_policies_say_whose_a_pixel_is():
    first = accept(1, (PLANE, click(1, 1)))
    kept = replayed([first, accept(2, (PLANE, click(2, 2)), policy="keep")])
    assert (kept == 1).sum() == 4
    assert (kept == 2).sum() == 3
    taken = replayed([first, accept(2, (PLANE, click(2, 2)), policy="overwrite")])
    assert (taken == 1).sum() == 3
    assert (taken == 2).sum() == 4


def test_accepting_again_replaces_what_was_accepted_and_keeps_what_was_painted():
    brush = paint_operation([(1, block(PLANE, 5, 0, 7, 1))], SHAPE)
    labels = replayed([accept(1, (PLANE, click(1, 1))), brush, accept(1, (PLANE, click(3, 3)))])
    assert np.argwhere(labels[0] == 1).tolist() == [
        [0, 5],
        [0, 6],
        [3, 3],
        [3, 4],
        [4, 3],
        [4, 4],
    ]
    imported = paint_operation([(1, block(PLANE, 5, 0, 7, 1))], SHAPE, origin="imported")
    assert (replayed([imported, accept(1, (PLANE, click(3, 3)))]) == 1).sum() == 4


@given(st.integers(0, 2**32), st.sampled_from(["YX", "ZYX", "TZYX", "ZXY", "YXC"]))
@settings(max_examples=80, deadline=None)
def test_the_rest_is_painted_so_that_a_replay_ends_the_same(seed, axes):
    rng = np.random.default_rng(seed)
    shape = tuple(1 if axis == "C" else int(rng.integers(1, 6)) for axis in axes)
    made = rng.integers(0, 4, shape).astype(np.uint32)
    labels = np.where(rng.random(shape) < 0.6, made, rng.integers(0, 4, shape)).astype(np.int32)
    operations = [rest_operation(np.zeros(shape), made, axes), rest_operation(made, labels, axes)]
    operations = [operation for operation in operations if operation]
    *_, again = replay(document(operations, shape, axes), None)
    np.testing.assert_array_equal(again, labels)
    assert rest_operation(labels, labels.astype(np.uint8), axes) is None


def test_prompts_without_a_model_are_a_sentence():
    with pytest.raises(DatasetError, match="no model to ask"):
        replayed([accept(5, (PLANE, click(1, 2)))], None)
    assert document([accept(5, (PLANE, click(1, 2)))]).asks
    assert not document([delete_operation([1])]).asks


def test_what_no_prompt_makes_again_carries_its_pixels():
    mask = PlaneMask(PLANE, (2, 1, 4, 3), np.array([[True, False], [True, True]]))
    labels = replayed([accept(3, mask, origin="propagated")], answer=None)
    assert np.argwhere(labels == 3).tolist() == [[0, 1, 2], [0, 2, 2], [0, 2, 3]]


def test_objects_are_deleted_merged_split_relabelled_and_erased():
    start = [accept(n, (PLANE.at(0, n - 1), click(n, n))) for n in (1, 2, 3)]
    assert set(np.unique(replayed([*start, delete_operation([1, 3])]))) == {0, 2}
    merged = replayed([*start, merge_operation([1, 2], 2)])
    assert [(merged == n).sum() for n in (1, 2, 3)] == [0, 8, 4]
    assert (replayed([*start, relabel_operation(3, 9)]) == 9).sum() == 4
    split = split_operation(
        1, [(1, block(PLANE, 1, 1, 2, 3)), (8, block(PLANE, 2, 1, 3, 3))], SHAPE
    )
    assert [(replayed([*start, split]) == n).sum() for n in (1, 8)] == [2, 2]
    erased = paint_operation([(0, block(PLANE, 0, 0, 7, 2))], SHAPE)
    assert (replayed([*start, erased]) == 1).sum() == 2


def test_transposed_planes_have_rows_first():
    transposed = Plane(2, 1, (1, 0, 0))
    operation = accept_operation(4, [(transposed, click(4, 5))], SHAPE)
    labels = replayed([operation])
    assert np.argwhere(labels == 4).tolist() == [[1, 4, 5], [1, 4, 6], [1, 5, 5], [1, 5, 6]]
    mask = PlaneMask(transposed, (4, 5, 6, 6), np.ones((1, 2), bool))
    labels = replayed([accept_operation(4, [mask], SHAPE)])
    assert np.argwhere(labels == 4).tolist() == [[1, 4, 5], [1, 5, 5]]


COORDINATES = st.floats(0, 5, allow_nan=False)
PROMPTS = st.builds(
    PromptSet,
    points=st.lists(st.tuples(COORDINATES, COORDINATES, st.sampled_from([0, 1])), min_size=1).map(
        tuple
    ),
    boxes=st.lists(st.tuples(*[COORDINATES] * 4), max_size=1).map(tuple),
    scribbles=st.lists(
        st.builds(
            Scribble,
            st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1).map(tuple),
            st.sampled_from([0, 1]),
        ),
        max_size=2,
    ).map(tuple),
    mask=st.sampled_from([None, mask_to_rle(np.eye(6, 7, dtype=bool))]),
    answer=st.sampled_from([None, 0, 2]),
)


@given(st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(0, 2), PROMPTS), max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_document_comes_back_as_it_was(tmp_path_factory, accepted):
    path = tmp_path_factory.mktemp("provenance") / "a.sam.json"
    asked = []

    def answer(plane, said):
        asked.append((plane, said))
        return square(plane, click(0, 0))

    operations = [accept(n, (PLANE.at(0, z), said), policy="overwrite") for n, z, said in accepted]
    first = replayed(operations, answer)
    before = list(asked)
    stack = LabelStack(first, "ZYX")
    assert list(write_provenance(path, document(operations), stack)) == [1, 2, 3]
    back = read_provenance(path)
    assert back.operations == tuple(operations)
    assert back.tiles == {"tile": 512, "threshold": 768}
    assert (back.model, back.image) == (document([]).model, document([]).image)
    assert back.settings == {"detail": "automatic"}
    *_, labels = replay(back, answer)
    np.testing.assert_array_equal(labels, first)
    assert asked == before * 2
    assert list(labels_digest(LabelStack(labels.astype(np.int64), "ZYX")))[-1] == back.digest


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "a.json"
    rle = PlaneMask(PLANE, (0, 0, 1, 1), np.ones((1, 1), bool))
    operations = [
        accept(1, (PLANE, click(1, 1)), rle),
        paint_operation([(0, rle)], SHAPE),
        delete_operation([1]),
        merge_operation([1], 2),
        relabel_operation(1, 2),
    ]
    stack = LabelStack(np.zeros(SHAPE, int), "ZYX")
    list(write_provenance(path, document(operations), stack))
    return json.loads(path.read_text("utf-8"))


RLE = mask_to_rle(np.ones((2, 2), bool))


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        (("format",), "x", "format"),
        (("version",), 2, "version 2"),
        (("labels_shape",), [2**39, 2**39, 5], "pixels"),
        (("labels_shape",), [3, 0, 2], "lengths"),
        (("labels_shape",), [3, True, 2], "lengths"),
        (("labels_shape",), "abc", "lengths"),
        (("axes",), "PYX", "letters"),
        (("axes",), "YX", "letters"),
        (("model", "name"), 3, "text"),
        (("model",), [], "integers|indices"),
        (("image", "paths"), "a.tif", "list of names"),
        (("image", "choice"), [], "object"),
        (("software",), {"a": 1}, "text"),
        (("tiles",), {"tile": -1}, "tiles"),
        (("operations",), {}, "list"),
        (("operations", 0), 5, "Operation 0"),
        (("operations", 0, "kind"), "execute", "kind must be"),
        (("operations", 0, "kind"), [], "Operation 0"),
        (("operations", 0, "id"), 0, "label"),
        (("operations", 0, "id"), 2**32, "label"),
        (("operations", 0, "id"), "1", "label"),
        (("operations", 0, "policy"), "maybe", "policy"),
        (("operations", 0, "planes"), 3, "list"),
        (("operations", 0, "planes", 0, "plane", "index"), [9, 0, 0], "no plane"),
        (("operations", 0, "planes", 0, "plane", "index"), [-1, 0, 0], "no plane"),
        (("operations", 0, "planes", 0, "plane", "index"), [0, 0], "plane|axes"),
        (("operations", 0, "planes", 0, "plane", "rows"), 7, "axes"),
        (("operations", 0, "planes", 0, "prompts"), {}, "prompts"),
        (("operations", 0, "planes", 0, "prompts", "points"), [[1e999, 1, 1]], "finite"),
        (("operations", 0, "planes", 0, "prompts", "mask"), RLE, "pixels"),
        (("operations", 0, "planes", 0, "prompts", "mask"), {"size": [6, 7]}, "counts"),
        (("operations", 0, "planes", 0, "mask"), RLE, "either"),
        (("operations", 0, "planes", 1, "mask"), RLE, "pixels"),
        (("operations", 0, "planes", 1, "mask", "counts"), "zzzz", "Operation 0"),
        (("operations", 0, "planes", 1, "mask"), 5, "Operation 0"),
        (("operations", 1, "changes", 0, "id"), -1, "label"),
        (("operations", 2, "ids"), [0], "label"),
        (("operations", 3, "into"), 0, "label"),
        (("operations", 4, "to"), 1.5, "label"),
    ],
)
def test_a_strangers_document_is_read_whole_or_refused(tmp_path, good, where, value, words):
    found = copy.deepcopy(good)
    place = found
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    path = tmp_path / "a.json"
    path.write_text(json.dumps(found))
    with pytest.raises(DatasetError, match=words):
        read_provenance(path)


@pytest.mark.parametrize("key", ["model", "image", "operations", "axes", "digest", "tiles"])
def test_a_missing_part_is_named(tmp_path, good, key):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({name: value for name, value in good.items() if name != key}))
    with pytest.raises(DatasetError, match=f"'{key}' is missing"):
        read_provenance(path)


def test_a_file_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "notes.json"
    for text in ("{half", "[" * 100_000, "\udcff"):
        path.write_text(text, "utf-8", "surrogateescape")
        with pytest.raises(DatasetError, match=r"notes\.json"):
            read_provenance(path)


def test_an_operation_that_the_model_refuses_is_named():
    def refuse(plane, said):
        raise PromptError("Expected a point on the object.")

    with pytest.raises(DatasetError, match=r"Operation 1 \(accept\).*point on the object"):
        replayed([delete_operation([4]), accept(1, (PLANE, click(1, 1)))], refuse)


def test_objects_are_compared_one_by_one():
    first = np.array([[1, 1, 0], [2, 2, 2]])
    second = np.array([[1, 0, 0], [2, 2, 3]])
    found = compare_labels(LabelStack(first), LabelStack(second[None], "ZYX"))
    shown = [(each.label, each.iou, each.pixels, each.expected_pixels) for each in found]
    assert shown == [(1, 1 / 2, 2, 1), (2, 2 / 3, 3, 2), (3, 0, 0, 1)]
    with pytest.raises(ImageError, match="another picture"):
        compare_labels(LabelStack(first), LabelStack(second.T))
