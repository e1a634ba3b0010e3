"""`open_segmenter` with each engine, on weights in a file."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from sam_plugins import session
from sam_plugins.engines import cpu
from sam_plugins.errors import CheckpointError, ModelError
from sam_plugins.session import open_segmenter
from sam_plugins.stores import MemoryStore
from sam_plugins.testing import SegmenterContract, sample_image, tiny_nano, tiny_sam
from sam_plugins.types import Prompt
from sam_plugins.weights import LoadedModel

IMAGE = sample_image(50, 60)
CLICK = Prompt(point_coords=[(20, 30)], point_labels=[1])


@dataclass
class File:
    """A stand-in for a weights file, of which a model is read anew at each opening."""

    make: object = tiny_sam
    opened: int = 0

    def __call__(self, _name, **_options):
        self.opened += 1
        return LoadedModel(self.make(), "tiny", Path("tiny.pth"), (), ())


@pytest.fixture
def file(monkeypatch):
    stand_in = File()
    monkeypatch.setattr(session, "load_model", stand_in)
    return stand_in


@pytest.fixture
def stalled(monkeypatch):
    """OpenVINO that compiles once it is allowed to."""
    allowed, original = threading.Event(), cpu.OpenVinoEncoder

    def slow(*arguments, **options):
        assert allowed.wait(60)
        return original(*arguments, **options)

    monkeypatch.setattr(cpu, "OpenVinoEncoder", slow)
    monkeypatch.setattr(session, "ENGINE_HEAD_START", 0.01)
    yield allowed
    allowed.set()


def settled(segmenter):
    assert segmenter._encoder.wait(60)
    return segmenter


def opened(engine, **options):
    segmenter = open_segmenter(device="cpu", engine=engine, **options)
    return settled(segmenter) if engine in ("auto", "openvino") else segmenter


def features(segmenter, image=IMAGE):
    return segmenter.encode(image).features


def assert_close(found, expected, tolerance=5e-5):
    assert found.keys() == expected.keys()
    for name in expected:
        assert np.abs(found[name] - expected[name]).max() < tolerance * expected[name].std()


@pytest.mark.parametrize("make", [tiny_sam, tiny_nano])
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_engines_agree_with_the_plain_path_and_stand_for_each_other(engine, make, file, require):
    if engine == "openvino":
        require("openvino")
    file.make = make
    plain, fast = opened("plain"), opened(engine)
    assert (plain.info.engine, fast.info.engine) == ("plain", engine)
    assert plain.info.encoder_id == fast.info.encoder_id
    assert plain.info.model_id == fast.info.model_id
    assert_close(features(fast), features(plain))
    found = fast.decode(plain.encode(IMAGE), CLICK).low_res_logits
    expected = plain.decode(plain.encode(IMAGE), CLICK).low_res_logits
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_bf16_is_passed_to_the_engine(file, require):
    require("openvino")
    segmenter = opened("openvino", precision="bf16")
    compiled = segmenter._encoder._fast.compiled
    assert "bfloat16" in str(compiled.get_property("INFERENCE_PRECISION_HINT"))
    assert segmenter.info.numerics == "bf16"


def test_torch_answers_while_openvino_compiles(file, stalled, require):
    require("openvino")
    statuses = []
    segmenter = open_segmenter(device="cpu", on_engine_status=statuses.append)
    assert segmenter.info.engine == "torch"
    early = features(segmenter)
    stalled.set()
    settled(segmenter)
    assert segmenter.info.engine == "openvino"
    assert_close(features(segmenter), early)
    assert not np.array_equal(features(segmenter)["image_embedding"], early["image_embedding"])
    assert statuses[-1].phase == "ready"


def test_use_goes_on_across_the_change(file, stalled, require):
    require("openvino")
    segmenter = open_segmenter(device="cpu")
    expected, answers = features(opened("plain")), []
    changed = threading.Event()

    def use():
        while not changed.is_set() or len(answers) < 20:
            answers.append(features(segmenter))

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    stalled.set()
    settled(segmenter)
    changed.set()
    for user in users:
        user.join(60)
    assert len(answers) >= 20
    for answer in answers:
        assert_close(answer, expected)


def test_torch_keeps_no_encoder_once_openvino_answers(file, require):
    require("openvino")
    segmenter = opened("openvino")
    left = [name for name in segmenter._model.state_dict() if name.startswith("image_encoder.")]
    assert left == []
    assert file.opened == 1
    with pytest.raises(ModelError, match="handed to an engine"):
        segmenter._model.encode_image(torch.zeros(1, 3, 64, 64))


def test_the_torch_engine_holds_the_weights_once(file):
    segmenter = opened("torch")
    assert not any(name.startswith("image_encoder.") for name in segmenter._model.state_dict())
    assert_close(features(segmenter), features(opened("plain")))


def test_what_cannot_be_compiled_leaves_torch_working(file, monkeypatch, caplog, require):
    require("openvino")

    def broken(*_arguments, **_options):
        raise RuntimeError("unsupported layer")

    monkeypatch.setattr(cpu, "OpenVinoEncoder", broken)
    segmenter = opened("auto")
    assert segmenter.info.engine == "torch"
    assert_close(features(segmenter), features(opened("plain")))
    assert caplog.text.count("unsupported layer") == 1
    assert file.opened == 2


class TestFailureAtAnImage:
    @pytest.fixture
    def failing(self, file, require):
        require("openvino")
        segmenter = opened("auto")

        def broken(_pixels):
            raise RuntimeError("out of memory")

        segmenter._encoder._fast = broken
        return segmenter

    def test_the_model_is_read_again_and_torch_goes_on(self, failing, file):
        assert_close(features(failing), features(opened("plain")))
        assert failing.info.engine == "torch"
        features(failing)
        assert file.opened == 3  # at first, for torch, and for the plain one

    def test_a_file_that_has_changed_is_refused(self, failing, file):
        file.make = lambda: tiny_sam(seed=1)
        with pytest.raises(CheckpointError, match="found others"):
            failing.encode(IMAGE)

    def test_embeddings_already_made_can_still_be_asked(self, file, require):
        require("openvino")
        segmenter = opened("auto")
        embedding = segmenter.encode(IMAGE)
        segmenter._encoder._fast = None
        MemoryStore(1 << 20).put(embedding.key, embedding)
        assert segmenter.decode(embedding, CLICK).low_res_logits.shape[0] == 3


class TestContractWithTorch(SegmenterContract):
    @pytest.fixture(autouse=True)
    def _file(self, file):
        pass

    def make_segmenter(self):
        return opened("torch")


class TestContractWithOpenVino(SegmenterContract):
    @pytest.fixture(autouse=True)
    def _file(self, file, require):
        require("openvino")

    def make_segmenter(self):
        return opened("openvino")


class TestContractWithNanoOnOpenVino(TestContractWithOpenVino):
    @pytest.fixture(autouse=True)
    def _nano(self, file):
        file.make = tiny_nano


LEAVE_AT_ONCE = """
import socket, sys, threading
def refused(*_): raise AssertionError("a connection was tried")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refused
from sam_plugins import session
session.ENGINE_HEAD_START = 0.0
segmenter = session.open_segmenter("nano", device="cpu")
if sys.argv[1] == "wait":
    segmenter._encoder.wait(60)
sys.stdout.write(segmenter.info.engine)
"""


@pytest.mark.parametrize("when", ["wait", "at once"])
def test_a_program_may_end_at_any_time_and_no_connection_is_tried(when, require):
    require("openvino")
    command = [sys.executable, "-c", LEAVE_AT_ONCE, when]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout in ("torch", "openvino")
    assert when == "at once" or result.stdout == "openvino"
