"""A label's mask as the start of clicks, whoever made it: only what a click points at changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fiftyone_plugin.errors import ReviewError, SampleError
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.review import Corrections, read_interaction, read_start
from sam_plugins import Refiner, TiledImage
from sam_plugins.formats import rle_to_mask
from sam_plugins.testing import FakeSegmenter
from sam_plugins.types import Size

SIZE: Size = (96, 128)
PIXELS = np.zeros((30, 40), bool)
PIXELS[4:26, 6:36] = True
PIXELS[10:14, 12:20] = False
BOX = [0.25, 0.25, 40 / 128, 30 / 96]


def whole() -> Any:
    mask = np.zeros(SIZE, bool)
    mask[24:54, 32:72] = PIXELS
    return mask


def values_of(kind: str, folder: Path) -> dict[str, Any]:
    """What a Detection of that mask holds, as several programs store it."""
    file = folder / "mask.png"
    Image.fromarray(PIXELS.astype(np.uint8) * 255).save(file)
    return {
        "inline": {"bounding_box": BOX, "mask": PIXELS},
        "of 0 and 255": {"bounding_box": BOX, "mask": PIXELS.astype(np.uint8) * 255},
        "of numbers": {"bounding_box": BOX, "mask": PIXELS.astype(np.float64)},
        "in a file": {"bounding_box": BOX, "mask_path": str(file)},
        "of the whole picture": {"bounding_box": [0, 0, 1, 1], "mask": whole()},
        "larger than its box": {
            "bounding_box": BOX,
            "mask": PIXELS.repeat(2, axis=0).repeat(2, axis=1),
        },
    }[kind]


KINDS = (
    "inline",
    "of 0 and 255",
    "of numbers",
    "in a file",
    "of the whole picture",
    "larger than its box",
)


@pytest.fixture
def corrected(make_dataset: Any, fiftyone_here: Any) -> Any:
    """``corrected(**values)``: a sample whose only label in `theirs` holds those values."""

    def make(**values: Any) -> tuple[Any, Any, Corrections]:
        dataset = make_dataset(1)
        sample = dataset.first()
        label = fiftyone_here.Detection(
            label="cell", index=7, tags=["theirs"], iscrowd=0, note="by hand", **values
        )
        sample["theirs"] = fiftyone_here.Detections(detections=[label])
        sample.save()
        return sample, label, Corrections(dataset, sample.id)

    return make


def said(label: Any, *points: Any, mark: str = "", **more: Any) -> dict[str, Any]:
    start = {"field": "theirs", "label_id": label.id, "mark": mark}
    shares = [[(x + 0.5) / 128, (y + 0.5) / 96, sign] for x, y, sign in points]
    return {"points": shares, "start": start, **more}


@pytest.mark.parametrize("kind", KINDS)
def test_any_mask_is_corrected_where_it_is_clicked_and_taken_back(
    kind: str, corrected: Any, tmp_path: Path
) -> None:
    sample, label, corrections = corrected(**values_of(kind, tmp_path))
    former = sample["theirs"].to_dict()
    start = read_start(said(label), corrections, SIZE)
    assert start is not None
    assert np.array_equal(rle_to_mask(start.mask), whole())

    refiner = Refiner(TiledImage(FakeSegmenter(), np.full((*SIZE, 3), 90, np.uint8)))
    untouched = refiner.answer(read_interaction(said(label), SIZE, start.mask))
    assert not start.changed_by(untouched)
    clicks = said(label, (72, 40, 1), (40, 48, 0), mark=start.mark)
    assert read_start(clicks, corrections, SIZE) == start
    refined = refiner.answer(read_interaction(clicks, SIZE, start.mask))
    changed = start.changed_by(refined)
    corrections.replace("theirs", label.id, refined, SIZE, "model")

    sample.reload()
    (after,) = sample["theirs"].detections
    crop, (x0, y0, x1, y1) = mask_of(after, SIZE)
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = crop
    added, removed = mask & ~whole(), whole() & ~mask
    assert (int(added.sum()), int(removed.sum())) == (changed.added, changed.removed)
    assert added[40, 72]
    assert removed[48, 40]
    near = np.hypot(*(np.indices(SIZE) - np.array([40, 72])[:, None, None])) < 30
    near |= np.hypot(*(np.indices(SIZE) - np.array([48, 40])[:, None, None])) < 30
    assert not (added | removed)[~near].any()
    kept = ("id", "label", "index", "tags", "iscrowd", "note")
    assert [after[name] for name in kept] == [label[name] for name in kept]
    assert after.area == mask.sum()

    corrections.undo()
    sample.reload()
    assert sample["theirs"].to_dict() == former


def test_a_mask_that_somebody_changed_meanwhile_is_not_written_over(corrected: Any) -> None:
    sample, label, corrections = corrected(bounding_box=BOX, mask=PIXELS)
    start = read_start(said(label), corrections, SIZE)
    sample["theirs"].detections[0].mask = ~PIXELS
    sample.save()
    with pytest.raises(ReviewError, match="Somebody has changed this mask"):
        read_start(said(label, mark=start.mark), corrections, SIZE)


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ({"bounding_box": BOX}, ReviewError, "no mask in the picture"),
        ({"bounding_box": BOX, "mask": PIXELS & False}, ReviewError, "no mask in the picture"),
        ({"bounding_box": [2, 2, 0.1, 0.1], "mask": PIXELS}, ReviewError, "no mask in the pict"),
        ({"bounding_box": BOX, "mask_path": "/nowhere/mask.png"}, SampleError, "restore the file"),
    ],
)
def test_a_label_that_has_nothing_to_start_from_says_so(
    corrected: Any, values: Any, error: Any, match: str
) -> None:
    _, label, corrections = corrected(**values)
    with pytest.raises(error, match=match):
        read_start(said(label), corrections, SIZE)


@pytest.mark.parametrize(
    "start",
    [
        "all",
        {},
        {"field": "theirs", "label_id": 3, "mark": ""},
        {"field": "theirs", "label_id": "0" * 24, "mark": ""},
        {"field": "filepath", "label_id": "0" * 24, "mark": ""},
    ],
)
def test_anything_else_is_refused_in_a_sentence(corrected: Any, start: Any) -> None:
    _, _, corrections = corrected(bounding_box=BOX, mask=PIXELS)
    with pytest.raises(ReviewError, match=r": \w+ .*\.$"):
        read_start({"start": start}, corrections, SIZE)


def test_nothing_is_said_of_a_start(corrected: Any) -> None:
    _, _, corrections = corrected(bounding_box=BOX, mask=PIXELS)
    assert read_start({"points": []}, corrections, SIZE) is None
