"""The routes of Label Studio's protocol, on starlette; blocking work never on the event loop."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from labelstudio_backend.errors import BusyError
from labelstudio_backend.server.auth import Door
from labelstudio_backend.server.bodies import read_body
from labelstudio_backend.server.incoming import Incoming
from labelstudio_backend.server.logs import Redaction
from labelstudio_backend.server.metrics import PrometheusMeters
from labelstudio_backend.server.visits import Visit, Visits
from labelstudio_backend.settings import Settings

__all__ = ["HandlersPort", "make_app"]

HEALTH_SECONDS = 0.7
"""Label Studio waits for one second until it calls a backend disconnected."""

UNTOLD = "The model cannot be used; whoever gives user and password is told why."
"""In place of a sentence that may name a file."""

QUICK_THREADS = 8
QUICK_WAITING = 64

Json = dict[str, Any]


class HandlersPort(Protocol):
    """What answers: `Handlers`, or a double of it."""

    def health(self) -> Json:
        """For GET / and /health."""

    def setup(self, body: Mapping[str, Any]) -> Json:
        """For POST /setup."""

    def predict(self, body: Mapping[str, Any]) -> Json:
        """For POST /predict."""

    def webhook(self, body: Mapping[str, Any]) -> Json:
        """For POST /webhook."""

    def versions(self) -> Json:
        """For GET and POST /versions."""

    def close(self, seconds: float) -> None:
        """When the server stops."""


class Threads:
    """So many requests are worked on, and so many more may wait for that.

    Parameters
    ----------
    running, waiting
        How many.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._limiter = anyio.CapacityLimiter(running)
        self._most = running + waiting
        self._inside = 0

    async def run(self, work: Callable[[], bytes]) -> bytes:
        """Call `work` in a thread.

        Raises
        ------
        BusyError
            If too many wait already.
        """
        if self._inside >= self._most:
            raise BusyError("Too many requests wait; try again in a second.")
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(
                work, limiter=self._limiter, abandon_on_cancel=True
            )
        finally:
            self._inside -= 1


@dataclass(slots=True)
class Routes:
    """What the endpoints share.

    Parameters
    ----------
    handlers
        Answer.
    meters
        Count.
    incoming
        Reads bodies.
    slow, quick
        Threads for predictions, and for everything else.
    """

    handlers: HandlersPort
    meters: PrometheusMeters
    incoming: Incoming
    slow: Threads
    quick: Threads

    async def health(self, request: Request) -> Response:
        """Say within a second that the backend is there, even when its threads are all taken."""
        found = b'{"status":"UP","ready":false}'
        visit: Visit = request.scope["visit"]

        def work() -> bytes:
            said = self.handlers.health()
            if said.get("error") and not visit.trusted:
                said = {**said, "error": UNTOLD}
            return _dumps(said)

        try:
            with anyio.move_on_after(HEALTH_SECONDS):
                found = await self.quick.run(work)
        except BusyError:
            pass
        return _json(found)

    async def versions(self, request: Request) -> Response:
        """Which models there are."""
        return await self._answer(self.quick, lambda: _dumps(self.handlers.versions()))

    async def metrics(self, request: Request) -> Response:
        """In Prometheus' text format."""
        text = await self.quick.run(self.meters.text)
        return Response(text, headers={"content-type": self.meters.content_type})

    async def setup(self, request: Request) -> Response:
        """Check a labelling config."""
        return await self._answer_body(request, self.quick, self.handlers.setup)

    async def webhook(self, request: Request) -> Response:
        """Take an event."""
        return await self._answer_body(request, self.quick, self.handlers.webhook)

    async def predict(self, request: Request) -> Response:
        """Answer a click, or tasks."""
        return await self._answer_body(request, self.slow, self.handlers.predict)

    async def _answer_body(
        self, request: Request, threads: Threads, handle: Callable[[Json], Json]
    ) -> Response:
        raw = await self.incoming.read(request)
        length = len(raw)
        visit: Visit = request.scope["visit"]

        def work() -> bytes:
            body = read_body(raw)
            visit.task = _task_of(body)
            return _dumps(handle(body))

        try:
            return await self._answer(threads, work)
        finally:
            self.incoming.release(length)

    async def _answer(self, threads: Threads, work: Callable[[], bytes]) -> Response:
        return _json(await threads.run(work))


def make_app(
    settings: Settings,
    handlers: HandlersPort,
    meters: PrometheusMeters,
    *,
    incoming: Incoming | None = None,
    close_seconds: float = 20.0,
) -> Visits:
    """The whole web application; it closes the handlers when the server stops.

    Parameters
    ----------
    settings
        Credentials, and how long the queue is.
    handlers
        Answer.
    meters
        Count.
    incoming
        Limits of bodies.
    close_seconds
        How long closing may take.
    """
    routes = Routes(
        handlers,
        meters,
        incoming or Incoming(),
        # More than the annotator's own queue, which knows better what to refuse.
        slow=Threads(settings.queue_length + QUICK_THREADS, 0),
        quick=Threads(QUICK_THREADS, QUICK_WAITING),
    )

    @asynccontextmanager
    async def living(app: Any) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(handlers.close, close_seconds)

    ways = [
        Route("/", routes.health),
        Route("/health", routes.health),
        Route("/setup", routes.setup, methods=["POST"]),
        Route("/predict", routes.predict, methods=["POST"]),
        Route("/webhook", routes.webhook, methods=["POST"]),
        Route("/versions", routes.versions, methods=["GET", "POST"]),
        Route("/metrics", routes.metrics),
    ]
    return Visits(
        Router(ways, redirect_slashes=False, lifespan=living),
        Door(settings),
        meters,
        Redaction((settings.api_key, settings.password)),
        frozenset(way.path for way in ways),
    )


def _json(text: bytes) -> Response:
    return Response(text, media_type="application/json")


def _dumps(answer: Json) -> bytes:
    return json.dumps(answer, allow_nan=False, separators=(",", ":")).encode()


def _task_of(body: Json) -> str | None:
    """The one task that a request is about, for its line in the log; None of several."""
    tasks = body.get("tasks")
    if isinstance(tasks, list) and len(tasks) == 1 and isinstance(tasks[0], dict):
        number = tasks[0].get("id")
        return str(number)[:40] if isinstance(number, str | int) else None
    return None
