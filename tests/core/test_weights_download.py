"""Downloads over loopback: whole, broken, continued, cancelled, changed, wrong, and elsewhere."""

import hashlib
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sam_plugins.errors import CheckpointError, DownloadError
from sam_plugins.weights import CHECKPOINTS, Checkpoint, download, transfer

CONTENT = bytes(range(256)) * 2000
HALF = len(CONTENT) // 2


@dataclass
class Site:
    """What the server holds and how it misbehaves; `requests` are the Range headers it saw."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    break_at: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int = 200
    content_type: str = "application/octet-stream"
    length: bool = True
    redirect: str | None = None
    extra: bytes = b""
    wrong_place: bool = False
    pause: float = 0.0
    requests: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers["Range"]
        site.requests.append(asked)
        if site.redirect and self.path != "/moved":
            self.send_response(302)
            self.send_header("Location", site.redirect)
            self.send_header("Connection", "close")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start, status = 0, site.status
        if asked and site.ranges and self.headers["If-Range"] == site.etag:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
        if start >= len(site.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.content)}")
            self.send_header("Connection", "close")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = site.content[start:] + site.extra
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Type", site.content_type)
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.length:
            self.send_header("Content-Length", str(len(body)))
        if status == 206:
            place = start - 1 if site.wrong_place else start
            self.send_header(
                "Content-Range", f"bytes {place}-{len(site.content) - 1}/{len(site.content)}"
            )
        self.end_headers()
        if site.break_at:
            body = body[: max(0, site.break_at.pop(0) - start)]
        with suppress(ConnectionError):
            for first in range(0, len(body), 1 << 16):
                self.wfile.write(body[first : first + (1 << 16)])
                time.sleep(site.pause)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def checkpoint(site: Site) -> Iterator[Checkpoint]:
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield record(f"http://127.0.0.1:{server.server_port}/weights")
    server.shutdown()
    thread.join()
    server.server_close()


def record(url: str, content: bytes = CONTENT) -> Checkpoint:
    return Checkpoint(
        name="sample",
        variant="vit_b",
        filename="sample.pth",
        url=url,
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        licence="CC0-1.0",
        citation="none",
        size_bytes=len(content),
    )


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"sample.pth.lock"}


def test_a_whole_file_arrives_with_progress(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    seen: list[tuple[int, int | None]] = []
    path = download(checkpoint, cache_dir=tmp_path / "new", progress=lambda *s: seen.append(s))
    assert path == tmp_path / "new" / "sample.pth"
    assert path.read_bytes() == CONTENT
    assert left(path.parent) == {"sample.pth"}
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_a_file_that_is_here_is_not_fetched_again(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    first = download(checkpoint, cache_dir=tmp_path)
    assert download(checkpoint, cache_dir=tmp_path) == first
    assert len(site.requests) == 1


def test_a_broken_connection_is_continued_at_once(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    site.break_at = [HALF, HALF + (HALF // 2)]
    path = download(checkpoint, cache_dir=tmp_path)
    assert path.read_bytes() == CONTENT
    assert site.requests[0] is None
    assert all(asked and asked != "bytes=0-" for asked in site.requests[1:])
    assert len(site.requests) == 3


def interrupted(tmp_path: Path, site: Site, checkpoint: Checkpoint) -> int:
    """Leave a partial download behind; its bytes."""
    with pytest.raises(DownloadError, match="cancelled at"):
        download(checkpoint, cache_dir=tmp_path, cancelled=lambda: partial(tmp_path) > 0)
    assert left(tmp_path) == {"sample.pth.part", "sample.pth.part.json"}
    site.requests.clear()
    return partial(tmp_path)


def partial(folder: Path) -> int:
    path = folder / "sample.pth.part"
    return path.stat().st_size if path.exists() else 0


def test_a_cancelled_download_is_continued_by_the_next(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    have = interrupted(tmp_path, site, checkpoint)
    assert 0 < have < len(CONTENT)
    path = download(checkpoint, cache_dir=tmp_path)
    assert path.read_bytes() == CONTENT
    assert site.requests == [f"bytes={have}-"]
    assert left(tmp_path) == {"sample.pth"}


def test_a_server_without_ranges_starts_again(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    interrupted(tmp_path, site, checkpoint)
    site.ranges = False
    assert download(checkpoint, cache_dir=tmp_path).read_bytes() == CONTENT


def test_another_version_on_the_server_starts_again(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    interrupted(tmp_path, site, checkpoint)
    site.content, site.etag = CONTENT[::-1], '"two"'
    new = record(str(checkpoint.url), site.content)
    assert download(new, cache_dir=tmp_path).read_bytes() == CONTENT[::-1]


def test_bytes_of_another_address_are_not_continued(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    interrupted(tmp_path, site, checkpoint)
    moved = replace(checkpoint, url=f"{checkpoint.url}/moved")
    assert download(moved, cache_dir=tmp_path).read_bytes() == CONTENT
    assert site.requests == [None]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_version_nothing_is_continued(
    tmp_path: Path, site: Site, checkpoint: Checkpoint, etag: str | None
) -> None:
    site.etag = etag
    interrupted(tmp_path, site, checkpoint)
    assert download(checkpoint, cache_dir=tmp_path).read_bytes() == CONTENT
    assert site.requests == [None]


def test_a_complete_part_is_taken_without_its_bytes_again(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    interrupted(tmp_path, site, checkpoint)
    (tmp_path / "sample.pth.part").write_bytes(CONTENT)
    assert download(checkpoint, cache_dir=tmp_path).read_bytes() == CONTENT
    assert site.requests == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_begun_again(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    interrupted(tmp_path, site, checkpoint)
    (tmp_path / "sample.pth.part").write_bytes(CONTENT + b"more")
    assert download(checkpoint, cache_dir=tmp_path).read_bytes() == CONTENT


def test_a_part_with_damaged_notes_is_begun_again(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    interrupted(tmp_path, site, checkpoint)
    (tmp_path / "sample.pth.part.json").write_text("[]")
    assert download(checkpoint, cache_dir=tmp_path).read_bytes() == CONTENT
    assert site.requests == [None]


def test_the_wrong_hash_is_refused_and_nothing_is_left(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    site.content = CONTENT[:-1] + b"!"
    with pytest.raises(DownloadError, match=r"Expected sha256 \w{64} for 'sample'.*found \w{64}"):
        download(checkpoint, cache_dir=tmp_path)
    assert left(tmp_path) == set()


def fails(checkpoint: Checkpoint, folder: Path, message: str) -> None:
    with pytest.raises(DownloadError, match=message) as caught:
        download(checkpoint, cache_dir=folder)
    said = str(caught.value)
    assert str(checkpoint.url) in said
    assert f"into {folder} as sample.pth" in said
    assert not (folder / "sample.pth").exists()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ({"status": 404}, "the server answered 404"),
        ({"status": 500}, "the server answered 500"),
        ({"content_type": "text/html; charset=utf-8"}, "answered with a web page"),
        ({"content": CONTENT[:-1]}, "where 512000 are expected"),
        ({"extra": b"!"}, "where 512000 are expected"),
        ({"extra": b"!", "length": False}, "more than the 512000 bytes expected"),
        ({"content": CONTENT[:-5], "length": False}, "broke at 511995 of 512000 bytes"),
        ({"redirect": "file:///etc/passwd"}, "'file:///etc/passwd' is not https"),
        ({"redirect": "http://example.org/weights"}, "is not https"),
        ({"redirect": "ftp://127.0.0.1/weights"}, "is not https"),
        ({"redirect": "/weights"}, "redirects without end"),
        ({"break_at": [0, 0]}, r"no connection to 127.0.0.1|connection broke"),
    ],
)
def test_what_a_server_can_do_wrong_is_said_with_the_way_out(
    tmp_path: Path, site: Site, checkpoint: Checkpoint, trouble: dict[str, object], message: str
) -> None:
    for name, value in trouble.items():
        setattr(site, name, value)
    fails(checkpoint, tmp_path, message)


def test_a_redirection_is_followed(tmp_path: Path, site: Site, checkpoint: Checkpoint) -> None:
    site.redirect = "/moved"
    assert download(checkpoint, cache_dir=tmp_path).read_bytes() == CONTENT


def test_a_range_at_another_place_is_not_appended(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    interrupted(tmp_path, site, checkpoint)
    site.wrong_place = True
    fails(checkpoint, tmp_path, "continued at another place")


def test_without_a_network_the_way_out_is_said(tmp_path: Path) -> None:
    fails(record("http://127.0.0.1:9/weights"), tmp_path, "no connection to 127.0.0.1")


@pytest.mark.parametrize("url", ["http://example.org/a", "file:///etc/passwd", "ftp://x/y"])
def test_only_https_leaves_this_machine(tmp_path: Path, url: str) -> None:
    fails(record(url), tmp_path, "is not https")


def test_more_than_any_checkpoint_is_refused(
    tmp_path: Path, site: Site, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MAX_BYTES", 1000)
    fails(replace(checkpoint, size_bytes=None), tmp_path, "more than any checkpoint")
    site.length = False
    fails(replace(checkpoint, size_bytes=None), tmp_path, "more than the 1000 bytes")


@pytest.mark.parametrize("digest", [None, "xxh128:0123", "blake9:00"])
def test_a_hash_that_cannot_be_computed_is_not_claimed(
    tmp_path: Path, checkpoint: Checkpoint, digest: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xxhash", None)
    unchecked = replace(checkpoint, digest=digest)
    assert not unchecked.verified
    assert download(unchecked, cache_dir=tmp_path).read_bytes() == CONTENT


def test_cancelling_between_blocks_of_a_slow_server(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    site.pause = 0.05
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) > 3

    with pytest.raises(DownloadError, match="cancelled at"):
        download(checkpoint, cache_dir=tmp_path, cancelled=cancelled)
    assert 0 < partial(tmp_path) < len(CONTENT)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, checkpoint: Checkpoint) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="SAM_PLUGINS_CACHE to a folder"):
        download(checkpoint, cache_dir=tmp_path / "file")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match="Did you mean 'vit_b_lm'"):
        download("vit_b_lmm")


def _in_a_process(checkpoint: Checkpoint, folder: Path) -> None:
    download(checkpoint, cache_dir=folder)


def test_two_processes_fetch_a_file_once(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    site.pause = 0.05
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_in_a_process, args=(checkpoint, tmp_path)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert site.requests == [None]
    assert (tmp_path / "sample.pth").read_bytes() == CONTENT


def test_waiting_for_another_download_can_be_cancelled(
    tmp_path: Path, site: Site, checkpoint: Checkpoint
) -> None:
    site.pause = 0.2
    stop: list[bool] = []
    errors: list[Exception] = []

    def fetch(cancelled: Callable[[], bool]) -> None:
        try:
            download(checkpoint, cache_dir=tmp_path, cancelled=cancelled)
        except DownloadError as error:
            errors.append(error)

    first = Thread(target=fetch, args=(lambda: bool(stop),))
    first.start()
    while not site.requests:
        time.sleep(0.01)
    fetch(lambda: True)
    stop.append(True)
    first.join()
    assert len(errors) == 2
    assert all("cancelled" in str(error) for error in errors)


def test_every_address_of_the_registry_is_https() -> None:
    for known in CHECKPOINTS.values():
        if known.url is not None:
            transfer._check_address(known.url)
            assert known.url.startswith("https://")
