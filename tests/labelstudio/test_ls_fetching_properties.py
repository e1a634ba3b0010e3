"""Whatever a task's value is, it is an address or an error with a sentence."""

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelstudio_backend.errors import AddressError, ConfigError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.locating import WebPicture, locate
from labelstudio_backend.fetching.networks import is_connectable, is_public, unwrapped
from labelstudio_backend.fetching.web_address import parse_address
from sam_plugins.errors import ImageError

PIECES = ["http://", "https://", "//", "/", "\\", "@", ":", "?", "#", "%2e", "..", "[", "]", "::1"]
PIECES += [
    "ls",
    "evil.com",
    "127.0.0.1",
    "0x7f",
    "2130706433",
    "8080",
    "ｅｖｉｌ",
    "。",
    "ß",
    "\u200d",
]
PIECES += [
    "data/upload/",
    "/data/local-files/?d=",
    "data:image/png;base64,",
    "file:",
    " ",
    "\t",
    "%",
]
VALUES = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
HOME = AddressPolicy("http://ls:8080/base", ["listed.com"], resolve=lambda host, port: ["10.0.0.1"])


@settings(deadline=None)
@given(VALUES)
def test_an_address_reads_back_as_itself(value: str) -> None:
    try:
        address = parse_address(value)
    except AddressError:
        return
    assert parse_address(address.url) == address
    parts = urlsplit(address.url)
    assert (parts.hostname, parts.username) == (address.host, None)
    assert address.url.isascii()
    assert address.url.isprintable()
    assert " " not in address.url


@settings(deadline=None)
@given(VALUES, st.booleans())
def test_the_token_goes_to_label_studios_own_paths_only(value: str, mounted: bool) -> None:
    try:
        location = locate(value, HOME, mounted=mounted, max_bytes=1000)
    except ImageError:
        return
    if isinstance(location, WebPicture) and location.authorized:
        assert location.address.origin == "http://ls:8080"
        assert HOME.check(location.address).own
        assert location.address.path.startswith(("/base/data/", "/base/tasks/", "/base/projects/"))


@settings(deadline=None)
@given(VALUES)
def test_only_label_studio_and_the_list_are_connected_to(value: str) -> None:
    try:
        checked = HOME.check(parse_address(value))
    except AddressError:
        return
    assert checked.address.host in ("ls", "listed.com")
    assert checked.numbers == ("10.0.0.1",)


@settings(deadline=None)
@given(st.text(max_size=30).filter(lambda text: text.strip().lower().partition(":")[0] != "ls"))
def test_entries_of_the_list_are_refused_or_mean_what_they_say(entry: str) -> None:
    try:
        policy = AddressPolicy(None, [entry])
    except ConfigError:
        return
    assert not policy.is_listed(parse_address("http://ls/"))


@settings(deadline=None)
@given(V4, st.sampled_from(["mapped", "nat64", "6to4", "plain"]))
def test_wrapping_makes_no_address_more_public(inner: ipaddress.IPv4Address, how: str) -> None:
    number = int(inner)
    outer = {
        "plain": lambda: inner,
        "mapped": lambda: ipaddress.IPv6Address((0xFFFF << 32) | number),
        "nat64": lambda: ipaddress.IPv6Address((0x64FF9B << 96) | number),
        "6to4": lambda: ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1),
    }[how]()
    assert inner in unwrapped(outer)
    assert is_public(outer) <= is_public(inner)
    assert is_connectable(outer) <= is_connectable(inner)
    assert is_public(inner) <= is_connectable(inner)


@pytest.mark.parametrize("location", ["/\u00fc.png", "/\u00c3\u00bc.png", "/%C3%BC.png"])
def test_a_redirect_to_letters_of_other_alphabets(location: str) -> None:
    """Headers hold bytes: those of UTF-8 come in as Latin letters."""
    assert parse_address("http://a.com/x").follow(location).url == "http://a.com/%C3%BC.png"
