"""`CurrentModel`: the model that answers, opened in the background and changed without a stop."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from labelstudio_backend.answering.enduring import EnduringSegmenter
from labelstudio_backend.answering.kept_models import KeptModels, is_model_file
from labelstudio_backend.answering.meters import Meters, NoMeters
from labelstudio_backend.answering.used_model import UsedModel
from labelstudio_backend.answering.watching import FileWatcher
from labelstudio_backend.errors import BusyError
from sam_plugins import open_worker
from sam_plugins.errors import SamPluginsError, WorkerError
from sam_plugins.ports import Segmenter

__all__ = ["CurrentModel", "OpenModel", "open_shared"]

OpenModel: TypeAlias = Callable[[str | None], Segmenter]
"""Opens a model by name or path; may return before it is ready, with an `info` that waits."""

SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_FOR_OPENING = 60.0

_log = logging.getLogger(__name__)


def open_shared(model: str | None) -> Segmenter:
    """A model in a process of its own, above the embeddings that all processes share."""
    return open_worker(model, store="default")


class CurrentModel:
    """The model that answers now.

    It is opened by a thread, and nothing here waits for it but `lease`. Where it is named by a
    file, a copy of the file is opened, and when the file has changed and is still, a copy of the
    new one: it takes over once it is ready, requests that run end with the model they began with,
    and a file that cannot be opened changes nothing: the former model answers, also after a start.

    Parameters
    ----------
    model
        As `open_segmenter` takes it.
    state_folder
        Copies of model files are kept in ``models`` there.
    open_model
        Opens one.
    meters
        Get "worker_restarted" and "model_changed".
    on_closed
        Called with each model that was closed, from any thread.
    seconds_between_looks
        At the file.
    """

    def __init__(
        self,
        model: str | None,
        state_folder: Path,
        *,
        open_model: OpenModel = open_shared,
        meters: Meters | None = None,
        on_closed: Callable[[UsedModel], None] = lambda model: None,
        seconds_between_looks: float = SECONDS_BETWEEN_LOOKS,
    ) -> None:
        self._model = model
        self._open_model = open_model
        self._meters = NoMeters() if meters is None else meters
        self._on_closed = on_closed
        self._kept = KeptModels(state_folder / "models")
        self._changed = threading.Condition()
        self._current: UsedModel | None = None
        self._models: set[UsedModel] = set()
        self._looking = threading.Lock()
        self._copy: Path | None = None
        self._error: Exception | None = None
        self._opening = True
        self._closed = False
        self._watcher: FileWatcher | None = None
        if model is not None and is_model_file(model):
            self._file = Path(model).expanduser()
            self._watcher = FileWatcher(self._file, seconds_between_looks, self._look_at_file)
        self._start()

    @property
    def version(self) -> str:
        """Name and hash; "" until a model is ready. Waits for nothing."""
        current = self._current
        return "" if current is None else current.version

    def versions(self) -> list[str]:
        """Those that can be gone back to, and the one in use at the end."""
        version = self.version
        kept = [] if self._watcher is None else [model.version for model in self._kept.history()]
        return [one for one in kept if one != version] + ([version] if version else [])

    def status(self) -> dict[str, Any]:
        """ready, model, version, and error: a sentence, or None."""
        with self._changed:
            return {
                "ready": self._current is not None,
                "opening": self._opening,
                "model": self._model or "nano" if self._watcher is None else self._file.name,
                "version": self.version,
                "error": None if self._error is None else _sentence(self._error),
            }

    @contextmanager
    def lease(
        self,
        seconds: float = SECONDS_FOR_OPENING,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[UsedModel]:
        """The model that answers now, for as long as one request takes.

        Parameters
        ----------
        seconds
            To wait for one that is being opened.
        stop
            Asked while waiting; True ends it.

        Raises
        ------
        BusyError
            If it is still being opened then, or everything is closed.
        SamPluginsError
            Why it could not be opened.
        """
        model = self._begun(seconds, stop)
        try:
            yield model
        finally:
            model.end()

    def close(self) -> None:
        """Close what is open, also under those who use it."""
        with self._changed:
            self._closed = True
            self._current = None
            models = list(self._models)
            self._changed.notify_all()
        if self._watcher is not None:
            self._watcher.close()
        for model in models:
            model.close()

    def _begun(self, seconds: float, stop: Callable[[], bool]) -> UsedModel:
        deadline = time.monotonic() + seconds
        with self._changed:
            if self._may_open_again():
                self._start()
            while self._current is None:
                left = deadline - time.monotonic()
                if self._closed:
                    raise BusyError("The backend is ending: ask again when it has started.", 5)
                if not self._opening and self._error is not None:
                    raise _anew(self._error)
                if left <= 0 or stop():
                    raise BusyError("The model is still being opened: ask again soon.", 5)
                self._changed.wait(min(left, 0.1))
            self._current.begin()
            return self._current

    def _may_open_again(self) -> bool:
        """Whether the process died while it opened the model, and not of the model."""
        died = isinstance(self._error, WorkerError)
        return self._current is None and died and not self._opening and not self._closed

    def _start(self) -> None:
        self._opening = True
        work = self._open_named if self._watcher is None else self._open_file
        threading.Thread(target=work, name="sam-plugins open", daemon=True).start()

    def _open_named(self) -> None:
        try:
            self._take(self._opened(self._model))
        except Exception as error:
            self._fail(error)

    def _open_file(self) -> None:
        """The file as it is at the start; it is watched from then on."""
        watcher = self._watcher
        if watcher is None:
            return
        before = watcher.signature()
        self._look_at_file()
        if watcher.signature() != before:
            before = None  # it changed while it was copied: look again
        with suppress(RuntimeError):  # watched already, and this is another try
            watcher.start(before)

    def _look_at_file(self) -> None:
        """Open what the file holds, unless it is what answers already."""
        with self._looking:
            error = self._open_copy()
            if error is not None and not isinstance(error, WorkerError) and not self.version:
                self._open_former()
            self._fail(error)

    def _open_copy(self) -> Exception | None:
        """Take what the file holds now; why that was not possible."""
        copy: Path | None = None
        try:
            copy = self._kept.copy(self._file)
            if copy == self._copy:
                return None
            opened = self._opened(str(copy))
        except Exception as error:
            if copy is not None:
                self._kept.forget(copy)
            return error
        self._copy = copy
        try:
            self._kept.note(opened.version, copy)
        except OSError as error:
            _log.error("Model %s cannot be gone back to later: %s", opened.version, error.strerror)
        self._take(opened)
        return None

    def _open_former(self) -> None:
        """After a start with a file that cannot be opened: what answered before the start."""
        for model in reversed(self._kept.history()):
            copy = self._kept.folder / model.file
            try:
                opened = self._opened(str(copy))
            except Exception as error:
                _log.error("Nor could model %s: %s", model.version, _sentence(error))
                continue
            self._copy = copy
            self._take(opened)
            return

    def _opened(self, model: str | None) -> UsedModel:
        segmenter = EnduringSegmenter(
            self._open_model(model), lambda: self._meters.count("worker_restarted")
        )
        try:
            opened = UsedModel(segmenter, self._forget)
        except BaseException:
            segmenter.close()
            raise
        with self._changed:
            self._models.add(opened)
        return opened

    def _forget(self, model: UsedModel) -> None:
        with self._changed:
            self._models.discard(model)
        self._on_closed(model)

    def _take(self, opened: UsedModel) -> None:
        with self._changed:
            former = self._current
            if not self._closed:
                self._current, self._error, self._opening = opened, None, False
            closed = self._closed
            self._changed.notify_all()
        if closed:
            opened.close()
            return
        _log.info("Model %s answers.", opened.version)
        if former is not None:
            self._meters.count("model_changed")
            former.retire()

    def _fail(self, error: Exception | None) -> None:
        with self._changed:
            self._error, self._opening = error, False
            self._changed.notify_all()
        if error is None:
            return
        kept = f"; {self.version} goes on answering" if self.version else ""
        if isinstance(error, SamPluginsError | OSError):
            _log.error("The model could not be opened%s: %s", kept, _sentence(error))
        else:
            _log.error("The model could not be opened%s", kept, exc_info=error)


def _sentence(error: Exception) -> str:
    if isinstance(error, SamPluginsError):
        return str(error)
    if isinstance(error, OSError):
        return f"The model file could not be read: {error.strerror or type(error).__name__}."
    return f"The model could not be opened: {type(error).__name__}."


def _anew(error: Exception) -> SamPluginsError:
    """The error, for one more thread that raises it."""
    if isinstance(error, SamPluginsError):
        return type(error)(*error.args)
    return WorkerError(_sentence(error))
