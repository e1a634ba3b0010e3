"""The command that makes the bundled weights, on a pool of two pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scenes_for_tests import SMALL, small_pool

from sam_plugins.errors import CheckpointError, DatasetError
from sam_plugins.training.nano import train_nano
from sam_plugins.training.recipe import FINE_TUNING, NANO_CONTINUED, NANO_RECIPE
from sam_plugins.training.split import Split
from sam_plugins.weights import load_model


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    folder = tmp_path / "pool" / "cells"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number, picture in enumerate(small_pool().pictures["cells"]):
        Image.fromarray(picture.image).save(folder / "images" / f"{number}.png")
        labels = Image.fromarray(picture.levels[0].astype(np.uint16))
        labels.save(folder / "masks" / f"{number}.png")
    return tmp_path / "pool"


SPLIT = Split(0, {"cells": {"train": ["0", "1"], "val": []}})


def test_a_run_is_exported_recorded_and_can_be_gone_on_from(pool: Path, tmp_path: Path) -> None:
    options = {"steps": 1, "workers": 0, "recipe": SMALL, "split": SPLIT}
    assert [p.step for p in train_nano(pool, tmp_path / "first", **options)] == [1]
    first = tmp_path / "first" / "nano.safetensors"
    assert load_model(first).variant == "nano"
    list(train_nano(pool, tmp_path / "second", start=first, **options))
    state, further = load_file(first), load_file(tmp_path / "second" / "nano.safetensors")
    assert state["tokens.weight"].dtype == torch.float16
    assert not torch.equal(state["tokens.weight"], further["tokens.weight"])
    torch.testing.assert_close(state["tokens.weight"], further["tokens.weight"], atol=0.01, rtol=0)
    lines = (tmp_path / "second" / "provenance.jsonl").read_text().splitlines()
    began, ended = map(json.loads, lines)
    assert began["start"] == str(first)
    assert {"commit", "seed", "split_sha256", "recipe", "machine", "torch"} <= began.keys()
    assert ended["seconds"] >= 0


def test_what_is_missing_is_said(pool: Path, tmp_path: Path) -> None:
    lacking = Split(0, {"cells": {"train": ["0", "7"], "val": []}})
    with pytest.raises(DatasetError, match="lacks 1 pictures of the split, first '7'"):
        list(train_nano(pool, tmp_path / "run", steps=1, workers=0, recipe=SMALL, split=lacking))
    with pytest.raises(CheckpointError):
        list(train_nano(pool, tmp_path / "run", steps=1, start=tmp_path / "none.safetensors"))


@pytest.mark.parametrize("recipe", [NANO_RECIPE, NANO_CONTINUED, *FINE_TUNING.values()])
def test_recipes_have_a_stage_for_every_share_and_crops_the_encoder_takes(recipe) -> None:
    for share in np.linspace(0, 1, 21):
        stage = recipe.stage(share)
        assert stage.size % 16 == 0
        assert sum(stage.rounds) == pytest.approx(1)
    assert 0 <= recipe.decay_start < 1
