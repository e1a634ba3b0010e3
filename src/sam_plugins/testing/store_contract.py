"""What every `EmbeddingStore` does, as tests to inherit."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from sam_plugins.ports import EmbeddingStore
from sam_plugins.testing.checks import check, check_same_embedding
from sam_plugins.types import Embedding

__all__ = ["StoreContract"]

_THREADS = 8


class StoreContract:
    """What every `EmbeddingStore` does."""

    def make_store(self) -> EmbeddingStore:
        """An empty store with room for a few small embeddings."""
        raise NotImplementedError

    def as_kept(self, embedding: Embedding) -> Embedding:
        """What the store makes of an embedding; the same, unless it rounds."""
        return embedding

    def test_gives_back_what_was_put(self) -> None:
        """Every field, to the bit of what it keeps; under its own key only."""
        store = self.make_store()
        first, second = _embedding(1), _embedding(2)
        check(store.get(first.key) is None, "an empty store has something")
        store.put(first.key, first)
        store.put(second.key, second)
        check_same_embedding(store.get(first.key), self.as_kept(first))
        check_same_embedding(store.get(second.key), self.as_kept(second))
        check(store.get(_embedding(3).key) is None, "a key that was never used has something")

    def test_put_tells_what_get_will_give(self) -> None:
        """Or the first answer would differ from later ones."""
        store = self.make_store()
        embedding = _embedding(1)
        told = store.put(embedding.key, embedding)
        check_same_embedding(told, self.as_kept(embedding))
        check_same_embedding(store.get(embedding.key), told)
        check_same_embedding(store.put(told.key, told), told)

    def test_the_last_put_counts(self) -> None:
        """A key holds one embedding."""
        store = self.make_store()
        former, latter = _embedding(1), replace(_embedding(2), key=_embedding(1).key)
        store.put(former.key, former)
        store.put(latter.key, latter)
        check_same_embedding(store.get(latter.key), self.as_kept(latter))

    def test_any_text_is_a_key(self) -> None:
        """Names of devices and other folders, long ones, and those that differ in case only."""
        store = self.make_store()
        for key in ("../../up", "/root", "nul", "Nul", "a:b", "\u00fc\u4e2d\n", "k" * 400, ""):
            embedding = replace(_embedding(1), key=key, region=(len(key) % 9, 0, 40, 40))
            store.put(key, embedding)
            check_same_embedding(store.get(key), self.as_kept(embedding))

    def test_what_comes_out_cannot_be_changed(self) -> None:
        """Or one reader would change what the next one reads."""
        store = self.make_store()
        embedding = _embedding(1)
        told = store.put(embedding.key, embedding)
        for found in (store.get(embedding.key), told):
            maps = found.features.values() if found else ()
            check(not any(values.flags.writeable for values in maps), "features can be written to")

    def test_threads_share_it(self) -> None:
        """Eight at once read and write; each finds its own embedding or nothing."""
        store = self.make_store()

        def use(number: int) -> None:
            for turn in range(20):
                put, asked = _embedding((number + turn) % 5), _embedding(number % 5)
                store.put(put.key, put)
                found = store.get(asked.key)
                if found is not None:
                    check_same_embedding(found, self.as_kept(asked))

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(use, range(_THREADS)))


def _embedding(seed: int) -> Embedding:
    random = np.random.default_rng(seed)
    return Embedding(
        features={
            "image": random.normal(size=(4, 6, 8)).astype(np.float32),
            "detail": random.normal(size=(2, 12, 16)).astype(np.float32),
        },
        region=(seed, 2, seed + 30, 20),
        original_size=(40, 50),
        input_size=(18, 32),
        padded_size=(32, 32),
        encoder_id=f"encoder {seed}",
        key=f"key {seed}",
    )
