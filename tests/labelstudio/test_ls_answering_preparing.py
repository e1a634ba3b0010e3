"""One embedding per picture: before anybody asks, whoever asks, and after another start."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from answering_doubles import (
    Pictures,
    above_store,
    alone,
    annotator,
    ask,
    question,
    wait_until,
    whole,
)

from labelstudio_backend.values import Picture
from sam_plugins import TiledImage
from sam_plugins.testing import FakeSegmenter

SIZE = (90, 120)


@pytest.fixture
def pictures():
    return Pictures(**dict.fromkeys("abcdefgh", SIZE))


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
