"""One HTTP request to a checked address, and its answer: no proxy, no redirect, no retry.

The environment is not asked for proxies or passwords, one connection carries one request, and the
body is counted while it comes in.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import cast

from labelstudio_backend.fetching.addresses import Checked
from labelstudio_backend.fetching.failures import RefusedError, UnreachableError
from labelstudio_backend.fetching.timed_socket import TimedSocket
from labelstudio_backend.fetching.web_address import WebAddress, shown
from sam_plugins.errors import LimitError

__all__ = ["Allowance", "Answer", "exchange"]

BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one request may take.

    Parameters
    ----------
    max_bytes
        Of the body.
    connect_seconds
        For one connection, with its TLS handshake.
    read_seconds
        For the next bytes.
    total_seconds
        For everything, redirects included.
    max_redirects
        Each is checked as if it were asked for.
    """

    max_bytes: int = 1 << 29
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    total_seconds: float = 120.0
    max_redirects: int = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came.

    Parameters
    ----------
    status
        HTTP status.
    headers
        With names in lower case; of several with one name, the last.
    body
        Not encoded.
    address
        What answered.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    address: WebAddress

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people."""
        start = self.body[:512].lstrip().lower()
        return start.startswith((b"<!doctype html", b"<html")) or self.headers.get(
            "content-type", ""
        ).lower().startswith("text/html")


def exchange(
    checked: Checked,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    allowance: Allowance,
    deadline: float,
) -> Answer:
    """Send one request and read its answer.

    Parameters
    ----------
    checked
        Where to; the connection is made to one of its numbers.
    method, headers, body
        As HTTP has them.
    allowance
        Bounds.
    deadline
        On the clock of `time.monotonic`.

    Raises
    ------
    UnreachableError
        If no complete answer came in time.
    RefusedError
        If the body is compressed.
    LimitError
        If it is larger than allowed.
    """
    address = checked.address
    with closing(_connect(checked, allowance, deadline)) as sock:
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.auto_open = 0
        timed = TimedSocket(sock, deadline, allowance.read_seconds)
        connection.sock = cast("socket.socket", timed)
        try:
            connection.request(
                method,
                address.target,
                body=body,
                headers={
                    "Host": address.netloc,
                    "Accept-Encoding": "identity",
                    "User-Agent": _user_agent(),
                    "Connection": "close",
                    **headers,
                },
            )
            with connection.getresponse() as response:
                received = {name.lower(): value for name, value in response.getheaders()}
                data = _body(response, address, received, allowance)
                return Answer(response.status, MappingProxyType(received), data, address)
        except TimeoutError as error:
            raise UnreachableError(
                f"{address.origin} did not send all of {shown(address.url)} in time: try again "
                "when it is less busy."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"{address.origin} broke the connection off ({type(error).__name__}): try again."
            ) from error


def _connect(checked: Checked, allowance: Allowance, deadline: float) -> socket.socket:
    """A connection to the first of the numbers that answers."""
    address = checked.address
    failure: OSError = TimeoutError("the deadline is over")
    for number in checked.numbers:
        seconds = min(allowance.connect_seconds, deadline - time.monotonic())
        if seconds <= 0:
            break
        try:
            sock = socket.create_connection((number, address.port), timeout=seconds)
        except OSError as error:
            failure = error
            continue
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.scheme == "https":
                return _tls_context().wrap_socket(sock, server_hostname=address.host)
            return sock
        except OSError as error:
            sock.close()
            failure = error
    if isinstance(failure, ssl.SSLCertVerificationError):
        raise UnreachableError(
            f"{address.origin} shows a certificate that is not trusted here "
            f"({failure.verify_message}): give it a valid one, or name your authority's in "
            "SSL_CERT_FILE.",
            sent=False,
        ) from failure
    why = "no answer in time" if isinstance(failure, TimeoutError) else type(failure).__name__
    raise UnreachableError(
        f"{address.origin} cannot be reached ({why}): see that it runs and that this machine can "
        "reach it.",
        sent=False,
    ) from failure


def _body(
    response: http.client.HTTPResponse,
    address: WebAddress,
    headers: Mapping[str, str],
    allowance: Allowance,
) -> bytes:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RefusedError(
            f"{shown(address.url)} comes compressed ({encoding[:20]!r}), though it was asked for "
            "as it is: switch compression of pictures off there.",
            response.status,
        )
    expected = response.length
    if expected is not None and expected > allowance.max_bytes:
        raise _too_large(address, f"{expected:,} bytes", allowance)
    blocks: list[bytes] = []
    count = 0
    while block := response.read1(BLOCK_BYTES):
        blocks.append(block)
        count += len(block)
        if count > allowance.max_bytes:
            raise _too_large(address, f"more than {allowance.max_bytes:,} bytes", allowance)
    if expected is not None and count < expected:
        raise http.client.IncompleteRead(b"", expected - count)
    return b"".join(blocks)


def _too_large(address: WebAddress, found: str, allowance: Allowance) -> LimitError:
    return LimitError(
        f"{shown(address.url)} has {found} and at most {allowance.max_bytes:,} are read: shrink "
        "the picture."
    )


@cache
def _tls_context() -> ssl.SSLContext:
    """Trusts the system's authorities, those of SSL_CERT_FILE, and those that come with requests.

    Some Python installations know no authority of the system.
    """
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


@cache
def _user_agent() -> str:
    return f"sam-plugins/{version('sam-plugins')}"
