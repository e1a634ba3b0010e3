"""A server that answers as a test says, on this machine, and pictures to answer with."""

import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Writes one request down and lets the route answer it."""

    server: "Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.sent = self.rfile.read(length)
        path = self.path.partition("?")[0]
        seen = Seen(self.command, self.path, dict(self.headers.items()), self.sent)
        with self.server.lock:
            self.server.seen.append(seen)
            route = self.server.routes.get(path)
        self.close_connection = True
        if route is None:
            self.answer(404, b"no such thing")
        else:
            try:
                route(self)
            except (BrokenPipeError, ConnectionResetError):
                self.server.broken.set()

    do_POST = do_PATCH = do_DELETE = do_GET

    def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class Seen:
    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body

    @property
    def token(self) -> str | None:
        return self.headers.get("Authorization")


class Server(ThreadingHTTPServer):
    """Routes from path to answer; what came; `stop` is set when it ends."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), Handler)
        self.routes: dict[str, Answer] = {}
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.broken = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [seen.target for seen in self.seen]

    def gives(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        status: int = 200,
    ) -> None:
        self.routes[path] = lambda handler: handler.answer(status, body, headers)

    def gives_json(self, path: str, content: object, *, status: int = 200) -> None:
        self.gives(path, json.dumps(content).encode(), status=status)

    def redirects(self, path: str, location: str, *, status: int = 302) -> None:
        self.gives(path, b"", {"Location": location}, status=status)


@contextmanager
def server(host: str = "127.0.0.1") -> Iterator[Server]:
    double = Server(host)
    thread = threading.Thread(
        target=double.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield double
    finally:
        double.stop.set()
        double.shutdown()
        double.server_close()
        thread.join()


def picture_bytes(
    height: int = 30, width: int = 50, kind: str = "PNG", *, seed: int = 0, **options: Any
) -> bytes:
    file = io.BytesIO()
    pixels(height, width, seed=seed).save(file, kind, **options)
    return file.getvalue()


def pixels(height: int, width: int, *, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
