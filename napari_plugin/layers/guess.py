"""Which axis of a layer probably holds channels."""

from typing import Any

__all__ = ["guess_channel_axis"]


def guess_channel_axis(layer: Any) -> int | None:
    """The data axis that names or looks like channels, or None: a default to offer, no decision."""
    raise NotImplementedError
