"""The sentence of an error in HTTP's status line, the only part of an answer that is shown.

Label Studio keeps of a refusal what its HTTP client says of it, "400 Client Error: Bad Request for
url ...", and shows that in the settings of a model. The words between are the status line's, so an
error's own sentence is put there.
"""

import asyncio
import socket
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from labelstudio_backend.server.visits import SENTENCE

__all__ = ["SentenceProtocol"]


class SentenceProtocol(H11Protocol):
    """uvicorn's HTTP protocol on h11, which says an error's sentence in the status line."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn.__class__ = _Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let no answer wait for the network: its head and its body are written one by one."""
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)


class _Connection(h11.Connection):
    def send(self, event: Any) -> Any:
        if isinstance(event, h11.Response):
            said = next((value for name, value in event.headers if name == SENTENCE.encode()), None)
            if said is not None:
                event = h11.Response(
                    status_code=event.status_code,
                    headers=event.headers,
                    http_version=event.http_version,
                    reason=said,
                )
        return super().send(event)
