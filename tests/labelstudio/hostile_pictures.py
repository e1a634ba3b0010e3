"""A server of pictures that are none, at Label Studio's own address."""

import contextlib
import struct
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def _bomb() -> bytes:
    """A small PNG of 20000x20000 pixels."""
    size = struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(20000 * 2501), 1)
    chunks = ((b"IHDR", size), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


REDIRECTS = {
    "private": "http://10.1.2.3/a.png",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "file": "file:///etc/passwd",
    "circle": "/data/upload/1/circle.png",
}
ANSWERS = {
    "page": ("text/html", b"<html>Please log in</html>", None),
    "huge": ("image/png", b"\x89PNG\r\n\x1a\n", 10**13),
    "bomb": ("image/png", _bomb(), None),
    "text": ("image/png", b"plain words", None),
    "half": ("image/png", b"\x89PNG\r\n\x1a\n", 100_000),
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2].removesuffix(".png")
        if name in REDIRECTS:
            self.send_response(302)
            self.send_header("Location", REDIRECTS[name])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif name in ANSWERS:
            kind, content, length = ANSWERS[name]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length or len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True
        elif name == "silent":
            self.close_connection = True
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def hostile_pictures() -> Iterator[str]:
    """The address of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
