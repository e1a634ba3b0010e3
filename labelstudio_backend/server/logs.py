"""One line of JSON for each thing that happened; no bodies, no tokens, no query strings."""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from labelstudio_backend.errors import ConfigError

__all__ = ["JsonLines", "Redaction", "configure_logs"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
SHORTEST_SECRET = 4
"""Shorter ones would hide half of every word."""


class Redaction:
    """Hides what must not be read, should a library's message hold it.

    Parameters
    ----------
    secrets
        Tokens and passwords; empty ones and None are left out.
    """

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        known = {secret for secret in secrets if secret and len(secret) >= SHORTEST_SECRET}
        self._secrets = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` with stars in the place of each secret."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON.

    Parameters
    ----------
    redact
        What must not be read.
    """

    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, logger, message, the fields of `extra={"fields": ...}`, traceback."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


def configure_logs(level: str, secrets: Iterable[str | None] = ()) -> None:
    """Write the lines of all loggers of this process to standard error.

    Raises
    ------
    ConfigError
        If there is no such level.
    """
    if level not in LEVELS:
        raise ConfigError(f"LOG_LEVEL must be one of {', '.join(LEVELS)}, found {level!r}.")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(Redaction(secrets)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # A library's debugging lines hold addresses with signatures, and whole headers.
    root.setLevel(max(logging.INFO, logging.getLevelName(level)))
    logging.getLogger("labelstudio_backend").setLevel(level)
    logging.getLogger("uvicorn.access").disabled = True
