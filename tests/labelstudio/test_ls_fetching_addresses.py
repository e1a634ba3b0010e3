"""Which addresses may be connected to."""

import ipaddress
import threading
from collections.abc import Sequence

import pytest

from labelstudio_backend.errors import AddressError, ConfigError
from labelstudio_backend.fetching import addresses
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.failures import UnreachableError
from labelstudio_backend.fetching.networks import is_connectable, is_public
from labelstudio_backend.fetching.web_address import parse_address, shown

PUBLIC = "93.184.216.34"
NAMES = {
    "labelstudio": ["172.18.0.2"],
    "images.example.com": [PUBLIC],
    "minio": ["10.0.0.5"],
    "bucket.s3.amazonaws.com": [PUBLIC],
    "inside.s3.amazonaws.com": ["10.1.2.3"],
    "mixed.s3.amazonaws.com": [PUBLIC, "192.168.1.1"],
    "meta.s3.amazonaws.com": ["169.254.169.254"],
    "six.s3.amazonaws.com": ["2606:2800:220:1::1"],
    "mapped.s3.amazonaws.com": ["::ffff:127.0.0.1"],
    "nat.s3.amazonaws.com": ["64:ff9b::a00:1"],
    "tunnel.s3.amazonaws.com": ["2002:c0a8:0101::1"],
    "metadata": ["169.254.169.254"],
    "everywhere": ["0.0.0.0"],
    "xn--bcher-kva.example": [PUBLIC],
    "nothing": [],
}
ALLOWED = (
    "images.example.com",
    "minio:9000",
    ".s3.amazonaws.com",
    "metadata",
    "everywhere",
    "bücher.example",
    "nothing",
    "unknown",
    "[fd00::1]:8000",
    "192.168.0.7",
)


def resolve(host: str, port: int) -> Sequence[str]:
    if host not in NAMES:
        raise OSError("not known")
    return NAMES[host]


def policy(url: str | None = "http://labelstudio:8080/ls") -> AddressPolicy:
    return AddressPolicy(url, ALLOWED, resolve=resolve)


