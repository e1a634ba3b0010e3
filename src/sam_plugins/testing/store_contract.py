"""What every `EmbeddingStore` does, as tests to inherit."""

from concurrent.futures import ThreadPoolExecutor

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

    def test_gives_back_what_was_put(self) -> None:
        """Every field, to the bit; under its own key only."""
        store = self.make_store()
        check(store.get("a") is None, "an empty store has something")
        first, second = _embedding(1), _embedding(2)
        store.put("a", first)
        store.put("b", second)
        check_same_embedding(store.get("a"), first)
        check_same_embedding(store.get("b"), second)
        check(store.get("c") is None, "a key that was never used has something")

    def test_the_last_put_counts(self) -> None:
        """A key holds one embedding."""
        store = self.make_store()
        store.put("a", _embedding(1))
        store.put("a", _embedding(2))
        check_same_embedding(store.get("a"), _embedding(2))

    def test_what_comes_out_cannot_be_changed(self) -> None:
        """Or one reader would change what the next one reads."""
        store = self.make_store()
        store.put("a", _embedding(1))
        found = store.get("a")
        check_same_embedding(found, _embedding(1))
        maps = found.features.values() if found else ()
        check(not any(values.flags.writeable for values in maps), "features can be written to")

    def test_threads_share_it(self) -> None:
        """Eight at once read and write; each finds its own embedding or nothing."""
        store = self.make_store()

        def use(number: int) -> None:
            for turn in range(20):
                seed = (number + turn) % 5
                store.put(str(seed), _embedding(seed))
                found = store.get(str(number % 5))
                if found is not None:
                    check_same_embedding(found, _embedding(number % 5))

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
