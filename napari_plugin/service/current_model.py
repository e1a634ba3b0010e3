"""The one model that is open, and the change to another."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from napari_plugin.service.state import Closes, Opener, Request, ServiceState, Waits
from sam_plugins import WorkerStatus, known_models
from sam_plugins.errors import ModelError
from sam_plugins.ports import Segmenter

__all__ = ["CurrentModel"]

SECONDS_BETWEEN = 0.05
"""Between two reports of a download."""

_log = logging.getLogger(__name__)


class CurrentModel:
    """Opens a model on a thread of its own and hands it to whoever waits for it.

    Parameters
    ----------
    opener
        Opens a model; may block.
    download
        Fetches the weights of a known model; may block.
    on_state
        Called from any thread with every new state.
    """

    def __init__(
        self,
        opener: Opener,
        download: Callable[..., Any],
        on_state: Callable[[ServiceState], None],
    ) -> None:
        self._opener = opener
        self._download = download
        self._on_state = on_state
        self._changed = threading.Condition(threading.RLock())
        self._number = 0
        self._stop_download = threading.Event()
        self._held: Segmenter | None = None
        self._state = ServiceState(
            phase="closed", message="No model is open: choose one.", request=Request()
        )

    @property
    def state(self) -> ServiceState:
        """How far it is."""
        return self._state

    def get(self) -> Segmenter:
        """The segmenter; waits while it is being opened.

        Raises
        ------
        Exception
            Whatever it could not be opened for.
        ModelError
            If nobody asked for one.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state.phase not in ("opening", "downloading"))
            if self._state.error is not None:
                raise self._state.error
            if self._held is None:
                raise ModelError(self._state.message)
            return self._held

    def open(self, request: Request) -> None:
        """Close the one that is open, then open another; returns at once."""
        name = request.model or "the model"
        state = ServiceState(phase="opening", message=f"Opening {name}.", request=request)
        number, former = self._begin(state)
        threading.Thread(
            target=self._change,
            args=(number, request, former),
            name="sam-plugins open",
            daemon=True,
        ).start()

    def close(self) -> None:
        """Close what is open or being opened; returns at once."""
        message = "The model is closed: choose one."
        _, former = self._begin(ServiceState(phase="closed", message=message, request=Request()))
        if former is not None:
            threading.Thread(target=_end, args=(former,), name="sam-plugins close").start()

    def cancel_download(self) -> None:
        """Let a download that runs fail."""
        self._stop_download.set()

    def _begin(self, state: ServiceState) -> tuple[int, Segmenter | None]:
        with self._changed:
            self._number += 1
            self._stop_download.set()
            self._stop_download = threading.Event()
            former, self._held = self._held, None
            self._set(self._number, state)
            return self._number, former

    def _set(self, number: int, state: ServiceState) -> bool:
        """Take over a state, unless another model was asked for meanwhile."""
        with self._changed:
            if number != self._number:
                return False
            self._state = state
            self._changed.notify_all()
            self._on_state(state)
            return True

    def _change(self, number: int, request: Request, former: Segmenter | None) -> None:
        if former is not None:
            _end(former)  # first: two large models may not fit into the memory
        try:
            self._fetch(number, request)
            if number != self._number:
                return
            opened = self._opener(
                request.model,
                device=request.device,
                precision=request.precision,
                engine=request.engine,
                on_status=lambda status: self._follow(number, status),
            )
            with self._changed:
                mine = number == self._number
                if mine:
                    self._held = opened
            if not mine:
                _end(opened)
                return
            info = opened.wait_ready() if isinstance(opened, Waits) else opened.info
        except Exception as error:
            self._fail(number, error)
            return
        message = f"{info.name} answers on {info.device} with {info.engine}."
        with self._changed:
            engine = self._state.engine
            ready = ServiceState(
                phase="ready", message=message, request=request, info=info, engine=engine
            )
            self._set(number, ready)

    def _fail(self, number: int, error: Exception) -> None:
        with self._changed:
            if number != self._number:
                return
            opened, self._held = self._held, None
            failed = replace(self._state, phase="failed", message=str(error), error=error)
            self._set(number, failed)
        _log.info("The model could not be opened: %s", error)
        if opened is not None:
            _end(opened)

    def _fetch(self, number: int, request: Request) -> None:
        """Download the weights of a known model that are not here."""
        missing = [m for m in known_models() if m.name == request.model and not m.here]
        if not missing:
            return
        with self._changed:
            stop, opening = self._stop_download, self._state
        if number != self._number:
            return
        message = f"Downloading {request.model}."
        state = replace(
            opening, phase="downloading", message=message, bytes_total=missing[0].size_bytes
        )
        self._set(number, state)
        told = 0.0

        def progress(done: int, total: int | None) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= SECONDS_BETWEEN or done == total:
                told = now
                self._set(number, replace(state, bytes_done=done, bytes_total=total))

        self._download(request.model, progress=progress, cancelled=stop.is_set)
        self._set(number, opening)

    def _follow(self, number: int, status: WorkerStatus) -> None:
        """What the model's own process says of itself."""
        with self._changed:
            if number != self._number or self._state.phase in ("closed", "failed"):
                return
            ready = self._held is not None and self._state.info is not None
            if status.phase == "ready" and not ready:
                return  # `wait_ready` says so in its own words
            phase = "opening" if status.phase == "starting" else status.phase
            if phase == "opening" and ready:
                phase = "stopped"  # it is started again, and requests need not wait here for that
            if phase in ("failed", "stopped") and not ready:
                return  # `wait_ready` raises it
            if phase == "failed":
                phase = "stopped"
            message = status.message
            if phase == "ready" and status.info is not None:
                message = (
                    f"{status.info.name} answers on {status.info.device} with {status.info.engine}."
                )
            state = replace(
                self._state,
                phase=phase,
                message=message,
                info=status.info or self._state.info,
                engine=status.engine or self._state.engine,
            )
            self._set(number, state)


def _end(segmenter: Segmenter) -> None:
    try:
        if isinstance(segmenter, Closes):
            segmenter.close()
    except Exception:
        _log.exception("The model could not be closed")
