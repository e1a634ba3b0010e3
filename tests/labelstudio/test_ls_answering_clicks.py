"""Clicks of several annotators: right masks, one embedding per picture, and bounds that hold."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from answering_doubles import (
    Model,
    Pictures,
    Remembered,
    above_store,
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
from sam_plugins import Interaction, TiledImage
from sam_plugins.errors import CheckpointError, ImageError, ModelError, PromptError, WorkerError
from sam_plugins.testing import FakeSegmenter

SIZE = (90, 120)


@pytest.fixture
def pictures():
    return Pictures(**dict.fromkeys("abcdefgh", SIZE))


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def meters():
    return Remembered()


@pytest.fixture
def made(tmp_path, pictures, model, meters):
    made = annotator(tmp_path, pictures, model, meters=meters)
    yield made
    made.close(1)


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


def test_one_embedding_per_picture_however_many_ask(made, model):
    model.encode_gate.clear()
    asked = [question("a", ask((10 + 5 * n, 30, 1)), task=str(n)) for n in range(12)]
    with ThreadPoolExecutor(13) as pool:
        answers = [pool.submit(made.click, one) for one in asked]
        made.prepare(Picture("a"))
        assert model.encoding.wait(20)
        wait_until(lambda: made.status()["queue"] == 12)
        model.encode_gate.set()
        assert all(len(answer.result(20)) == 1 for answer in answers)
    assert model.encodes == 1


def test_another_start_finds_the_embeddings_of_the_first(tmp_path, pictures, model, meters):
    folder = tmp_path / "embeddings"
    options = {"open_model": above_store(model, folder)}
    first = annotator(tmp_path, pictures, model, **options)
    before = first.click(question("a", ask((30, 30, 1))))
    first.close(1)
    model.closed = False
    assert model.encodes == 1
    second = annotator(tmp_path, pictures, model, meters=meters, **options)
    after = second.click(question("a", ask((30, 30, 1))))
    second.close(1)
    assert model.encodes == 1
    assert meters.counts["embedding_hit"] == 1
    assert (whole(before[0][1], SIZE) == whole(after[0][1], SIZE)).all()


def test_prepare_returns_at_once_and_the_click_that_follows_only_decodes(made, model, meters):
    model.encode_gate.clear()
    made.prepare(Picture("a"))
    assert model.encoding.wait(20)
    for _ in range(5):
        made.prepare(Picture("b"))
    assert made.status()["prepare_queue"] == 1
    model.encode_gate.set()
    wait_until(lambda: model.encodes == 2)
    made.click(question("a", ask((30, 30, 1))))
    made.click(question("b", ask((30, 30, 1))))
    assert model.encodes == 2
    assert meters.counts["embedding_hit"] == 2


def test_what_a_click_has_embedded_is_not_prepared_again(made, model, pictures):
    made.click(question("a", ask((30, 30, 1))))
    made.prepare(Picture("a"))
    made.prefetch([Picture("a"), Picture("b")])
    wait_until(lambda: model.encodes == 2)
    assert pictures.loads == {"a": 1, "b": 1}


def test_the_next_pictures_wait_until_nothing_else_is_to_be_done(made, model, pictures):
    model.decode_gate.clear()
    with ThreadPoolExecutor(1) as pool:
        clicked = pool.submit(made.click, question("a", ask((30, 30, 1))))
        assert model.decoding.wait(20)
        made.prefetch([Picture("b"), Picture("c")])
        wait_until(lambda: made._desk.room._steps)
        assert pictures.loads == {"a": 1}
        model.decode_gate.set()
        clicked.result(20)
    wait_until(lambda: model.encodes == 3)
    assert pictures.loads == {"a": 1, "b": 1, "c": 1}


def test_a_picture_that_cannot_be_prepared_is_told_once(made, caplog, pictures):
    for _ in range(3):
        made.prepare(Picture("missing"))
        wait_until(lambda: made._preparing.opened.idle)
    assert pictures.loads["missing"] == 3
    assert caplog.text.count("missing") == 1


def test_far_too_many_to_prepare_are_dropped_the_oldest_first(made, model, meters):
    model.encode_gate.clear()
    made.prepare(Picture("a"))
    assert model.encoding.wait(20)
    for number in range(200):
        made.prepare(Picture(f"x{number}"))
    made.prepare(Picture("b"))
    assert made.status()["prepare_queue"] == 64
    assert meters.counts["prepare_dropped"] == 137
    model.encode_gate.set()
    wait_until(lambda: made._preparing.opened.idle)
    assert model.encodes == 2


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


def test_a_click_on_a_large_picture_leaves_its_other_tiles_to_prepare(tmp_path, model):
    pictures = Pictures(large=(300, 3200))
    made = annotator(tmp_path, pictures, model)
    one = ask((200, 100, 1))
    ((_, found),) = made.click(question("large", one))
    expected = alone(FakeSegmenter(), pictures.arrays["large"], one)
    assert (whole(found, (300, 3200)) == expected).all()
    assert model.encodes == 1
    made.prepare(Picture("large"))
    tiles = len(TiledImage(model, pictures.arrays["large"]).grid)
    assert tiles > 3
    wait_until(lambda: made._preparing.opened.idle)
    assert model.encodes == tiles
    made.click(question("large", ask((2900, 100, 1))))
    assert model.encodes == tiles
    made.close(1)


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
