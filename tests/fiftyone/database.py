"""A MongoDB of the tests' own, on a port of its own, with its data in a folder that goes."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUIET = {"FIFTYONE_DO_NOT_TRACK": "true", "FIFTYONE_DATABASE_VALIDATION": "false"}
"""What keeps FiftyOne from calling home, and from a warning about the oldest MongoDB it takes."""


def mongod_program() -> Path | None:
    """The program that the test-only package brings, if it is installed and can run."""
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder, "db", "bin", "mongod")
        if program.is_file():
            found = subprocess.run([program, "--version"], capture_output=True, timeout=60)
            return program if found.returncode == 0 else None
    return None


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_mongod(folder: Path) -> Iterator[str]:
    """A server until the end of the block; gives its URI."""
    program = mongod_program()
    assert program is not None
    data = folder / "mongo"
    data.mkdir(parents=True)
    port = free_port()
    log = folder / "mongo.log"
    command = [program, "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1"]
    command += ["--logpath", log, "--nounixsocket", "--wiredTigerCacheSizeGB", "0.5"]
    server = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            assert server.poll() is None, log.read_text()[-2000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < until, "mongod did not listen within a minute"
            time.sleep(0.05)
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def environment(uri: str, folder: Path) -> dict[str, str]:
    """For a process that is to use FiftyOne with that server and nothing of the user's."""
    paths = {
        "HOME": folder / "home",
        "FIFTYONE_DEFAULT_DATASET_DIR": folder / "datasets",
        "FIFTYONE_PLUGINS_DIR": folder / "plugins",
        "FIFTYONE_MODEL_ZOO_DIR": folder / "zoo",
        "SAM_PLUGINS_CACHE": folder / "cache",
    }
    for path in paths.values():
        path.mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        **QUIET,
        **{name: str(path) for name, path in paths.items()},
        "FIFTYONE_DATABASE_URI": uri,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
