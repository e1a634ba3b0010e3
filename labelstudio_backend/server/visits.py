"""Around every request: who asks, what is said when it fails, one line in the log."""

import json
import logging
import secrets
from dataclasses import dataclass, field
from time import perf_counter

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelstudio_backend.server.auth import Door
from labelstudio_backend.server.incoming import NotAcceptedError
from labelstudio_backend.server.logs import Redaction
from labelstudio_backend.server.metrics import PrometheusMeters
from labelstudio_backend.server.problems import Problem, problem_of

__all__ = ["SENTENCE", "Visit", "Visits"]

SENTENCE = "x-sam-plugins-error"
"""Header with the sentence of an error, which `sentences` says in the status line as well."""

GONE = 499
"""A client that went away before it was answered; nobody sees it but the log."""

WAYS = "GET /health, /metrics and /versions; POST /setup, /predict, /webhook and /versions"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Visit:
    """One request, as its line in the log tells it.

    Parameters
    ----------
    number
        Which the answer and every line about it carry.
    task
        Label Studio's number of the task, once it is known.
    status
        Of HTTP; 0 until something was answered.
    trusted
        Whether who asks may know what only the owner should.
    """

    number: str = field(default_factory=lambda: secrets.token_hex(6))
    task: str | None = None
    status: int = 0
    trusted: bool = False


class Visits:
    """An ASGI application around another one.

    Parameters
    ----------
    app
        What answers; a starlette router.
    door
        Who may ask.
    meters
        Where requests are counted.
    redact
        What no sentence may hold.
    paths
        That there are; what is asked beside them is counted together.
    """

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        meters: PrometheusMeters,
        redact: Redaction,
        paths: frozenset[str],
    ) -> None:
        self._app = app
        self._door = door
        self._meters = meters
        self._redact = redact
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a lifespan goes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = Visit(trusted=self._door.trusts(Headers(scope=scope)))
        scope["visit"] = visit
        scope["app"] = self  # starlette's router then raises where a method does not fit
        started = perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", visit.number.encode()))
                headers.append((b"cache-control", b"no-store"))
            await send(message)

        try:
            response = self._refusal(scope)
            if response is None:
                await self._app(scope, receive, sending)
            else:
                await response(scope, receive, sending)
        except ClientDisconnect:
            visit.status = GONE
        except Exception as error:
            response = self._say(self._problem(error, visit))
            response.headers.update(getattr(error, "headers", None) or {})
            if not visit.status:
                await response(scope, receive, sending)
        finally:
            self._tell(scope, visit, perf_counter() - started)

    def _refusal(self, scope: Scope) -> Response | None:
        refusal = self._door.refuse(scope["path"], Headers(scope=scope))
        if refusal is None:
            return None
        response = self._say(Problem(*refusal))
        if refusal[0] == 401:
            response.headers["www-authenticate"] = 'Basic realm="sam-plugins", charset="UTF-8"'
        return response

    def _problem(self, error: Exception, visit: Visit) -> Problem:
        if isinstance(error, NotAcceptedError):
            return error.problem
        if isinstance(error, HTTPException):
            return Problem(error.status_code, f"There is no such way in; there are {WAYS}.")
        problem = problem_of(error, visit.number)
        if problem.status == 500:
            _log.error("internal error", exc_info=error, extra={"fields": {"id": visit.number}})
        else:
            fields = {"id": visit.number, "error": type(error).__name__}
            _log.warning("%s", problem.sentence, extra={"fields": fields})
        return problem

    def _say(self, problem: Problem) -> Response:
        sentence = self._redact(problem.sentence)
        response = Response(
            json.dumps({"error": sentence}),
            status_code=problem.status,
            media_type="application/json",
            headers={SENTENCE: _one_line(sentence)},
        )
        if problem.retry_after is not None:
            response.headers["retry-after"] = str(problem.retry_after)
        return response

    def _tell(self, scope: Scope, visit: Visit, seconds: float) -> None:
        route = scope["path"] if scope["path"] in self._paths else "other"
        self._meters.request(route, visit.status, seconds)
        fields = {
            "route": route,
            "method": scope["method"],
            "status": visit.status,
            "ms": round(1000 * seconds, 1),
            "task": visit.task,
            "id": visit.number,
        }
        quiet = route in ("/", "/health") and visit.status == 200
        _log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": fields})


def _one_line(sentence: str) -> str:
    """As a header can hold it."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in sentence)[:300]
