"""The process that a model lives in. Started by `open_worker`, never by hand."""

import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sam_plugins.ports import EngineStatus, Segmenter
from sam_plugins.worker.failures import Failure
from sam_plugins.worker.lanes import give_way
from sam_plugins.worker.serving import Server
from sam_plugins.worker.status import WorkerStatus
from sam_plugins.worker.wire import Wire


def main() -> None:
    """Open the model that the first message asks for, then answer until the pipe ends."""
    with suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for whoever started this
    faulthandler.enable()
    wire = _own_pipes()
    if hasattr(os, "getppid"):
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _, target, paths, arguments = wire.receive()
    sys.path.extend(path for path in paths if path not in sys.path)
    logging.basicConfig(level=logging.WARNING)
    server = Server(wire)
    threading.Thread(target=_receive, args=(wire, server), name="receive", daemon=True).start()
    opened: list[Segmenter | BaseException] = []
    opening = threading.Thread(
        target=_opened, args=(opened, wire, target, arguments), name="open", daemon=True
    )
    opening.start()
    opening.join()
    segmenter = opened[0]
    if isinstance(segmenter, BaseException):
        wire.send(("failed", Failure.of(segmenter)))
        return
    server.start(segmenter)
    message = f"{segmenter.info.name} answers."
    wire.send(("status", WorkerStatus(phase="ready", message=message, info=segmenter.info)))
    threading.Event().wait()  # `_receive` ends the process


def _own_pipes() -> Wire:
    """Keep the pipes for the protocol: what a library prints goes to the error stream."""
    incoming = os.fdopen(os.dup(0), "rb", buffering=0)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    if sys.platform == "win32":
        import msvcrt

        for file in (incoming, outgoing):
            msvcrt.setmode(file.fileno(), os.O_BINARY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return Wire(incoming, outgoing)


def _opened(found: list[Segmenter | BaseException], *arguments: Any) -> None:
    """Open the model on a thread that gives way, as do the threads that libraries start then."""
    give_way()
    try:
        found.append(_open(*arguments))
    except BaseException as error:
        found.append(error)


def _open(wire: Wire, target: str, arguments: dict[str, Any]) -> Segmenter:
    opened: list[Segmenter] = []

    def report(status: EngineStatus) -> None:
        info = replace(opened[0].info, engine=status.engine) if opened else None
        phase = "ready" if opened else "opening"
        worker = WorkerStatus(phase=phase, message=status.message, engine=status, info=info)  # type: ignore[arg-type]
        with suppress(OSError):
            wire.send(("status", worker))

    wire.send(("status", WorkerStatus(phase="starting", message="Loading libraries.")))
    module, _, name = target.partition(":")
    make = getattr(importlib.import_module(module), name)
    message = f"Opening {arguments['model'] or 'the model'}."
    wire.send(("status", WorkerStatus(phase="opening", message=message)))
    opened.append(make(**arguments, on_engine_status=report))
    return opened[0]


def _receive(wire: Wire, server: Server) -> None:
    try:
        while True:
            server.receive(wire.receive())
    except (EOFError, OSError):
        os._exit(0)  # whoever asked is gone: no answer is waited for


def _end_with(parent: int) -> None:
    """A pipe that a fork of the parent still holds does not end with the parent."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


if __name__ == "__main__":
    main()
