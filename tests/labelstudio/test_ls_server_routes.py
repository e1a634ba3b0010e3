"""The routes over real HTTP: what is answered, what is refused, what stands in the log."""

import json
import logging
import socket
import threading
from dataclasses import replace

import pytest
import requests
from server_doubles import HandlersDouble, raw, served, wait_until

from labelstudio_backend.errors import (
    AddressError,
    BusyError,
    ConfigError,
    LabelStudioError,
    RequestError,
)
from labelstudio_backend.server.incoming import Incoming
from labelstudio_backend.server.sentences import SentenceProtocol
from labelstudio_backend.settings import Settings
from sam_plugins.errors import (
    CheckpointError,
    ImageError,
    LimitError,
    PromptError,
    SamPluginsError,
    WorkerError,
)

SETTINGS = Settings(queue_length=2)
TOKEN = "0123456789abcdef0123456789abcdef01234567"


def test_each_route_answers_with_what_its_handler_says() -> None:
    handlers = HandlersDouble()
    with served(handlers) as address:
        for path in ("/", "/health"):
            assert requests.get(address + path).json() == {"asked": "health"}
        for name in ("setup", "predict", "webhook"):
            body = {"tasks": [{"id": 7}], "name": name}
            assert requests.post(f"{address}/{name}", json=body).json() == {"asked": name}
            assert handlers.asked[-1] == (name, body)
        assert requests.get(f"{address}/versions").json() == {"asked": "versions"}
        assert requests.post(f"{address}/versions", json={}).json() == {"asked": "versions"}
        assert requests.head(f"{address}/health").status_code == 200
    assert len(handlers.closed) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError("tasks must be a list."), 400),
        (ConfigError("There is no image."), 400),
        (PromptError("The box is empty."), 400),
        (ImageError("This is no picture."), 422),
        (LimitError("The picture is too large."), 422),
        (AddressError("The address is private."), 502),
        (LabelStudioError("Label Studio did not answer."), 502),
        (CheckpointError("The file is damaged."), 503),
        (WorkerError("The process ended."), 503),
        (SamPluginsError("Something else."), 500),
    ],
)
def test_an_error_is_a_status_and_its_own_sentence(error: Exception, status: int) -> None:
    def fail(name, body):
        raise error

    with served(HandlersDouble(fail)) as address:
        answer = requests.post(f"{address}/predict", json={})
        assert answer.status_code == status
        assert answer.json() == {"error": str(error)}
        assert answer.reason == str(error)  # which is what Label Studio shows of it


def test_a_full_queue_says_when_to_come_back() -> None:
    def fail(name, body):
        raise BusyError("Too many wait.", retry_after=3)

    with served(HandlersDouble(fail)) as address:
        answer = requests.post(f"{address}/predict", json={})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")


def test_an_error_that_nobody_foresaw_is_told_to_the_log_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(name, body):
        raise KeyError("a secret of the body")

    with served(HandlersDouble(fail)) as address:
        answer = requests.post(f"{address}/predict", json={})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    reference = answer.headers["x-request-id"]
    assert reference in answer.json()["error"]
    (told,) = [record for record in caplog.records if record.exc_info]
    assert told.fields["id"] == reference


def test_an_answer_that_is_no_json_is_an_internal_error() -> None:
    with served(HandlersDouble(lambda name, body: {"score": float("nan")})) as address:
        assert requests.post(f"{address}/predict", json={}).status_code == 500


def test_a_sentence_holds_no_token_and_no_second_line() -> None:
    def fail(name, body):
        raise ConfigError(f"Refused for Token {TOKEN}\r\nx-evil: 1 – said ü.")

    with served(HandlersDouble(fail), Settings(api_key=TOKEN)) as address:
        answer = requests.post(f"{address}/predict", json={})
    assert TOKEN not in answer.text + answer.reason + str(answer.headers)
    assert "x-evil" not in answer.headers
    assert "ü" in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("POST", "/health", 405),
        ("POST", "/metrics", 405),
        ("GET", "/nothing", 404),
        ("POST", "/predict/", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/train", 404),
        ("DELETE", "/versions", 405),
    ],
)
def test_ways_that_there_are_not(method: str, path: str, status: int) -> None:
    with served(HandlersDouble()) as address:
        answer = requests.request(method, address + path, json={})
        assert answer.status_code == status
        assert "/predict" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "Application/JSON"}, 200),
    ],
)
def test_only_json_is_read(headers: dict[str, str], status: int) -> None:
    with served(HandlersDouble()) as address:
        answer = requests.post(f"{address}/predict", data=b"{}", headers=headers)
        assert answer.status_code == status


def chunked(*chunks: bytes, last: bool = True) -> bytes:
    text = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return text + (b"0\r\n\r\n" if last else b"")


HEAD = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\n"
)


