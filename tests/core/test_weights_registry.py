"""Which weights are known, and where they are looked for."""

import string
from pathlib import Path

import pytest

from sam_plugins.errors import CheckpointError, DownloadError
from sam_plugins.specs import SPECS
from sam_plugins.weights import (
    CHECKPOINTS,
    cache_folder,
    checkpoint_named,
    download,
    find_checkpoint,
    locate,
)

LENGTHS = {"sha256": 64, "xxh128": 32}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_record_is_complete(name: str) -> None:
    record = CHECKPOINTS[name]
    assert record.name == name
    assert record.variant in SPECS
    assert record.licence
    assert record.citation
    assert record.note
    if record.digest is not None:
        algorithm, _, value = record.digest.partition(":")
        assert len(value) == LENGTHS[algorithm]
        assert set(value) <= set(string.hexdigits.lower())
        assert record.sha256 == (value if algorithm == "sha256" else None)


def test_every_variant_has_weights_and_no_file_name_is_used_twice() -> None:
    assert {record.variant for record in CHECKPOINTS.values()} == set(SPECS)
    names = [record.filename for record in CHECKPOINTS.values()]
    names += [other for record in CHECKPOINTS.values() for other in record.other_names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["vit_b", "sam_vit_b_01ec64.pth", "sam_b.pt"])
def test_a_record_is_found_by_any_of_its_names(name: str) -> None:
    assert checkpoint_named(name) is CHECKPOINTS["vit_b"]
    assert checkpoint_named(f"{name}x") is None


def test_the_cache_folder_follows_argument_then_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SAM_PLUGINS_CACHE", raising=False)
    default = cache_folder()
    assert default.name == "weights"
    assert "sam-plugins" in default.parts
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path / "env"))
    assert cache_folder() == tmp_path / "env"
    assert cache_folder(tmp_path / "argument") == tmp_path / "argument"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_name_is_looked_for_in_the_cache(cache: Path) -> None:
    file = cache / "mobile_sam.pt"
    file.touch()
    assert find_checkpoint("vit_t") == find_checkpoint("mobile_sam.pt") == file


def test_a_file_here_comes_before_one_of_that_name_in_the_cache(
    cache: Path, tmp_path: Path
) -> None:
    (cache / "mine.pth").touch()
    assert find_checkpoint("mine.pth") == cache / "mine.pth"
    (tmp_path / "mine.pth").touch()
    assert find_checkpoint("mine.pth") == Path("mine.pth")
    assert find_checkpoint(tmp_path / "mine.pth") == tmp_path / "mine.pth"


def test_a_folder_called_like_a_model_does_not_hide_its_weights(
    cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "vit_t").mkdir()
    (cache / "mobile_sam.pt").touch()
    assert find_checkpoint("vit_t") == cache / "mobile_sam.pt"


def test_a_published_name_of_a_local_file_is_that_file(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "sam_b.pt").touch()
    assert find_checkpoint("sam_b.pt") == Path("sam_b.pt")


@pytest.mark.parametrize("name", ["vit_b", "sam_b.pt"])
def test_known_weights_that_are_not_here_say_how_to_get_them(cache: Path, name: str) -> None:
    with pytest.raises(DownloadError) as caught:
        find_checkpoint(name)
    said = str(caught.value)
    assert "sam-plugins download vit_b" in said
    assert str(CHECKPOINTS["vit_b"].url) in said
    assert f"into {cache} as sam_vit_b_01ec64.pth" in said


@pytest.mark.parametrize("name", ["vit_x", "", "missing/file.pth", "../mine.pth"])
def test_a_word_that_is_nothing_lists_the_known_names(cache: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="nano, vit_t, vit_b") as caught:
        find_checkpoint(name)
    assert repr(name) in str(caught.value)


def test_the_bundled_model_is_a_file_of_the_package(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "assets").mkdir()
    monkeypatch.setattr(locate.resources, "files", lambda package: tmp_path)
    with pytest.raises(CheckpointError, match="bundled weights of 'nano'"):
        find_checkpoint("nano")
    file = tmp_path / "assets" / "nano.safetensors"
    file.touch()
    assert find_checkpoint("nano") == download("nano") == file
