"""A real Label Studio on this machine: SQLite, its own folder, nothing told to others."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import requests

from labelstudio_backend.doctor.networks import recipe
from labelstudio_backend.errors import ConfigError
from labelstudio_backend.start.access import Access
from labelstudio_backend.start.program import Program, Server, free_port

__all__ = ["LOOPBACK", "LabelStudio", "find_label_studio"]

LOOPBACK = "127.0.0.1"
FIRST_START_SECONDS = 300.0
"""The first start makes the tables: half a minute where nothing else runs."""

_ENVIRONMENTS = (".venv-label-studio",)
_OWN = ("LABEL_STUDIO_", "HEARTEX_", "DJANGO_", "PYTHON")


def find_label_studio(environment: Mapping[str, str] | None = None) -> Path | None:
    """The Python that Label Studio is installed for; None where there is none.

    That of LABEL_STUDIO_PYTHON, or of the environment that `scripts/setup-label-studio` makes in
    this folder or in the project's.

    Raises
    ------
    ConfigError
        If LABEL_STUDIO_PYTHON names something that has no Label Studio.
    """
    variables = os.environ if environment is None else environment
    named = variables.get("LABEL_STUDIO_PYTHON")
    if named:
        if not _has_label_studio(Path(named)):
            raise ConfigError(
                f"LABEL_STUDIO_PYTHON must be the Python of an environment that has Label Studio, "
                f"found {named}: set it to .../bin/python of one, or leave it out."
            )
        return Path(named).absolute()
    folders = (Path.cwd(), Path(__file__).parents[2])
    binaries = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    candidates = [folder / name / binaries for folder in folders for name in _ENVIRONMENTS]
    return next((python.absolute() for python in candidates if _has_label_studio(python)), None)


def _has_label_studio(python: Path) -> bool:
    if not python.is_file():
        return False
    libraries = python.absolute().parent.parent
    return any(
        next(libraries.glob(f"{library}/site-packages/label_studio/server.py"), None)
        for library in ("lib/python3*", "Lib")
    )


class LabelStudio(Server):
    """A Label Studio that runs on this machine and listens to this machine only.

    Parameters
    ----------
    folder
        Its database, uploads and log; what was there before stays.
    python
        Of the environment that it is installed in.
    access
        Who logs in; the user is made at the first start.
    port
        Where it listens; the wanted one if it is free.
    files
        A folder whose pictures tasks may name as local files.
    outer_url
        Its address for browsers, where a proxy stands in front of it; may have a sub-path, which
        the proxy has to take away.
    variables
        Further settings of Label Studio.
    """

    def __init__(
        self,
        folder: Path,
        python: Path,
        access: Access,
        *,
        port: int | None = None,
        files: Path | None = None,
        outer_url: str | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.access = access
        self.port = free_port(port)
        self.own_url = f"http://{LOOPBACK}:{self.port}"
        self.url = outer_url or self.own_url
        self._python = python
        self._environment = {
            **_inherited(),
            **_settings(self.folder, access, self.url, files),
            **(variables or {}),
        }
        super().__init__()

    @property
    def log(self) -> Path:
        """What it said since it was started."""
        return self.folder / "label-studio.log"

    def start(self, seconds: float = FIRST_START_SECONDS) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        LabelStudioError
            If it ends, or does not answer in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        program = Program(
            "Label Studio",
            self._python,
            "label_studio.server:main",
            ("start", "--no-browser", "--internal-host", LOOPBACK, "--port", str(self.port)),
            self._environment,
            self.log,
        )
        self._started(program, self._answers, seconds)

    def _answers(self) -> bool:
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.get(f"{self.own_url}/api/version", timeout=5)
            except requests.RequestException:
                return False
        return answer.ok


def _inherited() -> dict[str, str]:
    """The variables of this process, without those that mean another Label Studio or Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}


def _settings(folder: Path, access: Access, url: str, files: Path | None) -> dict[str, str]:
    """As its documentation and `core/settings` name them; a name with the prefix wins."""
    local = {"LOCAL_FILES_SERVING_ENABLED": "false"}
    if files is not None:
        local = {
            "LOCAL_FILES_SERVING_ENABLED": "true",
            "LOCAL_FILES_DOCUMENT_ROOT": str(files.absolute()),
        }
    prefixed = {
        "BASE_DATA_DIR": str(folder),
        "DATABASE_NAME": str(folder / "label_studio.sqlite3"),
        "DJANGO_DB": "sqlite",
        "HOST": url,
        "USERNAME": access.email,
        "PASSWORD": access.password,
        "USER_TOKEN": access.token,
        "ENABLE_LEGACY_API_TOKEN": "true",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        # Nothing is told to others, and nothing is asked from them.
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
        # Its guards against private addresses stay on, with one hole: this machine.
        "SSRF_PROTECTION_ENABLED": "true",
        "ML_BLOCK_LOCAL_IP": "true",
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": recipe(LOOPBACK),
        **local,
    }
    return {
        **{f"LABEL_STUDIO_{name}": value for name, value in prefixed.items()},
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
