"""The committed split: nothing that is measured was ever trained on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam_plugins.errors import DatasetError
from sam_plugins.training.split import GROUPS, committed_split, make_split, read_split


def test_no_picture_is_on_both_sides() -> None:
    split = committed_split()
    for name in split.sets:
        assert not set(split.stems(name, "train")) & set(split.stems(name, "val"))
    assert len(split.stems("dsb2018", "val")) >= 50
    photographs = sum(len(split.stems(name, "val")) for name in GROUPS["photographs"])
    assert photographs >= 30


def _pool(root: Path, pictures: dict[str, np.ndarray], clusters: dict[str, int] | None) -> Path:
    folder = root / "coco_ccby"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for stem, array in pictures.items():
        Image.fromarray(array).save(folder / "images" / f"{stem}.png")
        Image.fromarray(np.zeros(array.shape[:2], np.uint16)).save(folder / "masks" / f"{stem}.png")
    if clusters is not None:
        records = [{"id": stem, "cluster": number} for stem, number in clusters.items()]
        (folder / "manifest.json").write_text(json.dumps({"records": records}))
    return root


def test_near_duplicates_and_clusters_stay_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = {}
    for number in range(12):
        base = np.kron(rng.integers(0, 250, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
        pictures[f"a{number}"] = base
        noise = rng.integers(0, 3, base.shape)
        pictures[f"b{number}"] = (base + noise).astype(np.uint8)
    clusters = {stem: int(stem[1:]) // 2 for stem in pictures}
    pool = _pool(tmp_path, pictures, clusters)
    for seed in range(5):
        split = make_split(pool, seed)
        side = {
            stem: subset for subset in ("train", "val") for stem in split.stems("coco_ccby", subset)
        }
        assert sorted(side) == sorted(pictures)
        assert {"train", "val"} == set(side.values())
        for number in range(0, 12, 2):
            tied = [f"{letter}{n}" for letter in "ab" for n in (number, number + 1)]
            assert len({side[stem] for stem in tied}) == 1


def test_the_committed_split_is_what_the_command_makes(require: Callable[..., object]) -> None:
    pool = Path(__file__).parents[3] / "shared" / "train_pool"
    require("train_pool", pool.is_dir())
    assert make_split(pool).to_json() == committed_split().to_json()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seed": 1}', '{"seed": "x", "sets": {}}'])
def test_a_broken_split_file_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"split\.json is not a readable split file"):
        read_split(path)


def test_an_empty_pool_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no <set>/masks folder"):
        make_split(tmp_path)
