"""Several processes, one folder: encoded once, taken over, never wrong, whoever is killed."""

import logging
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from embeddings_for_tests import embedding_of, same
from store_process import SIDE, Noting, pictures

from sam_plugins.codec import embedding_to_bytes
from sam_plugins.stores import CachedSegmenter, DiskStore
from sam_plugins.testing import FakeSegmenter

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills and stops processes by signals")

KILLS = 20


@contextmanager
def child(*arguments):
    """A process that works from now on; killed at the end."""
    here = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, here / "store_process.py", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready(*processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def until(condition):
    """Wait for a condition; the timeout of the test run bounds it."""
    while not condition():
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "embeddings"


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "notes"
    path.touch()
    return path


def segmenter_in(folder, notes, **options):
    return CachedSegmenter(Noting(notes, 0), DiskStore(folder, min_free_bytes=0), **options)


def keys_of(seeds):
    return [FakeSegmenter().encode(image).key for image in pictures(seeds)]


def test_processes_that_want_one_picture_encode_it_once(folder, notes):
    wanted = ("encode", folder, notes, 0.5, 1)
    with child(*wanted) as a, child(*wanted) as b, child(*wanted) as c:
        ready(a, b, c)
        said = [process.stdout.read() for process in (a, b, c)]
    (key,) = keys_of([1])
    assert said == [f"{key}\n"] * 3
    assert notes.read_text().split() == [key]


def test_lists_that_overlap_in_other_orders_encode_each_picture_once(folder, notes):
    seeds = list(range(12))
    orders = (seeds, seeds[::-1], seeds[6:] + seeds[:6])
    with (
        child("encode", folder, notes, 0.02, *orders[0]) as a,
        child("encode", folder, notes, 0.02, *orders[1]) as b,
        child("encode", folder, notes, 0.02, *orders[2]) as c,
    ):
        ready(a, b, c)
        said = [process.stdout.read().split() for process in (a, b, c)]
    assert said == [keys_of(order) for order in orders]
    assert sorted(notes.read_text().split()) == sorted(keys_of(seeds))


def test_a_leader_that_is_killed_hands_over(folder, notes):
    image = pictures([1])[0]
    with child("encode", folder, notes, 600, 1) as leader, ThreadPoolExecutor() as pool:
        ready(leader)
        until(lambda: notes.read_text().count("\n") == 1)
        segmenter = segmenter_in(folder, notes, wait_seconds=500)
        waiting = pool.submit(segmenter.encode, image)
        time.sleep(0.2)
        assert not waiting.done()
        assert notes.read_text().count("\n") == 1
        leader.send_signal(signal.SIGKILL)
        assert same(waiting.result(timeout=60), FakeSegmenter().encode(image))
    assert notes.read_text().count("\n") == 2
    assert segmenter.holds(image)


def test_a_leader_that_stalls_is_waited_for_and_then_not(folder, notes):
    image = pictures([1])[0]
    with child("encode", folder, notes, 600, 1) as leader:
        ready(leader)
        until(lambda: notes.read_text().count("\n") == 1)
        leader.send_signal(signal.SIGSTOP)
        segmenter = segmenter_in(folder, notes, wait_seconds=0.3)
        assert same(segmenter.encode(image), FakeSegmenter().encode(image))
        assert [e.key for e in segmenter_in(folder, notes).encode_many([image])] == keys_of([1])
    assert notes.read_text().count("\n") == 2


def test_readers_wait_for_nobody(folder, notes):
    image = pictures([1])[0]
    segmenter = segmenter_in(folder, notes, wait_seconds=500)
    segmenter.encode(image)
    with DiskStore(folder).lock(keys_of([1])[0], 1) as held:
        assert held
        assert same(segmenter.encode(image), FakeSegmenter().encode(image))
    assert notes.read_text().count("\n") == 1


def test_processes_that_clear_at_once_keep_the_bound_and_harm_nothing(folder, caplog):
    caplog.set_level(logging.WARNING, logger="sam_plugins.stores")
    size, count = len(embedding_to_bytes(embedding_of(1000))), 80
    bound = 40 * size
    arguments = [("fill", folder, bound, first, count) for first in (1000, 2000, 3000)]
    with child(*arguments[0]) as a, child(*arguments[1]) as b, child(*arguments[2]) as c:
        ready(a, b, c)
        reader, seen = DiskStore(folder, min_free_bytes=0), 0
        while any(process.poll() is None for process in (a, b, c)):
            for first in (1000, 2000, 3000):
                key = first + random.randrange(count)
                found = reader.get(str(key))
                seen += found is not None
                assert found is None or same(found, embedding_of(key))
    assert (a.returncode, b.returncode, c.returncode) == (0, 0, 0)
    assert seen
    assert not caplog.records
    held = sum(path.stat().st_size for path in folder.glob("*/*.safetensors"))
    assert 20 * size < held <= bound + 3 * max(size, bound // 32)
    assert not list(folder.glob("*/*.part"))


def test_a_writer_killed_at_any_instant_leaves_nothing_wrong(folder, caplog):
    """20 seeded instants, most inside a write: what is there is exact, what is not is made anew."""
    instants = random.Random(20).sample(range(400), KILLS)
    expected = {str(key): embedding_of(key, SIDE) for key in range(6)}
    inside = found_whole = 0
    caplog.set_level(logging.WARNING, logger="sam_plugins.stores")
    for milliseconds in instants:
        parts = set(folder.glob("*/*.part"))
        with child("write", folder) as writer:
            ready(writer)
            end = time.monotonic() + milliseconds / 1000
            while time.monotonic() < end:
                for key, embedding in expected.items():
                    found = DiskStore(folder).get(key)
                    assert found is None or same(found, embedding)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        inside += bool(set(folder.glob("*/*.part")) - parts)
        for key, embedding in expected.items():
            found = DiskStore(folder).get(key)
            assert found is None or same(found, embedding)
            found_whole += found is not None
    assert inside >= KILLS // 4, "too few of the instants were inside a write to show anything"
    assert found_whole
    assert not caplog.records, "no file under a final name may be damaged"
    leftovers = list(folder.glob("*/*.part"))
    assert len(leftovers) == inside
    for path in leftovers:
        os.utime(path, (time.time() - 7200,) * 2)
    store = DiskStore(folder, min_free_bytes=0)
    for key, embedding in expected.items():
        assert same(store.put(key, embedding), embedding)
        assert same(store.get(key), embedding)
    assert not list(folder.glob("*/*.part"))
