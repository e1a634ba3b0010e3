"""The bytes of a request to a dict, fast where Label Studio sends more than is looked at.

Each click comes with the whole task: drafts, annotations and predictions, of which a hundred brush
regions weigh megabytes. Their run lengths are cut out of the text before it is parsed, and parsed
only where a prompt has them.
"""

import json
import re
import secrets
from typing import Any, NoReturn

from labelstudio_backend.errors import RequestError

__all__ = ["read_body"]

LARGE = 64 * 1024
"""Bytes from which cutting pays."""

_KEY = b'"rle"'
_SPACE = re.compile(rb"[ \t\r\n]*")
_RUN_LENGTHS = b"0123456789, \t\r\n"
_STAND_IN = secrets.token_hex(16)
"""The key of what stands for a list that was cut out; no sender knows it."""

_NEVER_READ = ("drafts", "annotations", "predictions")


def read_body(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Tasks of a click, which is a body with a context that holds regions, come without their drafts,
    annotations and predictions: nobody reads them then.

    Raises
    ------
    RequestError
        If it is not JSON, not an object, nested too deeply, or holds NaN or infinity.
    """
    if len(raw) >= LARGE:
        text, pieces = _cut(raw)
        if pieces:
            body = _parse(text)
            if (regions := _regions(body)) is not None:
                _mend(regions, raw, pieces)
                return _without_regions(body)
    body = _parse(raw)
    return body if _regions(body) is None else _without_regions(body)


def _parse(raw: bytes) -> dict[str, Any]:
    body = _loads(raw)
    if not isinstance(body, dict):
        raise RequestError(
            f"The body must be a JSON object as Label Studio sends it, found {_kind(body)}."
        )
    return body


def _loads(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError("The body is nested too deeply to be a request.") from None
    except RequestError:
        raise
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, numbers too long
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise RequestError(f"The body is not JSON{where}; send a JSON object.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(f"The body holds {name}, which is no number in JSON.")


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _regions(body: dict[str, Any]) -> list[Any] | None:
    """The regions of a click; None if it is no click or is not built like one."""
    value: Any = body
    for key in ("params", "context", "result"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) and value else None


def _without_regions(body: dict[str, Any]) -> dict[str, Any]:
    tasks = body.get("tasks")
    if isinstance(tasks, list):
        for task in tasks:
            if isinstance(task, dict):
                for key in _NEVER_READ:
                    task.pop(key, None)
    return body


def _cut(raw: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """Put a stand-in for each list of run lengths; the pieces are their spans in `raw`.

    A key that only ends in an escaped quote and `rle` is left alone, and so is a list that holds
    anything but digits.
    """
    out: list[bytes] = []
    pieces: list[tuple[int, int]] = []
    done, at, end = 0, raw.find(_KEY), 1
    while at >= 0 and end:
        start = _skip(raw, at + len(_KEY))
        if raw[at - 1 : at] != b"\\" and raw[start : start + 1] == b":":
            start = _skip(raw, start + 1)
            if end <= start:  # each byte is looked at once, whatever somebody sends
                end = raw.find(b"]", start) + 1
            may_be = raw[start : start + 1] == b"[" and raw.find(b'"', start, end) < 0 < end
            if may_be and not raw[start + 1 : end - 1].translate(None, _RUN_LENGTHS):
                out += [raw[done:start], b'{"%s":%d}' % (_STAND_IN.encode(), len(pieces))]
                pieces.append((start, end))
                done = at = end
        at = raw.find(_KEY, max(at + 1, done))
    return b"".join([*out, raw[done:]]), pieces


def _skip(raw: bytes, at: int) -> int:
    space = _SPACE.match(raw, at)
    return at if space is None else space.end()


def _mend(regions: list[Any], raw: bytes, pieces: list[tuple[int, int]]) -> None:
    """Put the run lengths back wherever a region of the context has them."""
    waiting: list[Any] = [regions]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, dict) and _STAND_IN in inner:
                    start, end = pieces[inner[_STAND_IN]]
                    value[key] = _loads(raw[start:end])
                else:
                    waiting.append(inner)
