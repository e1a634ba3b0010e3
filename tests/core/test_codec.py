"""Values to bytes and back: exact, checked, and safe to read from anyone."""

import dataclasses
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load, save

from sam_plugins import codec
from sam_plugins.errors import EmbeddingError, PromptError
from sam_plugins.types import Embedding, Masks, Prompt

PLACE = ("region", "original_size", "input_size", "padded_size")
ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


def arrays(shape, elements=ANY_FLOAT):
    return hnp.arrays(np.float32, shape, elements=elements)


@st.composite
def places(draw):
    height, width = draw(st.integers(1, 2**31 - 1)), draw(st.integers(1, 2**31 - 1))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    padded = draw(st.integers(1, 4096)), draw(st.integers(1, 4096))
    return {
        "region": (x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))),
        "original_size": (height, width),
        "input_size": tuple(draw(st.integers(1, side)) for side in padded),
        "padded_size": padded,
    }


@st.composite
def embeddings(draw):
    names = draw(st.lists(st.text(max_size=8), min_size=1, max_size=3, unique=True))
    shape = hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)
    return Embedding(
        features={name: draw(arrays(shape)) for name in names},
        encoder_id=draw(st.text(max_size=20)),
        key=draw(st.text(max_size=20)),
        **draw(places()),
    )


@st.composite
def some_masks(draw):
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
    return Masks(
        low_res_logits=draw(arrays(shape)),
        iou_predictions=draw(arrays(shape[:1])),
        mask_threshold=draw(st.floats(allow_nan=False, allow_infinity=False)),
        **draw(places()),
    )


@st.composite
def prompts(draw):
    given_fields = {}
    if count := draw(st.integers(0, 4)):
        given_fields["point_coords"] = draw(arrays((count, 2), FINITE))
        given_fields["point_labels"] = draw(
            hnp.arrays(np.int32, count, elements=st.sampled_from((0, 1)))
        )
    if draw(st.booleans()):
        x0, y0 = draw(st.integers(0, 999)), draw(st.integers(0, 999))
        given_fields["box"] = (
            x0,
            y0,
            x0 + draw(st.integers(1, 99)) / 8,
            y0 + draw(st.integers(1, 99)) / 8,
        )
    if draw(st.booleans()) or not given_fields:
        given_fields["mask_input"] = draw(arrays((1, 2, 3), FINITE))
        given_fields["mask_region"] = draw(st.none() | places().map(lambda place: place["region"]))
    return Prompt(**given_fields)


READERS = {
    "embedding": (codec.embedding_to_bytes, codec.embedding_from_bytes, EmbeddingError),
    "masks": (codec.masks_to_bytes, codec.masks_from_bytes, EmbeddingError),
    "prompt": (codec.prompt_to_bytes, codec.prompt_from_bytes, PromptError),
}
VALUES = {"embedding": embeddings(), "masks": some_masks(), "prompt": prompts()}
KINDS = pytest.mark.parametrize("kind", READERS)


def sample(kind):
    place = dict(zip(PLACE, ((2, 3, 12, 9), (20, 30), (6, 10), (10, 10)), strict=True))
    grid = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
    return {
        "embedding": Embedding(features={"a": grid, "b": -grid}, encoder_id="e", key="k", **place),
        "masks": Masks(
            low_res_logits=grid,
            iou_predictions=np.float32([0.5, 0.25]),
            mask_threshold=0.1,
            **place,
        ),
        "prompt": Prompt(
            point_coords=[(1.5, 2), (3, 4)],
            point_labels=[1, 0],
            box=(1, 2, 3, 4),
            mask_input=grid[:1],
            mask_region=(2, 3, 12, 9),
        ),
    }[kind]


