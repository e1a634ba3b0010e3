"""A model in a process of its own answers like any other."""

import pytest

from sam_plugins.testing import SegmenterContract
from sam_plugins.worker import open_worker


class _WorkerContract(SegmenterContract):
    target = ""

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _one_process(cls):
        cls.segmenter = open_worker(target=cls.target, store=None, threads=1)
        yield
        cls.segmenter.close()

    def make_segmenter(self):
        return self.segmenter


class TestFakeInAProcess(_WorkerContract):
    target = "worker_targets:fake"


class TestTorchInAProcess(_WorkerContract):
    target = "worker_targets:tiny"
