"""A backend in a process of its own, and the requests that Label Studio would send it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from measure import picture
from PIL import Image

__all__ = ["Backend", "click_body", "points_region", "serving", "write_pictures"]

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image"><Label value="Cell"/></BrushLabels>
  <KeyPointLabels name="kp" toName="image" smart="true"><Label value="Cell"/></KeyPointLabels>
</View>"""


class Backend:
    """A server that runs, and one connection to it for each thread that makes its own.

    Parameters
    ----------
    url, process
        Where it listens, and what can be killed.
    """

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.process = process
        self.session = requests.Session()

    def connected(self) -> "Backend":
        """The same server over a connection of its own."""
        return Backend(self.url, self.process)

    def post(self, body: bytes) -> requests.Response:
        """Ask for predictions; the whole answer is read."""
        return self.session.post(
            f"{self.url}/predict",
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=120,
        )

    def answer(self, body: bytes) -> Any:
        """The JSON of an answer that must be there."""
        response = self.post(body)
        if response.status_code != 200:
            raise RuntimeError(f"{response.status_code}: {response.text[:300]}")
        return response.json()


@contextmanager
def serving(folder: Path, model: str) -> Iterator[Backend]:
    """A server for the pictures in ``folder/files``, ready to answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "SAM_PLUGINS_MODEL": model,
        "SAM_PLUGINS_CACHE": str(folder / "cache"),
        "MODEL_DIR": str(folder / "state"),
        "LOCAL_FILES_DOCUMENT_ROOT": str(folder / "files"),
        "LABEL_STUDIO_URL": "http://127.0.0.1:9",
        "LOG_LEVEL": "WARNING",
    }
    command = [
        Path(sys.executable).with_name("sam-plugins"),
        "labelstudio",
        "serve",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, env=environment)
    backend = Backend(f"http://127.0.0.1:{port}", process)
    try:
        _wait_ready(backend)
        yield backend
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(backend: Backend, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if backend.process.poll() is not None:
            raise RuntimeError(f"The server ended with exit code {backend.process.returncode}.")
        try:
            if requests.get(f"{backend.url}/health", timeout=5).json().get("ready"):
                return
        except (requests.RequestException, ValueError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"The server was not ready within {seconds:.0f} s.")


def write_pictures(folder: Path, count: int, size: Sequence[int]) -> list[str]:
    """Write pictures; returns what tasks say of them."""
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(picture(*size, seed=number)).save(
            folder / f"{number}.png", compress_level=1
        )
    return [f"/data/local-files/?d={number}.png" for number in range(count)]


def points_region(x: float, y: float, positive: bool = True) -> dict[str, Any]:
    """A click as Label Studio sends it; x and y in percent."""
    return {
        "id": f"k{x:.6f}{y:.6f}",
        "type": "keypointlabels",
        "from_name": "kp",
        "to_name": "image",
        "is_positive": positive,
        "origin": "manual",
        "value": {"x": x, "y": y, "width": 0.3, "keypointlabels": ["Cell"]},
    }


def click_body(
    task: int,
    address: str,
    regions: Sequence[dict[str, Any]],
    size: Sequence[int],
    accepted: Sequence[dict[str, Any]] = (),
) -> bytes:
    """A request with a context; `accepted` are regions that the task has already."""
    placed = {"original_height": size[0], "original_width": size[1], "image_rotation": 0}
    document = {
        "tasks": [
            {
                "id": task,
                "data": {"image": address},
                "annotations": [],
                "predictions": [],
                "drafts": [{"id": 1, "result": list(accepted)}] if accepted else [],
            }
        ],
        "project": "1.1700000000",
        "label_config": CONFIG,
        "params": {"context": {"result": [{**region, **placed} for region in regions]}},
    }
    return json.dumps(document).encode()
