"""What the checks look at, asked for once."""

from contextlib import suppress
from functools import cached_property
from typing import Any

from labelstudio_backend.controls import LabelConfig, read_config
from labelstudio_backend.errors import ConfigError, LabelStudioError
from labelstudio_backend.fetching import LabelStudioClient, PictureReader
from labelstudio_backend.settings import Settings

__all__ = ["Visit"]


class Visit:
    """One visit of the doctor.

    Parameters
    ----------
    settings
        Of the backend.
    project
        Number of the project to look at, if one is to be.
    backend
        Where the backend is for Label Studio, if it is not attached yet.
    client
        Of Label Studio; made from the settings if None.
    pictures
        Reads pictures; made from the settings if None.
    """

    def __init__(
        self,
        settings: Settings,
        project: int | None = None,
        backend: str | None = None,
        *,
        client: LabelStudioClient | None = None,
        pictures: PictureReader | None = None,
    ) -> None:
        self.settings, self.number, self._backend = settings, project, backend
        self._client, self._pictures = client, pictures

    @cached_property
    def client(self) -> LabelStudioClient:
        """Label Studio, asked without much patience."""
        return self._client or self._opened(self.settings.api_key)

    @cached_property
    def stranger(self) -> LabelStudioClient:
        """Label Studio, asked without a token."""
        return self._client or self._opened(None)

    def _opened(self, api_key: str | None) -> LabelStudioClient:
        from labelstudio_backend.fetching.retrying import Patience

        url = self.settings.label_studio_url
        if url is None:
            raise ConfigError(
                "LABEL_STUDIO_URL is not set: set it to Label Studio's address, such as "
                "http://localhost:8080."
            )
        patience = Patience(attempts=2, first_seconds=0.3, longest_seconds=2.0)
        return LabelStudioClient(url, api_key, patience=patience)

    @cached_property
    def pictures(self) -> PictureReader:
        """What reads pictures."""
        return PictureReader(self.settings) if self._pictures is None else self._pictures

    @property
    def wanted(self) -> int:
        """The project's number.

        Raises
        ------
        ConfigError
            If none was given.
        """
        if self.number is None:
            raise ConfigError("No project was given: add --project with its number.")
        return self.number

    @cached_property
    def project(self) -> dict[str, Any]:
        """The project."""
        return self.client.project(self.wanted)

    @cached_property
    def config(self) -> LabelConfig:
        """Its labelling config."""
        return read_config(str(self.project.get("label_config") or ""))

    @cached_property
    def first_task(self) -> dict[str, Any] | None:
        """Its first task."""
        return next(iter(self.client.tasks(self.wanted, page_size=1)), None)

    @cached_property
    def attached(self) -> list[dict[str, Any]]:
        """Its ML backends; Label Studio asks each of them for its health meanwhile."""
        return self.client.ml_backends(self.wanted)

    @cached_property
    def backend_url(self) -> str:
        """Where the backend is for Label Studio, as far as can be known, without a slash."""
        if self._backend is not None:
            return self._backend.rstrip("/")
        with suppress(LabelStudioError):
            if self.number is not None and len(self.attached) == 1:
                return str(self.attached[0].get("url", "")).rstrip("/")
        host = self.settings.host
        if host in ("0.0.0.0", "::", ""):
            host = "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    def of_backend(self) -> dict[str, Any] | None:
        """How the backend is attached to the project; None if it is not."""
        for each in self.attached:
            if str(each.get("url", "")).rstrip("/") == self.backend_url:
                return each
        return None
