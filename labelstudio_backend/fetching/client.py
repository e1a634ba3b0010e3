"""Label Studio's API, as far as this backend needs it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from labelstudio_backend.errors import LabelStudioError
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.exchange import Allowance, Answer
from labelstudio_backend.fetching.failures import RefusedError, UnreachableError
from labelstudio_backend.fetching.refusals import about_api
from labelstudio_backend.fetching.retrying import Patience, retry_after
from labelstudio_backend.fetching.web_address import shown
from sam_plugins.errors import ImageError, LimitError

__all__ = ["LabelStudioClient"]

BUSY = (429, 503)
API_ALLOWANCE = Allowance(max_bytes=1 << 28, read_seconds=60.0, total_seconds=120.0)


class LabelStudioClient:
    """Asks Label Studio. Safe to share between threads.

    What only asks is repeated, later each time, while Label Studio cannot be reached, is busy or
    broken. What changes something is repeated only where it was certainly not done.

    Parameters
    ----------
    url
        Where Label Studio is, with its sub-path if it has one.
    api_key
        A legacy token or a personal access token.
    patience
        How often, and how long between.
    allowance
        Bounds of one request.

    Raises
    ------
    ConfigError
        If `url` cannot be used.
    LabelStudioError
        If `api_key` can be no token.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        patience: Patience | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        policy = AddressPolicy(url)
        if policy.home is None:
            raise LabelStudioError("LABEL_STUDIO_URL is needed: set it.")
        self._home = policy.home
        self._base = policy.base_path
        self._connector = Connector(policy, api_key)
        self._patience = patience or Patience()
        self._allowance = allowance or API_ALLOWANCE

    def close(self) -> None:
        """End its use. No connection is held between requests."""

    def version(self) -> str:
        """Label Studio's version, such as "1.23.2"; needs no token.

        Raises
        ------
        LabelStudioError
            As all methods, if Label Studio refuses, does not answer, or is not Label Studio.
        """
        release = _object(self.get("/api/version")).get("release")
        if not isinstance(release, str):
            raise LabelStudioError(
                f"{self._home.origin} does not say that it is Label Studio: correct "
                "LABEL_STUDIO_URL.",
                200,
            )
        return release

    def whoami(self) -> dict[str, Any]:
        """The user that the token belongs to."""
        return _object(self.get("/api/current-user/whoami"))

    def project(self, number: int) -> dict[str, Any]:
        """A project, with its `label_config`."""
        return _object(self.get(f"/api/projects/{number:d}/"))

    def create_project(self, title: str, label_config: str, **fields: Any) -> dict[str, Any]:
        """Make a project; `title` has at least three characters."""
        return _object(
            self.post("/api/projects/", {"title": title, "label_config": label_config, **fields})
        )

    def task(self, number: int) -> dict[str, Any]:
        """A task, with its data, annotations, predictions and drafts."""
        return _object(self.get(f"/api/tasks/{number:d}/"))

    def tasks(self, project: int, *, page_size: int = 100) -> Iterator[dict[str, Any]]:
        """All tasks of a project in the order of their numbers, with predictions and annotations.

        Parameters
        ----------
        project
            Its number.
        page_size
            How many are asked for at once; fewer where so many are too large an answer.
        """
        page = 1
        seen: set[int] = set()
        while True:
            query = {
                "project": project,
                "page": page,
                "page_size": page_size,
                "fields": "all",
                "query": json.dumps({"ordering": ["tasks:id"]}),
            }
            try:
                answer = _object(self.get("/api/tasks", query))
            except _TooLargeError:
                if page_size == 1:
                    raise
                page, page_size = _finer(page, page_size)
                continue
            except LabelStudioError as error:
                if error.status == 404 and page > 1:
                    return  # tasks were deleted meanwhile, and there is no such page any more
                raise
            found = answer.get("tasks")
            if not isinstance(found, list):
                raise self._strange("tasks")
            for task in found:
                number = task.get("id") if isinstance(task, dict) else None
                if not isinstance(number, int):
                    raise self._strange("tasks")
                if number not in seen:  # a smaller page repeats some
                    seen.add(number)
                    yield task
            if not found or page * page_size >= int(answer.get("total") or 0):
                return
            page += 1

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add tasks to a project; gives their numbers."""
        path = f"/api/projects/{project:d}/import?return_task_ids=true"
        numbers = _object(self.post(path, list(tasks))).get("task_ids")
        if not isinstance(numbers, list):
            raise self._strange("imported tasks")
        return [int(number) for number in numbers]

    def predictions(self, task: int) -> list[dict[str, Any]]:
        """The predictions of a task."""
        found = self.get("/api/predictions/", {"task": task})
        if not isinstance(found, list):
            raise self._strange("predictions")
        return found

    def create_prediction(
        self,
        task: int,
        result: list[dict[str, Any]],
        *,
        score: float | None,
        model_version: str,
    ) -> int:
        """Add a prediction to a task; gives its number.

        Raises
        ------
        LabelStudioError
            Also with `status` None: then it is not known whether the prediction was added.
        """
        content = {"task": task, "result": result, "score": score, "model_version": model_version}
        number = _object(self.post("/api/predictions/", content)).get("id")
        if not isinstance(number, int):
            raise self._strange("prediction")
        return number

    def ml_backends(self, project: int) -> list[dict[str, Any]]:
        """The ML backends of a project, with their state."""
        found = self.get("/api/ml", {"project": project})
        if not isinstance(found, list):
            raise self._strange("ML backends")
        return found

    def create_ml_backend(
        self,
        project: int,
        url: str,
        *,
        title: str = "sam-plugins",
        is_interactive: bool = True,
        user: str | None = None,
        password: str | None = None,
    ) -> dict[str, Any]:
        """Attach an ML backend to a project; Label Studio asks it for its health at once."""
        content: dict[str, Any] = {
            "project": project,
            "url": url,
            "title": title,
            "is_interactive": is_interactive,
        }
        if user is not None:
            content |= {
                "auth_method": "BASIC_AUTH",
                "basic_auth_user": user,
                "basic_auth_pass": password or "",
            }
        return _object(self.post("/api/ml/", content))

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """What Label Studio has at a path of its API.

        Parameters
        ----------
        path
            Below the sub-path; it starts with a slash.
        query
            Parameters.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        return self._run("GET", target, None, _may_pass)

    def post(self, path: str, content: object) -> Any:
        """Send JSON to a path of Label Studio's API, and read what it answers."""
        return self._run("POST", path, content, _not_done)

    def patch(self, path: str, content: object) -> Any:
        """Change what is at a path of Label Studio's API; may be done twice."""
        return self._run("PATCH", path, content, _may_pass)

    def _run(self, method: str, target: str, content: object, again: Any) -> Any:
        try:
            return self._patience.run(
                lambda: self._once(method, target, content), again, _asked_for
            )
        except LabelStudioError:
            raise
        except UnreachableError as error:
            raise LabelStudioError(str(error)) from error
        except LimitError as error:
            raise _TooLargeError(
                f"Label Studio's answer to {method} {shown(target)} is larger than "
                f"{self._allowance.max_bytes:,} bytes: ask for less at once.",
                200,
            ) from error
        except ImageError as error:
            status = error.status if isinstance(error, RefusedError) else None
            raise LabelStudioError(str(error), status) from error

    def _once(self, method: str, target: str, content: object) -> Any:
        address = self._home.below(self._base + target)
        if method == "GET":
            answer = self._connector.get(address, allowance=self._allowance)
        else:
            answer = self._connector.send(address, method, content, allowance=self._allowance)
        if not 200 <= answer.status < 300:
            raise RefusedError(
                about_api(method, answer), answer.status, retry_after(answer.headers)
            )
        return self._content(method, answer)

    def _content(self, method: str, answer: Answer) -> Any:
        if not answer.body.strip():
            return None
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            what = "a page" if answer.is_html else "no JSON"
            raise RefusedError(
                f"{method} {shown(answer.address.url)} was answered with {what}: check that "
                "LABEL_STUDIO_URL is Label Studio's address, with its sub-path if it has one.",
                answer.status,
            ) from error

    def _strange(self, what: str) -> LabelStudioError:
        return LabelStudioError(
            f"{self._home.origin} answered with {what} that cannot be read: check that "
            "LABEL_STUDIO_URL is a Label Studio of version 1.20 or newer.",
            200,
        )


class _TooLargeError(LabelStudioError):
    """Label Studio answered with more than may be read."""


def _finer(page: int, size: int) -> tuple[int, int]:
    """A smaller page that starts no later than this one, and its size."""
    smaller = size // 2
    return (page - 1) * size // smaller + 1, smaller


def _object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise LabelStudioError(
            "Label Studio answered with something else than was asked for: check that "
            "LABEL_STUDIO_URL is Label Studio's address.",
            200,
        )
    return content


def _may_pass(error: Exception) -> bool:
    if isinstance(error, RefusedError):
        return error.may_pass
    if isinstance(error, LabelStudioError):
        return error.status is None or error.status == 429 or error.status >= 500
    return isinstance(error, UnreachableError)


def _not_done(error: Exception) -> bool:
    if isinstance(error, RefusedError):
        return error.status in BUSY
    if isinstance(error, LabelStudioError):  # the token was not renewed, nothing else was sent
        return _may_pass(error)
    return isinstance(error, UnreachableError) and not error.sent


def _asked_for(error: Exception) -> float | None:
    return error.retry_after if isinstance(error, RefusedError) else None
