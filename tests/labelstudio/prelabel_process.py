"""A prelabelling run in a process of its own, which may kill itself inside a write of its journal.

Arguments: address, folder, and after how many steps of SQLite to die (0: never).
"""

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from prelabel_doubles import REGION, VERSION

from labelstudio_backend.fetching import LabelStudioClient
from labelstudio_backend.prelabel import Journal, Plan, Prelabelling, RunKey
from labelstudio_backend.prelabel.lock import project_held
from labelstudio_backend.prelabel.sending import Sender


def main(url: str, folder: Path, deadly: int) -> int:
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_progress_handler(step, 1)
        connection.set_trace_callback(step)
        return connection

    sqlite3.connect = watched
    client = LabelStudioClient(url, "0" * 40)

    def annotate(task: Any) -> tuple[list[dict[str, Any]], float]:
        return ([] if task["id"] % 5 == 0 else [REGION]), 0.5

    journal = Journal(folder, RunKey(url, 1, VERSION, None, None, "<View/>"))
    with project_held(folder, url, 1):
        run = Prelabelling(
            Plan(1, VERSION, parallel=3),
            client,
            journal,
            annotate,
            sender=Sender(client, VERSION, wait=lambda s: run.stopping(), first_delay=0),
        )
        summary = run.run()
    sys.stdout.write(f"{steps} {dict(summary.counts)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
