"""What happens when the process stalls, fails, prints or dies."""

import gc
import logging
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from worker_targets import DIE, FAIL, STALL, image_with

from sam_plugins.automatic import AutomaticSettings, Progress, generate_masks
from sam_plugins.errors import CheckpointError, ImageError, WorkerError
from sam_plugins.testing import FakeSegmenter, sample_image
from sam_plugins.types import MaskRecord, Prompt
from sam_plugins.worker import open_worker

PATIENCE = 30.0
CLICK = Prompt(point_coords=[(20, 20)], point_labels=[1])
SETTINGS = AutomaticSettings(points_per_side=4, pred_iou_thresh=0, stability_score_thresh=0)


@pytest.fixture
def opened():
    made = []

    def open_it(name="awkward", **options):
        made.append(open_worker(target=f"worker_targets:{name}", store=None, threads=1, **options))
        return made[-1]

    yield open_it
    for worker in made:
        worker.close()


def in_thread(call):
    """A future of a call on another thread."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(call)
    pool.shutdown(wait=False)
    return future


def test_opening_returns_before_there_is_a_model_and_says_how_far_it_is(opened):
    phases, ready = [], threading.Event()

    def follow(status):
        phases.append(status.phase)
        if status.phase == "ready":
            ready.set()

    worker = opened(on_status=follow)
    assert worker.wait_ready(PATIENCE).name == "fake"
    assert ready.wait(PATIENCE)
    assert phases == ["starting", "opening", "ready"]


def test_what_cannot_be_opened_is_the_same_error_in_every_call(opened):
    worker = opened("refusing", model="weights.pt")
    with pytest.raises(CheckpointError, match=r"Expected weights, found 'weights.pt'"):
        worker.wait_ready(PATIENCE)
    with pytest.raises(CheckpointError, match="fetch them again"):
        worker.encode(sample_image(64, 64))


def test_an_unexpected_error_is_a_sentence_and_its_traceback_is_logged(opened, caplog):
    worker = opened()
    with caplog.at_level(logging.ERROR), pytest.raises(WorkerError, match="ZeroDivisionError"):
        worker.encode(image_with(FAIL))
    assert "while encoding" in caplog.text
    assert "Traceback" in caplog.text
    worker.decode(worker.encode(sample_image(64, 64)), CLICK)
    with pytest.raises(WorkerError, match="while opening"):
        opened("broken").wait_ready(PATIENCE)


def test_what_libraries_print_does_not_disturb(opened):
    worker = opened("noisy")
    masks = worker.decode(worker.encode(sample_image(64, 64)), CLICK)
    assert masks.masks.shape == (3, 64, 64)


def test_prompts_are_answered_while_an_encoder_stalls(opened):
    worker = opened()
    embedding = worker.encode(sample_image(64, 64))
    stalled = in_thread(lambda: worker.encode(image_with(STALL)))
    masks = [worker.decode(embedding, CLICK) for _ in range(20)]
    assert len(masks) == 20
    assert not stalled.done()
    worker.close()
    with pytest.raises(WorkerError, match="was closed"):
        stalled.result(PATIENCE)


def test_a_death_is_a_sentence_with_the_last_words_and_the_next_request_starts_again(opened):
    statuses, again = [], threading.Event()

    def follow(status):
        statuses.append(status.phase)
        if statuses.count("ready") == 2:
            again.set()

    worker = opened(on_status=follow)
    embedding = worker.encode(sample_image(64, 64))
    expected = worker.decode(embedding, CLICK)
    first = worker.pid
    with pytest.raises(WorkerError, match=r"exit code 7.*terrible news.*started again"):
        worker.encode(image_with(DIE))
    answer = worker.decode(embedding, CLICK)  # with an embedding that the new one never saw
    np.testing.assert_array_equal(answer.masks, expected.masks)
    assert worker.pid != first
    assert again.wait(PATIENCE)
    assert statuses == ["starting", "opening", "ready", "stopped", "starting", "opening", "ready"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_instant_nobody_waits_and_every_answer_is_right(opened, seed):
    instants = random.Random(seed)
    worker = opened()
    images = [sample_image(48 + i, 64, seed=i) for i in range(4)]
    fake = FakeSegmenter()
    right = [fake.decode(fake.encode(image), CLICK).masks for image in images]
    stop, refused, wrong, answered = threading.Event(), [], [], [0] * 4

    def ask(number):
        while not stop.is_set():
            try:
                masks = worker.decode(worker.encode(images[number]), CLICK).masks
            except WorkerError as error:
                refused.append(str(error))
            else:
                answered[number] += 1
                if not np.array_equal(masks, right[number]):
                    wrong.append(number)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for asker in askers:
        asker.start()
    for _ in range(3):
        if instants.random() < 0.7:  # else while it starts
            with suppress(WorkerError):
                worker.wait_ready(PATIENCE)
        threading.Event().wait(instants.random() * 0.05)
        with suppress(ProcessLookupError):  # nobody asked since the last time
            os.kill(worker.pid, signal.SIGKILL)
    try:
        worker.wait_ready(PATIENCE)
    except WorkerError:
        worker.wait_ready(PATIENCE)
    before, waited = list(answered), threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if all(now > then for now, then in zip(answered, before, strict=True)):
            break
        waited.wait(0.01)
    stop.set()
    assert all(now > then for now, then in zip(answered, before, strict=True))
    for asker in askers:
        asker.join(PATIENCE)
        assert not asker.is_alive()
    assert not wrong
    assert all("ended unexpectedly" in text for text in refused)


def test_everything_mode_runs_whole_in_the_other_process(opened):
    worker, image = opened(), sample_image(96, 96)
    found, expected = (
        # Only a process that has not done so before compiles what measures masks, and says so.
        [item for item in events if getattr(item, "message", "") != "Preparing"]
        for events in (
            worker.generate_masks(image, SETTINGS),
            generate_masks(FakeSegmenter(), image, SETTINGS),
        )
    )
    assert [type(item) for item in found] == [type(item) for item in expected]
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(ours, MaskRecord):
            assert ours.segmentation == theirs.segmentation
            assert ours.predicted_iou == theirs.predicted_iou
        else:
            assert ours == theirs


def test_everything_mode_stops_with_what_it_has_found(opened):
    worker, image = opened(), sample_image(96, 96)
    settings = AutomaticSettings(
        points_per_side=64, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1
    )
    seen = 0

    def enough():
        return seen >= 200

    records = []
    for item in worker.generate_masks(image, settings, stop=enough):
        if isinstance(item, Progress):
            if item.message == "Answering a grid of points":
                seen = item.done
        else:
            records.append(item)
    assert 200 <= seen < 64 * 64
    assert records


def test_a_closed_stream_ends_in_the_other_process(opened):
    worker = opened()
    embedding = worker.encode(sample_image(64, 64))
    answers = worker.decode_many(embedding, [CLICK] * 5000)
    next(answers)
    answers.close()
    unread = worker.decode_many(embedding, [CLICK] * 5000)  # keeps nobody waiting either
    next(unread)
    assert worker.decode(embedding, CLICK).masks.any()
    assert len(list(worker.decode_many(embedding, [CLICK] * 50))) == 50


def test_wrong_arguments_are_refused_at_the_call(opened):
    worker = opened()
    with pytest.raises(ImageError):
        worker.encode(np.zeros((4, 4), np.uint8))
    with pytest.raises(ImageError):
        list(worker.generate_masks(np.zeros((4, 4), np.uint8), SETTINGS))


def test_embeddings_that_were_dropped_are_sent_again(opened, monkeypatch):
    worker = opened()
    embeddings = [worker.encode(sample_image(64, 64, seed=seed)) for seed in range(3)]
    sent = worker._running[0].sent
    token = sent.reference(embeddings[0]).token
    key = next(key for key, (_, known) in sent._tokens.items() if known == token)
    sent._tokens[key] = (sent._tokens[key][0], 10**9)  # as if it had been dropped there
    expected = FakeSegmenter().decode(embeddings[0], CLICK)
    np.testing.assert_array_equal(worker.decode(embeddings[0], CLICK).masks, expected.masks)
    answers = list(worker.decode_many(embeddings[0], [CLICK]))
    np.testing.assert_array_equal(answers[0].masks, expected.masks)


def test_closing_leaves_no_process_thread_or_file(opened):
    worker = opened()
    worker.wait_ready(PATIENCE)
    worker.close()
    before = threads(), files()
    for _ in range(3):
        again = opened()
        again.encode(sample_image(64, 64))
        again.close()
        with pytest.raises(ChildProcessError):
            os.waitpid(again.pid, 0)  # it was waited for
    assert (threads(), files()) == before


def threads():
    return sum(thread.name == "sam-plugins worker" for thread in threading.enumerate())


def files():
    folder = Path("/proc/self/fd")
    gc.collect()
    return len(list(folder.iterdir())) if folder.is_dir() else 0


PARENT = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from sam_plugins.worker import open_worker
from worker_targets import STALL, image_with
import threading
worker = open_worker(target="worker_targets:awkward", store=None, threads=1)
worker.wait_ready(30)
threading.Thread(target=worker.encode, args=(image_with(STALL),), daemon=True).start()
print(worker.pid, "torch" in sys.modules, flush=True)
{end}
"""
ENDS = {"kill -9": "os.kill(os.getpid(), signal.SIGKILL)", "exit": "", "error": "1 / 0"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="asks the system for a process by its id")
@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_the_process_that_started_it(end):
    code = PARENT.format(folder=str(Path(__file__).parent), end=ENDS[end])
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE
    )
    pid, torch_loaded = result.stdout.split()
    assert torch_loaded == "False"
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if not alive(int(pid)):
            return
        waited.wait(0.05)
    pytest.fail("the model's process is still there")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return state != "Z"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a process that is stopped")
def test_a_process_that_does_not_react_is_closed_all_the_same(opened):
    worker = opened()
    worker.wait_ready(PATIENCE)
    os.kill(worker.pid, signal.SIGSTOP)
    waits = in_thread(lambda: worker.encode(sample_image(2000, 2000)))  # more than a pipe holds
    worker.close()
    with pytest.raises(WorkerError, match="was closed"):
        waits.result(PATIENCE)
    assert not alive(worker.pid)


def test_a_segmenter_that_nobody_holds_ends_its_process():
    worker = open_worker(target="worker_targets:awkward", store=None, threads=1)
    worker.wait_ready(PATIENCE)
    pid = worker.pid
    del worker
    gc.collect()
    assert not alive(pid)


def test_embeddings_are_kept_on_the_disk_between_processes(tmp_path):
    """The second process finds the file of the first and writes no other."""
    image, kept = sample_image(64, 64), []
    for _ in range(2):
        worker = open_worker("nano", engine="torch", store=tmp_path, threads=1)
        worker.encode(image)
        worker.close()
        files_there = tmp_path.rglob("*.safetensors")
        kept.append([(file.name, file.stat().st_ino) for file in files_there])
    assert len(kept[0]) == 1
    assert kept[0] == kept[1]
