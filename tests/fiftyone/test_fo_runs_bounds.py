"""What a run holds and writes at once is bounded, and slow pictures hold up nothing."""

import threading
import time

import bson
import numpy as np
import pytest

from fiftyone_plugin.masking import measure_mask
from fiftyone_plugin.runs import loading, open_run, work_on, working, writing
from fiftyone_plugin.runs.collection import Documents
from fiftyone_plugin.storage import DOCUMENT_LIMIT
from fiftyone_plugin.values import MaskedObject, Mode, RunConfig, SampleAnswer

CONFIG = RunConfig(mode=Mode.PROMPTS, label_field="masks", box_field="boxes")
SIDE = 3000


def noise(number):
    bits = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE // 8 + 1), np.uint8)
    return np.unpackbits(bits, axis=1)[:, :SIDE].astype(bool)


def answer_of(crops, size):
    boxes = [(0, 0, crop.shape[1], crop.shape[0]) for crop in crops]
    return SampleAnswer(
        objects=tuple(
            MaskedObject(
                prompt_id=f"p{number}",
                crop=crop,
                box=box,
                quality=measure_mask(crop[:9, :9], (0, 0, 9, 9), (9, 9)),
            )
            for number, (crop, box) in enumerate(zip(crops, boxes, strict=True))
        ),
        unanswered=(),
        size=size,
    )


@pytest.mark.slow
@pytest.mark.parametrize("inline", [1 << 20, 1 << 40])
def test_sixteen_masks_of_noise_are_files_and_not_too_large_a_document(
    make_dataset, segmenter, monkeypatch, tmp_path, inline
):
    """Defect D9: FiftyOne's own way ends in DocumentTooLarge."""
    crops = [noise(number) for number in range(16)]
    monkeypatch.setattr(working, "mask_objects", lambda *_: answer_of(crops, (SIDE, SIDE)))
    dataset = make_dataset(1, boxes=1, size=(SIDE, SIDE))
    config = RunConfig(
        mode=Mode.PROMPTS,
        label_field="masks",
        box_field="boxes",
        max_inline_bytes=inline,
        folder=str(tmp_path),
    )
    run = open_run(dataset, config, segmenter.info.model_id)
    report = work_on(dataset, run, dataset.values("id"), segmenter)
    assert (report.done, report.objects) == (1, 16)
    (document,) = dataset._sample_collection.find({})
    assert len(bson.encode(document)) < 1 << 16
    for crop, label in zip(crops, dataset.first().masks.detections, strict=True):
        assert ((label.get_mask() > 0) == crop).all()


@pytest.mark.parametrize(("left", "kept"), [(1 << 16, "inline"), (3000, "files"), (600, "not")])
def test_what_is_in_the_document_already_counts(
    make_dataset, segmenter, monkeypatch, tmp_path, left, kept
):
    crops = [noise(number)[:96, :128] for number in range(2)]
    monkeypatch.setattr(working, "mask_objects", lambda *_: answer_of(crops, (96, 128)))
    config = RunConfig(
        mode=Mode.PROMPTS,
        label_field="masks",
        box_field="boxes",
        max_inline_bytes=1 << 40,
        folder=str(tmp_path / "masks"),
    )
    dataset = make_dataset(2, boxes=2)
    full = dataset.first()
    (document,) = dataset._sample_collection.find({}).limit(1)
    full["notes"] = "x" * (DOCUMENT_LIMIT - len(bson.encode(document)) - left)
    full.save()
    run = open_run(dataset, config, segmenter.info.model_id)
    report = work_on(dataset, run, dataset.values("id"), segmenter)
    assert (report.done, report.failed) == ((1, 1) if kept == "not" else (2, 0))
    assert len(list(tmp_path.glob("masks/*/*/*"))) == (2 if kept == "files" else 0)
    assert dataset.last().masks.detections[0].mask is not None
    if kept == "not":
        assert "remove other fields of the sample" in full.masks_reason
    else:
        assert [(each.get_mask() > 0).tolist() for each in full.masks.detections] == [
            crop.tolist() for crop in crops
        ]


def test_a_batch_is_bounded_in_bytes_and_number(make_dataset, segmenter, monkeypatch):
    batches = []
    write = Documents.write

    def noted(self, run, writes, now):
        labels = [bson.encode({"labels": list(each.labels)}) for each in writes]
        batches.append((len(writes), sum(map(len, labels))))
        return write(self, run, writes, now)

    monkeypatch.setattr(Documents, "write", noted)
    monkeypatch.setattr(writing, "_SAMPLES", 4)
    dataset = make_dataset(12, boxes=3)
    run = open_run(dataset, CONFIG, segmenter.info.model_id)
    work_on(dataset, run, dataset.values("id"), segmenter)
    assert [count for count, _ in batches] == [4, 4, 4]
    whole = max(size for _, size in batches)
    batches.clear()
    monkeypatch.setattr(writing, "_BYTES", whole // 2)
    second = RunConfig(mode=Mode.PROMPTS, label_field="more", box_field="boxes")
    run = open_run(dataset, second, segmenter.info.model_id)
    work_on(dataset, run, dataset.values("id"), segmenter)
    assert sum(count for count, _ in batches) == 12
    assert all(size <= whole // 2 + 200 for _, size in batches)
    assert len(batches) > 5


def test_few_pictures_wait_for_the_model(make_dataset, segmenter, monkeypatch):
    opened = 0
    open_picture = loading.open_picture

    def counted(sample):
        nonlocal opened
        opened += 1
        return open_picture(sample)

    monkeypatch.setattr(loading, "open_picture", counted)
    dataset = make_dataset(10, boxes=1)
    run = open_run(dataset, CONFIG, segmenter.info.model_id)
    waiting = []

    def told(now):
        time.sleep(0.05)
        waiting.append(opened - now.done)

    work_on(dataset, run, dataset.values("id"), segmenter, progress=told)
    assert 1 <= max(waiting) <= loading._AHEAD + 1


def test_a_picture_that_takes_long_does_not_hold_up_what_is_done(
    make_dataset, segmenter, monkeypatch
):
    dataset = make_dataset(4, boxes=1)
    run = open_run(dataset, CONFIG, segmenter.info.model_id)
    open_picture = loading.open_picture
    last = dataset.last().filepath
    written = []

    def slow(sample):
        if sample.filepath == last:
            until = time.monotonic() + 60
            query = {"masks_status": "done"}
            while time.monotonic() < until and len(written) < 3:
                written[:] = dataset._sample_collection.find(query, {"_id": 1})
                time.sleep(0.02)
        return open_picture(sample)

    monkeypatch.setattr(loading, "open_picture", slow)
    monkeypatch.setattr(writing, "_SECONDS", 0.2)
    monkeypatch.setattr(working, "_PATIENCE", 0.1)
    assert work_on(dataset, run, dataset.values("id"), segmenter).done == 4
    assert len(written) == 3


def test_no_thread_is_left(make_dataset, segmenter):
    dataset = make_dataset(8, boxes=1)
    run = open_run(dataset, CONFIG, segmenter.info.model_id)

    def fails(now):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_on(dataset, run, dataset.values("id"), segmenter, progress=fails)
    assert "samples" not in {each.name for each in threading.enumerate()}
    dataset.reload()
    assert dataset.count_values("masks_status")["done"] == 1
