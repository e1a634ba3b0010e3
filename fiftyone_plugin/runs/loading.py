"""Pictures and what their labels ask, read ahead of the model by a thread of its own.

The queue is bounded and so is each read: a dataset's size never shows in the memory.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.labels import Visible, asking_ids, fields_needed, open_picture, read_asked
from fiftyone_plugin.runs.collection import Documents, SampleState, pictures_of
from fiftyone_plugin.runs.memory import NEVER, Memory
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.values import AskedObject, Mode, Status, UnansweredObject
from sam_plugins.errors import SamPluginsError
from sam_plugins.types import Image

__all__ = ["Loader", "Read", "Skipped", "Unread", "Video", "sentence"]

_KINDS = {"image": "a picture", "video": "a video"}

_STATES = 200
"""Samples whose state is asked for at once."""

_TOGETHER = 16
_TOGETHER_BYTES = 16 << 20
"""Samples, and bytes of their documents, that are fetched at once."""

_AHEAD = 2
"""Pictures that wait while the model works."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A sample that can be asked.

    Parameters
    ----------
    sample_id, before
        Which, and what its document said.
    image
        (H, W, 3) uint8 RGB.
    asked, unanswered
        What its labels ask, and those that cannot be asked; without what was answered before.
    memory
        What the run has asked of it before.
    of_view, retry
        Whether a view hides labels, and whether what was asked in vain is asked again.
    """

    sample_id: str
    before: SampleState
    image: Image
    asked: tuple[AskedObject, ...]
    unanswered: tuple[UnansweredObject, ...]
    memory: Memory = NEVER
    of_view: bool = False
    retry: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A video, which is read while it is worked on; the rest is as of `Read`.

    `visible` are the labels that may ask, None where all may.
    """

    sample_id: str
    before: SampleState
    sample: Any
    memory: Memory
    visible: Visible | None
    retry: bool


@dataclass(frozen=True, slots=True)
class Unread:
    """A sample that cannot be asked, and why."""

    sample_id: str
    before: SampleState
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A sample that was done before, with what became of it; None where it is gone."""

    sample_id: str
    status: Status | None


Item = Read | Video | Unread | Skipped


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


class Loader:
    """Reads samples in order; a context manager that ends its thread.

    Parameters
    ----------
    dataset, run, ids
        What is read, for what; ids that are there twice are read once.
    retry
        Read samples again that failed, or of which some objects did.

    Samples that were done over another view are read again where labels ask that were never asked.
    """

    def __init__(self, dataset: Any, run: Run, ids: Sequence[str], *, retry: bool) -> None:
        self._dataset, self._run, self._retry = dataset, run, retry
        self._ids = list(dict.fromkeys(ids))
        self._documents = Documents(dataset)
        self._pictures = pictures_of(dataset, run.config.mode)
        self._queue: queue.Queue[Item | _End] = queue.Queue(_AHEAD)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="samples", daemon=True)

    def __enter__(self) -> "Loader":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._queue.get(timeout=0.05)
        self._thread.join()

    def items(self, patience: float) -> Iterator[Item | None]:
        """Samples as they come; None where none has come for `patience` seconds.

        Raises
        ------
        Exception
            What ended the reading: a database that is gone, for one. A sample that cannot be read
            is an `Unread`.
        """
        while True:
            try:
                item = self._queue.get(timeout=patience)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._samples():
                if not self._put(item):
                    return
        except BaseException as raised:
            error = raised
        self._put(_End(error))

    def _put(self, item: Item | _End) -> bool:
        while not self._ended.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _samples(self) -> Iterator[Item]:
        for start in range(0, len(self._ids), _STATES):
            ids = self._ids[start : start + _STATES]
            states = self._documents.states(ids, self._run)
            todo: list[str] = []
            size = 0
            for each in ids:
                state = states.get(each)
                if state is None or not self._is_open(state):
                    yield Skipped(each, state.status if state else None)
                    continue
                size += state.size
                todo.append(each)
                if len(todo) == _TOGETHER or size > _TOGETHER_BYTES:
                    yield from self._together(todo, states)
                    todo, size = [], 0
            yield from self._together(todo, states)

    def _is_open(self, state: SampleState) -> bool:
        return state.status is None or self._again(state) or state.of_view

    def _again(self, state: SampleState) -> bool:
        return self._retry and state.status in (Status.FAILED, Status.PARTIAL)

    def _together(self, ids: Sequence[str], states: dict[str, SampleState]) -> Iterator[Item]:
        wanted = "video" if self._run.config.mode is Mode.VIDEO else "image"
        right = [each for each in ids if states[each].media_type == wanted]
        for each in ids:
            found = states[each].media_type
            if found != wanted:
                reason = (
                    f"Expected {_KINDS[wanted]}, found "
                    f"{_KINDS.get(found, f'media of type {found!r}')}: leave this sample out, or "
                    "choose another mode."
                )
                yield Unread(each, states[each], reason)
        if not right:
            return
        known = [each for each in right if states[each].status is not None]
        memories = self._documents.memories(known, self._run) if known else {}
        fields = fields_needed(self._run.config)
        visible = self._run.shown.visible(self._pictures, fields, right)
        view = self._pictures.select(right, ordered=True)
        if wanted == "video" and self._dataset.has_frame_field("filepath"):
            fields.append("frames.filepath")
        for sample in view.select_fields(fields):
            memory = memories.get(sample.id, NEVER)
            yield self._read(sample, states[sample.id], memory, visible(sample.id))

    def _read(
        self, sample: Any, state: SampleState, memory: Memory, visible: Visible | None
    ) -> Item:
        config, retry = self._run.config, self._retry
        more = state.status is not None and not self._again(state)
        try:
            if more and all(map(memory.knows, asking_ids(sample, config, visible))):
                return Skipped(sample.id, state.status)
            if config.mode is Mode.VIDEO:
                return Video(sample.id, state, sample, memory, visible, retry)
            image = open_picture(sample)
            if not fields_needed(config):
                return Read(sample.id, state, image, (), ())
            size = (image.shape[0], image.shape[1])
            every, wrong = read_asked(sample, size, config, visible)
        except Exception as error:
            return Unread(sample.id, state, sentence(error))
        asked = tuple(each for each in every if memory.is_open(each.label_ids, retry=retry))
        unanswered = tuple(each for each in wrong if memory.is_open((each.prompt_id,), retry=retry))
        if more and not asked and not unanswered:
            return Skipped(sample.id, state.status)
        of_view = bool(self._run.shown)
        return Read(sample.id, state, image, asked, unanswered, memory, of_view, retry)


def sentence(error: Exception) -> str:
    """What a person is told of an error that costs one sample its masks."""
    if isinstance(error, SamPluginsError):
        return str(error)
    return f"Unexpected {type(error).__name__}: {error}"
