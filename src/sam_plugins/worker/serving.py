"""The model's side: requests in, answers out."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from sam_plugins.automatic import generate_masks
from sam_plugins.ports import Segmenter
from sam_plugins.types import Embedding
from sam_plugins.worker.failures import Failure
from sam_plugins.worker.lanes import Lane
from sam_plugins.worker.references import HeldEmbeddings, Reference, UnknownEmbeddingError
from sam_plugins.worker.wire import Wire

__all__ = ["Server"]


class _Stream:
    """An iterator that is stepped as far as the other side has asked for."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.items: Iterator[Any] | None = None
        self.wanted = 0
        self.queued = False
        self.finish = threading.Event()
        self.closed = False


class Server:
    """Answers requests with a segmenter: encoding in one thread, prompts in another.

    Parameters
    ----------
    wire
        To the process that asks.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._held = HeldEmbeddings()
        # Someone waits for an answer to a prompt; encoding may take the time that others leave.
        self._encoding, self._prompts = Lane("encode", polite=True), Lane("decode")
        self._streams: dict[int, _Stream] = {}
        self._lock = threading.Lock()
        self._segmenter: Segmenter | None = None

    def start(self, segmenter: Segmenter) -> None:
        """Begin to answer, also what was asked before."""
        self._segmenter = segmenter
        self._encoding.start()
        self._prompts.start()

    def receive(self, message: tuple[Any, ...]) -> None:
        """Take in one request; returns at once."""
        verb, number, *rest = message
        if verb == "call":
            method, arguments = rest
            self._lane(method).put(lambda: self._call(number, method, arguments))
        elif verb == "stream":
            method, arguments, wanted = rest
            stream = _Stream(self._lane(method))
            stream.wanted, stream.queued = wanted, True
            self._streams[number] = stream
            stream.lane.put(lambda: self._begin(number, stream, method, arguments))
        elif verb == "more":
            if stream_asked := self._streams.get(number):
                self._more(number, stream_asked, rest[0])
        elif verb == "finish":
            if stream_asked := self._streams.get(number):
                stream_asked.finish.set()
        elif verb == "close" and (closing := self._streams.pop(number, None)):
            closing.closed = True
            closing.lane.put(lambda: _close(closing))

    def _lane(self, method: str) -> Lane:
        return self._prompts if method in ("decode", "decode_many") else self._encoding

    def _call(self, number: int, method: str, arguments: dict[str, Any]) -> None:
        try:
            answer = self._methods()[method](**self._here(arguments))
        except UnknownEmbeddingError:
            self._send("unknown", number)
        except BaseException as error:
            self._send("error", number, Failure.of(error))
        else:
            self._send("result", number, self._there(answer))

    def _begin(self, number: int, stream: _Stream, method: str, arguments: dict[str, Any]) -> None:
        if stream.closed:
            return
        try:
            if method == "generate_masks":
                arguments = {**arguments, "stop": stream.finish.is_set}
            stream.items = iter(self._methods()[method](**self._here(arguments)))
        except UnknownEmbeddingError:
            self._streams.pop(number, None)
            self._send("unknown", number)
        except BaseException as error:
            self._streams.pop(number, None)
            self._send("error", number, Failure.of(error))
        else:
            self._send("opened", number)
            self._step(number, stream)

    def _step(self, number: int, stream: _Stream) -> None:
        """One item, if one is wanted, then to the end of the lane."""
        with self._lock:
            if stream.closed or stream.wanted == 0 or stream.items is None:
                stream.queued = False
                return
            stream.wanted -= 1
        try:
            item = next(stream.items)
        except StopIteration:
            self._streams.pop(number, None)
            self._send("end", number)
            return
        except BaseException as error:
            self._streams.pop(number, None)
            self._send("error", number, Failure.of(error))
            return
        self._send("item", number, self._there(item))
        stream.lane.put(lambda: self._step(number, stream))

    def _more(self, number: int, stream: _Stream, wanted: int) -> None:
        with self._lock:
            stream.wanted += wanted
            if stream.queued:
                return
            stream.queued = True
        stream.lane.put(lambda: self._step(number, stream))

    def _methods(self) -> dict[str, Callable[..., Any]]:
        segmenter = self._segmenter
        if segmenter is None:
            raise RuntimeError("the server was not started")
        return {
            "encode": segmenter.encode,
            "encode_many": segmenter.encode_many,
            "decode": segmenter.decode,
            "decode_many": segmenter.decode_many,
            "generate_masks": lambda **given: generate_masks(segmenter, **given),
        }

    def _here(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self._held.embedding(value) if isinstance(value, Reference) else value
            for name, value in arguments.items()
        }

    def _there(self, value: Any) -> Any:
        return self._held.made(value) if isinstance(value, Embedding) else value

    def _send(self, *message: Any) -> None:
        try:
            self._wire.send(message)
        except OSError:  # nobody is there to answer to
            os._exit(0)


def _close(stream: _Stream) -> None:
    close = getattr(stream.items, "close", None)
    if close is not None:
        try:
            close()
        except Exception:  # nobody waits for it any more
            return
