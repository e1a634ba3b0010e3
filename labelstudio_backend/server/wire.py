"""What Label Studio's requests and this backend's answers are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labelstudio_backend.errors import RequestError
from labelstudio_backend.values import mean_score

__all__ = ["PredictRequest", "label_config", "prediction", "predictions", "read_event"]

LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """A `/predict` that is built as Label Studio builds it.

    Parameters
    ----------
    tasks
        Each has `data`; nothing is said of its other fields.
    label_config
        XML of the project.
    regions
        The prompts of a click; empty where tasks were opened or selected.
    project
        Its number; None if the request does not say.
    """

    tasks: Sequence[Mapping[str, Any]] = field(repr=False)
    label_config: str = field(repr=False)
    regions: Sequence[Mapping[str, Any]] = field(repr=False)
    project: int | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> "PredictRequest":
        """Look at what is needed, and copy nothing.

        Raises
        ------
        RequestError
            If a part that is needed is missing or of another kind.
        """
        tasks = _list("tasks", body.get("tasks"))
        if not tasks:
            raise RequestError("tasks must hold at least one task, found an empty list.")
        for number, task in enumerate(tasks):
            data = _object(f"tasks[{number}]", task).get("data")
            _object(f"tasks[{number}].data", data)
            _check_id(f"tasks[{number}].id", task.get("id"))
        return cls(
            tasks=tasks,
            label_config=label_config(body, "label_config"),
            regions=_regions(body),
            project=_project(body.get("project")),
        )


def label_config(body: Mapping[str, Any], name: str) -> str:
    """The labelling config in `body[name]`.

    Raises
    ------
    RequestError
        If it is missing, empty or no text.
    """
    text = body.get(name)
    if not isinstance(text, str) or not text.strip():
        raise RequestError(f"{name} must be the labelling config as text, found {_found(text)}.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise RequestError(f"{name} holds half a character; send it as UTF-8.")
    return text


def read_event(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A webhook's event, which has an `action`.

    Raises
    ------
    RequestError
        If it has none.
    """
    action = body.get("action")
    if not isinstance(action, str) or not action:
        raise RequestError(f"action must be a webhook's event by name, found {_found(action)}.")
    return body


def prediction(
    regions: list[dict[str, Any]], scores: Sequence[float], model_version: str
) -> dict[str, Any]:
    """One task's prediction; its score is the mean of its objects', None without objects."""
    return {
        "result": regions,
        "score": mean_score(scores),
        "model_version": model_version,
    }


def predictions(results: list[Any], model_version: str) -> dict[str, Any]:
    """A whole answer.

    An element `[]` makes Label Studio store nothing for its task, so that it is asked about again;
    `{"result": []}` would be stored as a prediction, and the task would be left out from then on.
    """
    return {"results": results, "model_version": model_version}


def _regions(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    params = _object("params", body.get("params") or {})
    context = _object("params.context", params.get("context") or {})
    regions = _list("params.context.result", context.get("result") or [])
    for number, region in enumerate(regions):
        _object(f"params.context.result[{number}]", region)
    return regions


def _project(value: Any) -> int | None:
    """`"17.1790000000"` is project 17; `None` and anything odd is no project."""
    number = str(value).partition(".")[0] if isinstance(value, str | int) else ""
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None


def _check_id(name: str, value: Any) -> None:
    plain = isinstance(value, str | int) and not isinstance(value, bool)
    if value is not None and not (plain and len(str(value)) <= LONGEST_ID):
        raise RequestError(f"{name} must be a number or a short text, found {_found(value)}.")


def _object(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RequestError(f"{name} must be an object, found {_found(value)}.")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(f"{name} must be a list, found {_found(value)}.")
    return value


def _found(value: Any) -> str:
    """What something is, never what it says: a message must not repeat a request."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "text" if value.strip() else "empty text"
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")
