"""The bundled model in a process of its own: right masks, also when the process is killed."""

import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources

import numpy as np
import pytest
from answering_doubles import (
    Config,
    Pictures,
    Remembered,
    annotator,
    ask,
    question,
    wait_until,
    whole,
)

from labelstudio_backend.answering import rollback
from labelstudio_backend.settings import Settings
from sam_plugins import (
    MaskRecord,
    Refiner,
    TiledImage,
    default_settings,
    generate_masks,
    load_sample,
    open_segmenter,
    open_worker,
)
from sam_plugins.formats import rle_to_mask
from sam_plugins.masks import mask_iou

SECONDS = 120


@pytest.fixture(scope="module")
def pictures():
    pictures = Pictures()
    pictures.arrays = {name: load_sample(name).image for name in ("cells", "objects")}
    return pictures


@pytest.fixture(scope="module")
def nano(request):
    found = resources.files("sam_plugins") / "assets" / "nano.safetensors"
    return open_segmenter("nano", device="cpu", engine="torch") if found.is_file() else None


@pytest.fixture
def meters():
    return Remembered()


@pytest.fixture
def workers():
    return []


@pytest.fixture
def made(require, nano, tmp_path, pictures, meters, workers):
    require("nano", nano is not None)

    def opener(name):
        store = tmp_path / "embeddings"
        workers.append(open_worker("nano", device="cpu", engine="torch", store=store, threads=1))
        return workers[-1]

    made = annotator(tmp_path, pictures, None, open_model=opener, meters=meters)
    yield made
    made.close(5)


def clicks(rgb, seed):
    """Some corrections of one object, as a person gives them: each has the one before in it."""
    rng = random.Random(seed)
    height, width = rgb.shape[:2]
    points = []
    for _ in range(4):
        where = rng.randrange(20, width - 20), rng.randrange(20, height - 20)
        points.append((*where, 1 if not points else rng.randrange(2)))
        yield ask(*points)


def test_two_annotators_on_two_pictures_get_what_the_core_gives(made, nano, pictures, meters):
    expected = {}
    for name, rgb in pictures.arrays.items():
        refiner = Refiner(TiledImage(nano, rgb))
        for seed in range(2):
            expected[name, seed] = [refiner.answer(one.interaction) for one in clicks(rgb, seed)]

    def work(name, task):
        rgb = pictures.arrays[name]
        return {
            (name, seed): [made.click(question(name, one, task=task)) for one in clicks(rgb, seed)]
            for seed in range(2)
        }

    with ThreadPoolExecutor(2) as pool:
        found = {}
        for part in pool.map(work, pictures.arrays, "12"):
            found |= part
    for key, answers in found.items():
        size = pictures.arrays[key[0]].shape[:2]
        for answer, right in zip(answers, expected[key], strict=True):
            assert bool(answer) == bool(right.crop.size)
            if answer:
                ((_, one),) = answer
                # Two processes may round a pixel of the edge differently, on some processors.
                assert mask_iou(whole(one, size), whole(right, size)) >= 0.999
                assert one.score == pytest.approx(right.score, abs=1e-5)
    assert meters.counts["embedding_miss"] == 2
    assert meters.counts["embedding_hit"] == 14
    assert any(answer for answers in found.values() for answer in answers)


def test_everything_is_found_in_the_other_process(made, nano, pictures):
    rgb = pictures.arrays["small"] = np.ascontiguousarray(pictures.arrays["objects"][:240, :320])
    answers = made.annotate(Config("everything", "Cell"), {"id": 1, "data": {"image": "small"}})
    events = generate_masks(nano, rgb, default_settings("nano"))
    records = [event for event in events if isinstance(event, MaskRecord)]
    assert len(answers) == len(records) > 1
    for (_, found), record in zip(answers, records, strict=True):
        assert (whole(found, found.size) == rle_to_mask(record.segmentation)).all()


def test_a_model_file_that_is_replaced_answers_without_a_new_start(
    require, nano, tmp_path, pictures
):
    """A decoder that was trained further: the embedding of the picture is still good."""
    require("nano", nano is not None)
    from safetensors import safe_open
    from safetensors.torch import save_file

    weights, folder = tmp_path / "weights.safetensors", tmp_path / "embeddings"
    meters = Remembered()
    with resources.as_file(resources.files("sam_plugins") / "assets/nano.safetensors") as bundled:
        weights.write_bytes(bundled.read_bytes())

    def opener(name):
        return open_worker(name, device="cpu", engine="torch", store=folder, threads=1)

    made = annotator(
        tmp_path, pictures, None, open_model=opener, meters=meters, settings={"model": str(weights)}
    )
    before = made.model_version
    made._desk.model._watcher._seconds = 0.1
    one = next(clicks(pictures.arrays["objects"], 1))
    with made._desk.model.lease() as old:
        ((_, found),) = made.click(question("objects", one))
        with safe_open(weights, "pt") as file:
            metadata = file.metadata()
            names = list(file.keys())
            state = {name: file.get_tensor(name) for name in names}
        last = [name for name in names if "iou_head" in name and name.endswith("bias")][-1]
        state[last] = state[last] + 0.01
        save_file(state, tmp_path / "new.safetensors", metadata=metadata)
        os.replace(tmp_path / "new.safetensors", weights)
        wait_until(lambda: made.model_version != before, seconds=SECONDS)
        prompt = {"image": pictures.arrays["objects"]}
        assert old.segmenter.encode(**prompt).encoder_id  # it answers as long as it is used
    answers = made.click(question("objects", one))
    assert answers.model_version == made.model_version
    assert made.versions() == [before, made.model_version]
    assert meters.counts["embedding_miss"] == 1
    assert rollback(Settings(model=str(weights), state_folder=tmp_path / "state"), before)
    wait_until(lambda: made.model_version == before, seconds=SECONDS)
    ((_, again),) = made.click(question("objects", one))
    assert (again.crop == found.crop).all()
    weights.write_bytes(b"no weights")
    wait_until(lambda: made.status()["error"], seconds=SECONDS)
    assert made.model_version == before
    assert len(made.click(question("objects", one))) == 1
    made.close(5)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_a_click_is_answered_although_the_process_is_killed(made, nano, pictures, meters, workers):
    """At twenty seeded instants of a click on a picture that was not embedded before."""
    instants = random.Random(5)
    for round_number, name in enumerate(["cells", "objects"] * 10):
        rgb = pictures.arrays[name][: -1 - round_number]
        pictures.arrays["this"] = rgb
        one = list(clicks(rgb, 0))[-1]
        right = Refiner(TiledImage(nano, rgb)).answer(one.interaction)
        made._desk.sessions.forget(made._desk.model._current)
        workers[0].wait_ready(SECONDS)
        with ThreadPoolExecutor(1) as pool:
            clicked = pool.submit(made.click, question("this", one))
            threading.Event().wait(instants.random() * 0.1)
            with suppress(ProcessLookupError):
                os.kill(workers[0].pid, signal.SIGKILL)
            answer = clicked.result(SECONDS)
        assert bool(answer) == bool(right.crop.size)
        if answer:
            # Another number of threads in this process rounds differently: a pixel, at most a few.
            found, expected = whole(answer[0][1], rgb.shape[:2]), whole(right, rgb.shape[:2])
            assert mask_iou(found, expected) > 0.99
    del pictures.arrays["this"]
    assert meters.counts["worker_restarted"] >= 1
    assert meters.counts["failed"] == 0
