"""The bundled model: its file, its shape, and that it segments what it was made for."""

import hashlib
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from sam_plugins import Prompt, open_segmenter
from sam_plugins.evaluation import evaluate_segmenter, read_split
from sam_plugins.masks import mask_iou
from sam_plugins.ports import Segmenter
from sam_plugins.specs import build_model

ASSETS = Path(str(resources.files("sam_plugins") / "assets"))
WEIGHTS = ASSETS / "nano.safetensors"
MOST_BYTES = 16_000_000


@pytest.fixture(autouse=True)
def _weights(require: Callable[..., object]) -> None:
    require("nano", WEIGHTS.is_file())


@pytest.fixture(scope="module")
def nano() -> Segmenter:
    return open_segmenter("nano", device="cpu")


def test_the_file_is_small_half_precision_and_complete() -> None:
    assert WEIGHTS.stat().st_size <= MOST_BYTES
    expected = build_model("nano", device="meta").state_dict()
    with safe_open(WEIGHTS, "pt") as file:
        assert set(file.keys()) == set(expected)
        for name in file.keys():  # noqa: SIM118
            tensor = file.get_tensor(name)
            assert tensor.shape == expected[name].shape, name
            assert tensor.dtype in (torch.float16, torch.int64), name
            assert torch.isfinite(tensor).all(), name


def test_the_record_beside_the_weights_is_theirs() -> None:
    record = json.loads((ASSETS / "nano.json").read_text())
    assert record["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    split = resources.files("sam_plugins.training") / "split.json"
    assert record["split_sha256"] == hashlib.sha256(split.read_bytes()).hexdigest()
    for run in record["runs"]:
        assert {"commit", "seed", "steps", "recipe", "machine"} <= run.keys()


def _disc(size: tuple[int, int], centre: tuple[int, int], radius: int) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2


@pytest.mark.parametrize("size", [(300, 400), (512, 200), (97, 131)])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_click_or_a_box_on_a_plain_disc_gives_the_disc(
    nano: Segmenter, size: tuple[int, int], inverted: bool
) -> None:
    radius = min(size) // 7
    centre = (size[1] // 3, size[0] // 2)
    truth = _disc(size, centre, radius)
    rng = np.random.default_rng(0)
    image = np.where(truth[..., None], 190, 60) + rng.normal(0, 6, (*size, 3))
    image = np.clip(255 - image if inverted else image, 0, 255).astype(np.uint8)
    embedding = nano.encode(image)
    x, y = centre
    box = (x - radius, y - radius, x + radius + 1, y + radius + 1)
    for prompt in (Prompt(point_coords=[centre], point_labels=[1]), Prompt(box=box)):
        assert mask_iou(nano.decode(embedding, prompt).best(), truth) > 0.8


def test_a_second_click_with_the_first_answer_corrects_it(nano: Segmenter) -> None:
    size = (256, 256)
    left, right = _disc(size, (90, 128), 34), _disc(size, (150, 128), 34)
    image = np.full((*size, 3), 40, np.uint8)
    image[left] = (200, 60, 60)
    image[right] = (60, 60, 200)
    embedding = nano.encode(image)
    first = nano.decode(embedding, Prompt(box=(50, 88, 190, 168)))
    both = mask_iou(first.best(), left & ~right)
    second = nano.decode(
        embedding,
        Prompt(
            point_coords=[(80, 128), (165, 128)],
            point_labels=[1, 0],
            mask_input=first.low_res_logits[[first.best_index]],
        ),
    )
    assert mask_iou(second.best(), left & ~right) > max(both, 0.6)


def test_it_segments_nuclei_it_never_saw(nano: Segmenter, require: Callable[..., object]) -> None:
    pool = Path(__file__).parents[3] / "shared" / "train_pool"
    require("train_pool", pool.is_dir())
    with resources.as_file(resources.files("sam_plugins.training") / "split.json") as split:
        items = [i for i in read_split(split, pool, "val") if i.group == "nuclei"][::10]
    report = evaluate_segmenter(nano, items, max_objects_per_image=4)
    means = {row.prompt: row.estimate.mean for row in report.rows()}
    assert means["click"] > 0.55
    assert means["box"] > 0.75
