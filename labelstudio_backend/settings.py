"""How one backend runs: read once from the environment, and never changed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from platformdirs import user_data_path

from labelstudio_backend.errors import ConfigError

__all__ = ["Settings"]

DEFAULT_PORT = 9090

OTHER_NAMES = (
    "LABEL_STUDIO_HOST",
    "LABEL_STUDIO_ACCESS_TOKEN",
    "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT",
)
"""Variables that stand in for others, as Label Studio's own programs name them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one backend runs. Names in brackets are environment variables.

    Parameters
    ----------
    label_studio_url
        Where Label Studio is, with the sub-path if it has one, without a slash at the end
        [LABEL_STUDIO_URL or LABEL_STUDIO_HOST].
    api_key
        A legacy token or a personal access token [LABEL_STUDIO_API_KEY or
        LABEL_STUDIO_ACCESS_TOKEN].
    host, port
        Where to listen [HOST, PORT; 0 is any free one].
    user, password
        What clients must say, by HTTP basic authentication [BASIC_AUTH_USER, BASIC_AUTH_PASS].
    allowed_hosts
        Other hosts, or host:port, that pictures may come from [SAM_PLUGINS_ALLOWED_HOSTS,
        separated by commas; a leading dot allows all subdomains of a public name].
    local_files_root
        The folder that Label Studio serves local files from, where it is mounted here as well
        [LOCAL_FILES_DOCUMENT_ROOT or LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT].
    state_folder
        Queues, cached pictures and former models [MODEL_DIR].
    model
        As `open_segmenter` takes it [SAM_PLUGINS_MODEL].
    workers
        Processes that answer [WORKERS].
    log_level
        [LOG_LEVEL]
    queue_length
        Requests that may wait; those beyond get 503 [SAM_PLUGINS_QUEUE_LENGTH].
    batch_seconds
        How long a request for many tasks may take; Label Studio waits for 100
        [SAM_PLUGINS_BATCH_SECONDS].
    """

    label_studio_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    local_files_root: Path | None = None
    state_folder: Path = field(
        default_factory=lambda: user_data_path("sam-plugins") / "labelstudio"
    )
    model: str | None = None
    workers: int = 1
    log_level: str = "INFO"
    queue_length: int = 64
    batch_seconds: float = 80.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the variables; an empty one is as if it were not set.

        Raises
        ------
        ConfigError
            If one of them cannot be used.
        """
        variables = os.environ if environment is None else environment

        def first(*names: str) -> str | None:
            return next((variables[name] for name in names if variables.get(name)), None)

        root = first("LOCAL_FILES_DOCUMENT_ROOT", "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT")
        state = first("MODEL_DIR")
        hosts = first("SAM_PLUGINS_ALLOWED_HOSTS") or ""
        plain = cls()
        return cls(
            label_studio_url=_address(first("LABEL_STUDIO_URL", "LABEL_STUDIO_HOST")),
            api_key=first("LABEL_STUDIO_API_KEY", "LABEL_STUDIO_ACCESS_TOKEN"),
            host=first("HOST") or plain.host,
            port=int(_number("PORT", first("PORT"), plain.port, 0, 65535)),
            user=first("BASIC_AUTH_USER"),
            password=first("BASIC_AUTH_PASS"),
            allowed_hosts=tuple(part.strip() for part in hosts.split(",") if part.strip()),
            local_files_root=None if root is None else Path(root),
            state_folder=plain.state_folder if state is None else Path(state),
            model=first("SAM_PLUGINS_MODEL"),
            workers=int(_number("WORKERS", first("WORKERS"), plain.workers, 1)),
            log_level=(first("LOG_LEVEL") or plain.log_level).upper(),
            queue_length=int(
                _number(
                    "SAM_PLUGINS_QUEUE_LENGTH",
                    first("SAM_PLUGINS_QUEUE_LENGTH"),
                    plain.queue_length,
                    1,
                )
            ),
            batch_seconds=_number(
                "SAM_PLUGINS_BATCH_SECONDS",
                first("SAM_PLUGINS_BATCH_SECONDS"),
                plain.batch_seconds,
                0,
            ),
        )

    def as_environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads the same settings from.

        What is None is an empty variable.
        """
        values = {
            "LABEL_STUDIO_URL": self.label_studio_url,
            "LABEL_STUDIO_API_KEY": self.api_key,
            "HOST": self.host,
            "PORT": self.port,
            "BASIC_AUTH_USER": self.user,
            "BASIC_AUTH_PASS": self.password,
            "SAM_PLUGINS_ALLOWED_HOSTS": ",".join(self.allowed_hosts),
            "LOCAL_FILES_DOCUMENT_ROOT": self.local_files_root,
            "MODEL_DIR": self.state_folder,
            "SAM_PLUGINS_MODEL": self.model,
            "WORKERS": self.workers,
            "LOG_LEVEL": self.log_level,
            "SAM_PLUGINS_QUEUE_LENGTH": self.queue_length,
            "SAM_PLUGINS_BATCH_SECONDS": self.batch_seconds,
        }
        others = dict.fromkeys(OTHER_NAMES, "")
        return others | {
            name: "" if value is None else str(value) for name, value in values.items()
        }


def _address(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"LABEL_STUDIO_URL must be an address such as http://localhost:8080, found {url!r}."
        )
    return url.rstrip("/")


def _number(
    name: str, text: str | None, otherwise: float, least: float, most: float = 1e9
) -> float:
    if text is None:
        return otherwise
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, found {text!r}.")
    return number
