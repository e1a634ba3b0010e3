"""Threads that want one window: one leads, and whatever becomes of it the others get an answer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from embeddings_for_tests import same

from sam_plugins.stores import CachedSegmenter, DiskStore, MemoryStore, warm
from sam_plugins.testing import FakeSegmenter, sample_image


class Gated(FakeSegmenter):
    """Encodes nothing before the gate is opened; fails as often as it is told."""

    def __init__(self, *failures):
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()
        self.encoded = 0
        self._failures = list(failures)

    def encode(self, image, *, region=None):
        self.encoded += 1
        self.begun.release()
        if self._failures:
            self.gate.wait(60)
            raise self._failures.pop(0)
        self.gate.wait(60)
        return super().encode(image, region=region)


@pytest.fixture(params=["memory", "disk", "nothing"])
def store(request, tmp_path):
    if request.param == "disk":
        return DiskStore(tmp_path / "embeddings", min_free_bytes=0)
    return MemoryStore(1 << 20 if request.param == "memory" else 0)


IMAGE = sample_image(30, 40)
EXPECTED = FakeSegmenter().encode(IMAGE)


def both_waiting(inner, segmenter, pool, call=None):
    """A leader that has begun, and another that asks for the same."""
    leader = pool.submit(call or segmenter.encode, IMAGE)
    assert inner.begun.acquire(timeout=60)
    follower = pool.submit(segmenter.encode, IMAGE)
    return leader, follower


def test_followers_get_what_the_leader_made(store):
    inner = Gated()
    segmenter = CachedSegmenter(inner, store)
    with ThreadPoolExecutor() as pool:
        leader, follower = both_waiting(inner, segmenter, pool)
        assert not inner.begun.acquire(timeout=0.1)
        inner.gate.set()
        assert same(leader.result(60), EXPECTED)
        assert same(follower.result(60), EXPECTED)


@pytest.mark.parametrize("failure", [RuntimeError, MemoryError, KeyboardInterrupt, SystemExit])
def test_a_leader_that_fails_or_is_cancelled_hands_over(store, failure):
    inner = Gated(failure("stopped"))
    segmenter = CachedSegmenter(inner, store)
    with ThreadPoolExecutor() as pool:
        leader, follower = both_waiting(inner, segmenter, pool)
        inner.gate.set()
        assert isinstance(leader.exception(60), failure)
        assert same(follower.result(60), EXPECTED)
        assert inner.encoded == 2


def test_each_that_cannot_has_an_error_of_its_own(store):
    inner = Gated(RuntimeError("first"), RuntimeError("second"))
    segmenter = CachedSegmenter(inner, store)
    with ThreadPoolExecutor() as pool:
        leader, follower = both_waiting(inner, segmenter, pool)
        inner.gate.set()
        assert {str(each.exception(60)) for each in (leader, follower)} == {"first", "second"}
    assert same(segmenter.encode(IMAGE), EXPECTED)


def test_a_leader_that_stalls_is_waited_for_no_longer_than_told(store):
    class Stalling(Gated):
        def encode(self, image, *, region=None):
            self.encoded += 1
            self.begun.release()
            if self.encoded == 1:
                self.gate.wait(60)
            return FakeSegmenter.encode(self, image, region=region)

    inner = Stalling()
    segmenter = CachedSegmenter(inner, store, wait_seconds=0.1)
    with ThreadPoolExecutor() as pool:
        leader, follower = both_waiting(inner, segmenter, pool)
        assert same(follower.result(60), EXPECTED)
        assert not leader.done()
        assert same(segmenter.encode(IMAGE), EXPECTED)
        inner.gate.set()
        assert same(leader.result(60), EXPECTED)


def test_many_lead_together_and_leave_what_others_lead(store):
    inner = Gated()
    segmenter = CachedSegmenter(inner, store, encode_batch_size=8)
    images = [sample_image(30, 40, seed=seed) for seed in range(1, 6)]
    images.insert(2, IMAGE)
    with ThreadPoolExecutor() as pool:
        single = pool.submit(segmenter.encode, IMAGE)
        assert inner.begun.acquire(timeout=60)
        many = pool.submit(lambda: [e.key for e in segmenter.encode_many(images)])
        assert inner.begun.acquire(timeout=60)
        inner.gate.set()
        assert many.result(60) == [FakeSegmenter().encode(image).key for image in images]
        assert same(single.result(60), EXPECTED)


def test_many_that_fail_hand_over_and_keep_what_was_made(store):
    class Breaking(FakeSegmenter):
        calls = 0

        def encode(self, image, *, region=None):
            self.calls += 1
            if self.calls == 3:
                raise RuntimeError("third")
            return super().encode(image, region=region)

    inner = Breaking()
    segmenter = CachedSegmenter(inner, store, encode_batch_size=8)
    images = [sample_image(30, 40, seed=seed) for seed in range(4)]
    with pytest.raises(RuntimeError, match="third"):
        list(segmenter.encode_many(images))
    kept = not (isinstance(store, MemoryStore) and store.nbytes == 0)
    assert [segmenter.holds(image) for image in images] == [kept, kept, False, False]
    assert [e.key for e in segmenter.encode_many(images)] == [
        FakeSegmenter().encode(image).key for image in images
    ]
    assert inner.calls == (5 if kept else 7)


def test_a_caller_that_stops_in_the_middle_of_many_holds_up_nobody(store):
    segmenter = CachedSegmenter(FakeSegmenter(), store, encode_batch_size=8)
    images = [sample_image(30, 40, seed=seed) for seed in range(4)]
    first, second = segmenter.encode_many(images), segmenter.encode_many(images)
    for image, a, b in zip(images, first, second, strict=True):
        assert a.key == b.key == segmenter.encode(image).key
    abandoned = segmenter.encode_many(images)
    next(abandoned)
    assert [e.key for e in segmenter.encode_many(images[::-1])] == [
        FakeSegmenter().encode(image).key for image in images[::-1]
    ]


def test_one_image_at_a_time_where_batches_gain_nothing(tmp_path):
    """So that the first of many is there when it is encoded, not when sixteen are."""

    class Counting(FakeSegmenter):
        encoded = 0

        def encode(self, image, *, region=None):
            self.encoded += 1
            return super().encode(image, region=region)

    inner = Counting()
    many = CachedSegmenter(inner).encode_many([sample_image(9, 9, seed=s) for s in range(4)])
    next(many)
    assert inner.encoded == 1


def test_warm_tells_what_was_new_and_takes_images_as_it_goes():
    segmenter = CachedSegmenter(FakeSegmenter())
    taken = []

    def images():
        for seed in (1, 2, 1, 3):
            taken.append(seed)
            yield sample_image(30, 40, seed=seed)

    work = warm(segmenter, images())
    assert next(work)
    assert taken == [1]
    assert list(work) == [True, False, True]
    assert segmenter.holds(sample_image(30, 40, seed=3))
    assert not segmenter.holds(np.zeros((30, 40, 3), np.uint8))


def test_a_cache_around_a_cache_with_the_same_folder_does_not_wait_for_itself(tmp_path):
    inner = CachedSegmenter(FakeSegmenter(), DiskStore(tmp_path, min_free_bytes=0))
    outer = CachedSegmenter(
        inner, DiskStore(tmp_path / ".." / tmp_path.name, min_free_bytes=0), wait_seconds=500
    )
    assert same(outer.encode(IMAGE), EXPECTED)
    images = [sample_image(30, 40, seed=seed) for seed in range(4)]
    many = CachedSegmenter(inner, outer.store, wait_seconds=500, encode_batch_size=8)
    assert [e.key for e in many.encode_many(images)] == [
        FakeSegmenter().encode(image).key for image in images
    ]


def test_a_lock_is_held_by_one_thread_and_again_by_the_same(tmp_path):
    first, second = DiskStore(tmp_path), DiskStore(tmp_path)
    with ThreadPoolExecutor(1) as pool:

        def held_elsewhere():
            with second.lock("k", 0) as held:
                return held

        with first.lock("k", 0) as held:
            assert held
            with second.lock("k", 0) as again:
                assert again
            assert not pool.submit(held_elsewhere).result(60)
        assert pool.submit(held_elsewhere).result(60)
