"""Picture files from the web: what is kept, for how long, and what is no picture."""

import base64
import hashlib
import io
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fetching_doubles import Handler, Server, picture_bytes, server

from labelstudio_backend.errors import AddressError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.exchange import Allowance
from labelstudio_backend.fetching.failures import RefusedError, UnreachableError
from labelstudio_backend.fetching.files import PictureFiles
from labelstudio_backend.fetching.picture_folder import PictureFolder, Validators
from labelstudio_backend.fetching.retrying import Patience
from labelstudio_backend.fetching.stable_address import address_key, without_signature
from sam_plugins.errors import ImageError, LimitError

MINUTE = 60.0
UPLOAD = "/data/upload/1/x.png"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """A Label Studio, a folder, and files read from one and kept in the other."""

    def __init__(self, home: Server, root: Path, *allowed: str) -> None:
        self.home = home
        self.clock = Clock()
        self.slept: list[float] = []
        self.root = root / "pictures"
        self.connector = Connector(AddressPolicy(home.url, allowed), "key")
        self.files = self.open()

    def open(self, max_bytes: int = 1 << 30) -> PictureFiles:
        return PictureFiles(
            self.connector,
            PictureFolder(self.root, clock=self.clock, max_bytes=max_bytes),
            allowance=Allowance(max_bytes=1_000_000, total_seconds=20.0),
            patience=Patience(attempts=3, sleep=self.slept.append),
            clock=self.clock,
        )

    def later(self, minutes: float) -> None:
        self.clock.now += minutes * MINUTE


@pytest.fixture
def home() -> Iterator[Server]:
    with server() as double:
        yield double


