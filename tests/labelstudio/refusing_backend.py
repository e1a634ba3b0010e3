"""A backend that is well and answers `/predict` with an error, in the wire format."""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

from loopback_server import LoopbackServer


class RefusingBackend(LoopbackServer):
    """Listens on a free port; `status` and `sentence` are what clicks get."""

    def __init__(self) -> None:
        self.status = 503
        self.sentence = "Busy, ask again."
        self.asked: list[dict[str, Any]] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._say(200, {"status": "UP", "model_class": "Refusing"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/predict":
                    self._say(200, {"model_version": "refusing"})
                    return
                double.asked.append(body)
                self._say(double.status, {"error": double.sentence}, double.sentence)

            def _say(self, status: int, content: Any, reason: str | None = None) -> None:
                text = json.dumps(content).encode()
                self.send_response(status, reason)
                if status == 503:
                    self.send_header("Retry-After", "1")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        super().__init__(Handler)
