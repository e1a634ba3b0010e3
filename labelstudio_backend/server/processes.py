"""Whether a process is there."""

import os

__all__ = ["is_alive"]


def is_alive(process: int) -> bool:
    """Whether there is a process with this number, whoever owns it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
