"""What the other process does in `test_stores_processes.py`: ``store_process.py MODE ...``.

It says "ready" when all is imported, waits for a line, and then works.
"""

import builtins
import os
import sys
import time

from embeddings_for_tests import embedding_of

from sam_plugins.stores import CachedSegmenter, DiskStore
from sam_plugins.testing import FakeSegmenter, sample_image

SIDE = 256


class Noting(FakeSegmenter):
    """Appends a line to a file for each window it encodes, then takes its time."""

    def __init__(self, notes, seconds):
        super().__init__()
        self._notes = notes
        self._seconds = seconds

    def encode(self, image, *, region=None):
        found = super().encode(image, region=region)
        with open(self._notes, "a") as file:
            file.write(f"{found.key}\n")
        time.sleep(self._seconds)
        return found


def pictures(seeds):
    return [sample_image(30, 40, seed=int(seed)) for seed in seeds]


def encode(folder, notes, seconds, *seeds):
    """Encode pictures one by one, or all at once if there are several."""
    store = DiskStore(folder, min_free_bytes=0)
    segmenter = CachedSegmenter(Noting(notes, float(seconds)), store, encode_batch_size=8)
    if len(seeds) == 1:
        return [segmenter.encode(pictures(seeds)[0])]
    return list(segmenter.encode_many(pictures(seeds)))


def write_slowly(folder):
    """Write embeddings over and over, each in many small steps, until killed."""
    real = builtins.open

    def opened(path, mode="r", **options):
        file = real(path, mode, **options)
        if not str(path).endswith(".part"):
            return file
        write = file.write

        def in_steps(data):
            for start in range(0, len(data), 1 << 15):
                write(data[start : start + (1 << 15)])
                file.flush()
                time.sleep(0.0005)

        file.write = in_steps
        return file

    builtins.open = opened
    store = DiskStore(folder, min_free_bytes=0)
    key = 0
    while True:
        store.put(str(key), embedding_of(key, SIDE))
        key = (key + 1) % 6


def fill(folder, max_bytes, first, count):
    """Write as many embeddings of their own as asked, with a bound that makes others go."""
    store = DiskStore(folder, max_bytes=int(max_bytes), min_free_bytes=0)
    for key in range(int(first), int(first) + int(count)):
        store.put(str(key), embedding_of(key))


if __name__ == "__main__":
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    mode, *arguments = sys.argv[1:]
    if mode == "encode":
        for embedding in encode(*arguments):
            sys.stdout.write(f"{embedding.key}\n")
    elif mode == "fill":
        fill(*arguments)
    elif mode == "write":
        write_slowly(*arguments)
    sys.stdout.flush()
    os._exit(0)
