"""What is measured while questions are answered, said to whoever shows it."""

from typing import Protocol

__all__ = ["Meters", "NoMeters"]


class Meters(Protocol):
    """Takes in what happened; called from any thread, and must not block or raise.

    ======== ================================================================================
    seconds  "picture" reading it; "wait" for a turn; "encode"; "decode" all of one question
    count    "embedding_hit", "embedding_miss", "superseded", "rejected" for lack of room,
             "failed", "unanswerable" prompts that mean nothing, "worker_restarted",
             "model_changed", "prepare_dropped", "later_done"
    level    "queue" clicks that wait; "running"; "prepare_queue", "prefetch_queue",
             "later_queue"; "session_bytes"
    ======== ================================================================================
    """

    def seconds(self, name: str, value: float) -> None:
        """Something took so long."""
        ...

    def count(self, name: str, n: int = 1) -> None:
        """Something happened `n` times."""
        ...

    def level(self, name: str, value: float) -> None:
        """How much of something there is now."""
        ...


class NoMeters:
    """Nobody looks."""

    def seconds(self, name: str, value: float) -> None:
        """Forget it."""

    def count(self, name: str, n: int = 1) -> None:
        """Forget it."""

    def level(self, name: str, value: float) -> None:
        """Forget it."""
