"""A backend over real HTTP, with doubles behind its routes."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import uvicorn

from labelstudio_backend.server.incoming import Incoming
from labelstudio_backend.server.metrics import PrometheusMeters
from labelstudio_backend.server.routes import make_app
from labelstudio_backend.server.sentences import SentenceProtocol
from labelstudio_backend.settings import Settings

DEADLINE = 20.0


class HandlersDouble:
    """Answers with what it was asked, or as `answer` says."""

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], Any] | None = None) -> None:
        self.answer = answer or (lambda name, body: {"asked": name})
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.closed: list[float] = []

    def _answer(self, name: str, body: Mapping[str, Any]) -> Any:
        self.asked.append((name, body))
        return self.answer(name, body)

    def health(self) -> Any:
        return self._answer("health", {})

    def versions(self) -> Any:
        return self._answer("versions", {})

    def setup(self, body: Mapping[str, Any]) -> Any:
        return self._answer("setup", body)

    def predict(self, body: Mapping[str, Any]) -> Any:
        return self._answer("predict", body)

    def webhook(self, body: Mapping[str, Any]) -> Any:
        return self._answer("webhook", body)

    def close(self, seconds: float) -> None:
        self.closed.append(seconds)


@contextlib.contextmanager
def served(
    handlers: Any,
    settings: Settings | None = None,
    incoming: Incoming | None = None,
    protocol: type[SentenceProtocol] = SentenceProtocol,
) -> Iterator[str]:
    """The address of a backend that runs in a thread of this process."""
    settings = settings or Settings()
    app = make_app(settings, handlers, PrometheusMeters(), incoming=incoming)
    config = uvicorn.Config(app, http=protocol, ws="none", log_config=None)
    server = uvicorn.Server(config)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE)
        listener.close()


def wait_until(true: Callable[[], bool], seconds: float = DEADLINE) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.01)


def raw(address: str, *parts: bytes) -> bytes:
    """Send bytes as they are, and what comes back until the other side closes."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer
