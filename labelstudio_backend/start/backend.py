"""The backend as a program of its own, as `sam-plugins labelstudio serve` starts it."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import requests

from labelstudio_backend.settings import Settings
from labelstudio_backend.start.program import Program, free_port

__all__ = ["Backend"]

START_SECONDS = 120.0


class Backend:
    """A backend that runs beside this process.

    Parameters
    ----------
    settings
        How it runs; its port is the wanted one if it is free, or else any.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, port=free_port(settings.port or None))
        self.url = f"http://{self.settings.host}:{self.settings.port}"
        self._program: Program | None = None

    @property
    def log(self) -> str:
        """What it said since it was started."""
        return (self.settings.state_folder / "backend.log").read_text("utf-8", "replace")

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start it and wait until its model answers.

        Raises
        ------
        LabelStudioError
            If it ends, or does not answer in time.
        """
        self._program = Program(
            "The backend",
            Path(sys.executable),
            "sam_plugins.cli:main",
            ("labelstudio", "serve"),
            {**os.environ, **self.settings.as_environment()},
            self.settings.state_folder / "backend.log",
        )
        try:
            self._program.wait_until(self._answers, seconds)
        except BaseException:
            self._program.kill()
            raise

    def stop(self) -> None:
        """Let it finish what runs, and end it."""
        if self._program is not None:
            self._program.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._program is not None:
            self._program.kill()

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._program is not None and self._program.runs

    def _answers(self) -> bool:
        with requests.Session() as session:
            session.trust_env = False
            try:
                health = session.get(f"{self.url}/health", timeout=5).json()
            except (requests.RequestException, ValueError):
                return False
        return isinstance(health, dict) and bool(health.get("model_version"))
