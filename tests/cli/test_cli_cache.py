"""`sam-plugins cache`: list, clear and warm."""

import json
import os
import time

import pytest
from PIL import Image as PillowImage

from sam_plugins.cli import common
from sam_plugins.stores import CachedSegmenter, DiskStore
from sam_plugins.testing import FakeSegmenter, sample_image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM_PLUGINS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "embeddings"


@pytest.fixture
def pictures(tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    for seed in range(3):
        PillowImage.fromarray(sample_image(30, 40, seed=seed)).save(place / f"{seed}.png")
    return place


def listed(run):
    return json.loads(run("cache", "list", "--json").stdout)


def test_warm_encodes_each_picture_once_and_hosts_find_it(run, folder, pictures):
    first = json.loads(run("cache", "warm", pictures, "--json").stdout)
    assert first == {"folder": str(folder), "encoded": 3, "known": 0, "failures": {}}
    (pictures / "new.png").write_bytes((pictures / "1.png").read_bytes())
    PillowImage.fromarray(sample_image(30, 40, seed=9)).save(pictures / "other.png")
    second = json.loads(run("cache", "warm", pictures, "--json").stdout)
    assert (second["encoded"], second["known"]) == (1, 4)
    segmenter = CachedSegmenter(FakeSegmenter(), DiskStore(folder))
    assert segmenter.holds(sample_image(30, 40, seed=2))
    assert "0 pictures encoded, 5 were there" in run("cache", "warm", pictures).stdout


def test_warm_in_half_precision_is_apart(run, folder, pictures, monkeypatch):
    assert run("cache", "warm", pictures, "--fp16").exit_code == 0
    assert not CachedSegmenter(FakeSegmenter(), DiskStore(folder)).holds(sample_image(30, 40))
    monkeypatch.setenv("SAM_PLUGINS_STORAGE", "fp16")
    assert json.loads(run("cache", "warm", pictures, "--json").stdout)["known"] == 3


def test_a_picture_that_fails_stops_nothing(run, folder, pictures):
    (pictures / "0.png").write_bytes(b"no picture")
    result = run("cache", "warm", pictures, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["encoded"] == 2
    assert list(document["failures"]) == [str(pictures / "0.png")]
    assert "0.png" in result.stderr


def test_a_stopped_warm_goes_on_where_it_was(run, folder, pictures, monkeypatch):
    class Stopped(FakeSegmenter):
        left = 2

        def encode(self, image, *, region=None):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            return super().encode(image, region=region)

    with monkeypatch.context() as patched:
        patched.setattr(common, "open_model", lambda options: Stopped())
        result = run("cache", "warm", pictures)
        assert (result.exit_code, "Stopped" in result.stderr) == (130, True)
    document = json.loads(run("cache", "warm", pictures, "--json").stdout)
    assert (document["encoded"], document["known"]) == (1, 2)


def test_what_cannot_be_kept_is_a_failure(run, folder, pictures):
    folder.parent.mkdir()
    folder.write_text("a file in the way")
    result = run("cache", "warm", pictures, "--json")
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["failures"]) == 3
    assert "SAM_PLUGINS_CACHE" in result.stderr


def test_list_tells_how_much_of_what(run, folder, pictures, monkeypatch):
    assert listed(run)["embeddings"] == 0
    assert not folder.exists()
    run("cache", "warm", pictures)
    run("cache", "warm", pictures, "--fp16")
    monkeypatch.setattr(common, "open_model", lambda options: FakeSegmenter(image_size=128))
    run("cache", "warm", pictures)
    document = listed(run)
    assert document["folder"] == str(folder)
    assert document["max_bytes"] == 10 * 10**9
    assert document["embeddings"] == 9
    assert document["bytes"] == sum(f.stat().st_size for f in folder.glob("*/*.safetensors"))
    found = {(row["encoder_id"], row["storage"]): row["embeddings"] for row in document["encoders"]}
    assert found == {
        ("fake-encoder-256-64", "fp32"): 3,
        ("fake-encoder-256-64", "fp16"): 3,
        ("fake-encoder-128-64", "fp32"): 3,
    }
    assert {row["model"] for row in document["encoders"]} == {"fake"}
    text = run("cache", "list").stdout
    assert "fake" in text
    assert "9 embeddings" in text


def test_list_shows_damaged_files_and_forged_notes_as_such(run, folder, pictures):
    run("cache", "warm", pictures)
    next(folder.glob("*/*.safetensors")).write_bytes(b"?")
    note = next(folder.glob("encoders/*"))
    note.write_text('{"encoder_id": "another", "name": "vit_h"}')
    rows = {row["encoder_id"]: row for row in listed(run)["encoders"]}
    assert rows[None]["embeddings"] == 1
    assert rows["fake-encoder-256-64"]["model"] is None
    note.write_text("[" * 4000)
    assert listed(run)["embeddings"] == 3
    assert "(damaged)" in run("cache", "list").stdout


def test_clear_asks_and_takes_only_what_is_ours(run, folder, pictures):
    run("cache", "warm", pictures)
    mine = folder / "ab" / "mine.safetensors"
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"precious")
    assert run("cache", "clear").exit_code == 1
    assert listed(run)["embeddings"] == 3
    result = json.loads(run("cache", "clear", "--yes", "--json").stdout)
    assert result["removed"] == 3
    assert [path for path in folder.rglob("*") if path.is_file()] == [mine]
    mine.unlink()
    run("cache", "clear", "--yes")
    assert not folder.exists()


def test_clear_by_age_and_by_model(run, folder, pictures, monkeypatch):
    run("cache", "warm", pictures)
    old = next(folder.glob("*/*.safetensors"))
    os.utime(old, (time.time() - 5 * 86400,) * 2)
    assert "1 embeddings deleted" in run("cache", "clear", "--yes", "--older-than", 4).stdout
    assert not old.exists()
    monkeypatch.setattr(common, "open_model", lambda options: FakeSegmenter(image_size=128))
    run("cache", "warm", pictures)
    unknown = run("cache", "clear", "--yes", "--model", "vit_b")
    assert unknown.exit_code == 1
    assert "fake" in unknown.stderr
    run("cache", "clear", "--yes", "--model", "fake-encoder-128")
    assert [row["encoder_id"] for row in listed(run)["encoders"]] == ["fake-encoder-256-64"]
    run("cache", "clear", "--yes", "--model", "fake")
    assert listed(run)["embeddings"] == 0


@pytest.mark.parametrize(
    ("name", "value"), [("SAM_PLUGINS_STORE_GB", "much"), ("SAM_PLUGINS_STORAGE", "int8")]
)
def test_a_wrong_setting_is_named(run, folder, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    result = run("cache", "list")
    assert result.exit_code == 1
    assert value in result.stderr


def test_the_bound_can_be_set(run, folder, monkeypatch):
    monkeypatch.setenv("SAM_PLUGINS_STORE_GB", "2.5")
    assert listed(run)["max_bytes"] == 2_500_000_000
