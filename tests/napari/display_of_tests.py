"""Whether a window can be opened here."""

import os
import sys


def has_display() -> bool:
    """Whether napari can draw: an off-screen platform cannot."""
    return bool(os.environ.get("DISPLAY")) or sys.platform in ("win32", "darwin")
