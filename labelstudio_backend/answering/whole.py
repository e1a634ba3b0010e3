"""A whole task annotated: its prompts turned into masks, or everything that is to be seen."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from labelstudio_backend.answering.desk import Desk
from labelstudio_backend.answering.sessions import Session
from labelstudio_backend.answering.used_model import UsedModel
from labelstudio_backend.answering.values import Answers
from labelstudio_backend.answering.waiting_room import Rank, StoppedError
from labelstudio_backend.errors import ConfigError
from labelstudio_backend.values import Ask, Found, Picture
from sam_plugins import Interaction, MaskRecord, Progress, generate_tiled_masks
from sam_plugins.errors import PromptError, SamPluginsError
from sam_plugins.formats import rle_to_crop

if TYPE_CHECKING:
    from labelstudio_backend.controls import LabelConfig

__all__ = ["annotate_task", "has_work", "modes"]

MODES = ("prompts", "everything", "none")

Stop = Callable[[], bool]


def modes(
    config: "LabelConfig", task: Mapping[str, Any], mode: str | None
) -> list[tuple[str, int | None, Picture, str, str | None]]:
    """What is to be done with each picture of a task: (to_name, item, picture, mode, label).

    Raises
    ------
    ConfigError
        If the mode is unknown, or the config says nothing that can be done.
    """
    if mode is not None and mode not in MODES:
        raise ConfigError(f"The mode must be one of {', '.join(MODES)}, found {mode!r}.")
    from labelstudio_backend.controls import task_data

    found = []
    for to_name, item, picture in config.pictures(task_data(task)):
        said, label = config.automatic(to_name)
        if (mode or said) != "none":
            found.append((to_name, item, picture, mode or said, label))
    return found


def has_work(config: "LabelConfig", task: Mapping[str, Any]) -> bool:
    """Whether anything of a task can be annotated now; False for one that waits for prompts."""
    return any(
        mode == "everything" or _has_prompts(config, task, to_name, item)
        for to_name, item, _, mode, _ in modes(config, task, None)
    )


def annotate_task(
    desk: Desk,
    config: "LabelConfig",
    task: Mapping[str, Any],
    *,
    mode: str | None = None,
    stop: Stop | None = None,
    rank: Rank = Rank.BATCH,
    seconds_for_model: float = 60.0,
) -> Answers:
    """Every object of every picture of a task, by one model, in steps that let clicks go first.

    Parameters
    ----------
    desk
        With the model.
    config, task
        As Label Studio has them.
    mode
        "prompts", "everything" or "none"; None for what the config says.
    stop
        Asked at each step.
    rank
        Of the steps.
    seconds_for_model
        To wait for one that is being opened.

    Raises
    ------
    StoppedError
        If `stop` said so before everything was found: a part of a task is no answer.
    SamPluginsError
        Why a picture could not be read or a prompt not be answered.
    """
    asked = stop or (lambda: False)
    wanted = modes(config, task, mode)
    with desk.model.lease(seconds_for_model, asked) as model:
        answers = Answers(model_version=model.version)
        for to_name, item, picture, how, label in wanted:
            _check(asked)
            if how == "prompts" and not _has_prompts(config, task, to_name, item):
                continue
            session = desk.sessions.open(model, desk.load(picture), keep=False)
            if how == "everything":
                found = _everything(desk, model, session, rank, asked)
                answers.extend(
                    (Ask(label, Interaction(points=((x, y, 1),)), to_name, item), one)
                    for (x, y), one in found
                )
            else:
                answers.extend(_prompted(desk, config, task, session, to_name, item, rank, asked))
    return answers


def _prompted(
    desk: Desk,
    config: "LabelConfig",
    task: Mapping[str, Any],
    session: Session,
    to_name: str,
    item: int | None,
    rank: Rank,
    stop: Stop,
) -> Iterator[tuple[Ask, Found]]:
    from labelstudio_backend.controls import task_asks

    for ask in task_asks(config, task, to_name, item, session.picture.size):
        _check(stop)
        try:
            window = session.window(ask.interaction)
        except PromptError:
            desk.meters.count("unanswerable")
            continue
        desk.embed(session, window, rank, stop)
        with desk.room.step(rank, stop):
            found = desk.find(session, ask)
        if found is not None:
            yield ask, found


def _everything(
    desk: Desk, model: UsedModel, session: Session, rank: Rank, stop: Stop
) -> Iterator[tuple[tuple[float, float], Found]]:
    size = session.picture.size
    events: Iterator[Progress | MaskRecord]
    if len(session.tiled.grid) == 1:
        events = model.segmenter.generate_masks(session.picture.rgb)
    else:
        events = generate_tiled_masks(session.tiled)
    try:
        while True:
            with desk.room.step(rank, stop):
                event = next(events, None)
            if event is None:
                return
            if isinstance(event, MaskRecord):
                crop, box = rle_to_crop(event.segmentation)
                yield event.point_coords, Found(crop, box, size, event.predicted_iou)
            else:
                _check(stop)
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()


def _check(stop: Stop) -> None:
    if stop():
        raise StoppedError("The task was stopped before all of it was found.")


def _has_prompts(
    config: "LabelConfig", task: Mapping[str, Any], to_name: str, item: int | None
) -> bool:
    """Whether a task asks something about a picture, which is not read for it."""
    from labelstudio_backend.controls import task_asks

    try:
        return bool(task_asks(config, task, to_name, item, _some_size(task)))
    except SamPluginsError:  # it is told when the picture is there and has its true size
        return True


def _some_size(task: Mapping[str, Any]) -> tuple[int, int]:
    """(H, W) that a region of the task says its picture has; any other if there is none."""
    for kind in ("annotations", "drafts", "predictions"):
        for holder in task.get(kind) or ():
            for region in (holder.get("result") if isinstance(holder, Mapping) else None) or ():
                with suppress(TypeError, ValueError, KeyError):
                    height, width = int(region["original_height"]), int(region["original_width"])
                    if height > 0 and width > 0:
                        return height, width
    return 1000, 1000
