"""The model for a window: asked from the window's thread, which it never blocks."""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

from napari_plugin.service.current_model import CurrentModel
from napari_plugin.service.deliveries import Deliveries
from napari_plugin.service.jobs import Job
from napari_plugin.service.preparation import Preparation, Prepared
from napari_plugin.service.slots import Slot
from napari_plugin.service.state import Deliver, Opener, Request, ServiceState
from sam_plugins import download_weights, open_worker
from sam_plugins.ports import Segmenter

__all__ = ["ModelService"]

T = TypeVar("T")
E = TypeVar("E")

URGENT = "decode"
"""The slot that background work stands back for."""


class ModelService:
    """One model, and everything a window asks of it.

    Every method returns at once, whatever the model does. What is found comes back through
    `deliver`, on the window's thread. Work that is asked for before the model is ready waits for
    it; when it cannot be opened the work fails with the same error. Methods are called from the
    window's thread.

    Parameters
    ----------
    deliver
        Runs a callable later on the window's thread; called from any thread.
    open_segmenter
        Opens a model; `sam_plugins.open_worker` by default.
    on_state
        Called on the window's thread with each new `ServiceState`.
    download
        Fetches the weights of a known model; `sam_plugins.download_weights` by default.
    """

    def __init__(
        self,
        deliver: Deliver,
        open_segmenter: Opener | None = None,
        *,
        on_state: Callable[[ServiceState], None] | None = None,
        download: Callable[..., Any] | None = None,
    ) -> None:
        self._deliveries = Deliveries(deliver)
        self._on_state = on_state
        self._model = CurrentModel(
            open_segmenter or open_worker, download or download_weights, self._tell
        )
        self._changed = threading.Condition(threading.RLock())
        self._slots: dict[str, Slot] = {}
        self._jobs: list[Job] = []
        self._preparation = self._new_preparation()
        self._closed = False

    @property
    def state(self) -> ServiceState:
        """How far the model is; may be newer than the last one that `on_state` got."""
        return self._model.state

    def open(
        self,
        model: str | None = None,
        device: str | None = None,
        engine: str = "auto",
        precision: str = "fp32",
    ) -> None:
        """Change to another model; a former one is closed first, and what it worked on is dropped.

        Weights of a known model that are not on this machine are downloaded. Jobs that run are
        cancelled.
        """
        if self._closed:
            return
        self._drop_work()
        self._model.open(Request(model=model, device=device, engine=engine, precision=precision))

    def latest(
        self,
        slot: str,
        work: Callable[[Segmenter], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Ask for something of which only the newest counts, as the mask of a changing prompt.

        In each slot one request is worked on and at most one waits. A newer one takes the place of
        the one that waits, and the answer of the one that is worked on is no longer delivered.
        """
        if self._closed:
            return
        if slot not in self._slots:
            made = Slot(slot, self._model.get, self._deliveries, self._changed)
            with self._changed:
                self._slots[slot] = made
        self._slots[slot].ask(work, done, failed)

    def forget(self, slot: str) -> None:
        """Deliver nothing that was asked of this slot until now."""
        if slot in self._slots:
            self._slots[slot].forget()

    def job(
        self,
        title: str,
        make: Callable[[Segmenter], Iterator[E]],
        on_event: Callable[[E], None],
        on_done: Callable[[bool], None],
        on_failed: Callable[[Exception], None],
    ) -> Job:
        """Work that takes long and tells what it finds: every event is delivered, in order.

        Exactly one of `on_done(cancelled)` and `on_failed(error)` follows the last event.
        `Job.cancel` ends it at once; the generator is closed at its next step.
        """
        job = Job(
            title,
            lambda: make(self._model.get()),
            self._deliveries,
            on_event,
            on_done,
            on_failed,
        )
        if not self._closed:
            self._jobs = [other for other in self._jobs if other.running] + [job]
            job.start()
        return job

    def prepare(
        self,
        requests: Sequence[Prepared],
        on_prepared: Callable[[Hashable], None] | None = None,
    ) -> None:
        """Work in the background, first entry first, that makes later answers quick.

        Each entry is a key and what makes the generator that is stepped through. The list takes the
        place of what still waits of an earlier call; what runs goes on. Between two steps it stands
        back while an answer in the slot "decode" is wanted. Errors go to the log.
        """
        if not self._closed:
            self._preparation.replace(requests, on_prepared)

    def cancel_download(self) -> None:
        """Stop a download; what has arrived is kept, and the state becomes "failed"."""
        self._model.cancel_download()

    def close(self) -> None:
        """End everything; nothing is delivered after this."""
        self._closed = True
        self._deliveries.close()
        self._drop_work()
        self._model.close()

    def _drop_work(self) -> None:
        """Leave what runs to itself: a thread that a stalled model holds is not waited for."""
        for job in self._jobs:
            job.cancel()
        with self._changed:
            for slot in self._slots.values():
                slot.close()
            self._slots = {}
            self._preparation.close()
            self._preparation = self._new_preparation()

    def _new_preparation(self) -> Preparation:
        return Preparation(self._model.get, self._deliveries, self._changed, self._is_urgent)

    def _is_urgent(self) -> bool:
        return URGENT in self._slots and self._slots[URGENT].busy

    def _tell(self, state: ServiceState) -> None:
        if self._on_state is not None:
            tell = self._on_state
            self._deliveries.send(lambda: tell(state))
