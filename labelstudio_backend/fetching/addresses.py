"""What this backend may connect to: Label Studio, and the hosts that its owner listed.

A name is looked up once. Every number that it stands for is checked, and the connection is made to
one of these numbers, so that a name which means something else a moment later gains nothing.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from urllib.parse import unquote

from labelstudio_backend.errors import AddressError, ConfigError
from labelstudio_backend.fetching.failures import UnreachableError
from labelstudio_backend.fetching.networks import IPAddress, is_connectable, is_public
from labelstudio_backend.fetching.web_address import (
    DEFAULT_PORTS,
    WebAddress,
    host_name,
    parse_address,
    shown,
)

__all__ = ["AddressPolicy", "Checked", "Resolve", "look_up"]

LOOK_UP_SECONDS = 10.0

Resolve = Callable[[str, int], Sequence[str]]
"""From a host and a port to the numbers of the host."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An address that may be connected to.

    Parameters
    ----------
    address
        What was asked for.
    numbers
        The IP addresses to connect to, in the order in which to try them; all were checked.
    own
        Whether it is Label Studio's own origin, below its sub-path if it has one.
    """

    address: WebAddress
    numbers: tuple[str, ...]
    own: bool


@dataclass(frozen=True, slots=True)
class _Listed:
    """One entry of the allow-list: an exact host or the end of one, and its port if it has one."""

    host: str
    port: int | None
    suffix: bool

    def admits(self, address: WebAddress) -> bool:
        if self.suffix:
            if not address.host.endswith(self.host):
                return False
        elif address.host != self.host:
            return False
        return address.has_default_port if self.port is None else address.port == self.port


def look_up(host: str, port: int) -> Sequence[str]:
    """The numbers of a host, as the system gives them within ten seconds.

    Raises
    ------
    OSError
        If there are none, or nobody could be asked.
    """
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except Exception as error:
            answer.set_exception(error)

    # The system's own wait cannot be bounded; a thread that still waits then is left behind.
    threading.Thread(target=ask, name="sam-plugins look-up", daemon=True).start()
    return answer.result(timeout=LOOK_UP_SECONDS)


class AddressPolicy:
    """Decides about addresses.

    Parameters
    ----------
    label_studio_url
        Where Label Studio is, with its sub-path; it may be in a private network. None for nowhere.
    allowed_hosts
        `host` or `host:port`, which may be in a private network; `.suffix` or `.suffix:port` for
        all hosts below it, which may not. Without a port only the usual one of the scheme is meant.
    resolve
        Looks names up.

    Raises
    ------
    ConfigError
        If one of them cannot be read.
    """

    def __init__(
        self,
        label_studio_url: str | None,
        allowed_hosts: Sequence[str] = (),
        *,
        resolve: Resolve = look_up,
    ) -> None:
        self._resolve = resolve
        self._listed = tuple(_listed(entry) for entry in allowed_hosts)
        self._home: WebAddress | None = None
        if label_studio_url is not None:
            try:
                self._home = parse_address(label_studio_url.rstrip("/"))
            except AddressError as error:
                raise ConfigError(f"LABEL_STUDIO_URL cannot be used. {error}") from error

    @property
    def home(self) -> WebAddress | None:
        """Label Studio's address."""
        return self._home

    @property
    def base_path(self) -> str:
        """Label Studio's sub-path, "" or "/ls"."""
        return "" if self._home is None else self._home.path.rstrip("/")

    def is_own_origin(self, address: WebAddress) -> bool:
        """Whether it has Label Studio's scheme, host and port."""
        return self._home is not None and address.origin == self._home.origin

    def is_listed(self, address: WebAddress) -> bool:
        """Whether the host's owner listed it."""
        return any(entry.admits(address) for entry in self._listed)

    def check(self, address: WebAddress, *, came_from: WebAddress | None = None) -> Checked:
        """Look the host up and check all that it stands for.

        Parameters
        ----------
        address
            What to connect to.
        came_from
            Which address redirected to it.

        Raises
        ------
        AddressError
            If it may not be connected to; the message says what to list where.
        UnreachableError
            If its name is not known.
        """
        own = self.is_own_origin(address)
        entries = [entry for entry in self._listed if entry.admits(address)]
        if not own and not entries:
            raise self._not_listed(address, came_from)
        if came_from is not None and not own and came_from.scheme == "https" != address.scheme:
            raise AddressError(
                f"{came_from.origin} redirects from https to {address.origin}, where anybody may "
                "read along: let it redirect to https."
            )
        exactly = own or any(not entry.suffix for entry in entries)
        numbers = self._numbers(address)
        for number in numbers:
            if exactly and not is_connectable(number):
                raise AddressError(
                    f"{address.host} is {number}, which is no address of one computer: give a "
                    "loopback, private or public address."
                )
            if not exactly and not is_public(number):
                raise AddressError(
                    f"{address.host} is {number} in a private network, and is allowed only as "
                    f"part of a name: add {address.netloc} itself to SAM_PLUGINS_ALLOWED_HOSTS "
                    "if pictures are there."
                )
        texts = tuple(str(number) for number in numbers)
        return Checked(address, texts, own and self._is_below(address))

    def _numbers(self, address: WebAddress) -> list[IPAddress]:
        try:
            found = [ipaddress.ip_address(address.host)]
        except ValueError:
            try:
                texts = self._resolve(address.host, address.port)
                found = [ipaddress.ip_address(text) for text in texts]
            except (OSError, ValueError) as error:  # UnicodeError is one of these
                raise self._unknown(address) from error
        if not found:
            raise self._unknown(address)
        return found

    def _unknown(self, address: WebAddress) -> UnreachableError:
        return UnreachableError(
            f"The name {address.host} is not known on this machine: correct it, or wait until "
            "the network is back.",
            sent=False,
        )

    def _not_listed(self, address: WebAddress, came_from: WebAddress | None) -> AddressError:
        what = f"{shown(address.url)} is on {address.netloc}"
        if came_from is not None:
            what = f"{came_from.origin} redirects to {address.netloc}"
        if self._home is not None and address.host == self._home.host:
            return AddressError(
                f"{what} by {address.scheme}, and LABEL_STUDIO_URL is {self._home.origin}: add "
                f"{address.netloc} to SAM_PLUGINS_ALLOWED_HOSTS if you trust it, or set "
                f"LABEL_STUDIO_URL to {address.origin} if Label Studio is there."
            )
        return AddressError(
            f"{what}, which this backend may not read from: add {address.netloc} to "
            "SAM_PLUGINS_ALLOWED_HOSTS if you trust it."
        )

    def _is_below(self, address: WebAddress) -> bool:
        """Whether it is below the sub-path, however a server resolves its dots."""
        if not self.base_path:
            return True
        path = unquote(unquote(address.path)).replace("\\", "/")
        if any(part in (".", "..") for part in path.split("/")):
            return False
        return path == self.base_path or path.startswith(f"{self.base_path}/")


def _listed(entry: str) -> _Listed:
    text = entry.strip()
    suffix = text.startswith(".")
    host, port = text, None
    if text.count(":") == 1 or "]:" in text:
        host, _, digits = text.rpartition(":")
        if not (digits.isascii() and digits.isdecimal() and 0 < int(digits) < 65536):
            raise _bad_entry(entry)
        port = int(digits)
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        name = host_name(host.strip("[]") if bracketed else host[suffix:], bracketed=bracketed)
    except AddressError as error:
        raise _bad_entry(entry) from error
    if suffix and ("." not in name or ":" in name or name.replace(".", "").isdecimal()):
        raise _bad_entry(entry)
    return _Listed(f".{name}" if suffix else name, port, suffix)


def _bad_entry(entry: str) -> ConfigError:
    ports = " or ".join(f"{port} ({scheme})" for scheme, port in DEFAULT_PORTS.items())
    return ConfigError(
        "SAM_PLUGINS_ALLOWED_HOSTS takes host, host:port or .suffix of at least two parts, such "
        f"as minio:9000 or .s3.amazonaws.com, found {entry!r}; without a port, {ports} is meant."
    )
