"""Requests to servers that mean no good."""

import gzip
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
from fetching_doubles import Answer, Handler, Server, picture_bytes, server

from labelstudio_backend.errors import AddressError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.exchange import Allowance
from labelstudio_backend.fetching.failures import RefusedError, UnreachableError
from labelstudio_backend.fetching.web_address import parse_address
from sam_plugins.errors import LimitError

KEY = "0123456789abcdef"
HASTY = Allowance(
    max_bytes=100_000, connect_seconds=2.0, read_seconds=1.0, total_seconds=1.5, max_redirects=3
)
PATIENT = Allowance(max_bytes=100_000, total_seconds=20.0)


@pytest.fixture
def home() -> Iterator[Server]:
    with server() as double:
        yield double


@pytest.fixture
def other() -> Iterator[Server]:
    with server() as double:
        yield double


def connector(home: Server, *allowed: str, base: str = "") -> Connector:
    return Connector(AddressPolicy(home.url + base, allowed), KEY)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(b"x" * 10_000)


def chunked_without_end(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")


def drip(handler: Handler, first: bytes, drop: bytes) -> None:
    handler.wfile.write(first)
    while not handler.server.stop.wait(0.02):
        handler.wfile.write(drop)
        handler.wfile.flush()


def drip_body(handler: Handler) -> None:
    drip(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b"x")


def drip_headers(handler: Handler) -> None:
    drip(handler, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")


def drip_chunk_size(handler: Handler) -> None:
    drip(handler, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0")


def drip_continue(handler: Handler) -> None:
    drip(handler, b"", b"HTTP/1.1 100 Continue\r\n\r\n")


def silence(handler: Handler) -> None:
    handler.server.stop.wait(20)


def says(text: bytes) -> Answer:
    return lambda handler: handler.wfile.write(text)


HOSTILE = {
    "endless": (endless, LimitError, "more than 100,000 bytes"),
    "endless chunks": (chunked_without_end, LimitError, "more than 100,000 bytes"),
    "huge length": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
        LimitError,
        "99,999,999,999 bytes and at most 100,000",
    ),
    "slow body": (drip_body, UnreachableError, "in time"),
    "slow headers": (drip_headers, UnreachableError, "in time"),
    "slow chunk size": (drip_chunk_size, UnreachableError, "in time"),
    "100 for ever": (drip_continue, UnreachableError, "in time"),
    "silence": (silence, UnreachableError, "in time"),
    "closed": (says(b""), UnreachableError, "broke the connection off"),
    "no HTTP": (says(b"SSH-2.0-x\r\n\r\n"), UnreachableError, "broke the connection off"),
    "long header": (
        says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"),
        UnreachableError,
        "broke the connection off",
    ),
    "many headers": (
        says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
        UnreachableError,
        "broke the connection off",
    ),
    "too short": (
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"),
        UnreachableError,
        "broke the connection off",
    ),
    "broken chunk": (
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx"),
        UnreachableError,
        "broke the connection off",
    ),
    "gzip bomb": (
        lambda handler: handler.answer(
            200, gzip.compress(bytes(10_000_000)), {"Content-Encoding": "gzip"}
        ),
        RefusedError,
        "switch compression",
    ),
    "encoding nobody knows": (
        lambda handler: handler.answer(200, b"x", {"Content-Encoding": "br, gzip"}),
        RefusedError,
        "switch compression",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_end_in_time_and_size(home: Server, name: str) -> None:
    route, error, sentence = HOSTILE[name]
    home.routes["/x.png"] = route
    allowance = HASTY if sentence == "in time" else PATIENT
    with pytest.raises(error, match=sentence) as caught:
        connector(home).get(parse_address(f"{home.url}/x.png"), allowance=allowance)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_answer_comes_back_whatever_its_status(home: Server, status: int) -> None:
    home.gives("/a b.png", b"body", {"ETag": '"1"', "Content-Type": "image/png"}, status=status)
    home.routes["/a%20b.png"] = home.routes["/a b.png"]
    answer = connector(home).get(parse_address(f"{home.url}/a b.png?q=ü"), allowance=PATIENT)
    assert (answer.status, answer.body, answer.headers["etag"]) == (status, b"body", '"1"')
    seen = home.seen[0]
    assert seen.target == "/a%20b.png?q=%C3%BC"
    assert seen.headers["Host"] == f"127.0.0.1:{home.port}"
    assert seen.headers["Accept-Encoding"] == "identity"
    assert seen.token == f"Token {KEY}"
    assert "Cookie" not in seen.headers


def test_the_environment_sends_nothing_elsewhere(
    home: Server, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other.url)
    monkeypatch.setenv("NO_PROXY", "")
    home.gives("/x.png", b"direct")
    address = parse_address(f"{home.url}/x.png")
    assert connector(home).get(address, allowance=PATIENT).body == b"direct"
    assert other.seen == []


def test_redirects_are_followed_and_counted(home: Server) -> None:
    for index in range(9):
        home.redirects(f"/{index}", f"{index + 1}", status=(301, 302, 303, 307, 308)[index % 5])
    home.gives("/9", b"end")
    web = connector(home)
    allowance = Allowance(max_redirects=5)
    answer = web.get(parse_address(f"{home.url}/4"), allowance=allowance)
    assert (answer.body, answer.address.url) == (b"end", f"{home.url}/9")
    home.seen.clear()
    with pytest.raises(RefusedError, match="redirect in a row"):
        web.get(parse_address(f"{home.url}/0"), allowance=allowance)
    assert home.targets == [f"/{index}" for index in range(6)]


def test_a_redirect_loop_ends(home: Server) -> None:
    home.redirects("/x", "/x")
    with pytest.raises(RefusedError, match="redirect in a row"):
        connector(home).get(parse_address(f"{home.url}/x"), allowance=PATIENT)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/x",
        "http://[::1]/x",
        "http://2130706433/x",
        "http://user@127.0.0.1/x",
        "//evil.example.com/x",
        "http://evil.example.com/x",
        "javascript:alert(1)",
        "http://[",
        "ftp://127.0.0.1/x",
    ],
)
def test_redirects_to_where_nothing_may_be_read(home: Server, location: str) -> None:
    home.redirects("/x", location)
    with pytest.raises(AddressError):
        connector(home).get(parse_address(f"{home.url}/x"), allowance=PATIENT)
    assert home.targets == ["/x"]


def test_a_redirect_to_another_host_names_the_host_to_list(home: Server, other: Server) -> None:
    home.redirects("/x", f"{other.url}/y?X-Amz-Signature=secret", status=303)
    with pytest.raises(AddressError) as caught:
        connector(home).get(parse_address(f"{home.url}/x"), allowance=PATIENT)
    assert f"add 127.0.0.1:{other.port} to SAM_PLUGINS_ALLOWED_HOSTS" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert other.seen == []


def test_the_token_stays_at_home(home: Server, other: Server) -> None:
    home.redirects("/x", f"{other.url}/y")
    other.redirects("/y", f"{home.url}/z")
    home.gives("/z", b"end", {"Set-Cookie": "a=b"})
    web = connector(home, f"127.0.0.1:{other.port}")
    assert web.get(parse_address(f"{home.url}/x"), allowance=PATIENT).body == b"end"
    assert [seen.token for seen in home.seen] == [f"Token {KEY}", None]
    assert [seen.token for seen in other.seen] == [None]


def test_the_token_goes_below_the_sub_path_only_and_not_where_it_was_not_asked_for(
    home: Server,
) -> None:
    for path in ("/ls/x", "/x", "/lsx", "/ls/../x"):
        home.gives(path, b"")
    web = connector(home, base="/ls")
    for path in ("/ls/x", "/x", "/lsx", "/ls/../x"):
        web.get(parse_address(home.url + path), allowance=PATIENT)
    web.get(parse_address(f"{home.url}/ls/x"), allowance=PATIENT, authorized=False)
    assert [seen.token for seen in home.seen] == [f"Token {KEY}", None, None, None, None]


def look_alikes(port: int) -> Sequence[str]:
    return [
        f"http://labelstudio.evil.com:{port}/x",
        f"http://evil.com:{port}/labelstudio",
        f"http://labelstudio-evil.com:{port}/x",
    ]


def test_the_token_never_goes_to_a_look_alike(home: Server) -> None:
    """Every name leads to the same server here: even where all of them are listed."""
    names = ["labelstudio.evil.com", "evil.com", "labelstudio-evil.com"]
    policy = AddressPolicy(
        f"http://labelstudio:{home.port}",
        [f"{name}:{home.port}" for name in names],
        resolve=lambda host, port: ["127.0.0.1"],
    )
    web = Connector(policy, KEY)
    for path in ("/x", "/labelstudio"):
        home.gives(path, b"")
    for url in look_alikes(home.port):
        assert web.get(parse_address(url), allowance=PATIENT).status == 200
    assert [seen.token for seen in home.seen] == [None, None, None]
    assert web.get(parse_address(f"http://labelstudio:{home.port}/x")).status == 200
    assert home.seen[-1].token == f"Token {KEY}"
    assert home.seen[-1].headers["Host"] == f"labelstudio:{home.port}"


def test_a_rebinding_name_is_looked_up_once_and_the_checked_number_is_used(home: Server) -> None:
    numbers = iter([["127.0.0.1"], ["169.254.169.254"]])
    looked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        looked.append(host)
        return next(numbers)

    policy = AddressPolicy(f"http://labelstudio:{home.port}", resolve=resolve)
    home.gives("/x", b"end")
    address = parse_address(f"http://labelstudio:{home.port}/x")
    assert Connector(policy).get(address, allowance=PATIENT).body == b"end"
    assert looked == ["labelstudio"]
    with pytest.raises(AddressError, match=r"169\.254\.169\.254"):
        Connector(policy).get(address, allowance=PATIENT)
    assert len(home.seen) == 1


def test_a_public_name_that_means_a_private_number_is_not_connected_to(home: Server) -> None:
    policy = AddressPolicy(
        None, [f".example.com:{home.port}"], resolve=lambda host, port: ["127.0.0.1"]
    )
    with pytest.raises(AddressError, match="in a private network"):
        Connector(policy).get(parse_address(f"http://a.example.com:{home.port}/x"))
    assert home.seen == []


def test_the_next_number_is_tried_where_one_does_not_answer(home: Server) -> None:
    policy = AddressPolicy(
        f"http://labelstudio:{home.port}", resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"]
    )
    home.gives("/x", b"end")
    address = parse_address(f"http://labelstudio:{home.port}/x")
    assert Connector(policy).get(address, allowance=PATIENT).body == b"end"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = Connector(AddressPolicy(f"http://127.0.0.1:{port}"), KEY)
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        web.get(parse_address(f"http://127.0.0.1:{port}/x"), allowance=HASTY)
    assert not caught.value.sent


def test_plain_http_behind_https_is_no_connection(home: Server) -> None:
    web = Connector(AddressPolicy(f"https://127.0.0.1:{home.port}"), KEY)
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        web.get(parse_address(f"https://127.0.0.1:{home.port}/x"), allowance=HASTY)
    assert not caught.value.sent
    assert home.seen == []


def test_what_is_sent_goes_to_label_studio_only(home: Server, other: Server) -> None:
    home.gives_json("/ls/api/x", {"id": 3}, status=201)
    web = connector(home, f"127.0.0.1:{other.port}", base="/ls")
    answer = web.send(parse_address(f"{home.url}/ls/api/x"), "POST", {"a": "ü"}, allowance=PATIENT)
    assert (answer.status, home.seen[0].method, home.seen[0].body) == (
        201,
        "POST",
        b'{"a":"\\u00fc"}',
    )
    for url in (f"{other.url}/ls/api/x", f"{home.url}/api/x"):
        with pytest.raises(AddressError, match="nothing is sent elsewhere"):
            web.send(parse_address(url), "POST", {})
    assert other.seen == []
    assert len(home.seen) == 1


def test_threads_share_a_connector(home: Server) -> None:
    body = picture_bytes()
    home.gives("/x.png", body)
    web = connector(home)
    bodies: list[bytes] = []

    def read() -> None:
        bodies.append(web.get(parse_address(f"{home.url}/x.png"), allowance=PATIENT).body)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert bodies == [body] * 8
