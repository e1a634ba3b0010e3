"""Masks of a dataset or view to files."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Protocol

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.coco_file import CocoWriter
from fiftyone_plugin.exchange.export_folder import ExportFolder
from fiftyone_plugin.exchange.film_frames import (
    check_frames,
    classes_of_frames,
    count_frames,
    frames_with_masks,
    in_frames,
)
from fiftyone_plugin.exchange.label_studio_tasks import TasksWriter
from fiftyone_plugin.exchange.pictures import export_names
from fiftyone_plugin.exchange.reading import check_field, classes_of, pictures_with_masks
from fiftyone_plugin.exchange.sa1b_folder import Sa1bWriter
from fiftyone_plugin.exchange.training_set import TrainingWriter
from fiftyone_plugin.exchange.values import (
    ExchangedPicture,
    ExportReport,
    ExportSettings,
    Format,
    Pictures,
)
from fiftyone_plugin.exchange.yolo_folder import YoloWriter
from fiftyone_plugin.runs import Stop, Tell, WorkProgress, pictures_of
from fiftyone_plugin.values import Mode
from sam_plugins.errors import SamPluginsError

__all__ = ["export_masks"]


class _Writer(Protocol):
    def add(self, picture: ExchangedPicture) -> bool: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


def export_masks(
    view: Any,
    settings: ExportSettings,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
) -> ExportReport:
    """Write the masks of a field; one sample is in memory at a time.

    The same call into the same folder continues after an accident: each file is whole, those that
    are there with the same content are not written again, and those of samples that are gone are
    removed. COCO's document and Label Studio's tasks are single files, which begin anew.

    Parameters
    ----------
    view
        A FiftyOne dataset or view. Samples that are no pictures are passed over; with a field of
        frames, those that are no videos, and each frame that has masks is a picture.
    settings
        What, how and where.
    progress, stop
        As `work_on` takes them.

    Raises
    ------
    FieldError
        If there is no such field of Detections.
    ExchangeError
        If the folder holds something else, or cannot be written; or the format is not for frames.
    """
    field = settings.label_field
    frames = in_frames(view, field)
    view = pictures_of(view, Mode.VIDEO if frames else Mode.PROMPTS)
    if frames:
        check_frames(view, settings)
    else:
        check_field(view, field)
    _check(settings)
    report = ExportReport(folder=str(settings.folder))
    ids, paths = view.values(["id", "filepath"])
    names = export_names(zip(ids, paths, strict=True))
    classes = classes_of_frames(view, field) if frames else classes_of(view, field)
    with (
        ExportFolder(settings.folder, _record(view, settings), report) as folder,
        closing(_writer(view, folder, settings, report, classes)) as writer,
    ):
        if frames:
            total = count_frames(view, field)
            pictures = frames_with_masks(view, settings, names, report)
        else:
            total, reviews = len(names), settings.chosen_reviews
            pictures = pictures_with_masks(view, field, names, reviews, report)
        _each(pictures, writer, report, total, progress, stop)
        if not report.stopped:
            writer.finish()
            folder.finish()
    return report


def _each(
    pictures: Iterator[ExchangedPicture | None],
    writer: _Writer,
    report: ExportReport,
    total: int,
    progress: Tell | None,
    stop: Stop | None,
) -> None:
    for done, picture in enumerate(pictures, 1):
        if stop is not None and stop():
            report.stopped = True
            return
        if picture is not None:
            _add(picture, writer, report)
        if progress is not None:
            progress(WorkProgress(done, total, report.objects, "written"))


def _add(picture: ExchangedPicture, writer: _Writer, report: ExportReport) -> None:
    for each in picture.others:
        report.reasons[f"masks that are {each.review.value}"] += 1
    try:
        written = writer.add(picture)
    except ExchangeError:
        raise
    except SamPluginsError as error:
        report.failed += 1
        report.reasons[str(error)] += 1
        return
    if written:
        report.pictures += 1
        report.objects += len(picture.objects)


def _check(settings: ExportSettings) -> None:
    if settings.format is Format.TRAINING and settings.chosen_pictures is Pictures.NONE:
        raise ExchangeError(
            "Expected pictures beside the masks of a training set, found none: copy or link them."
        )
    no_root = settings.format is Format.LABEL_STUDIO and not settings.image_root
    if no_root and settings.chosen_pictures is Pictures.NONE:
        raise ExchangeError(
            "Expected to know where Label Studio finds the pictures, found neither a folder that "
            "it serves nor copies: name the folder, or let pictures be copied."
        )


def _record(view: Any, settings: ExportSettings) -> dict[str, Any]:
    """What a folder says it is for; the same export continues there."""
    return {
        "made_by": "sam-plugins",
        "version": 1,
        "format": settings.format.value,
        "dataset": view._dataset.name,
        "label_field": settings.label_field,
        "reviews": [each.value for each in settings.chosen_reviews],
        "pictures": settings.chosen_pictures.value,
        "scores": settings.scores,
        "tolerance": settings.tolerance,
    }


def _writer(
    view: Any,
    folder: ExportFolder,
    settings: ExportSettings,
    report: ExportReport,
    classes: list[str],
) -> _Writer:
    pictures = settings.chosen_pictures
    match settings.format:
        case Format.COCO:
            return CocoWriter(folder, classes, _record(view, settings), pictures)
        case Format.SA1B:
            return Sa1bWriter(folder, pictures)
        case Format.YOLO:
            return YoloWriter(
                folder, classes, pictures, scores=settings.scores, tolerance=settings.tolerance
            )
        case Format.TRAINING:
            return TrainingWriter(folder, pictures, report.reasons)
        case Format.LABEL_STUDIO:
            name = view._dataset.name
            return TasksWriter(folder, classes, settings, name, report.reasons)
