"""Which engine is taken, and what is said about it."""

import sys

import pytest

from sam_plugins.engines.choice import choose_engine
from sam_plugins.errors import DeviceError, MissingExtraError, ModelError


@pytest.fixture
def without_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)


def test_openvino_where_it_is(require):
    require("openvino")
    choice = choose_engine("auto", "cpu")
    assert choice.name == "openvino"
    assert "fastest" in choice.reason


def test_torch_where_openvino_is_not(without_openvino):
    choice = choose_engine("auto", "cpu")
    assert choice.name == "torch"
    assert "pip install 'sam-plugins[openvino]'" in choice.reason


def test_torch_where_openvino_is_broken(monkeypatch):
    class Broken:
        def __getattr__(self, _name):
            raise ImportError("libtbb.so.12: cannot open shared object file")

    monkeypatch.setitem(sys.modules, "openvino", Broken())
    choice = choose_engine("auto", "cpu")
    assert choice.name == "torch"
    assert "libtbb" in choice.reason


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_torch_on_other_devices(device):
    choice = choose_engine("auto", device)
    assert choice.name == "torch"
    assert device in choice.reason


@pytest.mark.parametrize("engine", ["torch", "plain"])
def test_what_is_asked_for_is_taken(engine, without_openvino):
    assert choose_engine(engine, "cpu").name == engine


def test_unknown_engines_are_refused_with_the_known_ones():
    with pytest.raises(ModelError, match="auto, openvino, torch, plain, found 'tensorrt'"):
        choose_engine("tensorrt", "cpu")


def test_a_missing_extra_is_named(without_openvino):
    with pytest.raises(MissingExtraError, match=r"pip install 'sam-plugins\[openvino\]'"):
        choose_engine("openvino", "cpu")


def test_openvino_computes_on_the_cpu_only():
    with pytest.raises(DeviceError, match="found 'cuda'"):
        choose_engine("openvino", "cuda")
