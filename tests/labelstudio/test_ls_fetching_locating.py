"""What a task's value means."""

import base64

import pytest

from labelstudio_backend.errors import AddressError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.locating import (
    InlinePicture,
    Location,
    MountedFile,
    WebPicture,
    locate,
)
from sam_plugins.errors import LimitError

RESOLVE = "?fileuri=czM6Ly9idWNrZXQvYS5wbmc="


def where(
    value: str, base: str = "", *, mounted: bool = False, url: str | None = "http://ls:8080"
) -> Location:
    policy = AddressPolicy(None if url is None else url + base, ["listed.com", ".s3.amazonaws.com"])
    return locate(value, policy, mounted=mounted, max_bytes=1000)


@pytest.mark.parametrize("base", ["", "/ls", "/tools/ls"])
@pytest.mark.parametrize("prefix", ["", "{base}", "/public/name"])
@pytest.mark.parametrize("origin", ["", "http://ls:8080", "https://label.example.com"])
@pytest.mark.parametrize(
    "path",
    [
        "/data/upload/1/ab-x.png",
        "/data/local-files/?d=sub/x.png",
        "/storage-data/uploaded/?filepath=upload/1/x.png",
        f"/tasks/7/resolve/{RESOLVE}",
        f"/tasks/7/presign/{RESOLVE}",
        f"/projects/7/resolve/{RESOLVE}",
    ],
)
def test_what_label_studio_serves_is_read_at_its_own_address_once_below_its_sub_path(
    base: str, prefix: str, origin: str, path: str
) -> None:
    location = where(origin + prefix.format(base=base) + path, base)
    assert isinstance(location, WebPicture)
    assert (location.address.url, location.authorized) == (f"http://ls:8080{base}{path}", True)


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://listed.com/a.png", "https://listed.com/a.png"),
        ("https://listed.com/data/upload/a.png", "https://listed.com/data/upload/a.png"),
        ("https://b.s3.amazonaws.com/a?X-Amz-Signature=s", None),
        ("http://ls:8080/api/projects/1/export", None),
        ("http://ls:8080/static/a.png", None),
        ("http://other.com/a.png", None),
        (" http://listed.com/a b.png\n", "http://listed.com/a%20b.png"),
    ],
)
def test_all_else_is_read_where_it_is_without_the_token(value: str, url: str | None) -> None:
    location = where(value)
    assert isinstance(location, WebPicture)
    assert (location.address.url, location.authorized) == (url or value, False)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "names no picture"),
        ("  ", "names no picture"),
        ("s3://bucket/a.png", "add the S3 storage to the project"),
        ("gs://bucket/a.png", "add the Google Cloud storage"),
        ("azure-blob://container/a.png", "add the Azure storage"),
        ("S3://bucket/a.png", "add the S3 storage"),
        ("file:///etc/passwd", "by file:"),
        ("FILE:/etc/passwd", "by file:"),
        ("ftp://listed.com/a.png", "by ftp:"),
        ("javascript:1", "by javascript:"),
        (r"C:\pictures\a.png", "by c:"),
        ("a.png", "neither an address nor a path"),
        ("../a.png", "neither an address nor a path"),
        ("//listed.com/data/upload/a.png", "neither an address nor a path"),
        (r"/\listed.com/data/upload/a.png", "neither an address nor a path"),
        ("/etc/passwd", "files of this machine are not read"),
        ("/home/me/a.png", "files of this machine are not read"),
        ("/api/projects/1/export", "files of this machine are not read"),
        ("/data/upload/../../api/x", "has dots"),
        ("/data/upload/%2e%2e/%2e%2e/api/x", "has dots"),
        ("/data/upload/..%5c..%5capi/x", "has dots"),
        ("http://ls:8080/data/upload/../../api/x", "has dots"),
        ("http://me@ls:8080/data/upload/a.png", "names a user"),
        ("/data/upload/a\x00.png", "control characters"),
        ("data:image/png,abc", "no picture in base64"),
        ("data:text/html;base64,abcd", "no picture in base64"),
        ("data:image/png;base64", "no picture in base64"),
        ("data:image/png;base64,a", "damaged base64"),
        ("data:image/png;base64,####", "damaged base64"),
    ],
)
def test_values_that_are_not_read_say_what_to_do(value: str, says: str) -> None:
    with pytest.raises(AddressError, match=says):
        where(value)


def test_paths_need_to_know_where_label_studio_is() -> None:
    with pytest.raises(AddressError, match="set LABEL_STUDIO_URL"):
        where("/data/upload/1/a.png", url=None)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("/data/local-files/?d=sub/a.png", "sub/a.png"),
        ("/data/local-files?d=sub/a%20b.png", "sub/a b.png"),
        ("/ls/data/local-files/?d=sub%2Fa.png&x=1", "sub/a.png"),
        ("http://localhost:8080/data/local-files/?d=../a.png", "../a.png"),
        ("/data/local-files/?d=ü.png", "ü.png"),
        ("/data/local-files/?d=a&d=b", "b"),
    ],
)
@pytest.mark.parametrize("url", [None, "http://ls:8080"])
def test_local_files_of_a_mounted_folder(value: str, path: str, url: str | None) -> None:
    assert where(value, mounted=True, url=url) == MountedFile(path)


@pytest.mark.parametrize("query", ["", "?d=", "?x=1"])
def test_a_local_file_needs_a_path(query: str) -> None:
    with pytest.raises(AddressError, match=r"add \?d="):
        where(f"/data/local-files/{query}", mounted=True)


@pytest.mark.parametrize("head", ["data:image/png;base64,", "DATA:image/svg+xml;charset=x;BASE64,"])
def test_a_picture_in_the_task(head: str) -> None:
    body = base64.b64encode(bytes(range(256))).decode()
    assert where(head + body) == InlinePicture(bytes(range(256)))
    assert where(head + body[:100] + "\n" + body[100:]) == InlinePicture(bytes(range(256)))
    assert where(head + body.replace("+", "%2B")) == InlinePicture(bytes(range(256)))


def test_a_picture_in_the_task_is_bounded() -> None:
    assert where("data:image/png;base64," + "A" * 1332) == InlinePicture(bytes(999))
    with pytest.raises(LimitError, match="upload it to Label Studio"):
        where("data:image/png;base64," + "A" * 1340)
