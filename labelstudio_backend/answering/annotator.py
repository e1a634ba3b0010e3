"""`Annotator`: everything behind the routes, for any number of threads."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from labelstudio_backend.answering.batch import Batches
from labelstudio_backend.answering.desk import Desk
from labelstudio_backend.answering.meters import Meters, NoMeters
from labelstudio_backend.answering.model import CurrentModel, OpenModel, open_shared
from labelstudio_backend.answering.preparing import Preparing
from labelstudio_backend.answering.sessions import SESSION_BYTES, Session, Sessions
from labelstudio_backend.answering.values import Answers, Question
from labelstudio_backend.answering.waiting_room import Place, Rank, SupersededError, WaitingRoom
from labelstudio_backend.answering.whole import annotate_task
from labelstudio_backend.errors import BusyError
from labelstudio_backend.settings import Settings
from labelstudio_backend.values import Ask, Found, Picture, PicturesPort
from sam_plugins import open_store
from sam_plugins.errors import PromptError
from sam_plugins.ports import EmbeddingStore

if TYPE_CHECKING:
    from labelstudio_backend.controls import LabelConfig

__all__ = ["Annotator"]

_log = logging.getLogger(__name__)


class Annotator:
    """Answers questions about pictures with one model. Safe to share between threads.

    Masks are a function of the prompts alone, whoever else asks at the same time.

    Parameters
    ----------
    settings
        `model`, `state_folder` and `queue_length` are used.
    pictures
        Reads them.
    open_model
        Opens a model by its name or path; by default in a process of its own, above the store that
        all processes share. Called on a thread.
    meters
        Where it is shown what happens.
    store
        Where the embeddings are that `open_model` writes; by default the shared one.
    session_bytes
        Bound on what is kept of pictures in memory.
    """

    def __init__(
        self,
        settings: Settings,
        pictures: PicturesPort,
        *,
        open_model: OpenModel = open_shared,
        meters: Meters | None = None,
        store: EmbeddingStore | None = None,
        session_bytes: int = SESSION_BYTES,
    ) -> None:
        meters = NoMeters() if meters is None else meters
        sessions = Sessions(open_store() if store is None else store, meters, session_bytes)
        model = CurrentModel(
            settings.model,
            settings.state_folder,
            open_model=open_model,
            meters=meters,
            on_closed=sessions.forget,
        )
        room = WaitingRoom(settings.queue_length, meters)
        self._desk = Desk(pictures, model, sessions, room, meters)
        self._preparing = Preparing(self._desk)
        self._batches = Batches(self._desk, self._preparing)

    @property
    def model_version(self) -> str:
        """Name and hash of the model that answers now; "" until it is open. Waits for nothing."""
        return self._desk.model.version

    def click(self, question: Question) -> Answers:
        """Every object that a question asks about and that was found, each with its score.

        Returns
        -------
        In the order of what was asked; empty where a newer question took its place.

        Raises
        ------
        BusyError
            If too many wait, the model is not open yet, or everything is closed.
        ImageError
            If the picture cannot be read.
        PromptError
            If nothing of what was asked can be answered.
        SamPluginsError
            Why the model cannot answer.
        """
        desk = self._desk
        with desk.room.enter(question.task, question.labels, question.prompts) as place:
            try:
                return self._answered(question, place)
            except SupersededError:
                return Answers(model_version=self.model_version)
            except (BusyError, PromptError):
                raise
            except Exception:
                desk.meters.count("failed")
                raise

    def prepare(self, picture: Picture) -> None:
        """Embed a picture in the background; returns at once."""
        self._preparing.prepare(picture)

    def prefetch(self, pictures: Sequence[Picture]) -> None:
        """Embed pictures when nothing else is to be done; returns at once."""
        self._preparing.prefetch(pictures)

    def annotate(
        self,
        config: "LabelConfig",
        task: Mapping[str, Any],
        *,
        mode: str | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Answers:
        """A whole task: its prompts turned into masks, or everything that is to be seen.

        Parameters
        ----------
        config, task
            As Label Studio has them.
        mode
            "prompts", "everything" or "none"; None for what the config says.
        stop
            Asked at each step.

        Raises
        ------
        StoppedError
            If `stop` said so before everything was found.
        SamPluginsError
            Why it cannot be annotated.
        """
        return annotate_task(self._desk, config, task, mode=mode, stop=stop)

    def batch(
        self,
        config: "LabelConfig",
        tasks: Sequence[Mapping[str, Any]],
        seconds: float,
    ) -> list[list[tuple[Ask, Found]] | None]:
        """What is found in each task; None where it was not done in `seconds`, or failed.

        Those are done later, and are there when they are asked for again. One task that has no
        prompts is only prepared, and is None at once.
        """
        found = self._batches.batch(config, tasks, seconds)
        return cast("list[list[tuple[Ask, Found]] | None]", found)

    def versions(self) -> list[str]:
        """Models that can be gone back to, and the one in use at the end."""
        return self._desk.model.versions()

    def status(self) -> dict[str, Any]:
        """How the model is, and how much waits."""
        return {
            **self._desk.model.status(),
            "queue": self._desk.room.waiting,
            "running": self._desk.room.running,
            "prepare_queue": len(self._preparing.opened),
            "prefetch_queue": len(self._preparing.ahead),
            "later_queue": len(self._batches.later),
        }

    def close(self, seconds: float = 10.0) -> None:
        """Refuse what is new, finish what is here for so long, then close the model."""
        self._preparing.close()
        self._batches.close()
        self._desk.room.close(seconds)
        self._desk.model.close()

    def _answered(self, question: Question, place: Place) -> Answers:
        desk, encoded = self._desk, self._desk.sessions.encoded
        loaded = desk.load(question.picture)
        with desk.model.lease() as model:
            session = desk.sessions.open(model, loaded)
            before = encoded.count
            asks = self._embedded(question.read(loaded.size), session, place)
            answers = Answers(model_version=model.version)
            if asks:
                with place.turn():
                    start, used = time.perf_counter(), encoded.seconds
                    found = [(ask, desk.find(session, ask)) for ask in asks]
                    seconds = time.perf_counter() - start - (encoded.seconds - used)
                desk.meters.seconds("decode", seconds)
                hit = encoded.count == before
                desk.meters.count("embedding_hit" if hit else "embedding_miss")
                answers.extend((ask, one) for ask, one in found if one is not None)
            desk.sessions.trim()
        if len(session.tiled.grid) == 1:  # else there are other tiles
            self._preparing.note(question.picture, model.version)
        return answers

    def _embedded(self, asks: Sequence[Ask], session: Session, place: Place) -> list[Ask]:
        """Those that can be answered, once the windows they lie in are embedded."""
        answerable: list[Ask] = []
        refused: PromptError | None = None
        for ask in asks:
            try:
                window = session.window(ask.interaction)
            except PromptError as error:
                self._desk.meters.count("unanswerable")
                _log.info("A prompt was left out: %s", error)
                refused = error
                continue
            place.check()
            self._desk.embed(session, window, Rank.CLICK)
            answerable.append(ask)
        if refused is not None and not answerable:
            raise refused
        return answerable