@pytest.mark.parametrize(
    ("url", "numbers", "own"),
    [
        ("http://labelstudio:8080/ls/data/upload/1/a.png", ["172.18.0.2"], True),
        ("HTTP://LabelStudio:8080/ls", ["172.18.0.2"], True),
        ("http://labelstudio:8080/other/a.png", ["172.18.0.2"], False),
        ("http://labelstudio:8080/ls/../other/a.png", ["172.18.0.2"], False),
        ("http://labelstudio:8080/ls/%2e%2e/other", ["172.18.0.2"], False),
        ("http://labelstudio:8080/ls/%252e%252e/other", ["172.18.0.2"], False),
        ("http://labelstudio:8080/lsx/a.png", ["172.18.0.2"], False),
        ("https://images.example.com/a.png", [PUBLIC], False),
        ("http://images.example.com/a.png", [PUBLIC], False),
        ("http://minio:9000/a.png", ["10.0.0.5"], False),
        ("https://bucket.s3.amazonaws.com/a.png?X-Amz-Signature=1", [PUBLIC], False),
        ("https://six.s3.amazonaws.com/a.png", ["2606:2800:220:1::1"], False),
        ("https://BÜCHER.example/a.png", [PUBLIC], False),
        ("http://[fd00::0:1]:8000/a.png", ["fd00::1"], False),
        ("http://192.168.0.7/a.png", ["192.168.0.7"], False),
    ],
)
def test_allowed_addresses(url: str, numbers: list[str], own: bool) -> None:
    checked = policy().check(parse_address(url))
    assert (list(checked.numbers), checked.own) == (numbers, own)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://images.example.com/a.png",
        "gopher://images.example.com/",
        "//images.example.com/a.png",
        "/data/upload/a.png",
        "http:images.example.com",
        "http:///a.png",
        "http://",
        "http://labelstudio@images.example.com/a.png",
        "http://labelstudio:8080@evil.com/a.png",
        "http://:secret@images.example.com/a.png",
        "http://images.example.com\\@evil.com/a.png",
        "http://images.example.com\t.evil.com/a.png",
        "http://images.example.com\n/a.png",
        "http://images.example.com\x00/a.png",
        "http://images.example.com%2eevil.com/a.png",
        "http://images.example.com:0/",
        "http://images.example.com:99999/",
        "http://images.example.com:8o/",
        "http://images..example.com/",
        "http://images.example.com./a.png",
        "http://localhost./a.png",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.1.:80/",
        "http://[::1%25eth0]/",
        "http://[::1",
        "http://[v1.x]/",
        "http://" + "a" * 64 + ".com/",
        "http://images.example.com/" + "a" * 9000,
    ],
)
def test_addresses_that_two_programs_could_read_differently_are_no_addresses(url: str) -> None:
    with pytest.raises(AddressError, match=r"[:.]"):
        parse_address(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1/", "add 127.0.0.1 to SAM_PLUGINS_ALLOWED_HOSTS"),
        ("http://localhost:8080/", "add localhost:8080 to SAM_PLUGINS_ALLOWED_HOSTS"),
        ("http://[::1]/", r"add \[::1\] to"),
        ("http://[::ffff:127.0.0.1]:81/", r"add \[::ffff:7f00:1\]:81 to"),
        ("http://169.254.169.254/latest/meta-data", "add 169.254.169.254"),
        ("http://labelstudio.evil.com/a.png", "add labelstudio.evil.com to"),
        ("http://labelstudio/a.png", "set LABEL_STUDIO_URL to http://labelstudio if"),
        ("https://labelstudio:8080/a.png", "set LABEL_STUDIO_URL to https://labelstudio:8080 if"),
        ("http://minio/a.png", "add minio to"),
        ("http://minio:9001/a.png", "add minio:9001 to"),
        ("http://images.example.com:8080/a.png", "add images.example.com:8080 to"),
        ("http://sub.images.example.com/a.png", "add sub.images.example.com to"),
        ("http://s3.amazonaws.com/a.png", "add s3.amazonaws.com to"),
        ("http://evils3.amazonaws.com/a.png", "add evils3.amazonaws.com to"),
        ("https://inside.s3.amazonaws.com/a.png", "add inside.s3.amazonaws.com itself to"),
        ("https://mixed.s3.amazonaws.com/a.png", "is 192.168.1.1 in a private network"),
        ("https://meta.s3.amazonaws.com/a.png", "is 169.254.169.254"),
        ("https://mapped.s3.amazonaws.com/a.png", "private"),
        ("https://nat.s3.amazonaws.com/a.png", "private"),
        ("https://tunnel.s3.amazonaws.com/a.png", "private"),
        ("http://metadata/latest", "no address of one computer"),
        ("http://everywhere/", "no address of one computer"),
    ],
)
def test_refused_addresses_say_what_to_list(url: str, says: str) -> None:
    with pytest.raises(AddressError, match=says) as caught:
        policy().check(parse_address(url))
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize("host", ["unknown", "nothing"])
def test_a_name_without_a_number_may_be_tried_again(host: str) -> None:
    with pytest.raises(UnreachableError, match="not known") as caught:
        policy().check(parse_address(f"http://{host}/a.png"))
    assert not caught.value.sent


def test_a_name_is_looked_up_once() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    rebinding = AddressPolicy(None, [".example.com"], resolve=lambda host, port: next(answers))
    checked = rebinding.check(parse_address("http://a.example.com/"))
    assert checked.numbers == (PUBLIC,)
    assert next(answers) == ["127.0.0.1"]


def test_the_system_is_asked_for_names_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "127.0.0.1" in addresses.look_up("localhost", 80)
    with pytest.raises(OSError, match=r"."):
        addresses.look_up("nothing.invalid", 80)
    over = threading.Event()
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **names: over.wait(30) or [])
    monkeypatch.setattr(addresses, "LOOK_UP_SECONDS", 0.05)
    try:
        with pytest.raises(UnreachableError, match="not known"):
            AddressPolicy(None, ["slow.com"]).check(parse_address("http://slow.com/"))
    finally:
        over.set()


