"""A proxy that puts a server below a path, as teams do it."""

from http.server import BaseHTTPRequestHandler
from typing import Any

import requests
from loopback_server import LoopbackServer

HOP = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length"}


class SubPath(LoopbackServer):
    """Listens on a free port, takes the path away and passes requests on to `target`."""

    def __init__(self, path: str) -> None:
        self.target = ""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def pass_on(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if not self.path.startswith(path + "/"):
                    self.send_error(404)
                    return
                with requests.Session() as session:
                    session.trust_env = False
                    answer = session.request(
                        self.command,
                        proxy.target + self.path.removeprefix(path),
                        data=body,
                        headers=dict(self.headers),
                        allow_redirects=False,
                        timeout=60,
                    )
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = pass_on

        super().__init__(Handler, path)
