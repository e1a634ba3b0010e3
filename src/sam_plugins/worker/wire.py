"""Messages between two processes: a pickle, and the arrays in it as they lie in memory.

Both ends are ours: what is unpickled comes from the process that was started, or that started this
one, over a pipe that nobody else holds.
"""

import pickle
import struct
import threading
from typing import Any, BinaryIO

__all__ = ["Wire"]

_COUNT = struct.Struct("<I")
_JOINED = 1 << 16
"""Bytes up to which a message is written at once, in place of part by part."""


class Wire:
    """One end of two pipes. Several threads may send; one receives.

    Parameters
    ----------
    incoming, outgoing
        Unbuffered binary files.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()

    def send(self, message: tuple[Any, ...]) -> None:
        """Write one message; raises OSError where the other end is gone."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
        parts: list[Any] = [body, *(buffer.raw() for buffer in buffers)]
        sizes = [len(body), *(part.nbytes for part in parts[1:])]
        head = _COUNT.pack(len(parts)) + struct.pack(f"<{len(parts)}Q", *sizes)
        if sum(sizes) <= _JOINED:
            parts = [b"".join((head, *parts))]
        else:
            parts.insert(0, head)
        with self._sending:
            for part in parts:
                self._write(memoryview(part))

    def receive(self) -> tuple[Any, ...]:
        """Wait for one message; raises EOFError where the other end is gone."""
        (count,) = _COUNT.unpack(self._read(_COUNT.size))
        sizes = struct.unpack(f"<{count}Q", self._read(8 * count))
        body, *buffers = [self._read(size) for size in sizes]
        message: tuple[Any, ...] = pickle.loads(body, buffers=buffers)
        return message

    def close_outgoing(self) -> None:
        """Let the other end see the end; waits for a message that is being written."""
        with self._sending:
            self._outgoing.close()

    def close_incoming(self) -> None:
        """By the thread that receives."""
        self._incoming.close()

    def _write(self, part: memoryview) -> None:
        try:
            while len(part):
                part = part[self._outgoing.write(part) or 0 :]
        except ValueError as error:  # closed by this end
            raise BrokenPipeError(str(error)) from error

    def _read(self, size: int) -> bytearray:
        block = bytearray(size)
        rest = memoryview(block)
        while len(rest):
            count = self._incoming.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise EOFError("the other process ended")
            rest = rest[count:]
        return block
