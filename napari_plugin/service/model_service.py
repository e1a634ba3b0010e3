"""The model for a window: asked from the window's thread, which it never blocks."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

from napari_plugin.service.jobs import Job
from napari_plugin.service.state import Deliver, Opener, Request, ServiceState
from sam_plugins.ports import Segmenter

T = TypeVar("T")
E = TypeVar("E")


class ModelService:
    """One model, and everything a window asks of it.

    Every method returns at once, whatever the model does. What is found comes back through
    `deliver`, on the window's thread. Work that is asked for before the model is ready waits for
    it; when it cannot be opened the work fails with the same error.

    Parameters
    ----------
    deliver
        Runs a callable later on the window's thread.
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
    ) -> None: ...

    @property
    def state(self) -> ServiceState:
        """How far the model is; may be newer than the last one that `on_state` got."""

    def open(
        self,
        model: str | None = None,
        device: str | None = None,
        engine: str = "auto",
        precision: str = "fp32",
    ) -> None:
        """Change to another model; a former one is closed first, and what it worked on is dropped.

        Weights of a known model that are not on this machine are downloaded.
        """

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

    def forget(self, slot: str) -> None:
        """Deliver nothing that was asked of this slot until now."""

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

    def prepare(
        self,
        requests: Sequence[tuple[Hashable, Callable[[Segmenter], Iterator[Any]]]],
        on_prepared: Callable[[Hashable], None] | None = None,
    ) -> None:
        """Work in the background, first entry first, that makes later answers quick.

        Takes the place of what still waits of an earlier call; what runs goes on. Between two steps
        it stands back while an answer in the slot "decode" is wanted. Errors go to the log.
        """

    def cancel_download(self) -> None:
        """Stop a download; what has arrived is kept, and the state becomes "failed"."""

    def close(self) -> None:
        """End everything; nothing is delivered after this."""
