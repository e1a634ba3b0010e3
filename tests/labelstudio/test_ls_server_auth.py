"""Who may ask: passwords, names, web pages, and where the backend refuses to listen."""

import base64
import socket

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from server_doubles import HandlersDouble, served

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.server.auth import Door, beyond_this_machine, check_listening
from labelstudio_backend.settings import Settings

OPEN = Settings()
CLOSED = Settings(user="jürgen", password="päss:wörd")


def basic(said: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(said).decode()}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_user_and_password_open_the_door_however_they_are_encoded(encoding: str) -> None:
    with served(HandlersDouble(), CLOSED) as address:
        headers = basic("jürgen:päss:wörd".encode(encoding))
        assert requests.post(f"{address}/predict", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(b"j\xc3\xbcrgen:"),
        basic(b"jurgen:p\xc3\xa4ss:w\xc3\xb6rd"),
        basic(b":"),
        basic(b""),
        basic(b"j\xc3\xbcrgen"),
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Bearer abc"},
        {"authorization": "Basic " + "A" * 5000},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/setup", "/webhook", "/versions", "/nothing"])
def test_a_closed_door(headers: dict[str, str], path: str) -> None:
    handlers = HandlersDouble()
    with served(handlers, CLOSED) as address:
        answer = requests.post(address + path, json={}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert "BASIC_AUTH_USER" in answer.json()["error"]
    assert not handlers.asked


def test_health_needs_no_password_and_metrics_do() -> None:
    with served(HandlersDouble(), CLOSED) as address:
        assert requests.get(f"{address}/health").status_code == 200
        assert requests.get(f"{address}/").status_code == 200
        assert requests.get(f"{address}/metrics").status_code == 401
        assert requests.get(f"{address}/versions").status_code == 401


def test_why_the_model_cannot_be_used_is_told_to_those_who_may_ask_only() -> None:
    said = {"status": "UP", "error": "'/home/somebody/cells.pt' is no checkpoint."}
    handlers = HandlersDouble(lambda name, body: said)
    stranger = {"sec-fetch-site": "cross-site"}
    with served(handlers, CLOSED) as closed, served(handlers, OPEN) as opened:
        for address, headers in ((closed, {}), (closed, basic(b"a:b")), (opened, stranger)):
            for path in ("/", "/health"):
                told = requests.get(address + path, headers=headers).json()
                assert told["status"] == "UP"
                assert told["error"]
                assert "somebody" not in told["error"]
        known = basic("jürgen:päss:wörd".encode())
        assert requests.get(f"{closed}/health", headers=known).json() == said
        assert requests.get(f"{opened}/health").json() == said


@given(user=st.text(max_size=8), password=st.text(max_size=8))
def test_only_the_right_pair_opens_it(user: str, password: str) -> None:
    door = Door(CLOSED)
    said = f"{user}:{password}".encode("utf-8", "surrogatepass")
    refused = door.refuse("/predict", basic(said)) is not None
    assert refused == (said != "jürgen:päss:wörd".encode())


def test_a_password_with_letters_that_latin_1_has_not() -> None:
    door = Door(Settings(user="用户", password="пароль"))
    assert door.refuse("/predict", basic("用户:пароль".encode())) is None
    assert door.refuse("/predict", basic(b"??:??????")) is not None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:9090",
        "LOCALHOST.:9090",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]:9090",
        "host.docker.internal:9090",
        "sam.localhost:1",
        "[::ffff:127.0.0.1]:1",
    ],
)
def test_without_a_password_this_machine_is_known_by_these_names(host: str) -> None:
    assert Door(OPEN).refuse("/predict", {"host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:9090",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "10.0.0.1:9090",
        "[::1",
        "localhost@evil.example",
        "2130706433",
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/health"])
def test_without_a_password_a_rebound_name_is_refused(host: str, path: str) -> None:
    refusal = Door(OPEN).refuse(path, {"host": host})
    assert refusal is not None
    assert refusal[0] == 403


def test_with_a_password_the_name_does_not_matter() -> None:
    headers = {"host": "sam.example", **basic("jürgen:päss:wörd".encode())}
    assert Door(CLOSED).refuse("/predict", headers) is None


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "http://localhost:9090"}, False),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
    ],
)
@pytest.mark.parametrize("settings", [OPEN, CLOSED])
def test_web_pages_of_others_are_refused_even_with_a_password(
    headers: dict[str, str], refused: bool, settings: Settings
) -> None:
    sent = {"host": "localhost:9090", **headers, **basic("jürgen:päss:wörd".encode())}
    assert (Door(settings).refuse("/predict", sent) is not None) == refused


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.1.2.3", "192.168.1.1", "fe80::1", "8.8.8.8"]
)
def test_other_machines_need_a_password(host: str) -> None:
    with pytest.raises(ConfigError, match="BASIC_AUTH_USER and BASIC_AUTH_PASS"):
        check_listening(Settings(host=host))
    check_listening(Settings(host=host, user="u", password="p"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.5.5.5"])
def test_this_machine_needs_none(host: str) -> None:
    check_listening(Settings(host=host))


def test_a_name_with_one_address_beyond_counts_as_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host, port, **kwargs):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))
            for address in ("127.0.0.1", "10.0.0.7")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert beyond_this_machine("both.example")


def test_a_name_without_an_address_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host, port, **kwargs):
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ConfigError, match=r"nowhere\.example"):
        check_listening(Settings(host="nowhere.example"))


@pytest.mark.parametrize(
    "settings",
    [Settings(user="u"), Settings(password="p"), Settings(user="a:b", password="p")],
)
def test_half_a_credential_is_none(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="BASIC_AUTH"):
        check_listening(settings)
