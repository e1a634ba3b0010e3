"""Every `EmbeddingStore` under the one contract."""

from sam_plugins.stores import MemoryStore
from sam_plugins.testing import StoreContract


class TestMemory(StoreContract):
    def make_store(self):
        return MemoryStore(1 << 20)
