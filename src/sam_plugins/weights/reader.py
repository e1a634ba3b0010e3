"""Opens a weights file of any kind that carries no code."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sam_plugins.errors import CheckpointError
from sam_plugins.weights.safetensors_file import open_safetensors
from sam_plugins.weights.torch_file import open_torch_file

if TYPE_CHECKING:
    import torch

__all__ = ["WeightsFile", "open_weights"]


class WeightsFile(Protocol):
    """What both kinds of file can do. Leaves of `tree` have `dtype` and `shape`."""

    @property
    def tree(self) -> Any:
        """What was saved: dicts with declared tensors as leaves."""
        ...

    def check(self, name: str, tensor: Any) -> None:
        """Raise `CheckpointError` if a declared tensor does not fit the file."""
        ...

    def read(self, tensor: Any) -> "torch.Tensor":
        """The numbers of a checked tensor."""
        ...


@contextmanager
def open_weights(path: Path) -> Iterator[WeightsFile]:
    """Open a safetensors file, a file of torch.save, or a folder as Hugging Face saves it.

    Raises
    ------
    CheckpointError
        If there is no such file, or it is of another kind; the message says of which.
    """
    try:
        path = _regular_file(path)
        with open(path, "rb") as file:
            start = file.read(512)
        opener = open_torch_file if start[:4] == b"PK\x03\x04" else _other(path, start)
        with opener(path) as opened:
            yield opened
    except OSError as error:
        raise CheckpointError(
            f"Expected a weights file that can be read at {path}, found: {error.strerror}."
        ) from error


def _regular_file(path: Path) -> Path:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        inside = path / "model.safetensors"
        if not inside.is_file():
            raise CheckpointError(
                f"Expected a weights file or a folder with model.safetensors, found the folder "
                f"{path} without one: name the file itself."
            )
        path, mode = inside, os.stat(inside).st_mode
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"Expected a weights file, found {path}, which is no regular file.")
    return path


def _other(path: Path, start: bytes) -> Any:
    """The safetensors opener, or an error that says what the file seems to be."""
    text = start.lstrip().lower()
    advice = "get the file again from its publisher, or save the weights as safetensors."
    if not start:
        raise CheckpointError(f"Expected weights in {path}, found an empty file: {advice}")
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(
            f"Expected weights in {path}, found a web page: the download link led to a page about "
            "the file; follow it to the file itself."
        )
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"Expected weights in {path}, found a Git LFS pointer: run `git lfs pull` "
            "in its folder."
        )
    if start[8:9] == b"{" or path.suffix == ".safetensors":
        return open_safetensors
    if start[:1] == b"\x80" or start[257:262] == b"ustar" or path.suffix in (".pkl", ".pickle"):
        raise CheckpointError(
            f"Expected a file in the zip format of torch.save in {path}, found a bare pickle or "
            "the format of PyTorch before 1.6, which is never opened because it can run code: load "
            "it where it was made and save its state_dict() as safetensors."
        )
    raise CheckpointError(
        f"Expected a safetensors file or one written by torch.save in {path}, found neither (it "
        f"starts with {start[:12]!r}): {advice}"
    )
