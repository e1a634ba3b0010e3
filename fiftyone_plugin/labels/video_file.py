"""The frames of a video file, each exactly the one of its number, in bounded memory."""

import zlib
from array import array
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_plugin.errors import SampleError
from sam_plugins.errors import ImageError
from sam_plugins.images import checked_window
from sam_plugins.types import Box, Image, Size

__all__ = ["VideoFile", "file_frame", "file_frame_size"]

_CACHE_BYTES = 64 << 20
_CACHE_FRAMES = 64
"""What is kept of decoded frames at most, besides the last one."""

_LARGEST = 1 << 26
"""Pixels of a frame."""

_LISTS = (b"#EXTM3U", b"ffconcat")
"""How files begin that name other files or addresses to play."""


class VideoFile:
    """A video as an `ImageSource`: one pass counts its frames, then any of them can be read.

    A jump inside a video may land beside the frame that was asked for. The first pass keeps a
    checksum of each frame, four bytes; a frame that has another after a jump is looked for again
    from the beginning. Frames are turned as the file says, as browsers show them.

    Parameters
    ----------
    path
        Of a file that OpenCV can read; never an address or a pattern of names.

    Raises
    ------
    SampleError
        If it cannot be read, or changes its size.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._capture = _opened(self._path)
        self._next = 0
        self._checksums = array("I")
        self._cache: OrderedDict[int, Image] = OrderedDict()
        self._said = self._count_that_the_file_says()
        self._size = (0, 0)
        self._count()
        frame_bytes = max(self._size[0] * self._size[1] * 3, 1)
        self._kept = max(1, min(_CACHE_FRAMES, _CACHE_BYTES // frame_bytes))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        return (len(self._checksums), *self._size)

    @property
    def missing(self) -> int:
        """How many frames the file promises beyond those that can be read; 0 where it is whole.

        Some containers only estimate their number, so a few are not counted.
        """
        missing = self._said - len(self._checksums)
        return missing if missing > max(2, self._said // 50) else 0

    def read(self, index: int, region: Box | None = None) -> Image:
        """One window of one frame, as `ImageSource.read`.

        Raises
        ------
        ImageError
            If the frame or the region is not there, or the file has changed.
        """
        x0, y0, x1, y1 = checked_window(f"'{self._path.name}'", self.shape, index, region)
        frame = self._cache.get(index)
        if frame is None:
            frame = self._decoded(index)
        return np.ascontiguousarray(frame[y0:y1, x0:x1])

    def close(self) -> None:
        """Let go of the file and the frames."""
        self._capture.release()
        self._cache.clear()

    # -- opening ------------------------------------------------------------------------------

    def _count_that_the_file_says(self) -> int:
        import cv2

        said = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        return int(said) if 0 < said < 1 << 31 else 0

    def _count(self) -> None:
        """Decode all frames once."""
        while True:
            there, frame = self._capture.read()
            if not there:
                break
            size = (int(frame.shape[0]), int(frame.shape[1]))
            if not self._checksums:
                self._size = size
            elif size != self._size:
                raise _unreadable(
                    self._path,
                    f"frames of {self._size[1]} x {self._size[0]} and of {size[1]} x {size[0]}",
                )
            self._checksums.append(zlib.crc32(frame))
        if not self._checksums:
            raise _unreadable(self._path, "no frame that can be read")
        self._next = len(self._checksums)

    # -- reading ------------------------------------------------------------------------------

    def _decoded(self, index: int) -> Image:
        """A frame that is not kept; what is decoded on the way to it is kept."""
        ahead = index - self._next
        if not 0 <= ahead < self._kept:
            back = self._cache and index < max(self._cache)
            self._jump(max(index - self._kept + 1, 0) if back else index)
        try:
            return self._through(index)
        except _AnotherFrameError:
            self._restart()
        try:
            return self._through(index)
        except _AnotherFrameError as error:
            raise ImageError(
                f"Expected frame {index} of {self._path.name} as it was before, found another: the "
                "file has changed. Start again."
            ) from error

    def _jump(self, index: int) -> None:
        import cv2

        if self._capture.set(cv2.CAP_PROP_POS_FRAMES, index):
            self._next = index
        else:
            self._restart()

    def _restart(self) -> None:
        self._capture.release()
        self._capture = _opened(self._path)
        self._next = 0

    def _through(self, index: int) -> Image:
        import cv2

        while True:
            there, frame = self._capture.read()
            if not there or zlib.crc32(frame) != self._checksums[self._next]:
                raise _AnotherFrameError
            here, self._next = self._next, self._next + 1
            if here > index - self._kept:
                self._keep(here, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            if here == index:
                return self._cache[index]

    def _keep(self, index: int, image: Image) -> None:
        self._cache[index] = image
        self._cache.move_to_end(index)
        while len(self._cache) > self._kept:
            self._cache.popitem(last=False)


def file_frame_size(path: str | Path) -> Size:
    """(H, W) of a video's frames, turned as the file says: of the first, which alone is decoded.

    Raises
    ------
    SampleError
        If it cannot be read.
    """
    capture = _opened(Path(path))
    try:
        there, frame = capture.read()
    finally:
        capture.release()
    if not there:
        raise _unreadable(Path(path), "no frame that can be read")
    return int(frame.shape[0]), int(frame.shape[1])


def file_frame(path: str | Path, index: int) -> Image:
    """One frame of a video, as `VideoFile.read` gives it, from the beginning up to it.

    It knows no other frame, so that one frame of a short video costs less than opening a
    `VideoFile`.

    Raises
    ------
    SampleError
        If it cannot be read, or has no such frame.
    """
    import cv2

    capture = _opened(Path(path))
    try:
        for _ in range(index):
            if not capture.grab():
                break
        there, frame = capture.read()
    finally:
        capture.release()
    if index < 0 or not there:
        raise SampleError(
            f"Expected a frame {index + 1} in {Path(path).name}, found that it cannot be read: "
            "the file is shorter than it was, or damaged."
        )
    image: Image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    return image


def _opened(path: Path) -> Any:
    """OpenCV's reader of a file that is a video itself."""
    import cv2

    _check(path)
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise _unreadable(path, "no video that OpenCV can read")
    width, height = (
        int(capture.get(name)) for name in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    )
    if width * height > _LARGEST:
        raise _unreadable(path, f"frames of {width} x {height} pixels, which is too large")
    return capture


def _check(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise SampleError(
            f"Expected a video file at {path}, found: {error.strerror or error}. Put it there, or "
            "correct the sample's filepath."
        ) from error
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(_LISTS):
        raise SampleError(
            f"Expected a video file, found a list of others to play in {path.name}: name a video "
            "itself."
        )


def _unreadable(path: Path, found: str) -> SampleError:
    return SampleError(
        f"Expected a video in {path.name}, found {found}: convert it, for example to mp4, or "
        "sample its frames to files (to_frames with sample_frames=True)."
    )


class _AnotherFrameError(Exception):
    """A jump has landed elsewhere, or the file has changed."""
