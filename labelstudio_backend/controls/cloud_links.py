"""What a task holds, with links of cloud storage in the form that Label Studio resolves.

Its API gives such links resolved already; its webhooks and its questions to a model give them as
they are stored, such as ``s3://bucket/a.png``.
"""

import base64
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["task_data"]

_STORED = re.compile(r"\s*((?:s3|gs|azure-blob|azure_spi)://\S.*)", re.IGNORECASE | re.DOTALL)
_DEEPEST = 8


def task_data(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a task.

    Parameters
    ----------
    task
        As Label Studio sends it. Without a number its links stay as they are.

    Returns
    -------
    A copy where there are links, ``{}`` if the task has no data.
    """
    data = task.get("data")
    if not isinstance(data, Mapping):
        return {}
    number = str(task.get("id"))
    if not (number.isascii() and number.isdecimal()):
        return data
    return {key: _resolvable(value, number, 0) for key, value in data.items()}


def _resolvable(value: Any, task: str, depth: int) -> Any:
    if isinstance(value, str):
        found = _STORED.fullmatch(value)
        return value if found is None else _link(found[1].rstrip(), task)
    if depth < _DEEPEST and isinstance(value, list):
        return [_resolvable(each, task, depth + 1) for each in value]
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {key: _resolvable(each, task, depth + 1) for key, each in value.items()}
    return value


def _link(address: str, task: str) -> str:
    """As Label Studio writes it, so that both forms mean one picture."""
    encoded = base64.urlsafe_b64encode(address.encode("utf-8", "replace")).decode()
    return f"/tasks/{task}/resolve/?fileuri={encoded}"