@pytest.fixture
def place(home: Server, tmp_path: Path) -> Place:
    return Place(home, tmp_path)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(width: int = 50_000, height: int = 20_000) -> bytes:
    """A header that promises a thousand megapixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def zip_bytes() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.png", picture_bytes())
    return file.getvalue()


LOGIN = b"\n<!DOCTYPE html><html><title>Log in</title></html>"


@pytest.mark.parametrize(
    ("body", "headers", "error", "says"),
    [
        (LOGIN, {"Content-Type": "image/png"}, AddressError, "answered with a page rather than"),
        (LOGIN, {}, AddressError, "check LABEL_STUDIO_URL and the token"),
        (b"hello", {"Content-Type": "text/html; charset=utf-8"}, AddressError, "with a page"),
        (zip_bytes(), {"Content-Type": "image/png"}, AddressError, "is no picture that is"),
        (b"MZ" + bytes(300), {"Content-Type": "image/png"}, AddressError, "is no picture that"),
        (b"\x7fELF" + bytes(300), {}, AddressError, "is no picture that is read here"),
        (b'{"a": 1}', {}, AddressError, "is no picture that is read here"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, AddressError, "is no picture that"),
        (b"", {}, AddressError, "is no picture that is read here, or not a whole one"),
        (huge_png(), {}, LimitError, "1,000,000,000 pixels"),
        (bytes(1_000_001), {}, LimitError, "1,000,001 bytes and at most 1,000,000"),
    ],
)
def test_what_is_no_picture_is_not_kept(
    place: Place, body: bytes, headers: dict[str, str], error: type[ImageError], says: str
) -> None:
    place.home.gives(UPLOAD, body, headers)
    with pytest.raises(error, match=says):
        place.files.read(UPLOAD)
    assert not list(place.root.rglob("*.picture"))
    place.home.gives(UPLOAD, picture_bytes())
    place.later(0.1)
    assert place.files.read(UPLOAD).content == picture_bytes()


@pytest.mark.parametrize("status", [200, 403, 404])
def test_what_was_refused_a_moment_ago_is_not_asked_for_at_each_click(
    place: Place, status: int
) -> None:
    place.home.gives(UPLOAD, b"root:secret:0", {"Content-Type": "image/png"}, status=status)
    said = set()
    for _ in range(5):
        with pytest.raises(AddressError) as refusal:
            place.files.read(UPLOAD)
        said.add(str(refusal.value))
    assert len(place.home.seen) == 1
    assert len(said) == 1
    assert "secret" not in said.pop()
    place.later(0.1)
    place.home.gives(UPLOAD, picture_bytes())
    assert place.files.read(UPLOAD).content == picture_bytes()


def test_how_a_local_file_or_a_text_begins_is_not_told(place: Place, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"root:secret:0")
    mounted = PictureFiles(place.connector, PictureFolder(place.root), tmp_path)
    inline = "data:image/png;base64," + base64.b64encode(b"root:secret:0").decode()
    for value in ("/data/local-files/?d=keys", inline):
        with pytest.raises(ImageError, match="is no picture that is read here") as refusal:
            mounted.read(value)
        assert "secret" not in str(refusal.value)


def test_the_bytes_say_what_it_is_and_not_the_header(place: Place) -> None:
    place.home.gives(UPLOAD, picture_bytes(), {"Content-Type": "text/html"})
    assert place.files.read(UPLOAD).content == picture_bytes()


def test_who_waited_in_vain_is_not_made_to_wait_again(place: Place) -> None:
    place.home.routes[UPLOAD] = lambda handler: handler.server.stop.wait(20)
    hasty = PictureFiles(
        place.connector,
        PictureFolder(place.root),
        allowance=Allowance(read_seconds=0.1, total_seconds=5.0),
        patience=Patience(attempts=3, sleep=place.slept.append),
    )
    with pytest.raises(UnreachableError, match="in time"):
        hasty.read(UPLOAD)
    assert len(place.home.seen) == 1


def test_a_login_page_that_label_studio_redirects_to(place: Place) -> None:
    place.home.redirects(UPLOAD, "/user/login/?next=/x")
    place.home.gives("/user/login/", LOGIN, {"Content-Type": "text/html"})
    with pytest.raises(AddressError, match="Label Studio answered with a page"):
        place.files.read(UPLOAD)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "LABEL_STUDIO_API_KEY is a token that Label Studio still accepts"),
        (403, "LABEL_STUDIO_API_KEY is a token"),
        (404, "not there any more"),
        (410, "not there any more"),
        (400, "open it in a browser"),
        (204, "open it in a browser"),
        (206, "open it in a browser"),
        (304, "open it in a browser"),
    ],
)
def test_refusals_say_what_to_do_and_are_not_repeated(place: Place, status: int, says: str) -> None:
    place.home.gives(UPLOAD, b"", status=status)
    with pytest.raises(RefusedError, match=says):
        place.files.read(UPLOAD)
    assert len(place.home.seen) == 1


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/data/local-files/", 403, "LOCAL_FILES_SERVING_ENABLED=true"),
        ("/data/local-files/", 404, "a Local Files storage of the project covers"),
        ("/data/upload/1/x.png", 500, "an upload that was deleted"),
        ("/storage-data/uploaded/", 403, "the upload was deleted"),
        ("/tasks/7/resolve/", 404, "no storage of the project has this file"),
        ("/tasks/7/presign/", 404, "no storage of the project has this file"),
    ],
)
def test_what_label_studio_means_at_some_paths(
    place: Place, path: str, status: int, says: str
) -> None:
    place.home.gives(path, b"", status=status)
    with pytest.raises(RefusedError, match=says):
        place.files.read(path)


def test_a_link_that_has_ended_is_not_label_studios_fault(place: Place, tmp_path: Path) -> None:
    with server() as cloud:
        cloud.gives("/b/x.png", b"<Error/>", status=403)
        place = Place(place.home, tmp_path, f"127.0.0.1:{cloud.port}")
        files = place.files
        place.home.redirects("/tasks/7/resolve/", f"{cloud.url}/b/x.png?sig=secret", status=303)
        with pytest.raises(RefusedError, match="pre-signed link has ended") as caught:
            files.read("/tasks/7/resolve/?fileuri=czM6Ly9i")
        assert "secret" not in str(caught.value)
        assert [seen.token for seen in cloud.seen] == [None]
        cloud.gives("/b/x.png", picture_bytes())
        place.later(0.1)
        assert files.read("/tasks/7/resolve/?fileuri=czM6Ly9i").content == picture_bytes()


def test_what_may_pass_is_tried_again_after_a_wait(place: Place) -> None:
    answers = iter([503, 429, 200])

    def busy(handler: Handler) -> None:
        status = next(answers)
        headers = {"Retry-After": "7"} if status == 429 else {}
        handler.answer(status, picture_bytes() if status == 200 else b"", headers)

    place.home.routes[UPLOAD] = busy
    assert place.files.read(UPLOAD).content == picture_bytes()
    assert 0.25 <= place.slept[0] <= 0.5
    assert place.slept[1:] == [7.0]


def test_what_does_not_pass_is_not_tried_for_ever(place: Place) -> None:
    place.home.gives(UPLOAD, b"", status=500)
    with pytest.raises(RefusedError, match="answered 500"):
        place.files.read(UPLOAD)
    assert len(place.home.seen) == 3


def test_fresh_files_are_not_asked_for(place: Place) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    first = place.files.read(UPLOAD)
    place.later(9)
    assert place.files.read(UPLOAD) == first
    assert place.open().read(UPLOAD) == first
    assert len(place.home.seen) == 1
    assert first.digest == hashlib.sha256(picture_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"ETag": 'W/"1"'}, ("If-None-Match", 'W/"1"')),
        ({"Last-Modified": "Mon, 30 Nov 2026 06:00:00 GMT"}, ("If-Modified-Since", None)),
        ({"ETag": '"1"', "Last-Modified": "x"}, ("If-None-Match", '"1"')),
    ],
)
def test_older_files_are_asked_for_with_what_the_server_knows_them_by(
    place: Place, given: dict[str, str], asked: tuple[str, str | None]
) -> None:
    place.home.gives(UPLOAD, picture_bytes(), given)
    first = place.files.read(UPLOAD)
    place.later(11)
    place.home.gives(UPLOAD, b"", status=304)
    assert place.files.read(UPLOAD) == first
    name, value = asked
    assert place.home.seen[1].headers[name] == (value or given["Last-Modified"])
    place.later(9)
    assert place.files.read(UPLOAD) == first
    assert len(place.home.seen) == 2
    place.later(2)
    place.home.gives(UPLOAD, picture_bytes(seed=1), given)
    assert place.files.read(UPLOAD).content == picture_bytes(seed=1)
    assert place.home.seen[2].headers[name] == (value or given["Last-Modified"])


def test_older_files_without_a_mark_are_read_anew(place: Place) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    place.files.read(UPLOAD)
    place.later(11)
    place.home.gives(UPLOAD, picture_bytes(seed=1))
    assert place.files.read(UPLOAD).content == picture_bytes(seed=1)
    assert "If-None-Match" not in place.home.seen[1].headers


@pytest.mark.parametrize("etag", ["a\r\n b", "\x01", "\xe4", "x" * 300, ""])
def test_marks_that_no_header_may_hold_are_not_sent_back(place: Place, etag: str) -> None:
    place.home.gives(UPLOAD, picture_bytes(), {"ETag": etag})
    first = place.files.read(UPLOAD)
    place.later(11)
    assert place.files.read(UPLOAD).content == first.content
    assert "If-None-Match" not in place.home.seen[1].headers


def test_a_copy_serves_for_an_hour_while_the_server_is_down(place: Place) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    first = place.files.read(UPLOAD)
    place.home.gives(UPLOAD, b"", status=502)
    place.later(69)
    assert place.files.read(UPLOAD) == first
    place.later(2)
    with pytest.raises(RefusedError, match="502"):
        place.files.read(UPLOAD)
    place.home.gives(UPLOAD, picture_bytes(seed=1))
    assert place.files.read(UPLOAD).content == picture_bytes(seed=1)


def test_a_copy_serves_while_there_is_no_connection(tmp_path: Path) -> None:
    with server() as home:
        place = Place(home, tmp_path)
        home.gives(UPLOAD, picture_bytes())
        first = place.files.read(UPLOAD)
    place.later(69)
    assert place.files.read(UPLOAD) == first
    place.later(2)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        place.files.read(UPLOAD)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_copy_that_may_not_be_read_any_more_is_deleted(place: Place, status: int) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    place.files.read(UPLOAD)
    place.later(11)
    place.home.gives(UPLOAD, b"", status=status)
    with pytest.raises(RefusedError):
        place.files.read(UPLOAD)
    assert not [path for path in place.root.rglob("*") if path.is_file()]


def test_a_copy_of_what_became_something_else_is_not_served(place: Place) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    place.files.read(UPLOAD)
    place.later(11)
    place.home.gives(UPLOAD, LOGIN)
    with pytest.raises(AddressError, match="answered with a page"):
        place.files.read(UPLOAD)


def test_one_signed_picture_is_kept_once(place: Place, tmp_path: Path) -> None:
    with server() as cloud:
        cloud.gives("/b/x.png", picture_bytes())
        files = Place(place.home, tmp_path, f"127.0.0.1:{cloud.port}").files
        for signature in ("1", "2"):
            files.read(f"{cloud.url}/b/x.png?X-Amz-Date={signature}&X-Amz-Signature={signature}")
        assert len(cloud.seen) == 1
        files.read(f"{cloud.url}/b/x.png?versionId=2&X-Amz-Signature=3")
        assert len(cloud.seen) == 2


@pytest.mark.parametrize(
    ("address", "stable"),
    [
        (
            "https://a/x.png?X-Amz-Algorithm=a&X-Amz-Signature=b&versionId=3",
            "https://a/x.png?versionId=3",
        ),
        ("https://a/x.png?AWSAccessKeyId=a&Signature=b&Expires=3", "https://a/x.png"),
        ("https://a/x.png?X-Goog-Credential=a&X-Goog-Signature=b", "https://a/x.png"),
        ("https://a/x.png?GoogleAccessId=a&Signature=b&Expires=1", "https://a/x.png"),
        ("https://a/x.png?sv=1&st=2&se=3&sr=b&sp=r&sig=x&skoid=y", "https://a/x.png"),
        ("https://a/x.png?Policy=a&Key-Pair-Id=b&Signature=c#frag", "https://a/x.png"),
        ("https://a/x.png?st=2&page=1", "https://a/x.png?st=2&page=1"),
        ("/data/local-files/?d=a.png", "/data/local-files/?d=a.png"),
        ("data:image/png;base64,?sig=x", "data:image/png;base64,?sig=x"),
        ("https://a/x.png", "https://a/x.png"),
    ],
)
def test_addresses_without_their_signature(address: str, stable: str) -> None:
    assert without_signature(address) == stable
    assert address_key(address) == address_key(stable)


def test_damaged_files_are_read_anew(place: Place) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    place.files.read(UPLOAD)
    for damage in (b"", b"x", picture_bytes(seed=1)):
        next(place.root.rglob("*.picture")).write_bytes(damage)
        assert place.files.read(UPLOAD).content == picture_bytes()
    notes = [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"content": "../../x", "checked": 1}',
        b"\xff",
        b"[" * 9999,
    ]
    notes += [b'{"content": 3, "checked": "x", "etag": null, "last_modified": null}']
    for damage in notes:
        next(place.root.rglob("*.json")).write_bytes(damage)
        assert place.files.read(UPLOAD).content == picture_bytes()
    assert len(place.home.seen) == 1 + 3 + len(notes)


def test_a_link_in_the_folder_is_not_followed(place: Place, tmp_path: Path) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    place.files.read(UPLOAD)
    (tmp_path / "elsewhere").write_bytes(picture_bytes())
    kept = next(place.root.rglob("*.picture"))
    kept.unlink()
    kept.symlink_to(tmp_path / "elsewhere")
    assert place.files.read(UPLOAD).content == picture_bytes()
    assert len(place.home.seen) == 2


def test_only_the_owner_reads_what_is_kept(place: Place) -> None:
    place.home.gives(UPLOAD, picture_bytes())
    place.files.read(UPLOAD)
    modes = {path: path.stat().st_mode & 0o777 for path in [place.root, *place.root.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_without_a_place_to_keep_files_they_are_read_all_the_same(
    home: Server, tmp_path: Path
) -> None:
    (tmp_path / "pictures").write_bytes(b"a file where the folder should be")
    place = Place(home, tmp_path)
    home.gives(UPLOAD, picture_bytes())
    assert place.files.read(UPLOAD).content == picture_bytes()
    assert place.files.read(UPLOAD).content == picture_bytes()
    assert len(home.seen) == 2


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    clock = Clock()
    folder = PictureFolder(tmp_path / "p", max_bytes=10_000, clock=clock)
    keys = [f"{index:040x}" for index in range(40)]
    for index, key in enumerate(keys):
        clock.now += 100
        folder.put(key, bytes([index]) * 1000, Validators())
        assert folder.get(keys[0]) is not None
        assert size_of(tmp_path) <= 10_500
    assert folder.get(keys[-1]) is not None
    assert folder.get(keys[1]) is None
    folder.put("f" * 40, bytes(10_001), Validators())
    assert folder.get("f" * 40) is None
    assert folder.get(keys[-1]) is not None


def size_of(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    clock = Clock()
    folder = PictureFolder(tmp_path / "p", max_bytes=100_000, clock=clock)
    folder.put("a" * 40, b"content", Validators())
    left = next((tmp_path / "p" / "contents").iterdir()) / ".x.123.part.picture"
    left.write_bytes(b"half")
    for age, there in ((3000, True), (4000, False)):
        os.utime(left, (clock.now - age, clock.now - age))
        PictureFolder(tmp_path / "p", max_bytes=100_000, clock=clock).put(
            "b" * 40, str(age).encode(), Validators()
        )
        assert left.exists() == there


def test_threads_and_folders_write_the_same_at_once(tmp_path: Path) -> None:
    folders = [PictureFolder(tmp_path / "p") for _ in range(2)]
    contents = [bytes([index]) * 50_000 for index in range(3)]
    failures: list[object] = []

    def work(folder: PictureFolder, seed: int) -> None:
        for index in range(30):
            number = (index * 7 + seed) % 3
            folder.put(f"{number:040x}", contents[number], Validators("e"))
            kept = folder.get(f"{number:040x}")
            if kept is not None and kept.content != contents[number]:
                failures.append(kept)

    threads = [
        threading.Thread(target=work, args=(folder, seed))
        for folder in folders
        for seed in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    for number, content in enumerate(contents):
        kept = folders[0].get(f"{number:040x}")
        assert kept is not None
        assert kept.content == content


def test_files_of_a_mounted_folder_and_of_the_task_itself(home: Server, tmp_path: Path) -> None:
    body = picture_bytes()
    (tmp_path / "a.png").write_bytes(body)
    files = PictureFiles(
        Connector(AddressPolicy(home.url)), PictureFolder(tmp_path / "p"), tmp_path
    )
    mounted = files.read("/data/local-files/?d=a.png")
    inline = files.read("data:image/png;base64," + base64.b64encode(body).decode())
    assert mounted.content == inline.content == body
    assert mounted.digest == inline.digest
    assert mounted.fresh_seconds < inline.fresh_seconds
    assert home.seen == []
    assert not (tmp_path / "p").exists()
