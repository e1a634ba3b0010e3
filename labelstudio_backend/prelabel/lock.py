"""One prelabelling run per project at a time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from labelstudio_backend.errors import ConfigError

__all__ = ["project_held"]


@contextmanager
def project_held(folder: Path, url: str, project: int) -> Iterator[None]:
    """Have a project for oneself; free again when the process dies.

    Parameters
    ----------
    folder
        Where the locks lie; it is made.
    url, project
        Of Label Studio.

    Raises
    ------
    ConfigError
        If another run has it.
    OSError
        If the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(f"{url}\n{project}".encode()).hexdigest()[:16]
    try:
        with FileLock(folder / f".prelabel-{name}.lock", timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(
            f"Another run annotates project {project} of {url}: two would send every prediction "
            "twice. Wait for it to end, or stop it by Ctrl-C; a run that was killed holds nothing."
        ) from error
