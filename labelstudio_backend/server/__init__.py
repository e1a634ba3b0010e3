"""What Label Studio talks to: the wire format, the routes, who may ask, what is measured.

Importing this loads no web framework: `Handlers` serve the official SDK as well, where none is.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labelstudio_backend.server.handlers import Handlers
    from labelstudio_backend.server.serving import open_handlers, serve

__all__ = ["Handlers", "open_handlers", "serve"]


def __getattr__(name: str) -> Any:
    if name == "Handlers":
        from labelstudio_backend.server.handlers import Handlers

        return Handlers
    if name in ("open_handlers", "serve"):
        from labelstudio_backend.server import serving

        return getattr(serving, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
