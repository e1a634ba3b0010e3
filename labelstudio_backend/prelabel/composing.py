"""The model as what a run calls for each task."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from labelstudio_backend.controls import LabelConfig, write_regions
from labelstudio_backend.errors import ConfigError
from labelstudio_backend.values import Ask, Found, mean_score

__all__ = ["AnnotatorPort", "TaskAnnotator", "check_choices"]


class AnnotatorPort(Protocol):
    """What of `answering.Annotator` is used here."""

    @property
    def model_version(self) -> str:
        """Of the model that answers; empty until it is open."""
        ...

    def annotate(
        self,
        config: LabelConfig,
        task: Mapping[str, Any],
        *,
        mode: str | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> list[tuple[Ask, Found]]:
        """A whole task."""
        ...


class TaskAnnotator:
    """Answers tasks with one model; does not go on with another.

    Parameters
    ----------
    annotator
        The model.
    config
        The labelling config.
    version
        Of the model that the run began with.
    mode, label
        As `prelabel` was asked for them.
    """

    def __init__(
        self,
        annotator: AnnotatorPort,
        config: LabelConfig,
        version: str,
        mode: str | None,
        label: str | None,
    ) -> None:
        self._annotator, self._config = annotator, config
        self._version, self._mode, self._label = version, mode, label
        self._stopping: Callable[[], bool] = lambda: False
        self._stop: Callable[[], None] = lambda: None
        self.replaced = False
        """Whether the run was stopped as the model is another one now."""

    def belongs_to(self, stop: Callable[[], None], stopping: Callable[[], bool]) -> None:
        """Say how the run is stopped, and whether it is."""
        self._stop, self._stopping = stop, stopping

    def __call__(self, task: Mapping[str, Any]) -> tuple[list[dict[str, Any]], float | None]:
        """A task's regions and the mean of their scores.

        Raises
        ------
        SamPluginsError
            Whatever the picture, the config or the model cannot do.
        """
        answers = self._annotator.annotate(self._config, task, mode=self._mode, stop=self._stopping)
        if getattr(answers, "model_version", self._annotator.model_version) != self._version:
            self.replaced = True
            self._stop()
            return [], None
        labelled = [(self._labelled(ask), found) for ask, found in answers]
        regions = write_regions(self._config, labelled, self._version)
        return regions, mean_score([found.score for _, found in answers])

    def _labelled(self, ask: Ask) -> Ask:
        if self._label is None or (ask.label is not None and self._mode != "everything"):
            return ask
        return replace(ask, label=self._label)


def check_choices(config: LabelConfig, mode: str | None, label: str | None) -> None:
    """Refuse what would fail for every task.

    Raises
    ------
    ConfigError
        If no tag can write such answers, the label is none of the config's, or nothing is to be
        computed.
    """
    wanted = set()
    for image in config.images:
        own_mode, own_label = config.automatic(image.name)
        wanted.add(mode or own_mode)
        if label is not None:
            config.output(label, image.name)
        elif (mode or own_mode) == "everything" and own_label is None:
            try:
                config.output(None, image.name)
            except ConfigError as error:
                raise ConfigError(
                    f"What everything-mode finds on {image.name!r} needs a label, and there are "
                    "several: give one by --label, or sam_label to the tag."
                ) from error
    if wanted == {"none"}:
        raise ConfigError(
            'The labelling config says sam_predict="none" for every picture: give --mode.'
        )
