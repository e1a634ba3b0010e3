"""Every `EmbeddingStore` under the one contract."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sam_plugins.codec import rounded
from sam_plugins.errors import ImageError
from sam_plugins.stores import CachedSegmenter, DiskStore, LayeredStore, MemoryStore
from sam_plugins.testing import FakeSegmenter, StoreContract, sample_image
from sam_plugins.types import Embedding


class TestMemory(StoreContract):
    def make_store(self):
        return MemoryStore(1 << 20)


class TestDisk(StoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path / "embeddings"

    def make_store(self):
        return DiskStore(self.folder, max_bytes=1 << 20, min_free_bytes=0)


class TestDiskHalf(TestDisk):
    def make_store(self):
        return DiskStore(self.folder, storage="fp16", max_bytes=1 << 20, min_free_bytes=0)

    def as_kept(self, embedding):
        return rounded(embedding, "fp16")


class TestLayered(TestDiskHalf):
    def make_store(self):
        return LayeredStore(MemoryStore(4000), super().make_store())


def sized(count):
    return Embedding(
        features={"image": np.zeros((1, 1, count), np.float32)},
        region=(0, 0, 4, 4),
        original_size=(4, 4),
        input_size=(4, 4),
        padded_size=(4, 4),
        encoder_id="e",
        key="k",
    )


class TestMemoryIsBounded:
    def test_in_bytes_and_forgets_what_was_used_longest_ago(self):
        store = MemoryStore(1000)
        for key in "abc":
            store.put(key, sized(80))
        assert store.get("a") is not None
        store.put("d", sized(80))
        assert [key for key in "abcd" if store.get(key)] == ["a", "c", "d"]
        assert (store.nbytes, len(store)) == (960, 3)

    def test_one_large_embedding_takes_the_place_of_many(self):
        store = MemoryStore(1000)
        for key in "abc":
            store.put(key, sized(80))
        store.put("d", sized(150))
        assert [key for key in "abcd" if store.get(key)] == ["c", "d"]

    def test_what_never_fits_is_not_kept(self):
        store = MemoryStore(1000)
        store.put("a", sized(200))
        store.put("b", sized(300))
        assert store.get("b") is None
        assert store.get("a") is not None
        store.put("a", sized(300))
        assert store.get("a") is None
        assert store.nbytes == 0

    def test_the_same_key_counts_once(self):
        store = MemoryStore(1000)
        for _ in range(5):
            store.put("a", sized(200))
        assert (store.nbytes, len(store)) == (800, 1)


class Counting(FakeSegmenter):
    """Notes how many windows it encodes."""

    def __init__(self):
        super().__init__()
        self.encoded = 0

    def encode(self, image, *, region=None):
        self.encoded += 1
        time.sleep(0.005)
        return super().encode(image, region=region)


class TestCaching:
    def test_nothing_is_encoded_twice(self):
        inner = Counting()
        segmenter = CachedSegmenter(inner)
        image = sample_image(30, 40)
        first = segmenter.encode(image)
        assert segmenter.encode(image.copy()) is first
        assert list(segmenter.encode_many([image, image])) == [first, first]
        assert inner.encoded == 1
        segmenter.encode(image, region=(0, 0, 20, 20))
        assert inner.encoded == 2

    def test_another_segmenter_may_use_the_store(self):
        store, inner = MemoryStore(), Counting()
        CachedSegmenter(inner, store).encode(sample_image(30, 40))
        CachedSegmenter(inner, store).encode(sample_image(30, 40))
        assert inner.encoded == 1

    def test_another_encoder_finds_nothing(self):
        store, inner = MemoryStore(), Counting()
        CachedSegmenter(FakeSegmenter(image_size=128), store).encode(sample_image(30, 40))
        CachedSegmenter(inner, store).encode(sample_image(30, 40))
        assert inner.encoded == 1

    def test_equal_windows_share_features_and_keep_their_places(self):
        inner = Counting()
        segmenter = CachedSegmenter(inner)
        image = np.zeros((40, 60, 3), np.uint8)
        left = segmenter.encode(image, region=(0, 0, 20, 20))
        right = segmenter.encode(image, region=(30, 10, 50, 30))
        assert inner.encoded == 1
        assert (left.region, right.region) == ((0, 0, 20, 20), (30, 10, 50, 30))
        assert left.key == right.key
        assert right.features["grey"] is left.features["grey"]

    def test_many_images_encode_only_what_is_missing_and_only_once(self):
        inner = Counting()
        segmenter = CachedSegmenter(inner)
        images = [sample_image(30, 40, seed=i % 20) for i in range(40)]
        segmenter.encode(images[3])
        found = list(segmenter.encode_many(images))
        assert inner.encoded == 20
        expected = [FakeSegmenter().encode(image).key for image in images]
        assert [embedding.key for embedding in found] == expected

    def test_threads_that_want_one_image_encode_it_once(self):
        inner = Counting()
        segmenter = CachedSegmenter(inner)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(segmenter.encode, [sample_image(30, 40)] * 16))
        assert inner.encoded == 1

    def test_a_store_that_keeps_nothing_changes_nothing(self):
        segmenter = CachedSegmenter(Counting(), MemoryStore(0))
        images = [sample_image(30, 40), sample_image(30, 40, seed=1), sample_image(30, 40)]
        keys = [embedding.key for embedding in segmenter.encode_many(images)]
        assert keys == [FakeSegmenter().encode(image).key for image in images]

    def test_a_wrong_image_among_many_is_refused(self):
        with pytest.raises(ImageError):
            list(CachedSegmenter(Counting()).encode_many([sample_image(9, 9), np.zeros((9, 9))]))
