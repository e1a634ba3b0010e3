"""What every `ImageSource` does, as tests to inherit."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from sam_plugins.errors import ImageError
from sam_plugins.ports import ImageSource
from sam_plugins.testing.checks import check, check_refuses
from sam_plugins.types import Box, Image

__all__ = ["SourceContract"]

_THREADS = 8


class SourceContract:
    """What every `ImageSource` does."""

    expected: Image
    """(frames, H, W, 3) uint8: what the source shows, each side at least 40 pixels, set by
    `make_source`."""

    tolerance = 0
    """Grey levels by which a lossy source may differ from `expected`."""

    def make_source(self) -> ImageSource:
        """A source that shows `expected`."""
        raise NotImplementedError

    def test_says_its_size(self) -> None:
        """(frames, H, W), before anything is read."""
        source = self.make_source()
        shape = self.expected.shape[:3]
        check(tuple(source.shape) == shape, f"{source.shape}, expected {shape}")

    def test_a_window_is_that_part_of_the_whole(self) -> None:
        """Everywhere: in the middle, along edges, in corners, one pixel, everything."""
        source = self.make_source()
        frames, height, width = source.shape
        for index in range(frames):
            for region in _regions(height, width):
                x0, y0, x1, y1 = region
                self._same(source.read(index, region), self.expected[index, y0:y1, x0:x1])
            self._same(source.read(index), self.expected[index])

    def test_a_window_does_not_depend_on_what_was_read_before(self) -> None:
        """Black and white are decided once, whichever window comes first."""
        regions = _regions(*self.make_source().shape[1:])
        for first in (regions[0], regions[-1]):
            source = self.make_source()
            source.read(0, first)
            x0, y0, x1, y1 = regions[1]
            self._same(source.read(0, regions[1]), self.expected[0, y0:y1, x0:x1])

    def test_threads_share_it(self) -> None:
        """Eight at once read what one alone reads."""
        source = self.make_source()
        frames, height, width = source.shape
        asked = [(i, region) for i in range(frames) for region in _regions(height, width)] * 3
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(lambda ask: source.read(*ask), asked))
        for (index, (x0, y0, x1, y1)), window in zip(asked, found, strict=True):
            self._same(window, self.expected[index, y0:y1, x0:x1])

    def test_refuses_what_is_not_there(self) -> None:
        """Frames and regions outside, and regions without area."""
        source = self.make_source()
        frames, height, width = source.shape
        for index in (-1, frames):
            check_refuses(ImageError, partial(source.read, index), f"frame {index}")
        wrong: list[Box] = [
            (0, 0, width + 1, height),
            (-1, 0, 5, 5),
            (0, 0, 5, height + 1),
            (5, 5, 5, 9),
            (9, 9, 5, 12),
        ]
        for region in wrong:
            check_refuses(ImageError, partial(source.read, 0, region), f"region {region}")

    def _same(self, found: Image, expected: Image) -> None:
        check(found.dtype == np.uint8 and found.flags.c_contiguous, "not contiguous uint8")
        check(found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}")
        off = int(np.abs(found.astype(np.int16) - expected.astype(np.int16)).max())
        check(off <= self.tolerance, f"pixels differ by {off} grey levels")


def _regions(height: int, width: int) -> list[Box]:
    return [
        (0, 0, 7, 9),
        (width // 2 - 6, height // 2 - 5, width // 2 + 8, height // 2 + 7),
        (width - 5, height - 3, width, height),
        (0, height - 1, width, height),
        (width - 1, 0, width, height),
        (3, 2, 4, 3),
        (0, 0, width, height),
    ]
