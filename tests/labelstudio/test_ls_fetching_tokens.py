"""Both kinds of token: sent rightly, renewed in time, never shown."""

import base64
import json
import threading
import time
from collections.abc import Iterator

import pytest
from fetching_doubles import Handler, Server, server

from labelstudio_backend.errors import LabelStudioError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.tokens import Tokens, expiry
from labelstudio_backend.fetching.web_address import parse_address


def jwt(claims: object, signature: str = "c2lnbmF0dXJl") -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return ".".join([*(part.decode() for part in encoded), signature])


PERSONAL = jwt({"token_type": "refresh", "exp": 8_000_000_000}, "cmVmcmVzaA")


@pytest.fixture
def home() -> Iterator[Server]:
    with server() as double:
        yield double


class Issuer:
    """Gives out access tokens and counts them."""

    def __init__(self, seconds: float, now: float = 1000.0) -> None:
        self.now = now
        self.seconds = seconds
        self.given = 0

    def __call__(self, refresh: str) -> str:
        assert refresh == PERSONAL
        self.given += 1
        return jwt({"exp": self.now + self.seconds, "n": self.given})

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize("key", ["abc123", "a.b.c", "a.b", "..", "e30.WzFd.x", "a.!!!.c"])
def test_a_legacy_token_is_sent_as_it_is(key: str) -> None:
    tokens = Tokens(f" {key}\n", lambda refresh: pytest.fail("not a personal token"))
    assert tokens.authorization() == f"Token {key}"
    assert tokens.after_refusal(f"Token {key}") is None
    assert key not in repr(tokens)


def test_no_token() -> None:
    tokens = Tokens(None, lambda refresh: "")
    assert (tokens.authorization(), tokens.after_refusal("")) == (None, None)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "ü"])
def test_what_cannot_be_a_token(key: str) -> None:
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY is no token") as caught:
        Tokens(key, lambda refresh: "")
    assert key not in str(caught.value)


def test_a_personal_token_without_its_signature_is_told_apart() -> None:
    shortened = PERSONAL.rpartition(".")[0]
    with pytest.raises(LabelStudioError, match="without its last part") as caught:
        Tokens(shortened, lambda refresh: "")
    assert shortened not in str(caught.value)


def test_an_access_token_is_used_until_shortly_before_its_end() -> None:
    issuer = Issuer(300.0)
    tokens = Tokens(PERSONAL, issuer, clock=issuer.clock)
    first = tokens.authorization()
    assert first == f"Bearer {jwt({'exp': 1300.0, 'n': 1})}"
    issuer.now = 1269.0
    assert tokens.authorization() == first
    issuer.now = 1271.0
    assert tokens.authorization() != first
    assert issuer.given == 2


def test_a_refused_access_token_is_renewed_once_for_all_who_were_refused() -> None:
    issuer = Issuer(300.0)
    tokens = Tokens(PERSONAL, issuer, clock=issuer.clock)
    first = tokens.authorization() or ""
    again = tokens.after_refusal(first)
    assert again == tokens.after_refusal(first) == tokens.authorization() != first
    assert issuer.given == 2


def test_threads_share_one_access_token() -> None:
    issuer = Issuer(300.0)
    tokens = Tokens(PERSONAL, issuer, clock=issuer.clock)
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(tokens.authorization())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == issuer.given == 1


def test_a_failed_renewal_is_tried_again_later() -> None:
    issuer = Issuer(300.0)
    down = [True]

    def refresh(token: str) -> str:
        if down[0]:
            raise LabelStudioError("down", 503)
        return issuer(token)

    tokens = Tokens(PERSONAL, refresh, clock=issuer.clock)
    with pytest.raises(LabelStudioError, match="down"):
        tokens.authorization()
    down[0] = False
    assert tokens.authorization() == f"Bearer {jwt({'exp': 1300.0, 'n': 1})}"


@pytest.mark.parametrize(
    ("token", "end"),
    [
        (jwt({"exp": 12}), 12.0),
        (jwt({"exp": 12.5}), 12.5),
        (jwt({"exp": "12"}), None),
        (jwt({"exp": True}), None),
        (jwt({}), None),
        (jwt([1]), None),
        ("x", None),
        ("a.\x00.c", None),
    ],
)
def test_when_a_token_ends(token: str, end: float | None) -> None:
    assert expiry(token) == end


def personal_server(home: Server, *, base: str = "") -> list[str]:
    """A Label Studio that takes the newest access token only; returns those it gave."""
    given: list[str] = []

    def refresh(handler: Handler) -> None:
        if json.loads(handler.sent) != {"refresh": PERSONAL}:
            handler.answer(401, b'{"detail": "Token is invalid"}')
            return
        given.append(jwt({"exp": time.time() + 300, "n": len(given)}))
        handler.answer(200, json.dumps({"access": given[-1]}).encode())

    def picture(handler: Handler) -> None:
        good = bool(given) and handler.headers.get("Authorization") == f"Bearer {given[-1]}"
        handler.answer(200 if good else 401, b"picture" if good else b"no")

    home.routes[f"{base}/api/token/refresh/"] = refresh
    home.routes[f"{base}/x"] = picture
    return given


@pytest.mark.parametrize("base", ["", "/ls"])
def test_a_personal_token_over_http(home: Server, base: str) -> None:
    given = personal_server(home, base=base)
    web = Connector(AddressPolicy(home.url + base), PERSONAL)
    address = parse_address(f"{home.url}{base}/x")
    assert web.get(address).body == b"picture"
    assert web.get(address).body == b"picture"
    assert len(given) == 1
    given.append("revoked")
    assert web.get(address).body == b"picture"
    assert len(given) == 3
    assert all(PERSONAL not in str(seen.headers) for seen in home.seen)


def test_a_refused_personal_token_says_what_to_do(home: Server) -> None:
    personal_server(home)
    other = jwt({"token_type": "refresh"}, "b3RoZXI")
    web = Connector(AddressPolicy(home.url), other)
    with pytest.raises(LabelStudioError, match="make a new one") as caught:
        web.get(parse_address(f"{home.url}/x"))
    assert caught.value.status == 401
    assert other not in str(caught.value)
    assert other not in repr(web.tokens)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"access": 3}', b'{"access": "a\\nb"}'])
def test_an_answer_without_an_access_token(home: Server, body: bytes) -> None:
    home.gives("/api/token/refresh/", body)
    with pytest.raises(LabelStudioError, match="did not take the personal access token"):
        Connector(AddressPolicy(home.url), PERSONAL).get(parse_address(f"{home.url}/x"))


def test_a_token_that_stays_refused_is_not_tried_for_ever(home: Server) -> None:
    given = personal_server(home)
    home.gives("/x", b"no", status=401)
    web = Connector(AddressPolicy(home.url), PERSONAL)
    assert web.get(parse_address(f"{home.url}/x")).status == 401
    assert len(given) == 2
    assert home.targets.count("/x") == 2
