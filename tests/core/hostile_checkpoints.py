"""Weights files that are damaged, foreign or malicious, and a tiny model that they are not of.

Pickles are written byte by byte, so that writing them runs nothing either.
"""

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from sam_plugins.model.common import PromptableModel
from sam_plugins.specs import ModelSpec

SPEC = ModelSpec("tiny", "vit", 64)
SPECS = {"tiny": SPEC}


class TinyModel(PromptableModel):
    """A few parameters under published names."""

    encoder_prefixes = ("image_encoder.",)

    def __init__(self) -> None:
        super().__init__()
        self.image_size = 64
        self.low_res_size = (16, 16)
        self.image_encoder = torch.nn.Module()
        self.image_encoder.pos_embed = torch.nn.Parameter(torch.randn(1, 4, 4, 8))
        self.image_encoder.norm = torch.nn.BatchNorm2d(8)
        self.mask_decoder = torch.nn.Module()
        self.mask_decoder.iou_token = torch.nn.Embedding(1, 8)

    def encode_image(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def decode_prompts(self, features: Any, **prompts: Any) -> tuple[torch.Tensor, torch.Tensor]:
        raise NotImplementedError


def build_tiny(spec: ModelSpec, *, device: str = "cpu") -> TinyModel:
    with torch.device(device):
        return TinyModel().eval()


def tiny_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: value.clone() for name, value in TinyModel().state_dict().items()}


def torch_zip(
    program: bytes, records: Mapping[str, bytes] | None = None, *, compression: int = 0
) -> bytes:
    """An archive as torch.save lays it out, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", b"little")
        for name, data in (records or {}).items():
            archive.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def call(function: str, *arguments: bytes) -> bytes:
    """Operations that call ``module name`` (GLOBAL, arguments, TUPLE, REDUCE)."""
    return b"c" + function.replace(" ", "\n").encode() + b"\n(" + b"".join(arguments) + b"tR"


def number(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    return (
        b"("
        + text("storage")
        + f"ctorch\n{kind}\n".encode()
        + text(key)
        + text("cpu")
        + (number(count) + b"tQ")
    )


def tensor(
    count: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, key: str = "0"
) -> bytes:
    hooks = call("collections OrderedDict")
    parts = (storage(key, count), number(offset), numbers(*shape), numbers(*stride), b"\x89", hooks)
    return call("torch._utils _rebuild_tensor_v2", *parts)


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def table(**items: bytes) -> bytes:
    return b"}" + b"".join(text(name) + value + b"s" for name, value in items.items())


def one_tensor(declared: bytes, have: int = 64) -> bytes:
    """The tiny model's file with `declared` in place of its position embedding."""
    state = tiny_state()
    body, records = b"}", {"data/0": bytes(have)}
    for index, (name, value) in enumerate(state.items(), 1):
        if name.endswith("pos_embed"):
            body += text(name) + declared + b"s"
            continue
        records[f"data/{index}"] = value.float().numpy().tobytes()
        count = value.numel()
        shape = tuple(value.shape)
        stride = value.stride()
        body += text(name) + tensor(count, shape, stride, key=str(index)) + b"s"
    return torch_zip(program(body), records)


