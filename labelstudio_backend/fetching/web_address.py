"""An address of the web, taken apart once, so that what is checked is what is connected to."""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from labelstudio_backend.errors import AddressError

__all__ = ["WebAddress", "host_name", "parse_address", "shown"]

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST = 8192

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SAFE = "/%:=&?~#+!$,;'@()*[]"


@dataclass(frozen=True, slots=True)
class WebAddress:
    """One address.

    Parameters
    ----------
    scheme
        "http" or "https".
    host
        In lower case and ASCII; an IPv6 address has no brackets here.
    port
        1 to 65535.
    target
        Path and query, in ASCII; it starts with a slash.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def has_default_port(self) -> bool:
        """Whether it is the port of its scheme."""
        return self.port == DEFAULT_PORTS[self.scheme]

    @property
    def netloc(self) -> str:
        """Host and port as they are written in addresses and in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.has_default_port else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def url(self) -> str:
        """All of it. It may hold a signature: for requests, not for messages."""
        return self.origin + self.target

    def below(self, target: str) -> "WebAddress":
        """The same origin with another target."""
        return replace(self, target=target)

    def follow(self, location: str) -> "WebAddress":
        """Where a redirect from here leads.

        Raises
        ------
        AddressError
            If it is not an address of the web.
        """
        with suppress(UnicodeError):
            location = location.encode("latin-1").decode("utf-8")  # headers come in as Latin-1
        try:
            joined = urljoin(self.url, location)
        except ValueError as error:
            raise AddressError(f"{shown(self.url)} redirects to what is no address.") from error
        return parse_address(joined)


def parse_address(url: str) -> WebAddress:
    """Take an address apart.

    Raises
    ------
    AddressError
        If it is not http or https, names a user, or is written so that two programs could take it
        for two different addresses.
    """
    if len(url) > LONGEST:
        raise AddressError(f"The address has {len(url)} characters, {LONGEST} are the most.")
    if any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in url):
        raise AddressError(
            "The address holds control characters or half a character: write it without them."
        )
    try:
        parts = urlsplit(url.strip(" "))
        port = parts.port
    except ValueError as error:
        raise AddressError(f"{shown(url)} is no address that can be read: correct it.") from error
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise AddressError(
            f"Pictures are read from http and https addresses, found {scheme or 'no'} scheme: "
            "upload the picture to Label Studio, or give such an address."
        )
    if "@" in parts.netloc:
        raise AddressError(
            f"{scheme}://... names a user before its host, which is not allowed: write the "
            "address without what stands before the @."
        )
    if port == 0 or not parts.hostname:
        raise AddressError(f"{shown(url)} names no host and port: correct it.")
    host = host_name(parts.hostname, bracketed=parts.netloc.startswith("["))
    path = quote(parts.path or "/", safe=_SAFE)
    target = f"{path}?{quote(parts.query, safe=_SAFE)}" if parts.query else path
    return WebAddress(scheme, host, port or DEFAULT_PORTS[scheme], target)


def host_name(text: str, *, bracketed: bool = False) -> str:
    """The one spelling of a host: lower case, ASCII, numbers only as usual IPv4 and IPv6.

    Raises
    ------
    AddressError
        If it is spelled otherwise: `localhost.`, `0x7f.1`, `2130706433`.
    """
    host = text.lower()
    if bracketed or ":" in host:
        try:
            if "%" in host:
                raise ValueError
            return str(IPv6Address(host))
        except ValueError as error:
            raise AddressError(f"'{text[:100]}' is no IPv6 address: correct it.") from error
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError as error:
            raise AddressError(f"'{text[:100]}' is no name of a host: correct it.") from error
    if host.endswith("."):
        raise AddressError(f"'{text[:100]}' ends in a dot: write the host without it.")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError(f"'{text[:100]}' is no name of a host: correct it.")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise AddressError(
                f"'{text[:100]}' is an unusual way to write an IP address: write it as four "
                "decimal numbers, such as 192.168.0.7."
            ) from error
    return host


def shown(url: str) -> str:
    """An address as messages show it: without user, query and fragment, which may be secrets."""
    text = re.split(r"[?#]", url, maxsplit=1)[0]
    scheme, separator, rest = text.partition("://")
    if separator:
        netloc, slash, path = rest.partition("/")
        text = f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"
    cleaned = "".join(c if c.isprintable() else "?" for c in text)
    return f"'{cleaned[:150]}{'...' if len(cleaned) > 150 else ''}'"
