"""A connection whose whole use has a deadline, however slowly the other side sends."""

import io
import socket
import time
from typing import Any

__all__ = ["TimedSocket"]


class TimedSocket:
    """What `http.client` takes for a socket: every wait in it ends at the deadline.

    A plain timeout starts anew with each byte, so that one byte a second holds a reader for ever,
    in the headers as well as in the body.

    Parameters
    ----------
    sock
        Connected. It is closed by whoever made it, as `http.client` closes early.
    deadline
        On the clock of `time.monotonic`.
    read_seconds
        The longest wait for the next bytes.
    """

    def __init__(self, sock: socket.socket, deadline: float, read_seconds: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._read_seconds = read_seconds

    def makefile(self, mode: str) -> io.BufferedReader:
        """What the answer is read from."""
        return io.BufferedReader(_Incoming(self))

    def sendall(self, data: Any) -> None:
        """Send everything; raises `TimeoutError` at the deadline."""
        self._sock.settimeout(self._wait(self._deadline - time.monotonic()))
        self._sock.sendall(data)

    def receive_into(self, buffer: Any) -> int:
        """Wait for some bytes; raises `TimeoutError` at the deadline."""
        left = self._deadline - time.monotonic()
        self._sock.settimeout(self._wait(min(left, self._read_seconds)))
        return self._sock.recv_into(buffer)

    def close(self) -> None:
        """Nothing: the answer is still to be read."""

    def _wait(self, seconds: float) -> float:
        if seconds <= 0:
            raise TimeoutError("the deadline is over")
        return seconds


class _Incoming(io.RawIOBase):
    def __init__(self, timed: TimedSocket) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.receive_into(buffer)
