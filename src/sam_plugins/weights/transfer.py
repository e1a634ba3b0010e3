"""One HTTP transfer into a file that a later transfer can continue."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from sam_plugins.errors import DownloadError

if TYPE_CHECKING:
    import requests

__all__ = ["Part", "TransferError", "fetch"]

BLOCK_BYTES = 1 << 16
MAX_BYTES = 8 * 2**30
MAX_REDIRECTS = 5
TIMEOUT_SECONDS = (10, 30)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class TransferError(DownloadError):
    """A transfer that did not reach its end; the message says why, without a full stop."""


class Part:
    """A partly downloaded file and, beside it, which version of which address it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._origin = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Bytes that are here."""
        with suppress(FileNotFoundError):
            return self.path.stat().st_size
        return 0

    def version(self, url: str) -> str | None:
        """The server's mark of the version that the bytes belong to, if they are of `url`."""
        with suppress(OSError, ValueError, AttributeError):
            origin = json.loads(self._origin.read_text(encoding="utf-8"))
            if origin.get("url") == url and isinstance(origin.get("version"), str):
                return str(origin["version"])
        return None

    def begin(self, url: str, version: str | None) -> None:
        """Start anew with no bytes."""
        self.path.write_bytes(b"")
        text = json.dumps({"url": url, "version": version})
        self._origin.write_text(text, encoding="utf-8")

    def forget(self) -> None:
        """Remove whatever is left of it."""
        for path in (self.path, self._origin):
            path.unlink(missing_ok=True)


def fetch(
    url: str,
    part: Part,
    progress: Callable[[int, int | None], None],
    stop: Callable[[], bool],
    *,
    expected: int | None,
) -> bool:
    """Bring `part` to its end; False if `stop` said so before.

    What is here is continued if the server still has the same version (``If-Range`` with its ETag
    or date); otherwise the file is begun again.

    Parameters
    ----------
    url
        https, or http on this machine; so must every redirection be.
    expected
        Bytes of the complete file, where known.

    Raises
    ------
    TransferError
        If the server cannot be reached, refuses, breaks off, or sends another number of bytes.
    """
    version = part.version(url)
    have = part.size if version else 0
    headers = {"Accept-Encoding": "identity"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with _response(url, headers) as response:
        if response.status_code == 416:
            complete = response.headers.get("Content-Range") == f"bytes */{have}"
            if complete and have == (expected or have):
                return True
            part.forget()
            return fetch(url, part, progress, stop, expected=expected)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise TransferError("the server answered with a web page")
        total = _total(response, have)
        if response.status_code != 206:
            part.begin(url, _version(response))
            have = 0
        _check_total(total, expected)
        limit = total or expected or MAX_BYTES
        with open(part.path, "ab") as file:
            progress(have, total)
            for block in _blocks(response):
                if stop():
                    return False
                have += len(block)
                if have > limit:
                    part.forget()
                    raise TransferError(f"the server sent more than the {limit} bytes expected")
                file.write(block)
                progress(have, total)
            file.flush()
            os.fsync(file.fileno())
    if have != (total or expected or have):
        raise TransferError(f"the connection broke at {have} of {total or expected} bytes")
    return True


@contextmanager
def _response(url: str, headers: dict[str, str]) -> Iterator["requests.Response"]:
    """The answer to a request, after redirections that keep to safe addresses."""
    import requests
    import urllib3

    try:
        for _ in range(MAX_REDIRECTS + 1):
            _check_address(url)
            with requests.get(
                url, headers=headers, stream=True, allow_redirects=False, timeout=TIMEOUT_SECONDS
            ) as response:
                if not response.is_redirect:
                    if response.status_code not in (200, 206, 416):
                        raise TransferError(f"the server answered {response.status_code}")
                    yield response
                    return
                url = urljoin(url, response.headers["location"])
        raise TransferError("the server redirects without end")
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TransferError(
            f"no connection to {urlsplit(url).hostname} ({type(error).__name__})"
        ) from error


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    raise TransferError(f"the address {url[:200]!r} is not https")


def _version(response: "requests.Response") -> str | None:
    """A strong ETag, or the date: what ``If-Range`` accepts."""
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")


def _total(response: "requests.Response", have: int) -> int | None:
    """Bytes of the complete file as the server states them."""
    if response.status_code == 206:
        unit, _, span = response.headers.get("Content-Range", "").partition(" ")
        place, _, total = span.partition("/")
        if unit != "bytes" or place.partition("-")[0] != str(have):
            raise TransferError("the server continued at another place than asked for")
        return int(total) if total.isdecimal() else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _check_total(total: int | None, expected: int | None) -> None:
    if total is not None and expected is not None and total != expected:
        raise TransferError(
            f"the server has a file of {total} bytes, where {expected} are expected"
        )
    if total is not None and total > MAX_BYTES:
        raise TransferError(f"the server has a file of {total} bytes, more than any checkpoint")


def _blocks(response: "requests.Response") -> Iterator[bytes]:
    raw: Any = response.raw
    while block := raw.read(BLOCK_BYTES, decode_content=False):
        yield block