def torch_bytes(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def safetensors(header: Any, data: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def changed(**changes: Any) -> dict[str, torch.Tensor]:
    return {**tiny_state(), **changes}


def tar_file() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return buffer.getvalue()


def touching(canary: Path) -> bytes:
    return text(f"touch {canary}")


def without(name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in tiny_state().items() if key != name}


POSITIONS = "image_encoder.pos_embed"
HUGE = 2**40
OVERLAPPING = {
    "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
    "b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
}
GIANT = {"a": {"dtype": "F32", "shape": [HUGE, HUGE], "data_offsets": [0, 16]}}

FILES: dict[str, tuple[Callable[[Path], bytes], str]] = {
    # code in a pickle
    "os.system": (lambda c: torch_zip(program(call("os system", touching(c)))), "'os.system'"),
    "posix.system beside weights": (
        lambda c: torch_zip(program(table(model=b"}", extra=call("posix system", touching(c))))),
        "'posix.system'",
    ),
    "getattr chain": (
        lambda c: torch_zip(
            program(
                call(
                    "builtins getattr",
                    call("builtins __import__", text("os")),
                    text("system"),
                )
                + b"("
                + touching(c)
                + b"tR"
            )
        ),
        "'builtins.getattr'",
    ),
    "eval by name from the stack": (
        lambda c: torch_zip(b"\x80\x04" + text("builtins") + text("eval") + b"\x93."),
        "'builtins.eval'",
    ),
    "instance operation": (
        lambda c: torch_zip(b"(" + touching(c) + b"ios\nsystem\n."),
        "'os.system'",
    ),
    "python 2 builtin": (
        lambda c: torch_zip(program(call("__builtin__ execfile", touching(c)))),
        "'__builtin__.execfile'",
    ),
    "bare pickle, protocol 0": (
        lambda c: b"cos\nsystem\n(S'touch " + str(c).encode() + b"'\ntR.",
        "neither",
    ),
    "bare pickle, protocol 2": (lambda c: program(call("os system", touching(c))), "bare pickle"),
    "bare pickle, protocol 5": (lambda c: pickle.dumps({"a": 1}, protocol=5), "bare pickle"),
    "whole model": (lambda c: torch_bytes(torch.nn.Linear(2, 2)), "Python object"),
    "object among the weights": (
        lambda c: torch_zip(program(table(weight=call("numpy.core.multiarray scalar")))),
        "Python object 'numpy.core.multiarray.scalar'",
    ),
    "reserves memory": (
        lambda c: torch_zip(program(table(weight=call("builtins bytearray", number(HUGE))))),
        "Python object 'builtins.bytearray'",
    ),
    "torchscript": (
        lambda c: torch_zip(program(b"}"), {"code/__torch__.py": b"import os"}),
        "TorchScript",
    ),
    # pickles that are meant to exhaust the reader
    "tuples nested as a key": (
        lambda c: torch_zip(program(b"})" + b"\x85" * 100_000 + b"K\x01s")),
        "without content|tensors by name",
    ),
    "doubling tuples as a key": (
        lambda c: torch_zip(program(b"})" + b"2\x86" * 200 + b"K\x01s")),
        "without content|tensors by name",
    ),
    "lists nested": (
        lambda c: torch_zip(program(b"]" * 50_000 + b"a" * 49_999)),
        "found list",
    ),
    "a dict inside itself": (
        lambda c: torch_zip(program(b"}q\x00" + text("model") + b"h\x00s")),
        "found no tensor but 'model'",
    ),
    "memo at four billion": (
        lambda c: torch_zip(program(b"}r\xf0\xff\xff\xff")),
        "without content",
    ),
    "text of an exabyte": (
        lambda c: torch_zip(b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"."),
        "cannot be read",
    ),
    "endless program": (lambda c: torch_zip(program(b"}0" * 260_000 + b"}")), "500000 operations"),
    "stack underflow": (lambda c: torch_zip(program(b"\x87R")), "cannot be read"),
    "unknown operation": (lambda c: torch_zip(b"\x80\x02\xff."), "cannot be read"),
    "pickle without an end": (lambda c: torch_zip(b"\x80\x02}"), "cannot be read"),
    "long name": (
        lambda c: torch_zip(program(b"c" + b"a" * 2_000_000 + b"\nb\n)R")),
        r"Python object 'a+\.\.\.'",
    ),
    "number of a million digits": (
        lambda c: torch_zip(program(b"L" + b"9" * 1_000_000 + b"L\n")),
        "cannot be read",
    ),
    "key of a million bytes": (
        lambda c: torch_zip(
            program(b"}\x8b" + struct.pack("<I", 10**6) + b"\x7f" * 10**6 + b"K\x01s")
        ),
        "without content",
    ),
    "name of unprintable letters": (
        lambda c: torch_zip(program(table(**{"\n\x1b[2J" * 99: b"K\x01"}))),
        r"found no tensor but '\?\?\[2J",
    ),
    # tensors that do not fit the bytes
    "giant tensor": (
        lambda c: one_tensor(tensor(HUGE, (1, 4, 4, HUGE // 16), (HUGE, HUGE // 4, HUGE // 16, 1))),
        "of another shape|another image size",
    ),
    "storage larger than its record": (
        lambda c: one_tensor(tensor(HUGE, (1, 4, 4, 8), (128, 32, 8, 1))),
        "64 bytes for .*which declares 4398046511104",
    ),
    "view larger than its storage": (
        lambda c: one_tensor(tensor(16, (1, 4, 4, 8), (128, 32, 8, 1))),
        r"128 numbers spread over \d+ of a record of 16",
    ),
    "stride 0": (
        lambda c: one_tensor(tensor(16, (1, 4, 4, 8), (0, 0, 0, 0))),
        r"128 numbers spread over \d+ of a record of 16",
    ),
    "overlapping view": (
        lambda c: one_tensor(tensor(16, (1, 4, 4, 8), (1, 1, 1, 1))),
        r"128 numbers spread over \d+ of a record of 16",
    ),
    "view spread wide": (
        lambda c: one_tensor(tensor(2**20, (1, 4, 4, 8), (0, 2**18, 2**16, 2**13)), have=2**22),
        r"128 numbers spread over \d+ of a record of 1048576",
    ),
    "offset after the end": (
        lambda c: one_tensor(tensor(128, (1, 4, 4, 8), (128, 32, 8, 1), offset=4), have=512),
        r"128 numbers spread over \d+ of a record of 128",
    ),
    "negative stride": (
        lambda c: one_tensor(tensor(128, (1, 4, 4, 8), (128, 32, 8, -1)), have=512),
        "cannot be read",
    ),
    "stride missing": (
        lambda c: one_tensor(tensor(128, (1, 4, 4, 8), (8, 1)), have=512),
        "with shape .* and stride",
    ),
    "record missing": (
        lambda c: one_tensor(tensor(128, (1, 4, 4, 8), (128, 32, 8, 1), key="77"), have=512),
        "without its numbers",
    ),
    # broken containers
    "empty file": (lambda c: b"", "empty file"),
    "text file": (lambda c: b"these are not the weights you are looking for\n" * 20, "neither"),
    "web page": (lambda c: b"\n<!DOCTYPE html><html><title>404</title></html>", "web page"),
    "git lfs pointer": (
        lambda c: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 375042383\n",
        "Git LFS pointer",
    ),
    "truncated zip": (lambda c: torch_bytes(tiny_state())[:-200], "interrupted download"),
    "zip cut to half": (lambda c: torch_bytes(tiny_state())[:900], "interrupted download"),
    "zip with a shifted directory": (
        lambda c: torch_bytes(tiny_state())[64:].join((b"PK\x03\x04", b"")),
        "that ends after the file",
    ),
    "another zip": (
        lambda c: torch_zip(b"").replace(b"archive/data.pkl", b"word/document.xml"[:16]),
        "without exactly one data.pkl",
    ),
    "zip bomb": (
        lambda c: torch_zip(program(b"}"), {"data/0": bytes(2**26)}, compression=8),
        "compressed or encrypted",
    ),
    "old torch format": (
        lambda c: torch_bytes(tiny_state(), _use_new_zipfile_serialization=False),
        "bare pickle or the format of PyTorch before 1.6",
    ),
    "older tar format": (lambda c: tar_file(), "bare pickle or the format of PyTorch before 1.6"),
    "big-endian": (
        lambda c: torch_bytes(tiny_state()).replace(b"little", b"big\x00\x00\x00"),
        "broken zip|big-endian",
    ),
    "truncated safetensors": (lambda c: save(tiny_state())[:-100], "safetensors"),
    "safetensors header of an exabyte": (
        lambda c: struct.pack("<Q", 2**60) + b"{}" + bytes(64),
        f"header of {2**60} bytes",
    ),
    "safetensors overlap": (lambda c: safetensors(OVERLAPPING, bytes(24)), "safetensors"),
    "safetensors giant": (lambda c: safetensors(GIANT, bytes(16)), "safetensors"),
    "safetensors nested": (
        lambda c: safetensors(b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}"),
        "safetensors",
    ),
    "safetensors without tensors": (lambda c: safetensors({}), "without content"),
    # whole files of the wrong content
    "list": (lambda c: torch_bytes([torch.zeros(2)]), "found list"),
    "numbers only": (lambda c: torch_bytes({"a": 1, "b": "c"}), "found no tensor but 'a, b'"),
    "empty dict": (lambda c: torch_bytes({}), "without content"),
    "missing": (lambda c: torch_bytes(without(POSITIONS)), rf"1 missing \('{POSITIONS}'\)"),
    "unexpected": (
        lambda c: torch_bytes(changed(**{"mask_decoder.hat.weight": torch.zeros(1)})),
        r"1 unexpected \('mask_decoder.hat.weight'\)",
    ),
    "wrong shape": (
        lambda c: save(changed(**{"mask_decoder.iou_token.weight": torch.zeros(1, 9)})),
        r"1 of another shape \('mask_decoder.iou_token.weight' is \(1, 9\) and not \(1, 8\)\)",
    ),
    "other image size": (
        lambda c: torch_bytes(changed(**{POSITIONS: torch.zeros(1, 8, 8, 8)})),
        "for images of 64 pixels, found weights for another image size",
    ),
    "other architecture": (
        lambda c: torch_bytes({f"layer{i}.0.conv1.weight": torch.zeros(4, 4) for i in range(9)}),
        "of another model .*'layer0.0.conv1.weight'",
    ),
    "twice": (
        lambda c: torch_bytes(changed(**{f"sam.{POSITIONS}": torch.zeros(1, 4, 4, 8)})),
        f"'{POSITIONS}' twice",
    ),
    "complex": (
        lambda c: torch_bytes(changed(**{POSITIONS: torch.zeros(1, 4, 4, 8, dtype=torch.cfloat)})),
        "found complex64",
    ),
    "quantised": (
        lambda c: save(changed(**{POSITIONS: torch.zeros(1, 4, 4, 8, dtype=torch.int8)})),
        "found int8",
    ),
    "eight-bit floats": (
        lambda c: save(changed(**{POSITIONS: torch.zeros(1, 4, 4, 8).to(torch.float8_e4m3fn)})),
        "found F8_E4M3",
    ),
    "not a number": (
        lambda c: torch_bytes(changed(**{POSITIONS: torch.full((1, 4, 4, 8), np.nan)})),
        f"NaN or infinity in '{POSITIONS}'",
    ),
    "infinite": (
        lambda c: save(changed(**{POSITIONS: torch.full((1, 4, 4, 8), np.inf)})),
        f"NaN or infinity in '{POSITIONS}'",
    ),
}
"""Name -> (bytes, given the path of a file that must never appear; what the message must say)."""


def folder_without_weights(path: Path) -> None:
    path.mkdir()
    (path / "config.json").write_text("{}")


def symbolic_loop(path: Path) -> None:
    os.symlink(path, path)


PLACES: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (folder_without_weights, "folder with model.safetensors"),
    "named pipe": (os.mkfifo, "no regular file"),
    "symbolic loop": (symbolic_loop, "neither|symbolic links"),
    "nothing": (lambda path: None, "neither"),
}
"""As `FILES`, for paths that are no files."""


def write_all(folder: Path, canary: Path) -> dict[Path, str]:
    """Every hostile path, written into `folder` -> what the message must say."""
    written = {}
    for index, (make, message) in enumerate(FILES.values()):
        path = folder / f"{index}.pth"
        path.write_bytes(make(canary))
        written[path] = message
    for index, (place, message) in enumerate(PLACES.values()):
        path = folder / f"place{index}.pth"
        place(path)
        written[path] = message
    return written