def bits(value):
    """Everything a value holds, arrays to the bit, in comparable form."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if hasattr(value, "items"):
        return [(name, bits(item)) for name, item in value.items()]
    if hasattr(value, "__slots__"):
        return [(name, bits(getattr(value, name))) for name in value.__slots__]
    return type(value).__name__, repr(value)


def arrays_of(value):
    found = [getattr(value, name) for name in value.__slots__]
    found += list(getattr(value, "features", {}).values())
    return [item for item in found if isinstance(item, np.ndarray)]


def repacked(data, change):
    """The bytes again with `change(content)` applied and a checksum that is right."""
    length = int.from_bytes(data[:8], "little")
    content = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["sam_plugins"])
    tensors = load(data)
    change(content, tensors)
    kind = codec._Kind(content["kind"], EmbeddingError, "")
    content["checksum"] = codec._checksum(kind, content["fields"], tensors)
    return save(tensors, {"sam_plugins": json.dumps(content)})


@KINDS
@settings(deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_to_the_bit(kind, data):
    write, read, _ = READERS[kind]
    value = data.draw(VALUES[kind])
    encoded = write(value)
    decoded = read(encoded, max_bytes=len(encoded))
    assert type(decoded) is type(value)
    assert bits(decoded) == bits(value)
    assert write(decoded) == encoded
    assert not any(array.flags.writeable for array in arrays_of(decoded))


@KINDS
def test_the_file_opens_in_any_safetensors_reader(kind):
    value = sample(kind)
    tensors = load(READERS[kind][0](value))
    assert sorted(t.tobytes() for t in tensors.values()) == sorted(
        array.tobytes() for array in arrays_of(value)
    )


@KINDS
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_changed_bytes_raise_or_change_nothing(kind, data):
    write, read, error = READERS[kind]
    value = sample(kind)
    encoded = bytearray(write(value))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(encoded) - 1))
        encoded[position] ^= data.draw(st.integers(1, 255))
    try:
        decoded = read(bytes(encoded))
    except error:
        return
    assert bits(decoded) == bits(value)


@KINDS
def test_bytes_that_are_cut_off_or_continued_raise(kind):
    write, read, error = READERS[kind]
    encoded = write(sample(kind))
    for end in range(len(encoded)):
        with pytest.raises(error):
            read(encoded[:end])
    with pytest.raises(error):
        read(encoded + b"\0")


@KINDS
@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_noise_raises(kind, data):
    _, read, error = READERS[kind]
    with pytest.raises(error):
        read(data)
    header = len(data).to_bytes(8, "little") + data
    with pytest.raises(error):
        read(header)


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def header(content, tail=b""):
    text = json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text + tail


def ours(**content):
    return {"__metadata__": {"sam_plugins": json.dumps(content)}}


HOSTILE = {
    "nothing": b"",
    "a pickle": pickle.dumps(_Bomb()),
    "text, not bytes": "safetensors",
    "a header longer than the file": (2**62).to_bytes(8, "little") + b"{}",
    "a header of a megabyte": header({"x": "y" * 2**20}),
    "a deep header": (60_000).to_bytes(8, "little") + b"[" * 60_000,
    "deep metadata": header({"__metadata__": {"sam_plugins": "[" * 60_000}}),
    "a list for a header": header([1, 2]),
    "metadata that is a list": header({"__metadata__": ["sam_plugins"]}),
    "metadata that is no text": header({"__metadata__": {"sam_plugins": {"format": 1}}}),
    "metadata that is a list inside": header({"__metadata__": {"sam_plugins": "[]"}}),
    "another program's file": save({"x": np.zeros(3, np.float32)}, {"made_by": "someone"}),
    "a file without metadata": save({"x": np.zeros(3, np.float32)}),
    "an integer of many digits": header({"__metadata__": {"sam_plugins": "9" * 5000}}),
    "an unknown type": header(
        {**ours(format=1), "x": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}}, b"1234"
    ),
    "a type that is a list": header(
        {**ours(format=1), "x": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}, b"1234"
    ),
    "an array that is a number": header({**ours(format=1), "x": 7}),
    "a format of the future": header(ours(format=2, kind="an embedding")),
    "fields that are a list": header(ours(format=1, kind="an embedding", fields=[])),
    "an infinite field": header(
        {"__metadata__": {"sam_plugins": '{"format":1,"kind":"masks","fields":{"x":1e999}}'}}
    ),
}
for _kind_name in ("an embedding", "masks", "a prompt"):
    HOSTILE[f"a huge array for {_kind_name}"] = header(
        {
            **ours(format=1, kind=_kind_name, fields={}),
            "x": {"dtype": "F32", "shape": [2**40, 2**20, 4], "data_offsets": [0, 2**64 - 1]},
        }
    )


@KINDS
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bytes_give_one_sentence(kind, case):
    _, read, error = READERS[kind]
    tracemalloc.start()
    try:
        with pytest.raises(error) as caught:
            read(HOSTILE[case])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.startswith("These bytes are not ")
    assert message.endswith(" again.")
    assert "\n" not in message
    assert len(message) < 300
    assert peak < 50 * max(len(HOSTILE[case]), 1 << 14)


@pytest.mark.parametrize("written", READERS)
@KINDS
def test_one_kind_is_not_read_as_another(kind, written):
    encoded = READERS[written][0](sample(written))
    _, read, error = READERS[kind]
    if kind == written:
        assert bits(read(encoded)) == bits(sample(kind))
    else:
        with pytest.raises(error, match="they hold"):
            read(encoded)


@KINDS
def test_max_bytes_is_a_bound_on_the_length(kind):
    write, read, error = READERS[kind]
    encoded = write(sample(kind))
    with pytest.raises(error, match=f"{len(encoded)} long and at most {len(encoded) - 1}"):
        read(encoded, max_bytes=len(encoded) - 1)


def _set(name, value):
    return lambda content, tensors: content["fields"].__setitem__(name, value)


def _tensor(name, value):
    return lambda content, tensors: tensors.__setitem__(name, value)


def _drop(name):
    return lambda content, tensors: tensors.pop(name, None) is None and content["fields"].pop(name)


def _nan():
    return np.full((2, 2), np.nan, np.float32)


FORGED_PLACES = {
    "region outside the image": _set("region", [2, 3, 12, 21]),
    "region without area": _set("region", [2, 3, 2, 9]),
    "region before the image": _set("region", [-1, 3, 12, 9]),
    "region of text": _set("region", "2,3,12,9"),
    "region of three": _set("region", [2, 3, 12]),
    "region of fractions": _set("region", [2.0, 3, 12, 9]),
    "region of booleans": _set("region", [False, False, True, True]),
    "size beyond 31 bits": _set("original_size", [2**31, 2**31]),
    "no size": _set("original_size", None),
    "input larger than padded": _set("input_size", [11, 10]),
    "input of nothing": _set("input_size", [0, 10]),
    "a field too many": _set("more", 1),
    "a field too few": _drop("padded_size"),
    "an array too many": _tensor("more", np.zeros((1, 1, 1), np.float32)),
}
FORGED = [
    *(("embedding", name, change) for name, change in FORGED_PLACES.items()),
    *(("masks", name, change) for name, change in FORGED_PLACES.items()),
    ("embedding", "no features", _set("features", [])),
    ("embedding", "equal names", _set("features", ["a", "a"])),
    ("embedding", "names that are numbers", _set("features", [1, 2])),
    ("embedding", "an id that is a number", _set("encoder_id", 7)),
    ("embedding", "a map of two axes", _tensor("features.0", np.zeros((3, 4), np.float32))),
    ("embedding", "an empty map", _tensor("features.0", np.zeros((0, 3, 4), np.float32))),
    ("embedding", "a map of integers", _tensor("features.0", np.zeros((2, 3, 4), np.int32))),
    ("embedding", "a map too few", _drop("features.1")),
    ("masks", "scores of another length", _tensor("iou_predictions", np.zeros(3, np.float32))),
    ("masks", "threshold of text", _set("mask_threshold", "0")),
    ("masks", "no logits", _drop("low_res_logits")),
    ("prompt", "labels of fractions", _tensor("point_labels", np.ones(2, np.float32))),
    ("prompt", "labels that are not 0 or 1", _tensor("point_labels", np.int32([2, 0]))),
    ("prompt", "labels for other points", _tensor("point_labels", np.int32([1, 0, 1]))),
    ("prompt", "points without labels", _drop("point_labels")),
    ("prompt", "points that are not numbers", _tensor("point_coords", _nan())),
    ("prompt", "a box without area", _tensor("box", np.zeros(4, np.float32))),
    ("prompt", "three masks", _tensor("mask_input", np.zeros((3, 2, 2), np.float32))),
    ("prompt", "region of three", _set("mask_region", [1, 2, 3])),
    ("prompt", "a field too many", _set("text", "cell")),
    ("prompt", "a field too few", _drop("mask_region")),
    ("prompt", "an array too many", _tensor("more", np.zeros(1, np.float32))),
    ("prompt", "nothing at all", lambda content, tensors: tensors.clear()),
]


@pytest.mark.parametrize(
    ("kind", "change"),
    [(kind, change) for kind, _, change in FORGED],
    ids=[f"{kind}: {name}" for kind, name, _ in FORGED],
)
def test_a_right_checksum_does_not_make_a_value_valid(kind, change):
    write, read, error = READERS[kind]
    encoded = write(sample(kind))
    assert bits(read(repacked(encoded, lambda content, tensors: None))) == bits(sample(kind))
    with pytest.raises(error, match="again"):
        read(repacked(encoded, change))


def test_what_could_not_be_read_is_not_written():
    place = dict(zip(PLACE, ((0, 0, 5, 5), (5, 5), (5, 5), (5, 5)), strict=True))
    maps = np.zeros((1, 2, 2))
    with pytest.raises(EmbeddingError, match="float64"):
        codec.embedding_to_bytes(Embedding(features={"a": maps}, encoder_id="", key="", **place))
    with pytest.raises(EmbeddingError, match="does not lie within an image"):
        codec.masks_to_bytes(
            Masks(
                low_res_logits=maps.astype(np.float32),
                iou_predictions=np.zeros(1, np.float32),
                **{**place, "region": (0, 0, 6, 5)},
            )
        )
    with pytest.raises(PromptError, match="31 bits"):
        codec.prompt_to_bytes(Prompt(box=(0, 0, 1, 1), mask_region=(0, 0, 2**40, 1)))
    with pytest.raises(EmbeddingError, match="names and numbers"):
        codec.embedding_to_bytes(
            Embedding(
                features={"a": maps.astype(np.float32)}, encoder_id="x" * 2**17, key="", **place
            )
        )


class TestHalfPrecision:
    def test_reads_back_as_rounded_float32(self):
        embedding = sample("embedding")
        half = codec.embedding_to_bytes(embedding, storage="fp16")
        assert len(half) < len(codec.embedding_to_bytes(embedding))
        found = codec.embedding_from_bytes(half, storage="fp16")
        assert bits(found) == bits(codec.rounded(embedding, "fp16"))
        expected = embedding.features["a"].astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(found.features["a"], expected)
        assert codec.embedding_to_bytes(found, storage="fp16") == half

    def test_is_refused_where_exact_features_are_expected(self):
        half = codec.embedding_to_bytes(sample("embedding"), storage="fp16")
        with pytest.raises(EmbeddingError, match="float32"):
            codec.embedding_from_bytes(half)

    def test_a_map_with_numbers_beyond_it_is_kept_exactly(self):
        embedding = sample("embedding")
        large = {**embedding.features, "b": embedding.features["b"] * np.float32(1e5)}
        embedding = dataclasses.replace(embedding, features=large)
        found = codec.embedding_from_bytes(
            codec.embedding_to_bytes(embedding, storage="fp16"), storage="fp16"
        )
        np.testing.assert_array_equal(found.features["b"], large["b"])
        assert not np.array_equal(found.features["a"], large["a"])

    def test_exact_is_the_same_object(self):
        embedding = sample("embedding")
        assert codec.rounded(embedding, "fp32") is embedding


class TestHead:
    def test_names_the_encoder_without_the_rest(self):
        embedding = sample("embedding")
        big = dataclasses.replace(embedding, features={"a": np.zeros((1, 200, 200), np.float32)})
        head = codec.embedding_to_bytes(big)[: codec.MAX_HEAD_BYTES]
        assert codec.embedding_encoder_id(head) == "e"

    @pytest.mark.parametrize("cut", [0, 7, 8, 100])
    def test_of_something_else_is_refused(self, cut):
        with pytest.raises(EmbeddingError):
            codec.embedding_encoder_id(codec.embedding_to_bytes(sample("embedding"))[:cut])
        with pytest.raises(EmbeddingError):
            codec.embedding_encoder_id(codec.masks_to_bytes(sample("masks")))
