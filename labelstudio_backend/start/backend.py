"""The backend as a program of its own, as `sam-plugins labelstudio serve` starts it."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import requests

from labelstudio_backend.settings import Settings
from labelstudio_backend.start.program import Program, Server, free_port

__all__ = ["Backend"]

START_SECONDS = 120.0


class Backend(Server):
    """A backend that runs beside this process.

    Parameters
    ----------
    settings
        How it runs; its port is the wanted one if it is free, or else any.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, port=free_port(settings.port or None))
        self.url = f"http://{self.settings.host}:{self.settings.port}"
        super().__init__()

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
        program = Program(
            "The backend",
            Path(sys.executable),
            "sam_plugins.cli:main",
            ("labelstudio", "serve"),
            {**os.environ, **self.settings.as_environment()},
            self.settings.state_folder / "backend.log",
        )
        self._started(program, self._answers, seconds)

    def _answers(self) -> bool:
        with requests.Session() as session:
            session.trust_env = False
            try:
                health = session.get(f"{self.url}/health", timeout=5).json()
            except (requests.RequestException, ValueError):
                return False
        return isinstance(health, dict) and bool(health.get("model_version"))
