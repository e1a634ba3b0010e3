"""COCO: one document of any number of pictures, written and read one picture at a time."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import IO, Any

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.attributes import checked_confidence
from fiftyone_plugin.exchange.export_folder import ExportFolder
from fiftyone_plugin.exchange.matching import Found, Objects
from fiftyone_plugin.exchange.records import UNNAMED, about_of, extras_of, object_of, record_of
from fiftyone_plugin.exchange.values import (
    ExchangedObject,
    ExchangedPicture,
    ImportSettings,
    Pictures,
)
from sam_plugins.errors import DatasetError
from sam_plugins.formats import (
    CocoImage,
    coco_categories,
    from_coco,
    read_coco_document,
    to_coco,
    whole_file,
)
from sam_plugins.types import Size

__all__ = ["DOCUMENT", "CocoWriter", "read_coco_pictures"]

DOCUMENT = "annotations.json"

_UNSAID = ("point_coords", "crop_box")
"""Keys that the core writes and a dataset knows nothing about."""


class CocoWriter:
    """Writes ``annotations.json``: it appears when all of it is there.

    Parameters
    ----------
    folder
        Of the export.
    classes
        Names of the categories, in the order of their ids from 1.
    info
        What the export is.
    pictures
        Where they are not `NONE` they lie in ``images/``, and names begin so.
    """

    def __init__(
        self,
        folder: ExportFolder,
        classes: Sequence[str],
        info: Mapping[str, Any],
        pictures: Pictures,
    ) -> None:
        self._folder, self._info, self._pictures = folder, info, pictures
        self._categories = dict(enumerate(classes, 1))
        self._held = ExitStack()
        self._images = self._held.enter_context(_spool())
        self._annotations = self._held.enter_context(_spool())
        self._number = 0

    def add(self, picture: ExchangedPicture) -> bool:
        """Take one picture; gives whether it is in the export."""
        name = picture.name
        if self._pictures is not Pictures.NONE:
            name = f"images/{picture.name}"
            self._folder.note(picture, name)
            self._folder.put_picture(name, picture, self._pictures)
        image = CocoImage(
            file_name=name,
            size=picture.size,
            records=tuple(record_of(each, picture.size) for each in picture.objects),
            categories=tuple(each.label for each in picture.objects),
            extras=tuple(extras_of(each) for each in picture.objects),
            about=about_of(picture),
        )
        document = to_coco([image], categories=self._categories)
        self._categories = {each["id"]: each["name"] for each in document["categories"]}
        shown = {**document["images"][0], "id": picture.number}
        _append(self._images, shown)
        for annotation, each in zip(document["annotations"], picture.objects, strict=True):
            self._number += 1
            said = {**annotation, "id": self._number, "image_id": picture.number}
            for key in _unsaid(each):
                del said[key]
            _append(self._annotations, said)
        return True

    def finish(self) -> None:
        """Write the document."""
        categories = [{"id": key, "name": name} for key, name in self._categories.items()]
        path = self._folder.path(DOCUMENT)
        try:
            with whole_file(path) as partial, partial.open("w", encoding="utf-8") as stream:
                stream.write(f'{{"info": {json.dumps(dict(self._info))}, "images": [')
                _pour(self._images, stream)
                stream.write("], \n")
                stream.write(f'"categories": {json.dumps(categories)}, "annotations": [')
                _pour(self._annotations, stream)
                stream.write("]}\n")
        except OSError as error:
            raise ExchangeError(
                f"Expected to write '{path}', found: {error.strerror or error}. Make room, and "
                "start the same export again."
            ) from error

    def close(self) -> None:
        """Let go of what is not finished."""
        self._held.close()


def _spool() -> AbstractContextManager[IO[str]]:
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def _unsaid(each: ExchangedObject) -> list[str]:
    unsaid = list(_UNSAID)
    if each.confidence is None:
        unsaid.append("predicted_iou")
    if "stability_score" not in each.attributes:
        unsaid.append("stability_score")
    return unsaid


def _append(stream: IO[str], value: Any) -> None:
    if stream.tell():
        stream.write(",")
    stream.write("\n" + json.dumps(value))


def _pour(source: IO[str], target: IO[str]) -> None:
    source.seek(0)
    while text := source.read(1 << 20):
        target.write(text)


def read_coco_pictures(settings: ImportSettings) -> Iterator[Found]:
    """The pictures of a COCO document, their masks decoded when they are asked for.

    Raises
    ------
    ExchangeError
        If it is too large, no COCO document, or its pictures or categories are damaged.
    """
    source = settings.source
    path = source / DOCUMENT if source.is_dir() else source
    try:
        document = read_coco_document(path, max_bytes=settings.max_bytes)
        coco_categories(document)
        images = document.get("images") if isinstance(document, dict) else None
        listed = document.get("annotations") if isinstance(document, dict) else None
        if not isinstance(images, list) or not isinstance(listed or [], list):
            raise DatasetError("A COCO document needs lists 'images' and 'annotations'.")
    except (DatasetError, OSError) as error:
        raise ExchangeError(f"Expected a COCO document, found: {error}") from error
    annotations: dict[Any, list[Any]] = {}
    for annotation in listed or []:
        named = annotation.get("image_id") if isinstance(annotation, dict) else None
        if isinstance(named, int | str):
            annotations.setdefault(named, []).append(annotation)
    categories = document.get("categories") or []
    del document, listed
    for image in images:
        about = image if isinstance(image, dict) else {}
        own = about.get("id")
        mine = annotations.get(own, []) if isinstance(own, int | str) else []
        yield Found(
            name=str(about.get("file_name"))[:1024],
            sample_id=about.get("sample_id"),
            filepath=about.get("filepath"),
            objects=_reader(image, mine, categories),
        )


def _reader(image: Any, annotations: list[Any], categories: list[Any]) -> Objects:
    def read(size: Size) -> list[ExchangedObject]:
        document = {"images": [image], "annotations": annotations, "categories": categories}
        said = (image.get("height"), image.get("width")) if isinstance(image, dict) else None
        if said != tuple(size):
            raise DatasetError(
                f"Expected masks for a picture of {size[0]} x {size[1]}, found some for {said}: "
                "they belong to another version of it."
            )
        (picture,) = from_coco(document)
        extras = picture.extras or ({},) * len(picture.records)
        names = picture.categories or (None,) * len(picture.records)
        return [
            object_of(
                record,
                name or UNNAMED,
                extra,
                confidence=checked_confidence(raw.get("predicted_iou")),
                stability=checked_confidence(raw.get("stability_score")),
            )
            for record, name, extra, raw in zip(
                picture.records, names, extras, annotations, strict=True
            )
        ]

    return read
