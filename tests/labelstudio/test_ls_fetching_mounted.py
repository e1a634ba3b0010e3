"""The folder of local files: what is in it, and nothing else."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from labelstudio_backend.errors import AddressError
from labelstudio_backend.fetching.mounted import read_mounted
from sam_plugins.errors import LimitError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "a b.png").write_bytes(b"picture")
    (folder / "sub" / "deep" / "ü.png").write_bytes(b"deep")
    (folder / "sub" / "..hidden").write_bytes(b"hidden")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "root-private").mkdir()
    (tmp_path / "root-private" / "x").write_bytes(b"secret")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("..")
    (folder / "sibling").symlink_to(tmp_path / "root-private")
    (folder / "loop").symlink_to("loop")
    (folder / "inside").symlink_to("sub/a b.png")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("sub/a b.png", b"picture"),
        ("sub//a b.png", b"picture"),
        ("./sub/./a b.png", b"picture"),
        ("sub/deep/ü.png", b"deep"),
        ("sub/..hidden", b"hidden"),
        ("inside", b"picture"),
    ],
)
def test_what_is_in_the_folder(root: Path, path: str, content: bytes) -> None:
    assert read_mounted(root, path, 100) == content


def test_the_folder_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mount").symlink_to(root)
    assert read_mounted(tmp_path / "mount", "sub/a b.png", 100) == b"picture"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..",
        "../secret",
        "sub/../../secret",
        "/etc/passwd",
        "//etc/passwd",
        "out",
        "up/secret",
        "sibling/x",
        "loop",
        "sub/..\\..\\..\\secret",
        "..%2fsecret",
        "..%2Fsecret",
        "sub/a\x00.png",
        "nothing.png",
        "sub",
        ".",
        "pipe",
        "sub/a b.png/x",
        "x" * 5000,
        "up/root/sub/a b.png/..",
    ],
)
def test_what_is_not(root: Path, path: str) -> None:
    with pytest.raises(AddressError, match="local file"):
        read_mounted(root, path, 100)


def test_sockets_and_devices_are_not_read(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        before = os.getcwd()
        os.chdir(root)
        try:
            listening.bind("socket")
        finally:
            os.chdir(before)
        with pytest.raises(AddressError, match="local file"):
            read_mounted(root, "socket", 100)
    with pytest.raises(AddressError, match="folder or device"):
        read_mounted(Path("/dev"), "zero", 100)


def test_a_file_that_is_too_large(root: Path) -> None:
    assert read_mounted(root, "sub/a b.png", 7) == b"picture"
    with pytest.raises(LimitError, match="7 bytes and at most 6"):
        read_mounted(root, "sub/a b.png", 6)


def test_a_folder_that_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="unset LOCAL_FILES_DOCUMENT_ROOT"):
        read_mounted(tmp_path / "nothing", "a.png", 100)


def test_a_link_put_there_after_the_check_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check and the opening somebody replaces a folder by a link that leads out."""
    resolve = Path.resolve

    def then_swap(path: Path, strict: bool = False) -> Path:
        found = resolve(path, strict=strict)
        if found.name == "x":
            (root / "sub").rename(root / "former")
            (root / "sub").symlink_to(tmp_path / "root-private")
        return found

    (root / "sub" / "x").write_bytes(b"mine")
    assert read_mounted(root, "sub/x", 100) == b"mine"
    monkeypatch.setattr(Path, "resolve", then_swap)
    with pytest.raises(AddressError, match="not here or cannot be read"):
        read_mounted(root, "sub/x", 100)


def test_no_descriptor_is_left_open(root: Path) -> None:
    folder = Path("/proc/self/fd")
    count: Callable[[], int] = lambda: len(list(folder.iterdir()))  # noqa: E731
    before = count()
    for path in ("sub/a b.png", "sub/deep/ü.png", "sub/deep/none", "pipe", "sub", "out"):
        try:
            read_mounted(root, path, 100)
        except AddressError:
            continue
    assert count() == before
