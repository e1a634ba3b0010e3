"""Devices, precision and threads."""

from collections.abc import Iterator
from threading import Barrier, Thread

import pytest
import torch

from sam_plugins import device as device_module
from sam_plugins.device import (
    bf16_sentence,
    choose_device,
    choose_numerics,
    precise,
    single_threaded_workers,
    thread_budget,
)
from sam_plugins.errors import DeviceError, ModelError


def shortcuts() -> list[str]:
    backends = torch.backends
    operations = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul)
    return [operation.fp32_precision for operation in operations]


def pretend(monkeypatch: pytest.MonkeyPatch, *, cards: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cards", "mps", "best"), [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda")]
)
def test_auto_is_the_best_device_here(
    monkeypatch: pytest.MonkeyPatch, cards: int, mps: bool, best: str
) -> None:
    pretend(monkeypatch, cards=cards, mps=mps)
    assert choose_device("auto") == choose_device(None) == best
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("asked", ["cuda", "mps", "cuda:2", "tpu", "", "cuda:-1"])
def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    pretend(monkeypatch, cards=2 if ":" in asked else 0, mps=False)
    with pytest.raises(DeviceError, match=f"found '{asked}'"):
        choose_device(asked)


def test_one_of_several_cards_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, cards=2, mps=False)
    assert choose_device("cuda:1") == "cuda:1"


def test_precision_is_a_known_word() -> None:
    assert choose_numerics("fp32", "cpu") == "fp32"
    assert choose_numerics("bf16", "cpu") == "bf16"
    with pytest.raises(ModelError, match="found 'fp16'"):
        choose_numerics("fp16", "cpu")


@pytest.mark.parametrize(
    ("capabilities", "said", "warnings"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, "faster", 0),
        ({"amx_bf16": True}, "faster", 0),
        ({"neon": True, "bf16": True}, "faster", 0),
        ({"avx2": True, "avx512_bf16": False}, "slower", 1),
    ],
)
def test_bf16_without_instructions_for_it_is_warned_about(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capabilities: dict[str, bool],
    said: str,
    warnings: int,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_numerics("fp32", "cpu") == "fp32"
    assert not caplog.records
    assert choose_numerics("bf16", "cpu") == "bf16"
    assert len(caplog.records) == warnings
    assert said in bf16_sentence("cpu")
    assert "cuda" in bf16_sentence("cuda")


def test_an_older_torch_that_cannot_tell_gives_no_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_numerics("bf16", "cpu") == "bf16"
    assert not caplog.records
    assert "does not say" in bf16_sentence("cpu")


@pytest.fixture
def tf32_allowed() -> Iterator[None]:
    matmul = torch.backends.cuda.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "tf32"
    yield
    matmul.fp32_precision = before


def fail_inside() -> None:
    with precise("cpu", "fp32"):
        raise KeyError(*shortcuts())


def test_float32_is_exact_inside_and_as_before_outside(tf32_allowed: None) -> None:
    before = shortcuts()
    assert "tf32" in before
    with pytest.raises(KeyError) as caught:
        fail_inside()
    assert caught.value.args == ("ieee", "ieee", "ieee")
    assert shortcuts() == before


def test_float32_is_exact_until_the_last_thread_leaves() -> None:
    before = shortcuts()
    first_is_in, second_is_in, first_is_out = (Barrier(2, timeout=30) for _ in range(3))
    seen: list[list[str]] = []

    def first() -> None:
        with precise("cpu", "fp32"):
            first_is_in.wait()
            second_is_in.wait()
        first_is_out.wait()

    thread = Thread(target=first)
    thread.start()
    first_is_in.wait()
    with precise("cpu", "fp32"):
        second_is_in.wait()
        first_is_out.wait()
        seen.append(shortcuts())
    thread.join()
    assert seen == [["ieee"] * 3]
    assert shortcuts() == before


def test_bf16_is_used_only_where_it_is_named() -> None:
    layer, pixels = torch.nn.Linear(4, 4), torch.ones(1, 4)
    with torch.no_grad():
        with precise("cpu", "bf16"):
            assert layer(pixels).dtype == torch.bfloat16
        with torch.autocast("cpu", dtype=torch.bfloat16), precise("cpu", "fp32"):
            assert layer(pixels).dtype == torch.float32
        assert layer(pixels).dtype == torch.float32


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM_PLUGINS_THREADS", "3")
    assert thread_budget() == 3
    for wrong in ("0", "-2", "many", "1.5"):
        monkeypatch.setenv("SAM_PLUGINS_THREADS", wrong)
        with pytest.raises(DeviceError, match="positive whole number"):
            thread_budget()


def test_threads_are_otherwise_the_cpus_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAM_PLUGINS_THREADS", raising=False)
    monkeypatch.setattr(device_module.os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert thread_budget() == 2


@pytest.mark.gpu
def test_convolutions_on_the_card_are_float32() -> None:
    torch.manual_seed(0)
    pixels, kernel = torch.randn(1, 64, 64, 64), torch.randn(64, 64, 3, 3)
    want = torch.nn.functional.conv2d(pixels.double(), kernel.double())
    with precise("cuda", "fp32"):
        found = torch.nn.functional.conv2d(pixels.cuda(), kernel.cuda()).cpu()
    assert (found - want).abs().max() < 1e-3


def test_workers_have_one_torch_thread_and_leave_everybody_elses_number():
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    try:
        pool = single_threaded_workers(3)
        assert set(pool.map(lambda _: torch.get_num_threads(), range(30))) == {1}
        assert torch.get_num_threads() == before + 2
        found = []
        thread = Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert found == [before + 2]
        assert single_threaded_workers(3) is pool
    finally:
        torch.set_num_threads(before)
