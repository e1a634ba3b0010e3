"""Clicks of several annotators: right masks, and bounds that hold."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from answering_doubles import (
    Model,
    Pictures,
    alone,
    annotator,
    ask,
    question,
    wait_until,
    whole,
)

from labelstudio_backend.answering import Question
from labelstudio_backend.errors import BusyError
from labelstudio_backend.values import Ask, Picture
from sam_plugins import Interaction
from sam_plugins.errors import CheckpointError, ImageError, ModelError, PromptError, WorkerError
from sam_plugins.testing import FakeSegmenter

SIZE = (90, 120)


@pytest.fixture
def pictures():
    return Pictures(**dict.fromkeys("abcdefgh", SIZE))


def test_a_click_finds_what_the_model_alone_finds(made, pictures):
    one = ask((40, 30, 1), (60, 50, 1), (20, 20, 0))
    ((asked, found),) = made.click(question("a", one))
    assert asked is one
    assert found.size == SIZE
    assert found.score > 0
    expected = alone(FakeSegmenter(), pictures.arrays["a"], one)
    assert expected.any()
    assert (whole(found, SIZE) == expected).all()


def test_each_label_gets_its_own_object_in_the_order_of_asking(made, pictures):
    asks = [ask((30, 30, 1)), ask((80, 50, 1), label="Dog"), ask(label="Box", box=(5, 5, 40, 40))]
    answers = made.click(question("a", *asks))
    assert [one.label for one, _ in answers] == ["Cell", "Dog", "Box"]
    assert answers.model_version == made.model_version
    for one, found in answers:
        expected = alone(FakeSegmenter(), pictures.arrays["a"], one)
        assert (whole(found, SIZE) == expected).all()


def test_a_label_with_nothing_to_show_is_left_out(made, meters):
    nothing = Ask("Cell", Interaction(box=(10.1, 10.1, 10.3, 10.3)), "image")
    answers = made.click(question("a", nothing, ask((80, 50, 1), label="Dog")))
    assert [one.label for one, _ in answers] == ["Dog"]
    only_background = ask((10, 10, 0))
    answers = made.click(question("a", only_background, ask((80, 50, 1), label="Dog")))
    assert [one.label for one, _ in answers] == ["Dog"]
    assert meters.counts["unanswerable"] == 1
    with pytest.raises(PromptError, match="background"):
        made.click(question("a", only_background))
    with pytest.raises(PromptError, match="outside"):
        made.click(question("a", ask((500, 10, 1))))
    assert made.click(question("a")) == []
    assert meters.counts["failed"] == 0


def test_the_second_click_only_decodes(made, model, meters):
    made.click(question("a", ask((30, 30, 1))))
    assert (model.encodes, model.decodes) == (1, 1)
    made.click(question("a", ask((30, 30, 1), (50, 40, 0))))
    assert (model.encodes, model.decodes) == (1, 2)  # the first step is remembered
    made.click(question("a", ask((70, 60, 1), label="Dog")))
    made.click(question("a", ask((30, 30, 1), (50, 40, 0), (35, 38, 1))))
    assert (model.encodes, model.decodes) == (1, 4)  # also after another label
    assert (meters.counts["embedding_miss"], meters.counts["embedding_hit"]) == (1, 3)
    assert meters.times["encode"] == 1
    assert meters.times["decode"] == meters.times["picture"] == 4


def test_only_one_question_is_answered_at_a_time(made, model):
    with ThreadPoolExecutor(8) as pool:
        asked = [question("ab"[n % 2], ask((9 * n + 9, 30, 1)), task=str(n)) for n in range(12)]
        assert all(len(answer) == 1 for answer in pool.map(made.click, asked))
    assert model.most_at_once == 1


def test_an_overflow_is_busy_and_nothing_else(tmp_path, pictures, model, meters):
    made = annotator(tmp_path, pictures, model, meters=meters, settings={"queue_length": 3})
    model.decode_gate.clear()
    asked = [question("a", ask((9 * n + 9, 30, 1)), task=str(n)) for n in range(10)]
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(made.click, one) for one in asked]
        wait_until(lambda: sum(answer.done() for answer in answers) == 6)
        for answer in answers:
            if answer.done():
                error = answer.exception()
                assert isinstance(error, BusyError)
                assert error.retry_after >= 1
        model.decode_gate.set()
        done = [answer for answer in answers if answer.exception(20) is None]
        assert len(done) == 4
        assert all(len(answer.result()) == 1 for answer in done)
    assert meters.counts["rejected"] == 6
    assert made.status()["queue"] == made.status()["running"] == 0
    made.close(1)


def test_a_newer_click_of_the_same_object_takes_the_place_of_one_that_waits(made, model, meters):
    model.decode_gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(made.click, question("a", ask((9, 9, 1)), task="9"))
        assert model.decoding.wait(20)
        old = pool.submit(made.click, question("b", ask((30, 30, 1))))
        wait_until(lambda: made.status()["queue"] == 1)
        newer = pool.submit(made.click, question("b", ask((30, 30, 1), (50, 40, 0))))
        assert old.result(20) == []
        model.decode_gate.set()
        assert len(newer.result(20)) == len(first.result(20)) == 1
    assert meters.counts["superseded"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_many_annotators_get_what_each_would_get_alone(tmp_path, pictures, seed):
    model = Model()
    made = annotator(tmp_path, pictures, model, session_bytes=600_000)
    rng = random.Random(seed)

    def work(number):
        random_of = random.Random(1000 * seed + number)
        name, points, wrong = random_of.choice("abcdefgh"), [], 0
        for _ in range(25):
            if not points or random_of.random() < 0.2:
                name, points = random_of.choice("abcdefgh"), []
            point = (random_of.randrange(10, 110), random_of.randrange(10, 80))
            points.append((*point, 1 if not points else random_of.randrange(2)))
            label = random_of.choice(["Cell", "Dog"])
            one = ask(*points, label=label)
            answers = made.click(question(name, one, task=f"{number}"))
            expected = alone(FakeSegmenter(), pictures.arrays[name], one)
            found = whole(answers[0][1], SIZE) if answers else np.zeros(SIZE, bool)
            wrong += not (found == expected).all()
            if random_of.random() < 0.1:
                made.prepare(Picture(random_of.choice("abcdefgh")))
        return wrong

    numbers = list(range(8))
    rng.shuffle(numbers)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, numbers)) == [0] * 8
    assert made._desk.sessions.nbytes <= 600_000
    made.close(1)


def test_memory_is_bounded_and_the_picture_used_last_stays(tmp_path, pictures, model, meters):
    made = annotator(tmp_path, pictures, model, meters=meters, session_bytes=200_000)
    for name in "abcdefgh" * 2:
        for label in range(20):
            made.click(question(name, ask((30, 30, 1), (40, 40, 1), label=str(label))))
            assert made._desk.sessions.nbytes <= 200_000
        encodes = model.encodes
        made.click(question(name, ask((30, 30, 1))))
        assert model.encodes == encodes
    assert 0 < meters.levels["session_bytes"] <= 200_000
    made.close(1)


@pytest.mark.parametrize(
    "error", [WorkerError("It ended."), CheckpointError("Damaged."), ModelError("Unknown.")]
)
def test_why_the_model_cannot_answer_is_said(tmp_path, pictures, error):
    from labelstudio_backend.answering import Annotator
    from labelstudio_backend.settings import Settings

    def broken(name):
        raise error

    made = Annotator(Settings(state_folder=tmp_path), pictures, open_model=broken)
    with pytest.raises(type(error), match=str(error)):
        made.click(question("a", ask((30, 30, 1))))
    assert made.status()["error"] == str(error)
    assert made.model_version == ""
    made.close(1)


def test_a_picture_that_cannot_be_read_is_an_error_of_its_question_only(made, meters):
    with pytest.raises(ImageError, match="missing"):
        made.click(question("missing", ask((30, 30, 1))))
    assert meters.counts["failed"] == 1
    assert len(made.click(question("a", ask((30, 30, 1))))) == 1


def test_reading_what_prompts_mean_happens_once_and_with_the_true_size(made):
    sizes = []

    def read(size):
        sizes.append(size)
        return [ask((30, 30, 1))]

    made.click(Question("1", Picture("a"), frozenset("p"), frozenset(["Cell"]), read))
    assert sizes == [SIZE]


def test_a_process_that_dies_during_a_click_is_not_seen(made, model, meters, pictures):
    one = ask((30, 30, 1), (50, 40, 0))
    for _ in range(3):
        model.deaths = 1
        ((_, found),) = made.click(question("a", one))
        expected = alone(FakeSegmenter(), pictures.arrays["a"], one)
        assert (whole(found, SIZE) == expected).all()
        made._desk.sessions.forget(type("M", (), {"number": made._desk.model._current.number}))
    assert meters.counts["worker_restarted"] == 3
    assert meters.counts["failed"] == 0


def test_closing_answers_what_is_here_and_refuses_the_rest(made, model):
    model.decode_gate.clear()
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(made.click, question("a", ask((30, 30, 1))))
        assert model.decoding.wait(20)
        closing = threading.Thread(target=made.close, args=(20,), daemon=True)
        closing.start()
        wait_until(lambda: made._desk.room._closing)
        with pytest.raises(BusyError, match="ending"):
            made.click(question("b", ask((30, 30, 1))))
        model.decode_gate.set()
        assert len(running.result(20)) == 1
        closing.join(20)
    assert model.closed
    made.prepare(Picture("b"))  # forgotten
    assert made.status()["prepare_queue"] == 0


def test_sessions_of_a_replaced_model_go_with_it(tmp_path, pictures):
    import os

    weights = tmp_path / "weights.pt"
    weights.write_text("10")
    models = []

    def opener(path):
        models.append(Model(float(Path(path).read_text()), image_size=256 if not models else 128))
        return models[-1]

    made = annotator(tmp_path, pictures, None, open_model=opener, settings={"model": str(weights)})
    made._desk.model._watcher._seconds = 0.02
    one = ask((30, 30, 1))
    small = made.click(question("a", one))[0][1].crop.sum()
    (tmp_path / "new").write_text("30")
    os.replace(tmp_path / "new", weights)
    wait_until(lambda: len(models) == 2 and models[0].closed)
    wait_until(lambda: len(made._desk.sessions._sessions) == 0)
    large = made.click(question("a", one))[0][1]
    assert large.crop.sum() > 4 * small
    expected = alone(FakeSegmenter(30, image_size=128), pictures.arrays["a"], one)
    assert (whole(large, SIZE) == expected).all()
    made.close(1)


@pytest.mark.parametrize("seed", range(4))
def test_of_clicks_that_contain_each_other_the_last_is_always_answered(
    made, model, meters, pictures, seed
):
    """Each task's clicks arrive as one person makes them, while others are being answered."""
    rng = random.Random(seed)
    spots = [[(rng.randrange(9, 110), rng.randrange(9, 80), 1) for _ in range(6)] for _ in range(4)]
    found = {}

    def click(task, count):
        one = ask(*spots[task][:count])
        found[task, count] = one, made.click(question("abcd"[task], one, task=str(task)))

    model.decode_gate.clear()
    clicks = []
    for count in range(1, 7):
        for task in rng.sample(range(4), 4):
            clicks.append(threading.Thread(target=click, args=(task, count), daemon=True))
            entered = len(made._desk.room._places) + len(found)
            clicks[-1].start()
            wait_until(lambda now=entered: len(made._desk.room._places) + len(found) > now)
            if rng.random() < 0.3:
                model.decode_gate.set()
                wait_until(lambda: not made._desk.room._queue)
                model.decode_gate.clear()
    model.decode_gate.set()
    for one in clicks:
        one.join(20)
        assert not one.is_alive()
    assert len(found) == 24
    for task in range(4):
        assert found[task, 6][1]
    for (task, _), (one, answers) in found.items():
        if answers:
            expected = alone(FakeSegmenter(), pictures.arrays["abcd"[task]], one)
            assert (whole(answers[0][1], SIZE) == expected).all()
    assert sum(not answers for _, answers in found.values()) == meters.counts["superseded"] > 0
