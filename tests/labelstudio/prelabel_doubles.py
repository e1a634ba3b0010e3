"""A Label Studio that holds tasks and predictions, and misbehaves when told to."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

VERSION = "nano-1a2b3c4d5e"
REGION = {"type": "brushlabels", "value": {"format": "rle", "rle": [1], "brushlabels": ["Cell"]}}

Behaviour = Callable[[int, int], str]
"""Task and how often it was sent -> "store", "drop" (stored, no answer), "lose", "503", ..."""


class FakeLabelStudio:
    """The part of Label Studio's API that prelabelling uses.

    ``behave(task, n)`` decides what the n-th sending of a task gets; ``seen(stage)`` is called when
    a sending "arrives", is "stored" and was "answered", and when a list is "read".
    """

    def __init__(self, tasks: int) -> None:
        self.tasks = {
            number: {"id": number, "data": {"image": f"/data/{number}.png"}, "annotations": []}
            for number in range(1, tasks + 1)
        }
        self.predictions: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self.sent: Counter[int] = Counter()
        self.largest_page = 0
        self.behave: Behaviour = lambda task, n: "store"
        self.seen: Callable[[str], None] = lambda stage: None
        self.down = False
        self.config = "<View/>"
        self.lock = threading.RLock()
        self.url = ""

    def versions(self) -> dict[int, list[str]]:
        """Task -> versions of its predictions."""
        with self.lock:
            return {
                task: [each["model_version"] for each in self.predictions[task]]
                for task in self.tasks
            }

    def store(self, task: int, body: dict[str, Any]) -> int:
        with self.lock:
            self.predictions[task].append(body)
            return sum(map(len, self.predictions.values()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: FakeLabelStudio

    def log_message(self, *arguments: Any) -> None:
        pass

    def reply(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def drop(self) -> None:
        self.close_connection = True

    def do_GET(self) -> None:
        host, parts = self.host, urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if host.down:
            return self.drop()
        path = parts.path.rstrip("/")
        if path == "/api/tasks":
            size, page = int(query.get("page_size", 100)), int(query.get("page", 1))
            host.largest_page = max(host.largest_page, size)
            with host.lock:
                found = [
                    task | {"predictions": list(host.predictions[number])}
                    for number, task in host.tasks.items()
                ]
            part = found[(page - 1) * size : page * size]
            host.seen("read")
            if not part and page > 1:
                return self.reply(404, {"detail": "Invalid page."})
            return self.reply(200, {"tasks": part, "total": len(found)})
        if path == "/api/predictions":
            with host.lock:
                found = list(host.predictions[int(query["task"])])
            return self.reply(200, found)
        if path.startswith("/api/projects/"):
            number = int(path.rsplit("/", 1)[1])
            project = {"id": number, "label_config": host.config, "task_number": len(host.tasks)}
            return self.reply(200, project)
        return self.reply(404, {"detail": "Not found."})

    def do_POST(self) -> None:
        host = self.host
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if host.down:
            return self.drop()
        task = int(body["task"])
        host.seen("arrives")
        with host.lock:
            host.sent[task] += 1
            how = host.behave(task, host.sent[task])
        if how in ("store", "drop", "store then 502"):
            number = host.store(task, body)
            host.seen("stored")
            if how == "drop":
                return self.drop()
            if how != "store":
                return self.reply(502, {"detail": "Bad gateway."})
            self.reply(201, body | {"id": number})
            return host.seen("answered")
        if how == "lose":
            return self.drop()
        return self.reply(int(how), {"detail": f"The answer is {how}."})


@contextmanager
def serving(host: FakeLabelStudio) -> Iterator[FakeLabelStudio]:
    """Let it answer on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"host": host})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
