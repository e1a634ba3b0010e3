"""SA-1B: one document of each picture, in a folder."""

import json
from collections.abc import Iterator

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.export_folder import ExportFolder
from fiftyone_plugin.exchange.matching import Found, Objects
from fiftyone_plugin.exchange.records import about_of, extras_of, object_of, record_of
from fiftyone_plugin.exchange.values import (
    ExchangedObject,
    ExchangedPicture,
    ImportSettings,
    Pictures,
)
from sam_plugins.errors import DatasetError
from sam_plugins.formats import Sa1bImage, read_sa1b, sa1b_file_name, sa1b_files, to_sa1b
from sam_plugins.types import Size

__all__ = ["Sa1bWriter", "read_sa1b_pictures"]

_MOST_BYTES = 1 << 26
_UNMEASURED = "unmeasured"
"""Key of an annotation: names of scores that nobody gave, and that the format wants."""

_OURS = ("sam-plugins-export.json",)


class Sa1bWriter:
    """Writes a document for each picture, beside it where pictures are copied.

    Parameters
    ----------
    folder
        Of the export.
    pictures
        What becomes of the picture files.
    """

    def __init__(self, folder: ExportFolder, pictures: Pictures) -> None:
        self._folder, self._pictures = folder, pictures

    def add(self, picture: ExchangedPicture) -> bool:
        """Write one picture's document; gives whether it is in the export."""
        image = Sa1bImage(
            image_id=picture.number,
            file_name=picture.name,
            size=picture.size,
            records=tuple(record_of(each, picture.size) for each in picture.objects),
            extras=tuple(_extras(each) for each in picture.objects),
            about=about_of(picture),
        )
        name = sa1b_file_name(picture.name)
        content = json.dumps(to_sa1b(image), allow_nan=False).encode()
        copied = [picture.name] if self._pictures is not Pictures.NONE else []
        self._folder.note(picture, name, *copied)
        for each in copied:
            self._folder.put_picture(each, picture, self._pictures)
        self._folder.put(name, content)
        return True

    def finish(self) -> None:
        """Nothing is left to write."""

    def close(self) -> None:
        """Nothing is held."""


def _extras(each: ExchangedObject) -> dict[str, object]:
    extras: dict[str, object] = extras_of(each)
    if each.label is not None:
        extras["label"] = each.label
    unmeasured = ["predicted_iou"] if each.confidence is None else []
    unmeasured += ["stability_score"] if "stability_score" not in each.attributes else []
    return {**extras, _UNMEASURED: unmeasured} if unmeasured else extras


def read_sa1b_pictures(settings: ImportSettings) -> Iterator[Found]:
    """The documents of a folder, or a single one, one after the other.

    Raises
    ------
    ExchangeError
        If there is no such folder or file.
    """
    source = settings.source
    try:
        paths = sa1b_files(source) if source.is_dir() else iter([source])
        for path in paths:
            if path.name in _OURS:
                continue
            try:
                image = read_sa1b(path, max_bytes=min(settings.max_bytes, _MOST_BYTES))
            except DatasetError as error:
                yield Found(name=path.name, reason=str(error))
                continue
            yield Found(
                name=image.file_name,
                sample_id=image.about.get("sample_id"),
                filepath=image.about.get("filepath"),
                objects=_reader(image),
            )
    except OSError as error:
        raise ExchangeError(
            f"Expected a folder of SA-1B documents, found '{source}': {error.strerror or error}."
        ) from error


def _reader(image: Sa1bImage) -> Objects:
    def read(size: Size) -> list[ExchangedObject]:
        if image.size != tuple(size):
            raise DatasetError(
                f"Expected masks for a picture of {size[0]} x {size[1]}, found some for "
                f"{image.size}: they belong to another version of it."
            )
        found = []
        for place, record in enumerate(image.records):
            extras = dict(image.extras[place]) if image.extras else {}
            label = extras.pop("label", None)
            unmeasured = extras.pop(_UNMEASURED, None)
            unsaid = unmeasured if isinstance(unmeasured, list) else []
            found.append(
                object_of(
                    record,
                    label if isinstance(label, str) and label else None,
                    extras,
                    confidence=None if "predicted_iou" in unsaid else record.predicted_iou,
                    stability=None if "stability_score" in unsaid else record.stability_score,
                )
            )
        return found

    return read