def test_a_body_that_says_it_is_too_large_is_not_waited_for() -> None:
    with served(HandlersDouble(), incoming=Incoming(most_bytes=1000)) as address:
        answer = raw(address, HEAD + b"Content-Length: 1001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    incoming = Incoming(most_bytes=1000)
    with served(HandlersDouble(), incoming=incoming) as address:
        body = chunked(b" " * 600, b" " * 600, last=False)
        answer = raw(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        assert answer.startswith(b"HTTP/1.1 413 ")
        body = chunked(b"{", b" " * 600, b"}")
        answer = raw(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        assert answer.startswith(b"HTTP/1.1 200 ")
    assert incoming.held == 0


def test_a_body_that_does_not_come_is_not_waited_for_longer() -> None:
    incoming = Incoming(seconds=0.2)
    with served(HandlersDouble(), incoming=incoming) as address:
        answer = raw(address, HEAD + b"Content-Length: 100\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 ")
    assert incoming.held == 0


def test_all_bodies_together_are_bounded() -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(name, body):
        entered.set()
        leave.wait(20)
        return {}

    incoming = Incoming(most_together=1000)
    with served(HandlersDouble(wait), incoming=incoming) as address:
        first = threading.Thread(
            target=lambda: requests.post(f"{address}/predict", json={"x": "a" * 700})
        )
        first.start()
        entered.wait(20)
        answer = requests.post(f"{address}/predict", json={"x": "a" * 700})
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        leave.set()
        first.join(20)
        assert requests.post(f"{address}/predict", json={"x": "a" * 700}).status_code == 200
    assert incoming.held == 0


def test_a_client_that_goes_away_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "labelstudio_backend")
    with served(HandlersDouble()) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        wait_until(
            lambda: any(getattr(r, "fields", {}).get("status") == 499 for r in caplog.records)
        )
        assert requests.get(f"{address}/health").status_code == 200
    assert not [record for record in caplog.records if record.exc_info]


def test_health_is_answered_while_every_thread_is_taken() -> None:
    leave = threading.Event()
    handlers = HandlersDouble(lambda name, body: {"waited": leave.wait(20)})
    with served(handlers, SETTINGS) as address:
        clients = [
            threading.Thread(target=lambda: requests.post(f"{address}/predict", json={}))
            for _ in range(10)
        ]
        for client in clients:
            client.start()
        wait_until(lambda: len(handlers.asked) == 10)
        assert requests.post(f"{address}/predict", json={}).status_code == 503
        answer = requests.get(f"{address}/health", timeout=5)
        assert answer.json()["status"] == "UP"
        leave.set()
        for client in clients:
            client.join(20)


def test_one_line_for_each_request_without_what_it_held(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "labelstudio_backend")
    with served(HandlersDouble()) as address:
        body = {"tasks": [{"id": 12, "data": {"image": "secret.png"}}], "access_token": TOKEN}
        answer = requests.post(f"{address}/predict?key={TOKEN}", json=body)
        requests.get(f"{address}/{TOKEN}")
        requests.get(f"{address}/health")
    lines = [record for record in caplog.records if record.getMessage() == "request"]
    told = [(line.fields["route"], line.fields["status"], line.levelname) for line in lines]
    assert told == [
        ("/predict", 200, "INFO"),
        ("other", 404, "INFO"),
        ("/health", 200, "DEBUG"),
    ]
    assert lines[0].fields["task"] == "12"
    assert lines[0].fields["id"] == answer.headers["x-request-id"]
    everything = json.dumps([line.fields for line in lines]) + caplog.text
    assert TOKEN not in everything
    assert "secret" not in everything


def test_no_answer_waits_for_the_acknowledgement_of_its_head() -> None:
    said = []

    class Watched(SentenceProtocol):
        def connection_made(self, transport) -> None:
            super().connection_made(transport)
            connection = transport.get_extra_info("socket")
            said.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    with served(HandlersDouble(), protocol=Watched) as address:
        requests.get(f"{address}/health")
    assert said == [1]


def test_requests_are_counted_by_route_and_status() -> None:
    with served(HandlersDouble(), replace(SETTINGS, user="u", password="p")) as address:
        auth = ("u", "p")
        requests.post(f"{address}/predict", json={}, auth=auth)
        requests.post(f"{address}/predict", data=b"{", auth=auth)
        requests.get(f"{address}/any/thing", auth=auth)
        requests.post(f"{address}/predict", json={})
        assert requests.get(f"{address}/metrics").status_code == 401
        text = requests.get(f"{address}/metrics", auth=auth).text
    for route, status in (("/predict", 200), ("/predict", 415), ("other", 404), ("/predict", 401)):
        name = f'sam_plugins_request_seconds_count{{route="{route}",status="{status}"}} 1.0'
        assert name in text
