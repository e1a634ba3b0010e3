"""What a page or a script asks a real Label Studio, and small servers that stand beside it."""

import base64
import io
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from real_programs import RealPrograms
from real_projects import RealProject, iou, mask_of

from labelstudio_backend.settings import Settings
from sam_plugins import load_sample

Region = dict[str, Any]
Mask = NDArray[np.bool_]
WAIT_SECONDS = 90.0
_numbers = itertools.count()


def coins(flipped: int = 0) -> NDArray[np.uint8]:
    """(303, 384, 3): a picture that differs for each number up to 3."""
    rgb = load_sample("coins").image
    turned = rgb[:: -1 if flipped & 1 else 1, :: -1 if flipped & 2 else 1]
    return np.ascontiguousarray(turned)


def coin(flipped: int = 0) -> tuple[float, float, float, float]:
    """The box around a coin of that picture."""
    height, width = load_sample("coins").image.shape[:2]
    x0, y0, x1, y1 = map(float, load_sample("coins").box)
    if flipped & 1:
        y0, y1 = height - y1, height - y0
    if flipped & 2:
        x0, x1 = width - x1, width - x0
    return x0, y0, x1, y1


def middle(box: tuple[float, float, float, float]) -> tuple[float, float]:
    """Where a click would be."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def encoded(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as a file; an array or a Pillow image."""
    out = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(out, kind, **options)
    return out.getvalue()


def config(
    output: str = "BrushLabels", labels: Sequence[str] = ("Coin", "Other"), **image: str
) -> str:
    """A labelling config with smart clicks and boxes; answers in one tag of this kind.

    `image` are attributes of the picture's tag, instead of ``value="$image"``.
    """
    inner = "".join(f'<Label value="{label}"/>' for label in labels)
    said = " ".join(f'{name}="{value}"' for name, value in (image or {"value": "$image"}).items())
    kind = output.split()[0]
    return f"""<View><Image name="image" {said}/>
      <{output} name="out" toName="image">{inner}</{kind}>
      <KeyPointLabels name="point" toName="image" smart="true">{inner}</KeyPointLabels>
      <RectangleLabels name="box" toName="image" smart="true">{inner}</RectangleLabels></View>"""


def point(
    xy: tuple[float, float],
    shape: tuple[int, ...],
    label: str = "Coin",
    positive: bool | None = True,
    **more: Any,
) -> Region:
    """A click at a pixel, as the page sends it; without `is_positive` if that is None."""
    height, width = shape[:2]
    value = {"x": (xy[0] + 0.5) * 100 / width, "y": (xy[1] + 0.5) * 100 / height, "width": 0.3}
    known = {} if positive is None else {"is_positive": positive}
    return _region("keypointlabels", "point", value, label, shape) | known | more


def box(
    xyxy: tuple[float, float, float, float],
    shape: tuple[int, ...],
    label: str = "Coin",
    **more: Any,
) -> Region:
    """A box from corner to corner."""
    height, width = shape[:2]
    x0, y0, x1, y1 = xyxy
    value = {
        "x": x0 * 100 / width,
        "y": y0 * 100 / height,
        "width": (x1 - x0) * 100 / width,
        "height": (y1 - y0) * 100 / height,
        "rotation": 0,
    }
    return _region("rectanglelabels", "box", value, label, shape) | more


def _region(
    kind: str, tag: str, value: dict[str, Any], label: str, shape: tuple[int, ...]
) -> Region:
    return {
        "id": f"asked{next(_numbers)}",
        "type": kind,
        "from_name": tag,
        "to_name": "image",
        "original_width": shape[1],
        "original_height": shape[0],
        "image_rotation": 0,
        "origin": "manual",
        "value": value | {kind: [label]},
    }


def ask(
    programs: RealPrograms, project: RealProject, task: int, regions: Sequence[Region]
) -> dict[str, Any]:
    """What Label Studio answers to a smart click: `data` or `errors`."""
    path = f"/api/ml/{project.model}/interactive-annotating"
    answer = programs.client.post(path, {"task": task, "context": {"result": list(regions)}})
    return dict(answer)


def answered(
    programs: RealPrograms, project: RealProject, task: int, regions: Sequence[Region]
) -> list[Region]:
    """The regions of an answer."""
    answer = ask(programs, project, task, regions)
    assert "errors" not in answer, answer["errors"]
    assert answer["data"]["model_version"].startswith("nano-")
    return list(answer["data"]["result"])


def one_mask(regions: Sequence[Region]) -> Mask:
    """(H, W) bool of the only region there is."""
    (region,) = regions
    if region["type"] == "bitmasklabels":
        png = base64.b64decode(region["value"]["imageDataURL"].partition("base64,")[2])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3] > 0
    return mask_of(region)


def whole(regions: Sequence[Region], shape: tuple[int, ...]) -> Mask:
    """(H, W) bool of all regions together; none of them is no object."""
    mask = np.zeros(shape[:2], bool)
    for region in regions:
        mask |= one_mask([region])
    return mask


def same(found: Mask, expected: Mask) -> None:
    """One object and the same one; a decoder may turn single pixels of its edge."""
    assert found.shape == expected.shape
    assert 200 < expected.sum() < expected.size / 2, "the core itself finds nothing there"
    assert iou(found, expected) >= 0.99


def until(said: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Ask again and again until there is something."""
    end = time.monotonic() + seconds
    while not (found := said()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} seconds"
        time.sleep(0.05)
    return found


def command(settings: Settings, *words: str, **more: str) -> "subprocess.Popen[str]":
    """`sam-plugins ...` in a process of its own, which reads these settings."""
    program = "import sys; from sam_plugins.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        env={**os.environ, **settings.as_environment(), **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(settings: Settings, *words: str) -> str:
    """What a command writes to standard output; it has to succeed."""
    program = command(settings, *words)
    said, noted = program.communicate(timeout=480)
    assert program.returncode == 0, f"{said}\n{noted}"
    return said


@dataclass
class Files:
    """Files of a small web server, and what was asked of it.

    Parameters
    ----------
    content
        From paths to files.
    gates
        Paths that are answered when their event is set.
    """

    content: dict[str, bytes]
    gates: Mapping[str, threading.Event] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    netloc: str = ""

    def url(self, path: str) -> str:
        return f"http://{self.netloc}{path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, str, bytes]:
        """Status, type and content for a request."""
        path = handler.path.partition("?")[0]
        if gate := self.gates.get(path):
            gate.wait(WAIT_SECONDS)
        found = self.content.get(path)
        return (404, "text/plain", b"") if found is None else (200, "image/png", found)


@contextmanager
def serving(files: Files) -> Iterator[Files]:
    """Serve them from this machine's loopback address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            status, kind, content = files.answer(self)
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
            except OSError:
                pass  # who asked is gone

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    files.netloc = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield files
    finally:
        for gate in files.gates.values():
            gate.set()
        server.shutdown()
        server.server_close()
