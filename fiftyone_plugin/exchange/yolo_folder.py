"""YOLO segmentation: pictures, a text file of outlines for each, and names of classes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.export_folder import ExportFolder
from fiftyone_plugin.exchange.matching import Found, Objects, files_below
from fiftyone_plugin.exchange.records import UNNAMED
from fiftyone_plugin.exchange.values import (
    ExchangedObject,
    ExchangedPicture,
    ImportSettings,
    Pictures,
)
from sam_plugins.errors import DatasetError
from sam_plugins.formats import (
    YoloData,
    YoloObject,
    read_yolo_data,
    read_yolo_labels,
    rle_area,
    rle_to_box,
    to_yolo_labels,
    write_yolo_data,
)
from sam_plugins.types import Size

__all__ = ["YoloWriter", "read_yolo_pictures"]

_DATA = "data.yaml"
_MOST_BYTES = 1 << 26


class YoloWriter:
    """Writes ``images/``, ``labels/`` and ``data.yaml``.

    Parameters
    ----------
    folder
        Of the export.
    classes
        Names of the classes, in the order of their indices from 0.
    pictures
        What becomes of the picture files.
    scores
        End lines with the confidence.
    tolerance
        How far outlines may move, in pixels.
    """

    def __init__(
        self,
        folder: ExportFolder,
        classes: Sequence[str],
        pictures: Pictures,
        *,
        scores: bool,
        tolerance: float,
    ) -> None:
        self._folder, self._pictures = folder, pictures
        self._classes = {name: index for index, name in enumerate(classes)}
        self._scores, self._tolerance = scores, tolerance

    def add(self, picture: ExchangedPicture) -> bool:
        """Write one picture's labels; gives whether it is in the export."""
        objects = [
            YoloObject(
                class_index=self._classes.setdefault(each.label or UNNAMED, len(self._classes)),
                box=each.box,
                segmentation=each.segmentation,
                confidence=_confidence(each) if self._scores else None,
            )
            for each in picture.objects
        ]
        text, _ = to_yolo_labels(objects, picture.size, tolerance=self._tolerance)
        name = f"labels/{Path(picture.name).stem}.txt"
        copied = [f"images/{picture.name}"] if self._pictures is not Pictures.NONE else []
        self._folder.note(picture, name, *copied)
        for each in copied:
            self._folder.put_picture(each, picture, self._pictures)
        self._folder.put(name, text.encode("ascii"))
        return True

    def finish(self) -> None:
        """Write the names of the classes. Training and validation name the same pictures."""
        names = {index: name for name, index in self._classes.items()}
        data = YoloData(names=names, train=("images",), val=("images",))
        try:
            write_yolo_data(self._folder.path(_DATA), data)
        except OSError as error:
            raise ExchangeError(
                f"Expected to write {_DATA}, found: {error.strerror or error}. Make room, and "
                "start the same export again."
            ) from error

    def close(self) -> None:
        """Nothing is held."""


def _confidence(each: ExchangedObject) -> float | None:
    return None if each.confidence is None else min(max(each.confidence, 0.0), 1.0)


def read_yolo_pictures(settings: ImportSettings) -> Iterator[Found]:
    """The label files of a data set, one after the other.

    Pictures are known by the stems of their names alone: the format says no more.

    Parameters
    ----------
    settings
        The source is the folder with ``data.yaml``, or that file.

    Raises
    ------
    ExchangeError
        If there is no such folder or file, or it is damaged.
    """
    source = settings.source
    path = source / _DATA if source.is_dir() else source
    try:
        data = read_yolo_data(path)
    except (DatasetError, OSError) as error:
        raise ExchangeError(f"Expected the {_DATA} of a YOLO data set, found: {error}") from error
    labels = path.parent / "labels"
    if not labels.is_dir():
        raise ExchangeError(
            f"Expected a folder 'labels' beside '{path}', found none: name the folder of the data "
            "set."
        )
    for file in files_below(labels, (".txt",)):
        stem = file.relative_to(labels).with_suffix("").as_posix()
        yield Found(name=stem, by_stem=True, objects=_reader(file, data, settings.max_bytes))


def _reader(path: Path, data: YoloData, max_bytes: int) -> Objects:
    def read(size: Size) -> list[ExchangedObject]:
        count = max(data.names, default=-1) + 1
        try:
            lines = read_yolo_labels(
                path, size, class_count=count, max_bytes=min(max_bytes, _MOST_BYTES)
            )
        except OSError as error:
            raise DatasetError(f"'{path}': {error.strerror or error}.") from error
        return [
            ExchangedObject(
                label=data.names.get(each.class_index, str(each.class_index)),
                segmentation=each.segmentation,
                box=rle_to_box(each.segmentation),
                area=rle_area(each.segmentation),
                confidence=each.confidence,
            )
            for each in lines
            if each.segmentation is not None
        ]

    return read
