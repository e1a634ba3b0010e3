"""`sam-plugins models`, `download` and `info`."""

import json

import pytest

from sam_plugins import weights
from sam_plugins.cli import models as models_command
from sam_plugins.errors import DownloadError
from sam_plugins.weights import CHECKPOINTS


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(folder))
    return folder


def test_models_tells_what_is_here(run, cache):
    (cache / "sam_vit_b_01ec64.pth").write_bytes(b"x" * 1234)
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert list(rows) == list(CHECKPOINTS)
    assert rows["vit_b"]["path"] == str(cache / "sam_vit_b_01ec64.pth")
    assert rows["vit_b"]["size_bytes"] == 1234
    assert rows["vit_l"]["path"] is None
    assert rows["vit_l"]["size_bytes"] == CHECKPOINTS["vit_l"].size_bytes
    assert all(row["licence"] for row in rows.values())


def test_models_is_a_table_with_what_was_measured(run, cache, monkeypatch):
    measured = {"nano": {"click": 0.614, "box": 0.789, "on": "a split"}}
    monkeypatch.setattr(models_command, "_accuracy", lambda: measured)
    text = run("models").stdout
    for name in CHECKPOINTS:
        assert name in text
    assert "0.61 / 0.79" in text
    assert "a split" in text


def test_download_shows_where_the_file_is(run, cache, monkeypatch):
    calls = []

    def fetch(name, *, progress):
        calls.append(name)
        progress(5, None)
        progress(10, 10)
        return cache / "file"

    monkeypatch.setattr(weights, "download", fetch)
    result = run("download", "vit_b")
    assert result.exit_code == 0, result.output
    assert str(cache / "file") in result.stdout
    assert json.loads(run("download", "vit_b", "--json").stdout) == {
        "name": "vit_b",
        "path": str(cache / "file"),
        "verified": True,
    }
    assert calls == ["vit_b", "vit_b"]


def test_a_download_that_fails_says_what_to_do(run, cache, monkeypatch):
    def fetch(name, *, progress):
        raise DownloadError("no network: put the file there.")

    monkeypatch.setattr(weights, "download", fetch)
    result = run("download", "vit_b")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "put the file there" in result.stderr


def test_an_unknown_name_is_no_download(run, cache):
    result = run("download", "vit_z")
    assert result.exit_code == 1
    assert "vit_b" in result.stderr


def test_info_names_versions_device_and_folders(run, cache):
    document = json.loads(run("info", "--json", "--device", "cpu", "--model", "vit_b").stdout)
    assert document["device"] == "cpu"
    assert document["model"] == "vit_b"
    assert "sam-plugins download vit_b" in document["weights"]
    assert document["cache_folder"] == str(cache)
    assert document["versions"]["torch"]
    assert document["threads"] >= 1
    text = run("info").stdout
    assert "cache folder" in text
    assert document["engine"] in ("openvino", "torch")
    assert document["engine_reason"] in text
    assert document["bf16"] in text
    asked = run("--engine", "plain", "info", "--json", "--device=cpu", "--precision=bf16").stdout
    assert json.loads(asked)["engine"] == "plain"
    assert json.loads(asked)["precision"] == "bf16"
    best = json.loads(run("info", "--json", "--device", "cpu", "--model", "best").stdout)
    assert best["model"] == "nano"
