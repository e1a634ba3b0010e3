"""Embeddings kept by content, so that no window of an image is encoded twice.

`MemoryStore` for one process, `DiskStore` for all hosts of a user, `LayeredStore` for both, and
`CachedSegmenter`, which looks there before it encodes.
"""

from sam_plugins.stores.cached import CachedSegmenter, warm
from sam_plugins.stores.disk import DiskStore
from sam_plugins.stores.inventory import EncoderContents, clear, contents
from sam_plugins.stores.layered import LayeredStore
from sam_plugins.stores.memory import MemoryStore
from sam_plugins.stores.opening import embeddings_folder, open_disk_store, open_store

__all__ = [
    "CachedSegmenter",
    "DiskStore",
    "EncoderContents",
    "LayeredStore",
    "MemoryStore",
    "clear",
    "contents",
    "embeddings_folder",
    "open_disk_store",
    "open_store",
    "warm",
]
