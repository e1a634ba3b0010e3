"""What the backend answers: dicts in, dicts out, no HTTP.

The routes and the official SDK's model both call these.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from time import perf_counter
from typing import Any, Protocol

from labelstudio_backend.answering import Meters, Question
from labelstudio_backend.controls import (
    LabelConfig,
    prompt_keys,
    read_asks,
    read_config,
    task_data,
    which_picture,
    write_regions,
)
from labelstudio_backend.errors import ConfigError, RequestError
from labelstudio_backend.server.wire import (
    PredictRequest,
    label_config,
    prediction,
    predictions,
    read_event,
)
from labelstudio_backend.values import Ask, Found, Picture

__all__ = ["Handlers", "LookAhead"]

OPEN_SECONDS = 0.5
"""How long a task that is opened may keep Label Studio: the embedding goes on behind it."""

MOST_PROMPTS = 100
"""In one click: all that it asks is answered in one turn, for which everybody else waits."""

CONFIGS = 64
"""Labelling configs that are remembered by their text."""

LookAhead = Callable[[int, Mapping[str, Any], LabelConfig], None]
"""Prepares the tasks of a project that come after this one; returns at once."""


class AnnotatorPort(Protocol):
    """What of `answering.Annotator` is used here."""

    @property
    def model_version(self) -> str:
        """Name and hash; empty until the model is open."""

    def click(self, question: Question) -> list[tuple[Ask, Found]]:
        """Objects of an interactive request."""

    def batch(
        self, config: LabelConfig, tasks: Sequence[Mapping[str, Any]], seconds: float
    ) -> list[list[tuple[Ask, Found]] | None]:
        """One element per task; None is not finished."""

    def versions(self) -> list[str]:
        """Models that can be gone back to, and the one in use."""

    def status(self) -> dict[str, Any]:
        """For `/health`."""

    def close(self, seconds: float) -> None:
        """Finish what runs."""


class IntakePort(Protocol):
    """What of `learning.Intake` is used here."""

    def accept(self, event: Mapping[str, Any]) -> None:
        """Store an event, soon."""


class Handlers:
    """What the backend answers, whoever asks; thread-safe.

    Parameters
    ----------
    annotator
        Finds objects.
    intake
        Keeps what was submitted.
    batch_seconds
        How long a request for several tasks may take.
    look_ahead
        Told of each task that is opened; None where nobody knows what comes next.
    meters
        Where the writing of regions is measured.
    closing
        Called after the annotator was closed.
    """

    def __init__(
        self,
        annotator: AnnotatorPort,
        intake: IntakePort,
        *,
        batch_seconds: float = 80.0,
        look_ahead: LookAhead | None = None,
        meters: Meters | None = None,
        closing: Iterable[Callable[[], None]] = (),
    ) -> None:
        self._annotator = annotator
        self._intake = intake
        self._batch_seconds = batch_seconds
        self._look_ahead = look_ahead
        self._meters = meters
        self._closing = tuple(closing)
        self._config = lru_cache(maxsize=CONFIGS)(read_config)

    def health(self) -> dict[str, Any]:
        """Say that the backend is there, and whether its model is."""
        version = self._annotator.model_version
        return {
            "model_class": "SamModel",
            "ready": bool(version),
            **self._annotator.status(),
            "status": "UP",
            "model_version": version,
        }

    def setup(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Check a project's labelling config; its token and its hostname are not kept.

        The version is empty until the model is open; Label Studio asks again before it predicts.

        Raises
        ------
        RequestError, ConfigError
            If there is no labelling config, or one that nothing can be done with.
        """
        _check(self._config(label_config(body, "schema")))
        return {"model_version": self._annotator.model_version}

    def predict(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a click, or tasks that were opened or selected.

        Returns
        -------
        dict
            `results` with one element per task; `[]` where the task is to be asked about again.

        Raises
        ------
        SamPluginsError
            Whatever the request, the picture or the model cannot do.
        """
        request = PredictRequest.read(body)
        config = self._config(request.label_config)
        if request.regions:
            return self._click(config, request)
        return self._batch(config, request)

    def webhook(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take an event of Label Studio's.

        Raises
        ------
        RequestError
            If it is none.
        """
        self._intake.accept(read_event(body))
        return {"accepted": True}

    def versions(self) -> dict[str, Any]:
        """Say which models there are."""
        return {
            "versions": self._annotator.versions(),
            "model_version": self._annotator.model_version,
        }

    def close(self, seconds: float) -> None:
        """Finish what runs, and answer nothing more."""
        self._annotator.close(seconds)
        for close in self._closing:
            close()

    def _click(self, config: LabelConfig, request: PredictRequest) -> dict[str, Any]:
        if len(request.tasks) != 1:
            raise RequestError(
                f"A context belongs to one task, found {len(request.tasks)} tasks beside it."
            )
        task, regions = request.tasks[0], request.regions
        prompts = prompt_keys(regions)
        if len(prompts) > MOST_PROMPTS:
            raise RequestError(
                f"A click has at most {MOST_PROMPTS} prompts, found {len(prompts)}: accept or "
                "delete what is there, and go on from that."
            )
        to_name, item = which_picture(config, regions)
        picture = config.picture(task_data(task), to_name, item)
        answers = self._annotator.click(
            Question(
                task=_task_key(task, picture),
                picture=picture,
                prompts=prompts,
                labels=_labels(regions),
                read=lambda size: read_asks(config, regions, size),
            )
        )
        found = self._prediction(config, answers)
        return predictions([found], found["model_version"])

    def _batch(self, config: LabelConfig, request: PredictRequest) -> dict[str, Any]:
        opened = len(request.tasks) == 1
        found = self._annotator.batch(
            config, request.tasks, OPEN_SECONDS if opened else self._batch_seconds
        )
        results: list[Any] = [[] for _ in request.tasks]
        everything = _finds_everything(config)
        for number, answers in enumerate(found[: len(results)]):
            if answers or (answers is not None and everything):
                results[number] = self._prediction(config, answers)
        if opened and self._look_ahead is not None and request.project is not None:
            self._look_ahead(request.project, request.tasks[0], config)
        return predictions(results, self._annotator.model_version)

    def _prediction(
        self, config: LabelConfig, answers: Sequence[tuple[Ask, Found]]
    ) -> dict[str, Any]:
        """With the version of the model that found it, which may have been replaced since."""
        version = getattr(answers, "model_version", "") or self._annotator.model_version
        started = perf_counter()
        regions = write_regions(config, answers, version)
        if self._meters is not None:
            self._meters.seconds("write", perf_counter() - started)
        return prediction(regions, [found.score for _, found in answers], version)


def _task_key(task: Mapping[str, Any], picture: Picture) -> str:
    number = task.get("id")
    return f"picture {picture.address}" if number is None else str(number)


def _labels(regions: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Every label that a region of the context has, whatever its tag."""
    found: set[str] = set()
    for region in regions:
        value = region.get("value")
        if isinstance(value, Mapping):
            for key, labels in value.items():
                if str(key).endswith("labels") and isinstance(labels, list):
                    found.update(label for label in labels if isinstance(label, str))
    return frozenset(found)


def _finds_everything(config: LabelConfig) -> bool:
    """Whether a task without prompts is annotated, so that finding nothing is an answer."""
    for image in config.images:
        with suppress(ConfigError):  # a picture that is only looked at
            if config.automatic(image.name)[0] == "everything":
                return True
    return False


def _check(config: LabelConfig) -> None:
    """Refuse a config of which no picture can be answered."""
    refused = ConfigError("The labelling config has no <Image> tag: only pictures are answered.")
    for image in config.images:
        try:
            config.automatic(image.name)
        except ConfigError as error:
            refused = error
        else:
            return
    raise refused
