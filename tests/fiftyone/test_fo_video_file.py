"""Frames of a video file are exactly those of their numbers, in whatever order."""

import random
from pathlib import Path
from typing import Any

import discs
import numpy as np
import pytest
from PIL import Image

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.labels import video_file
from fiftyone_plugin.labels.video_file import VideoFile
from fiftyone_plugin.labels.videos import FramePictures
from sam_plugins.errors import ImageError

CODECS = {"mp4v": "mp4", "MJPG": "avi", "XVID": "avi"}
FRAMES = 80


def numbered(index: int) -> np.ndarray:
    """A picture whose upper half is its number in eight bits; red marks the left edge."""
    made = np.full((96, 128, 3), 40, np.uint8)
    for bit in range(8):
        if index >> bit & 1:
            made[:48, bit * 16 : bit * 16 + 16] = 230
    made[64:, :32] = (220, 30, 30)
    return made


def number_of(frame: np.ndarray) -> int:
    return sum(int(frame[24, bit * 16 + 8, 1] > 128) << bit for bit in range(8))


@pytest.fixture(scope="module", params=CODECS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("numbered") / f"film.{CODECS[request.param]}"
    return discs.write_video(file, map(numbered, range(FRAMES)), request.param)


ORDERS = {
    "forward": list(range(FRAMES)),
    "back": list(reversed(range(FRAMES))),
    "any": random.Random(1).choices(range(FRAMES), k=60),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kept", [1, 7, 64])
def test_each_frame_is_that_of_its_number(
    path: str, order: str, kept: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(video_file, "_CACHE_FRAMES", kept)
    film = VideoFile(path)
    assert film.shape == (FRAMES, 96, 128)
    assert film.missing == 0
    assert [number_of(film.read(index)) for index in ORDERS[order]] == ORDERS[order]
    red = film.read(5)[80, 16]
    assert red[0] > 150
    assert red[2] < 100
    assert film.read(5, (16, 24, 18, 25)).shape == (1, 2, 3)
    film.close()


def test_jumps_that_land_beside_are_noticed(path: str, monkeypatch: Any) -> None:
    import cv2

    film = VideoFile(path)

    class Inexact:
        """Jumps land three frames further on."""

        def __init__(self, name: str, backend: int) -> None:
            self._real = cv2.VideoCapture(name, backend)
            self.isOpened, self.get = self._real.isOpened, self._real.get
            self.read, self.release = self._real.read, self._real.release

        def set(self, what: int, value: int) -> bool:
            return bool(self._real.set(what, value + 3))

    film._capture = Inexact(path, cv2.CAP_FFMPEG)
    assert [number_of(film.read(index)) for index in (40, 3, 79, 20)] == [40, 3, 79, 20]
    film.close()


def test_a_file_that_has_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (480, 640, 3), np.uint8) for _ in range(12)]
    discs.write_video(path, noise[:6], "MJPG")
    film = VideoFile(path)
    discs.write_video(path, noise[6:], "MJPG")
    with pytest.raises(ImageError, match="the file has changed"):
        film.read(4)


def test_a_file_that_ends_early_says_how_many_frames_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    discs.write_video(path, map(numbered, range(60)), "MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    film = VideoFile(path)
    assert 20 < film.shape[0] < 40
    assert film.missing == 60 - film.shape[0]


@pytest.mark.parametrize(
    "content", [b"", b"no video at all", b"#EXTM3U\nhttp://127.0.0.1:9/a.ts\n", b"ffconcat version"]
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(SampleError, match="Expected a video"):
        VideoFile(path)


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/film.mp4", "concat:a|b", "no-such.mp4"])
def test_addresses_are_no_files(name: str) -> None:
    with pytest.raises(SampleError, match="Expected a video file at"):
        VideoFile(name)


def test_frames_of_pictures_have_one_size(tmp_path: Path) -> None:
    paths = []
    for index, side in enumerate((32, 32, 48)):
        paths.append(str(tmp_path / f"{index}.png"))
        Image.fromarray(np.full((side, 64, 3), index, np.uint8)).save(paths[-1])
    source = FramePictures(paths)
    assert source.shape == (3, 32, 64)
    assert (source.read(1, (2, 3, 5, 5)) == np.full((2, 3, 3), 1)).all()
    with pytest.raises(ImageError, match=r"64 x 32 pixels as the first, found 64 x 48 in 2\.png"):
        source.read(2)