def test_without_label_studio_only_the_list_counts() -> None:
    assert not policy(None).check(parse_address("https://images.example.com/")).own
    with pytest.raises(AddressError, match="SAM_PLUGINS_ALLOWED_HOSTS"):
        policy(None).check(parse_address("http://labelstudio:8080/"))


def test_redirect_from_https_to_http_only_to_label_studio() -> None:
    start = parse_address("https://images.example.com/")
    with pytest.raises(AddressError, match="redirects from https to http://minio:9000"):
        policy().check(parse_address("http://minio:9000/"), came_from=start)
    assert policy().check(parse_address("http://labelstudio:8080/ls/"), came_from=start).own
    with pytest.raises(AddressError, match=r"images.example.com redirects to evil.com"):
        policy().check(parse_address("https://evil.com/"), came_from=start)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        ".com",
        "http://a.com",
        "a.com/x",
        "a.com:",
        "a.com:x",
        "a.com:0",
        "a.com:70000",
        "*.a.com",
        "user@a.com",
        "0x7f.1",
        "a.com.",
        ".1.1",
        "[::1]x",
        ":80",
        ".[::1]",
        ".168.0.1",
    ],
)
def test_entries_of_the_list_that_cannot_be_meant(entry: str) -> None:
    with pytest.raises(ConfigError, match="SAM_PLUGINS_ALLOWED_HOSTS takes"):
        AddressPolicy(None, [entry])


def test_label_studios_own_address_must_be_usable() -> None:
    with pytest.raises(ConfigError, match="LABEL_STUDIO_URL"):
        AddressPolicy("http://user:pass@labelstudio:8080")


@pytest.mark.parametrize(
    ("number", "connectable", "public"),
    [
        ("8.8.8.8", True, True),
        ("127.0.0.1", True, False),
        ("10.0.0.1", True, False),
        ("100.64.0.1", True, False),
        ("192.0.2.1", True, False),
        ("169.254.169.254", False, False),
        ("0.0.0.0", False, False),
        ("0.1.2.3", False, False),
        ("224.0.0.1", False, False),
        ("240.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("::1", True, False),
        ("::", False, False),
        ("::7f00:1", False, False),
        ("fd00::1", True, False),
        ("fe80::1", False, False),
        ("ff02::1", False, False),
        ("2606:4700::1111", True, True),
        ("::ffff:8.8.8.8", True, True),
        ("::ffff:10.0.0.1", True, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::808:808", True, True),
        ("64:ff9b::7f00:1", True, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("64:ff9b:1::808:808", False, False),
        ("2002:a9fe:a9fe::", False, False),
        ("2002:808:808::1", True, True),
        ("2001:0:4136:e378:8000:63bf:5601:5601", False, False),
    ],
)
def test_networks(number: str, connectable: bool, public: bool) -> None:
    address = ipaddress.ip_address(number)
    assert (is_connectable(address), is_public(address)) == (connectable, public)


def test_what_messages_show_holds_no_secret() -> None:
    assert shown("https://me:pw@a.com/x.png?X-Amz-Signature=1#f") == "'https://a.com/x.png'"
    assert shown("a\nb" + "c" * 500).startswith("'a?bccc")


@pytest.mark.parametrize(
    ("start", "location", "url"),
    [
        ("http://a.com/x/y", "z?q=1", "http://a.com/x/z?q=1"),
        ("http://a.com/x/y", "/z", "http://a.com/z"),
        ("http://a.com/x/y", "//b.com/z", "http://b.com/z"),
        ("http://a.com/x", "https://b.com:443/z y", "https://b.com/z%20y"),
        ("http://a.com/x", "/ü.png", "http://a.com/%C3%BC.png"),
    ],
)
def test_where_a_redirect_leads(start: str, location: str, url: str) -> None:
    assert parse_address(start).follow(location).url == url
