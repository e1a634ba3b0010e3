"""How long work runs inside an operator: with progress in the App, and able to stop.

FiftyOne shows the progress of an operator only while it is a generator, gives up on any other after
`operator_timeout`, and throws away what a generator returns. So work that the App waits for is a
generator; in a script and in a launcher it is a plain call. The dialog of the progress lies above
the form of the operator and stays, so the last message puts the result into that dialog.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.runs import Stop, Tell, WorkProgress
from sam_plugins.errors import SamPluginsError

__all__ = ["PROBLEM", "Work", "run_work", "sentence"]

PROBLEM = "problem"
"""In a result: the sentence that says why there is no other."""

Work = Callable[[Tell, Stop], dict[str, Any]]
"""``work(progress, stop)`` does it and gives its result; `stop()` is true once it is to end."""

Outputs = Callable[[Any], Any]
After = Callable[[dict[str, Any]], Any]

_SECONDS_BETWEEN = 0.5
_logger = logging.getLogger(__name__)


def run_work(ctx: Any, work: Work, outputs: Outputs, after: After | None = None) -> Any:
    """What an operator's `execute` gives back.

    Parameters
    ----------
    ctx
        FiftyOne's execution context.
    work
        What there is to do.
    outputs
        The operator's `resolve_output`: the form of a result.
    after
        What the App is told to do once it is done: ``after(result)`` gives the message. By default
        it loads the dataset again.

    Returns
    -------
    The result; or, where the App waits for it, a generator of messages.

    Raises
    ------
    sam_plugins.errors.SamPluginsError
        Of the work, outside of the App. There it is shown as the result.
    """
    if ctx.delegated or "selected_samples" not in ctx.request_params:  # the App always says these
        return work(_told(ctx), lambda: False)
    return _messages(ctx, work, outputs, after or (lambda _: ctx.ops.reload_dataset()))


def sentence(error: Exception) -> str:
    """What to tell a person about an error."""
    if isinstance(error, SamPluginsError):
        return str(error)
    return (
        f"unexpected {type(error).__name__}: {error}. This is a defect of sam-plugins; the log of "
        "FiftyOne's server says where."
    )


def _told(ctx: Any) -> Tell:
    """Progress as FiftyOne keeps it for a delegated operation, twice a second at most."""
    last = -_SECONDS_BETWEEN

    def tell(made: WorkProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if ctx.delegated and (now - last >= _SECONDS_BETWEEN or made.done == made.total):
            last = now
            ctx.set_progress(progress=_part(made), label=_label(made))

    return tell


@dataclass(frozen=True, slots=True)
class _Ended:
    result: dict[str, Any] | None
    error: Exception | None = None


def _messages(ctx: Any, work: Work, outputs: Outputs, after: After) -> Iterator[Any]:
    """Messages for the App while another thread works; closing it stops the work."""
    said: queue.SimpleQueue[WorkProgress | _Ended] = queue.SimpleQueue()
    stopped = threading.Event()

    def run() -> None:
        try:
            said.put(_Ended(work(said.put, stopped.is_set)))
        except Exception as error:
            said.put(_Ended(None, error))

    thread = threading.Thread(target=run, name="sam-plugins operator", daemon=True)
    yield ctx.ops.set_progress(label="Opening the model", progress=0.0)
    thread.start()
    try:
        while not isinstance(message := _latest(said), _Ended):
            yield ctx.ops.set_progress(label=_label(message), progress=_part(message))
            time.sleep(_SECONDS_BETWEEN)
    finally:
        stopped.set()
        thread.join()
    if message.error is not None:
        if not isinstance(message.error, SamPluginsError):
            _logger.error("An operator failed.", exc_info=message.error)
        text = sentence(message.error)
        yield ctx.ops.notify(text, variant="error")
        yield _shown(ctx, outputs, {PROBLEM: text})
    else:
        result = message.result or {}
        yield after(result)
        yield _shown(ctx, outputs, result)


def _latest(said: "queue.SimpleQueue[WorkProgress | _Ended]") -> WorkProgress | _Ended:
    """The newest of what was said, or the next if nothing was."""
    message = said.get()
    while not isinstance(message, _Ended) and not said.empty():
        message = said.get()
    return message


def _shown(ctx: Any, outputs: Outputs, result: dict[str, Any]) -> Any:
    """The message that shows a result in the place of the progress.

    A result that the App knows as the operator's own would be shown a second time, below.
    """
    ctx.request_params["results"] = result  # where FiftyOne puts it before it asks for the form
    return ctx.ops.show_output(outputs(ctx).to_json(), result)


def _part(made: WorkProgress) -> float:
    return (made.done + made.part) / made.total if made.total else 0.0


def _label(made: WorkProgress) -> str:
    label = f"{made.done} of {made.total} samples, {made.objects} objects"
    return f"{label}, {made.label}" if made.part else label
