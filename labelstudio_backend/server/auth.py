"""Who may ask: a password beyond this machine, and no web page of somebody else's."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.settings import Settings

__all__ = ["Door", "Refusal", "beyond_this_machine", "check_listening"]

OPEN = frozenset({"/", "/health"})
"""Container engines ask these without a password, and other pages' requests are answered as well:
who is not trusted (`Door.trusts`) is told nothing of files."""

LOCAL_NAMES = frozenset({"localhost", "host.docker.internal"})
"""Names that no stranger's page can have, besides loopback addresses."""

Refusal = tuple[int, str]
"""HTTP status and the sentence."""


class Door:
    """Decides who may ask.

    Without a password only this machine can connect. What is left are web pages that a browser on
    this machine shows: they are refused by the name they think this backend has (a rebound name)
    and by what browsers say of a request's origin.

    Parameters
    ----------
    settings
        Host, user and password.
    """

    def __init__(self, settings: Settings) -> None:
        self._host = settings.host.lower()
        self._expected: list[tuple[bytes, bytes]] | None = None
        if settings.user is not None and settings.password is not None:
            self._expected = [
                (_digest(user), _digest(password))
                for user, password in _encodings(settings.user, settings.password)
            ]

    def refuse(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request is not answered; None if it is.

        Parameters
        ----------
        path
            Without the query.
        headers
            By lower-case name.
        """
        if not self._expected and not self._names_this_machine(headers.get("host", "")):
            return 403, (
                "Without BASIC_AUTH_USER and BASIC_AUTH_PASS the backend answers to localhost "
                "only; use http://localhost with its port, or set both."
            )
        return None if path in OPEN else self._distrust(headers)

    def trusts(self, headers: Mapping[str, str]) -> bool:
        """Whether who sends these would be let in everywhere."""
        return self.refuse("", headers) is None

    def _distrust(self, headers: Mapping[str, str]) -> Refusal | None:
        if _from_another_page(headers):
            return 403, "Requests from other web pages are not answered."
        if not self._knows(headers.get("authorization", "")):
            return 401, (
                "User and password are missing or wrong; give Label Studio's model settings "
                "those of BASIC_AUTH_USER and BASIC_AUTH_PASS."
            )
        return None

    def _knows(self, header: str) -> bool:
        if self._expected is None:
            return True
        user, password = _said(header)
        given = _digest(user), _digest(password)
        equal = False
        for pair in self._expected:  # every comparison is made, whatever the first one says
            users = hmac.compare_digest(given[0], pair[0])
            passwords = hmac.compare_digest(given[1], pair[1])
            equal |= users & passwords
        return equal

    def _names_this_machine(self, host: str) -> bool:
        name = _host_name(host)
        if name in LOCAL_NAMES or name.endswith(".localhost") or name == self._host:
            return True
        return _is_loopback(name)


def check_listening(settings: Settings) -> None:
    """Refuse to be reachable from other machines without a password.

    Raises
    ------
    ConfigError
        If the host is not this machine alone and user or password are missing, if only one of
        them is given, or if the user has a colon, which basic authentication cannot say.
    """
    if (settings.user is None) != (settings.password is None):
        raise ConfigError(
            "BASIC_AUTH_USER and BASIC_AUTH_PASS belong together, found only one of them."
        )
    if settings.user is not None and ":" in settings.user:
        raise ConfigError("BASIC_AUTH_USER must not contain a colon; choose another name.")
    if settings.user is None and beyond_this_machine(settings.host):
        raise ConfigError(
            f"Listening on {settings.host!r} would let other machines ask without a password; set "
            "BASIC_AUTH_USER and BASIC_AUTH_PASS, or HOST=127.0.0.1."
        )


def beyond_this_machine(host: str) -> bool:
    """Whether listening there can be reached from elsewhere: any of its addresses counts.

    Raises
    ------
    ConfigError
        If the name has no address.
    """
    if not host:
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"HOST must be an address of this machine such as 127.0.0.1, found {host!r}: {error}."
        ) from error
    return not all(_is_loopback(str(address[4][0])) for address in found)


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _host_name(host: str) -> str:
    """`[::1]:9090` is `::1`; what is no host is empty."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _from_another_page(headers: Mapping[str, str]) -> bool:
    """Browsers say where a request comes from; Label Studio's server and scripts do not."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    return origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _said(header: str) -> tuple[bytes, bytes]:
    scheme, _, code = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return b"", b""
    try:
        said = base64.b64decode(code.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b"", b""
    user, _, password = said.partition(b":")
    return user, password


def _encodings(user: str, password: str) -> list[tuple[bytes, bytes]]:
    """In UTF-8 and, as Label Studio's client says it where it can, in Latin-1."""
    pairs = [(user.encode("utf-8", "surrogateescape"), password.encode("utf-8", "surrogateescape"))]
    with suppress(UnicodeEncodeError):
        pairs.append((user.encode("latin-1"), password.encode("latin-1")))
    return pairs


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()
