"""Stand-ins without a model, and the contracts of segmenters, stores, sources and propagators.

A test file subclasses a contract and says how to make the thing under test::

    class TestMine(SegmenterContract):
        def make_segmenter(self):
            return Mine()
"""

from sam_plugins.testing.fake import FakeSegmenter, sample_image
from sam_plugins.testing.propagator_contract import FakePropagator, PropagatorContract
from sam_plugins.testing.segmenter_contract import SegmenterContract
from sam_plugins.testing.source_contract import SourceContract
from sam_plugins.testing.store_contract import StoreContract
from sam_plugins.testing.tiny import tiny_nano, tiny_sam, tiny_segmenter

__all__ = [
    "FakePropagator",
    "FakeSegmenter",
    "PropagatorContract",
    "SegmenterContract",
    "SourceContract",
    "StoreContract",
    "sample_image",
    "tiny_nano",
    "tiny_sam",
    "tiny_segmenter",
]
