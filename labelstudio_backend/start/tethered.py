"""Runs a program that ends with the one that started it, however that ends.

    python tethered.py MODULE:FUNCTION ARGUMENTS...

Run by its path and by any Python, Label Studio's included: it knows nothing of this package.
Standard input is the tether: when its other end is closed, also by a kill, the program is told to
end.
"""

import importlib
import os
import signal
import sys
import threading

GRACE_SECONDS = 60.0


def main() -> None:
    """Run what the arguments say."""
    threading.Thread(target=_end_with_the_other, args=(os.dup(0),), daemon=True).start()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(__file__)]
    module, _, name = sys.argv[1].partition(":")
    sys.argv = [module, *sys.argv[2:]]
    sys.exit(getattr(importlib.import_module(module), name)())


def _end_with_the_other(tether: int) -> None:
    while os.read(tether, 1):
        pass
    patience = threading.Timer(GRACE_SECONDS, os._exit, (1,))
    patience.daemon = True
    patience.start()
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGTERM)  # with the processes that it started
    else:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
