"""What is to be done when a widget goes."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["once"]

_log = logging.getLogger(__name__)


def once(calls: Sequence[Callable[[], Any]]) -> Callable[..., None]:
    """What is to be done once, in order, when the widget goes or has gone; nothing of Qt in it."""
    left = list(calls)

    def end(*_: Any) -> None:
        while left:
            call = left.pop(0)
            try:
                call()
            except Exception:
                _log.exception("Something could not be ended.")

    return end
