"""Embeddings kept by content, so that no window of an image is encoded twice.

`MemoryStore` for one process, `DiskStore` for all hosts of a user, `LayeredStore` for both, and
`CachedSegmenter`, which looks there before it encodes.
"""

from sam_plugins.stores.cached import CachedSegmenter, warm
from sam_plugins.stores.disk import DiskStore
from sam_plugins.stores.layered import LayeredStore, open_store
from sam_plugins.stores.locate import embeddings_folder
from sam_plugins.stores.memory import MemoryStore

__all__ = [
    "CachedSegmenter",
    "DiskStore",
    "LayeredStore",
    "MemoryStore",
    "embeddings_folder",
    "open_store",
    "warm",
]
