"""A thousand pictures with ten boxes each: delegated, killed, resumed, and every mask looked at."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import link_plugin
from launchers import DONE, launchers, states, wait_until
from operating import delegate
from PIL import Image

from fiftyone_plugin.fields import run_field, status_field
from fiftyone_plugin.geometry import relative_to_pixel_box, whole_box
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.runs import list_runs, run_counts
from fiftyone_plugin.values import Status

PICTURES, DISCS = 1000, 10
SIZE = (100, 160)
OPERATOR = "@sam-plugins/sam/segment_prompts"


def discs(number: int) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """A picture of ten discs that do not touch, and their x, y and radius."""
    random = np.random.default_rng(number)
    picture = np.full((*SIZE, 3), 30, np.uint8)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    found = []
    for place in range(DISCS):
        radius = int(random.integers(7, 12))
        x = 16 + 32 * (place % 5) + int(random.integers(-3, 4))
        y = 25 + 50 * (place // 5) + int(random.integers(-10, 11))
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        picture[inside] = random.integers(110, 255, 3)
        found.append((x, y, radius))
    return picture, found


@pytest.fixture
def thousand(fiftyone_here: Any, tmp_path: Path) -> Any:
    fo = fiftyone_here
    height, width = SIZE
    samples = []
    for number in range(PICTURES):
        picture, found = discs(number)
        path = tmp_path / f"{number:04d}.png"
        Image.fromarray(picture).save(path)
        boxes = [
            fo.Detection(
                label="disc",
                index=place,
                bounding_box=[
                    (x - radius) / width,
                    (y - radius) / height,
                    (2 * radius + 1) / width,
                    (2 * radius + 1) / height,
                ],
            )
            for place, (x, y, radius) in enumerate(found)
        ]
        metadata = fo.ImageMetadata(width=width, height=height)
        sample = fo.Sample(filepath=str(path), metadata=metadata, number=number)
        sample["boxes"] = fo.Detections(detections=boxes)
        samples.append(sample)
    dataset = fo.Dataset(persistent=True)
    dataset.add_samples(samples, progress=False)
    yield dataset
    fo.delete_dataset(dataset.name)


PARAMS = {"box_field": "boxes", "label_field": "masks", "box_mode": "tighten"}


def counts(dataset: Any) -> dict[Status | None, int]:
    runs = list_runs(dataset)
    return run_counts(dataset, runs[0].run_id) if runs else {}


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_thousand_pictures_delegated_killed_and_resumed(
    thousand: Any, fiftyone_environment: dict[str, str], fiftyone_folder: Path, tmp_path: Path
) -> None:
    dataset = thousand
    # The checks give each test one thread; this one is long enough for all.
    variables = {k: v for k, v in fiftyone_environment.items() if k != "OMP_NUM_THREADS"}
    link_plugin(fiftyone_folder / "plugins")
    first = delegate(OPERATOR, dataset, **PARAMS)
    kill_at = int(np.random.default_rng(7).integers(200, 500))
    with launchers(1, variables, tmp_path) as (launcher,):
        wait_until(
            lambda: counts(dataset).get(Status.DONE, 0) >= kill_at, "the first part", 900, every=3
        )
        assert states([first]) == ["running"]
        launcher.kill()
    before = counts(dataset)[Status.DONE]
    assert kill_at <= before < PICTURES
    written = when_written(dataset)

    second = delegate(OPERATOR, dataset, **PARAMS)
    folder = tmp_path / "again"
    folder.mkdir()
    with launchers(1, variables, folder):
        wait_until(lambda: set(states([second])) <= DONE, "the rest", 1200, every=3)
    assert states([second]) == ["completed"], (folder / "launcher-0.log").read_text()[-3000:]

    assert len(list_runs(dataset)) == 1
    assert counts(dataset)[Status.DONE] == PICTURES
    afterwards = when_written(dataset)
    assert {sample: afterwards[sample] for sample in written} == written
    dataset.reload()
    assert all_masks_are_right(dataset, list_runs(dataset)[0].run_id) == PICTURES * DISCS


def when_written(dataset: Any) -> dict[str, Any]:
    """Sample id -> when its document was last changed, of those that are done."""
    done = dataset.exists(status_field("masks"))
    return dict(zip(*done.values(["id", "last_modified_at"]), strict=True))


def all_masks_are_right(dataset: Any, run_id: str) -> int:
    """Look at every mask: whose it is, where, and which pixels; gives their number."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    looked_at = 0
    for sample in dataset.iter_samples(progress=False):
        assert sample[run_field("masks")] == run_id
        boxes = {str(label.id): label for label in sample.boxes.detections}
        masks = {label.prompt_id: label for label in sample.masks.detections}
        assert len(sample.masks.detections) == len(masks) == len(boxes) == DISCS
        assert masks.keys() == boxes.keys()
        _, found = discs(sample.number)
        for prompt_id, label in masks.items():
            asked = boxes[prompt_id]
            assert (label.label, label.index) == ("disc", asked.index)
            crop, box = mask_of(label, SIZE)
            assert box == whole_box(relative_to_pixel_box(label.bounding_box, SIZE), SIZE)
            assert crop.shape == (box[3] - box[1], box[2] - box[0])
            assert label.area == np.count_nonzero(crop)
            x, y, radius = found[asked.index]
            truth = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
            here = np.zeros(SIZE, bool)
            here[box[1] : box[3], box[0] : box[2]] = crop
            share = np.count_nonzero(truth & here) / np.count_nonzero(truth | here)
            assert share > 0.8, (sample.filepath, asked.index, share)
            looked_at += 1
    return looked_at
