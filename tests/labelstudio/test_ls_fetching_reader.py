"""From a task's value to pixels: upright, once, and again only where something changed."""

import base64
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fetching_doubles import Handler, Server, picture_bytes, pixels, server
from PIL import Image

from labelstudio_backend.errors import AddressError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.files import PictureFiles
from labelstudio_backend.fetching.memory import PictureMemory
from labelstudio_backend.fetching.picture_folder import PictureFolder
from labelstudio_backend.fetching.reader import PictureReader
from labelstudio_backend.settings import Settings
from labelstudio_backend.values import LoadedPicture, Picture
from sam_plugins import load_image
from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images import Limits

UPLOAD = "/data/upload/1/x.png"


@pytest.fixture
def home() -> Iterator[Server]:
    with server() as double:
        yield double


@pytest.fixture
def reader(home: Server, tmp_path: Path) -> PictureReader:
    return PictureReader(
        Settings(label_studio_url=home.url, api_key="key", state_folder=tmp_path / "state")
    )


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def as_bytes(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def exif_turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture_bytes(30, 50, "PNG", exif=exif)


RANDOM = np.random.default_rng(3)
SIXTEEN = RANDOM.integers(0, 60_000, (30, 50), dtype=np.uint16)
GREY = RANDOM.integers(0, 256, (30, 50), dtype=np.uint8)
RGBA = RANDOM.integers(0, 256, (30, 50, 4), dtype=np.uint8)
PAGES = RANDOM.integers(0, 256, (3, 30, 50, 3), dtype=np.uint8)


def test_a_turned_photograph_is_upright(home: Server, reader: PictureReader) -> None:
    plain = np.asarray(pixels(30, 50))
    expected = {1: plain, 3: plain[::-1, ::-1], 6: np.rot90(plain, -1), 8: np.rot90(plain)}
    for orientation, upright in expected.items():
        path = f"/data/upload/1/{orientation}.png"
        home.gives(path, exif_turned(orientation))
        loaded = reader.load(Picture(path))
        assert loaded.size == upright.shape[:2]
        np.testing.assert_array_equal(loaded.rgb, upright)


def test_a_turned_jpeg_has_the_size_that_label_studio_shows(
    home: Server, reader: PictureReader
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    home.gives("/data/upload/1/x.jpg", picture_bytes(600, 800, "JPEG", exif=exif))
    assert reader.load(Picture("/data/upload/1/x.jpg")).size == (800, 600)


def test_grey_alpha_and_sixteen_bits(home: Server, reader: PictureReader) -> None:
    home.gives("/data/upload/1/grey.png", as_bytes(lambda f: Image.fromarray(GREY).save(f, "PNG")))
    home.gives("/data/upload/1/rgba.png", as_bytes(lambda f: Image.fromarray(RGBA).save(f, "PNG")))
    home.gives("/data/upload/1/deep.tif", as_bytes(lambda f: tifffile.imwrite(f, SIXTEEN)))
    home.gives(
        "/data/upload/1/deep.png", as_bytes(lambda f: Image.fromarray(SIXTEEN).save(f, "PNG"))
    )
    grey = reader.load(Picture("/data/upload/1/grey.png")).rgb
    np.testing.assert_array_equal(grey, np.repeat(GREY[:, :, None], 3, axis=2))
    rgba = reader.load(Picture("/data/upload/1/rgba.png")).rgb
    np.testing.assert_array_equal(rgba, RGBA[:, :, :3])
    for name in ("deep.tif", "deep.png"):
        deep = reader.load(Picture(f"/data/upload/1/{name}")).rgb
        assert deep.shape == (30, 50, 3)
        np.testing.assert_array_equal(deep[:, :, 0], deep[:, :, 1])
        assert deep.min() < 5
        assert deep.max() > 250
        order = np.argsort(SIXTEEN, axis=None, kind="stable")
        assert np.all(np.diff(deep[:, :, 0].ravel()[order].astype(int)) >= 0)


def test_pages_of_a_tiff(home: Server, reader: PictureReader) -> None:
    body = as_bytes(lambda file: tifffile.imwrite(file, PAGES, photometric="rgb"))
    home.gives("/data/upload/1/x.tif", body)
    loaded = [reader.load(Picture("/data/upload/1/x.tif", page)) for page in range(3)]
    for picture, page in zip(loaded, PAGES, strict=True):
        np.testing.assert_array_equal(picture.rgb, page)
    assert len({picture.key for picture in loaded}) == 3
    assert len(home.seen) == 1
    with pytest.raises(ImageError, match="page"):
        reader.load(Picture("/data/upload/1/x.tif", 3))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_usual_formats(home: Server, reader: PictureReader, kind: str) -> None:
    body = picture_bytes(kind=kind)
    home.gives(UPLOAD, body, {"Content-Type": "application/octet-stream"})
    np.testing.assert_array_equal(reader.load(Picture(UPLOAD)).rgb, load_image(body))


def test_a_damaged_picture_is_an_error_each_time(home: Server, reader: PictureReader) -> None:
    home.gives(UPLOAD, picture_bytes(200, 200)[:-5000])
    for _ in range(2):
        with pytest.raises(ImageError):
            reader.load(Picture(UPLOAD))


@pytest.mark.parametrize("said", [b"top: secret words", b'it\'s "both": x\n', bytes(range(40))])
def test_what_another_server_answered_is_not_shown(
    home: Server, reader: PictureReader, said: bytes
) -> None:
    home.gives(UPLOAD, said)
    with pytest.raises(ImageError) as told:
        reader.load(Picture(UPLOAD))
    assert "is no picture that is read here" in str(told.value)
    assert repr(said[:16]) not in str(told.value)


def test_a_picture_of_too_many_pixels(home: Server, tmp_path: Path) -> None:
    settings = Settings(label_studio_url=home.url, state_folder=tmp_path)
    reader = PictureReader(settings, limits=Limits(max_pixels=1000, max_bytes=10_000, max_pages=9))
    home.gives(UPLOAD, picture_bytes(30, 50))
    with pytest.raises(LimitError, match="1,500 pixels"):
        reader.load(Picture(UPLOAD))


def test_a_hit_in_memory_needs_neither_network_nor_files(
    home: Server, reader: PictureReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.gives(UPLOAD, picture_bytes())
    first = reader.load(Picture(UPLOAD))

    def untouched(*arguments: object) -> None:
        pytest.fail("something was read")

    monkeypatch.setattr(PictureFiles, "read", untouched)
    assert reader.load(Picture(UPLOAD)) is first
    reader.close()
    with pytest.raises(pytest.fail.Exception):
        reader.load(Picture(UPLOAD))


def test_pixels_are_shared_and_not_to_be_written_to(home: Server, reader: PictureReader) -> None:
    home.gives(UPLOAD, picture_bytes())
    with pytest.raises(ValueError, match="read-only"):
        reader.load(Picture(UPLOAD)).rgb[0, 0] = 0


def test_one_content_has_one_key_wherever_it_is(
    home: Server, reader: PictureReader, tmp_path: Path
) -> None:
    body = picture_bytes()
    home.gives(UPLOAD, body)
    home.gives("/data/upload/2/y.png", body)
    inline = "data:image/png;base64," + base64.b64encode(body).decode()
    first, second, third = (
        reader.load(Picture(value)) for value in (UPLOAD, "/data/upload/2/y.png", inline)
    )
    assert first is second is third
    other = PictureReader(Settings(label_studio_url=home.url, state_folder=tmp_path / "other"))
    assert other.load(Picture(inline)).key == first.key
    home.gives("/data/upload/3/z.png", picture_bytes(seed=1))
    assert reader.load(Picture("/data/upload/3/z.png")).key != first.key


def test_a_file_that_was_changed_has_another_key(tmp_path: Path) -> None:
    clock = Clock()
    reader = PictureReader(
        Settings(local_files_root=tmp_path, state_folder=tmp_path / "state"),
        memory=PictureMemory(clock=clock),
    )
    value = Picture("/data/local-files/?d=a.png")
    (tmp_path / "a.png").write_bytes(picture_bytes())
    first = reader.load(value)
    clock.now += 60
    assert reader.load(value) is first
    (tmp_path / "a.png").write_bytes(picture_bytes(seed=1))
    clock.now += 60
    changed = reader.load(value)
    assert changed.key != first.key
    np.testing.assert_array_equal(changed.rgb, np.asarray(pixels(30, 50, seed=1)))
    (tmp_path / "a.png").unlink()
    clock.now += 60
    with pytest.raises(AddressError, match="not here"):
        reader.load(value)


def test_threads_that_ask_at_once_wait_for_one(home: Server, reader: PictureReader) -> None:
    go = threading.Event()

    def when_told(handler: Handler) -> None:
        go.wait(30)
        handler.answer(200, picture_bytes())

    home.routes[UPLOAD] = when_told
    found: list[LoadedPicture] = []
    threads = [
        threading.Thread(target=lambda: found.append(reader.load(Picture(UPLOAD))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(home.seen) == 1)
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert all(picture is found[0] for picture in found)
    assert len(home.seen) == 1


def test_those_who_wait_get_the_error_and_the_next_tries_again(
    home: Server, reader: PictureReader
) -> None:
    go = threading.Event()

    def when_told(handler: Handler) -> None:
        go.wait(30)
        handler.answer(503)

    home.routes[UPLOAD] = when_told
    errors: list[Exception] = []

    def ask() -> None:
        try:
            reader.load(Picture(UPLOAD))
        except AddressError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(home.seen) == 1)
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(errors) == 4
    home.gives(UPLOAD, picture_bytes())
    assert reader.load(Picture(UPLOAD)).size == (30, 50)


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_memory_is_bounded_in_bytes() -> None:
    memory = PictureMemory(max_bytes=3 * 300)
    pictures = [LoadedPicture(np.zeros((10, 10, 3), np.uint8), f"key{i}") for i in range(5)]
    for index, picture in enumerate(pictures):
        memory.put(f"address{index}", 100, picture)
        assert memory.at("address0") is (pictures[0] if index else picture)
        assert memory.nbytes <= 900
    assert [memory.get(f"key{i}") is not None for i in range(5)] == [True, False, False, True, True]
    memory.put("large", 100, LoadedPicture(np.zeros((20, 20, 3), np.uint8), "large"))
    assert memory.at("large") is None
    assert memory.nbytes == 900


def test_nothing_secret_is_shown(home: Server, reader: PictureReader, caplog) -> None:
    home.gives("/tasks/7/resolve/", b"", status=403)
    with caplog.at_level("DEBUG"), pytest.raises(AddressError) as caught:
        reader.load(Picture("/tasks/7/resolve/?fileuri=secret-part"))
    assert home.seen[0].token == "Token key"
    for text in (str(caught.value), caplog.text, repr(reader), repr(reader.__dict__)):
        assert "secret-part" not in text
        assert "Token key" not in text


WRITER = """
import sys
from pathlib import Path
from labelstudio_backend.fetching.picture_folder import PictureFolder, Validators

folder = PictureFolder(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    folder.put(f"{number % 7:040x}", bytes([number % 251]) * 300_000, Validators(str(number)))
"""


def test_a_writer_that_is_killed_leaves_whole_files(tmp_path: Path) -> None:
    for round in range(5):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
        try:
            contents = tmp_path / "contents"
            seen = len(list(contents.rglob("*.picture"))) if contents.exists() else 0
            wait_until(
                lambda: len(list(contents.rglob("*.picture"))) > seen + 3 * round + 1  # noqa: B023
            )
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        folder = PictureFolder(tmp_path)
        for number in range(7):
            kept = folder.get(f"{number:040x}")
            if kept is not None:
                assert len(kept.content) == 300_000
                assert len(set(kept.content)) == 1


def test_two_readers_share_what_one_has_read(home: Server, tmp_path: Path) -> None:
    home.gives(UPLOAD, picture_bytes())
    settings = Settings(label_studio_url=home.url, state_folder=tmp_path)
    first = PictureReader(settings).load(Picture(UPLOAD))
    second = PictureReader(settings).load(Picture(UPLOAD))
    assert first.key == second.key
    assert len(home.seen) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_files_may_be_given(home: Server, tmp_path: Path) -> None:
    home.gives(UPLOAD, picture_bytes())
    files = PictureFiles(Connector(AddressPolicy(home.url)), PictureFolder(tmp_path / "p"))
    assert PictureReader(Settings(), files=files).load(Picture(UPLOAD)).size == (30, 50)
