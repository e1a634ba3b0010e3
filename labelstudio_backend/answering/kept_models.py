"""Copies of the model files that were in use, so that one can go back to a former one."""

import hashlib
import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO

from filelock import FileLock

from labelstudio_backend.errors import ConfigError
from labelstudio_backend.settings import Settings

__all__ = ["KeptModel", "KeptModels", "is_model_file", "rollback"]

KEPT = 5
SUFFIXES = (".safetensors", ".pt", ".pth")
_BLOCK = 1 << 20


def is_model_file(model: str | None) -> bool:
    """Whether a model is named by its file, also by one that is not there yet."""
    return model is not None and (Path(model).suffix in SUFFIXES or Path(model).is_file())


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model that was in use.

    Parameters
    ----------
    version
        What answers carried.
    file
        Name of the copy in the folder.
    time
        Seconds since 1970 when it was taken into use last.
    """

    version: str
    file: str
    time: float


class KeptModels:
    """A folder of copies and what is known of them; several processes may share it.

    Parameters
    ----------
    folder
        Made when the first copy is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def copy(self, file: Path) -> Path:
        """A copy named by its content, complete or not there at all.

        Raises
        ------
        OSError
            If the file cannot be read or the copy not be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        suffix = file.suffix if file.suffix in SUFFIXES else ".pt"
        with NamedTemporaryFile(dir=self.folder, prefix=".copy-", delete=False) as target:
            try:
                with file.open("rb") as source:
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        target.write(block)
                target.flush()
                os.fsync(target.fileno())
            except BaseException:
                os.unlink(target.name)
                raise
        kept = self.folder / f"{digest.hexdigest()}{suffix}"
        os.replace(target.name, kept)
        return kept

    def note(self, version: str, file: Path) -> None:
        """Say that a copy is in use now, and let go of those before the last five.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        with self._lock():
            models = [model for model in self.history() if model.file != file.name]
            models.append(KeptModel(version, file.name, time.time()))
            dropped, models = models[:-KEPT], models[-KEPT:]
            self._write([asdict(model) for model in models])
            for model in dropped:
                with suppress(OSError):
                    (self.folder / model.file).unlink()

    def forget(self, file: Path) -> None:
        """Delete a copy that was never in use."""
        with suppress(OSError), self._lock():
            if all(model.file != file.name for model in self.history()):
                file.unlink()

    def history(self) -> list[KeptModel]:
        """Those that were in use and are still here, the one used last at the end."""
        try:
            entries = json.loads((self.folder / "history.json").read_text("utf-8"))
            models = [KeptModel(**entry) for entry in entries]
        except (OSError, ValueError, TypeError):
            return []
        return [model for model in models if (self.folder / Path(model.file).name).is_file()]

    def _lock(self) -> FileLock:
        return FileLock(self.folder / "history.lock", timeout=30)

    def _write(self, entries: list[dict[str, Any]]) -> None:
        _replace(self.folder / "history.json", BytesIO(json.dumps(entries, indent=1).encode()))


def rollback(settings: Settings, version: str) -> Path:
    """Put a former model in the place of the model file; a backend that runs picks it up.

    Works without a running backend. The file that is replaced is kept if a backend used it.

    Parameters
    ----------
    settings
        Of the backend.
    version
        One of `Annotator.versions()`.

    Returns
    -------
    The model file.

    Raises
    ------
    ConfigError
        If the model is not a file, or no such version is kept.
    OSError
        If the model file cannot be written.
    """
    if settings.model is None or not is_model_file(settings.model):
        raise ConfigError(
            "Going back to a former model needs SAM_PLUGINS_MODEL to be the path of a file, found "
            f"{settings.model!r}: name the model by its file."
        )
    kept = KeptModels(settings.state_folder / "models")
    history = kept.history()
    found = next((model for model in reversed(history) if model.version == version), None)
    if found is None:
        known = ", ".join(model.version for model in history) or "none"
        raise ConfigError(f"No model {version!r} is kept here; kept are: {known}.")
    place = Path(settings.model).expanduser()
    with (kept.folder / Path(found.file).name).open("rb") as source:
        _replace(place, source)
    return place


def _replace(file: Path, content: BinaryIO) -> None:
    """The old content or the new one, also after a kill; who may read it stays the same."""
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-", delete=False) as target:
        try:
            shutil.copyfileobj(content, target, _BLOCK)
            target.flush()
            os.fsync(target.fileno())
            mode = file.stat().st_mode & 0o777 if file.exists() else 0o644
            os.chmod(target.name, mode)
        except BaseException:
            os.unlink(target.name)
            raise
    os.replace(target.name, file)
