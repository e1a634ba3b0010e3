"""Bodies are read as JSON says, and fast where a task is heavy."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelstudio_backend.errors import RequestError
from labelstudio_backend.server import bodies
from labelstudio_backend.server.bodies import read_body

HEAVY = "drafts", "annotations", "predictions"

scalars = st.none() | st.booleans() | st.integers(-300, 300) | st.text(max_size=8)
keys = st.sampled_from(["rle", "value", "result", "x", '"rle', '\\"rle', "id", "rle "]) | st.text(
    max_size=5
)
values = st.recursive(
    scalars | st.lists(st.integers(0, 255), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
regions = st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=3)


@given(
    context=regions,
    heavy=st.dictionaries(st.sampled_from(HEAVY), regions, max_size=3),
    spaces=st.sampled_from([None, (",", ":"), (" , ", " : ")]),
)
def test_a_click_is_read_as_json_reads_it_without_what_nobody_looks_at(
    context, heavy, spaces
) -> None:
    body = {
        "tasks": [{"id": 1, "data": {"image": 'a "rle":[1,2] b'}, **heavy}],
        "params": {"context": {"result": context}},
    }
    text = json.dumps(body, separators=spaces).encode()
    light = {**body, "tasks": [{"id": 1, "data": body["tasks"][0]["data"]}]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "LARGE", 0)
        assert read_body(text) == light
        patch.setattr(bodies, "LARGE", len(text) + 1)
        assert read_body(text) == light


@given(tasks=regions)
def test_tasks_without_a_click_keep_everything(tasks) -> None:
    body = {"tasks": [{"id": 1, "predictions": tasks}], "params": {"context": None}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "LARGE", 0)
        assert read_body(json.dumps(body).encode()) == body


def test_run_lengths_of_other_regions_are_not_parsed() -> None:
    # A number with more digits than Python reads would be refused if it were looked at.
    heavy = b'{"result":[{"value":{"rle":[' + b"9" * 70_000 + b"]}}]}"
    body = (
        b'{"tasks":[{"id":1,"data":{},"annotations":[' + heavy + b"]}],"
        b'"params":{"context":{"result":[{"value":{"rle":[1,2,3]}}]}}}'
    )
    assert read_body(body)["params"]["context"]["result"] == [{"value": {"rle": [1, 2, 3]}}]


BAD = {
    "nothing": b"",
    "half an object": b'{"tasks": [',
    "a list": b"[]",
    "null": b"null",
    "text": b'"tasks"',
    "not UTF-8": b'{"tasks": "\xff"}',
    "NaN": b'{"tasks": NaN}',
    "infinity": b'{"tasks": [-Infinity]}',
    "a long number": b'{"tasks": ' + b"9" * 10_000 + b"}",
    "deep": b'{"tasks": ' + b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "two objects": b"{}{}",
    "an open list of run lengths": b'{"rle": [1, 2' + b" " * 70_000,
    "run lengths at the end": b" " * 70_000 + b'{"rle"',
    # Looked through once for each key, these would take minutes.
    "lists that open and open": b'{"rle":[' * 400_000,
    "lists that all end far away": b'{"rle":[' * 400_000 + b"]",
    "room after a key": b'{"rle"' + b" " * 20_000_000,
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_what_is_no_json_object_is_refused_in_one_sentence(raw: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        read_body(raw)
    assert len(str(refusal.value)) < 200
