"""What is measured, as Prometheus reads it: one answer for all worker processes."""

import re
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from labelstudio_backend.server.processes import is_alive

__all__ = ["MULTIPROCESS", "PrometheusMeters"]

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The library's variable for the folder that processes share; read when it is imported."""

# fmt: off
BUCKETS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12,
    0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
)
# fmt: on


class PrometheusMeters:
    """Histograms, counters and gauges of one process, and what all of them counted.

    Parameters
    ----------
    folder
        That worker processes share; None where one process answers.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._registry = CollectorRegistry()
        self._steps = Histogram(
            "sam_plugins_step_seconds",
            "Steps of an answer: encode, decode, picture, wait, write.",
            ["step"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._requests = Histogram(
            "sam_plugins_request_seconds",
            "Requests by route and HTTP status.",
            ["route", "status"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._events = Counter(
            "sam_plugins_events",
            "What happened, such as embedding_hit, superseded, rejected, failed.",
            ["event"],
            registry=self._registry,
        )
        self._levels = Gauge(
            "sam_plugins_level",
            "How much there is now, such as queue, running, session_bytes.",
            ["name"],
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def seconds(self, name: str, value: float) -> None:
        """One more step took so long."""
        self._steps.labels(name).observe(value)

    def count(self, name: str, n: int = 1) -> None:
        """Something happened `n` times more."""
        self._events.labels(name).inc(n)

    def level(self, name: str, value: float) -> None:
        """There is so much of it now."""
        self._levels.labels(name).set(value)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        if self._folder is None:
            return generate_latest(self._registry)
        self._forget_the_dead(self._folder)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody, path=str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    @staticmethod
    def _forget_the_dead(folder: Path) -> None:
        """What a process that died had in its queue is not there any more; its counts stay."""
        for file in folder.glob("gauge_live*_*.db"):
            number = re.search(r"_(\d+)\.db$", file.name)
            if number and not is_alive(int(number[1])):
                with suppress(FileNotFoundError):  # another process was told so as well
                    mark_process_dead(  # type: ignore[no-untyped-call]
                        int(number[1]), str(folder)
                    )
