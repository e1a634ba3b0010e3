"""Fine-tuning from a folder to weights that open again."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scenes_for_tests import small_pool

from sam_plugins import Prompt, open_segmenter
from sam_plugins.errors import DatasetError
from sam_plugins.evaluation.dataset import read_folder
from sam_plugins.model.nano import Nano
from sam_plugins.training import train
from sam_plugins.training.finetune import folder_pool, held_out
from sam_plugins.training.pool import IGNORE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures: PNG and 16-bit TIFF, labels that are not consecutive, unknown pixels."""
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for number in range(6):
        picture = small_pool().pictures["cells"][number % 2]
        labels = np.where(picture.levels[0] == 3, 4000, picture.levels[0]).astype(np.uint16)
        images, masks = tmp_path / "data" / "images", tmp_path / "data" / "masks"
        if number % 2:
            tifffile.imwrite(images / f"{number}.tif", picture.image[..., 0].astype(np.uint16) * 9)
        else:
            Image.fromarray(picture.image).save(images / f"{number}.png")
        Image.fromarray(labels).save(masks / f"{number}.png")
    return tmp_path / "data"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "start.safetensors"
    save_file({k: v.contiguous() for k, v in Nano().state_dict().items()}, path)
    return path


@pytest.mark.slow
def test_training_writes_weights_that_open_and_a_report(
    folder: Path, start: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    result = train(
        data=folder,
        model=str(start),
        out=tmp_path / "run",
        steps=2,
        workers=0,
        freeze_encoder=True,
        progress=lambda progress: seen.append(progress.step),
    )
    assert seen == [1, 2]
    assert result.before is not None
    assert result.after is not None
    assert len(result.after.scores) == len(result.before.scores) > 0
    before, after = load_file(start), load_file(result.weights)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any(name.startswith("image_encoder.") for name in changed)
    segmenter = open_segmenter(str(result.weights))
    original = open_segmenter(str(start))
    assert segmenter.info.encoder_id == original.info.encoder_id
    assert segmenter.info.model_id != original.info.model_id
    embedding = original.encode(np.zeros((40, 50, 3), np.uint8))
    segmenter.decode(embedding, Prompt(point_coords=[(3, 4)], point_labels=[1]))


def test_labels_of_a_folder_become_consecutive_and_unknown_stays(folder: Path) -> None:
    pool = folder_pool(read_folder(folder))
    for picture in pool.pictures["data"]:
        values = set(np.unique(picture.levels[0]).tolist())
        assert IGNORE in values
        assert 0 in values
        assert max(values - {IGNORE}) == len(values) - 2


def test_held_out_pictures_do_not_depend_on_order_and_never_train(folder: Path) -> None:
    items = read_folder(folder)
    kept, held = held_out(items)
    assert held_out(items[::-1])[1] == held[::-1] or set(held_out(items[::-1])[1]) == set(held)
    assert len(held) == 1
    assert not {i.id for i in kept} & {i.id for i in held}
    assert held_out(items[:3]) == (items[:3], [])


def test_data_without_masks_say_so(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DatasetError, match="masks"):
        train(data=tmp_path, out=tmp_path / "run")
