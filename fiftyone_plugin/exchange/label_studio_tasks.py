"""Tasks of Label Studio with pre-annotations: what a curator is unsure of, for people to decide.

``tasks.json`` is what Label Studio imports, ``label_config.xml`` the project's labelling interface.
A region's id is its label's, and the task's data say which labels were asked about, so that
answers find them: a region that is gone was taken away by somebody.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from fiftyone_plugin.errors import ExchangeError
from fiftyone_plugin.exchange.export_folder import ExportFolder
from fiftyone_plugin.exchange.records import UNNAMED
from fiftyone_plugin.exchange.values import (
    ExchangedObject,
    ExchangedPicture,
    ExportSettings,
    Pictures,
)
from fiftyone_plugin.fields import MODEL_ID
from sam_plugins.formats import crop_to_brush_rle, rle_to_crop, whole_file
from sam_plugins.types import Size

__all__ = ["CONFIG", "CONTROL", "IMAGE", "LABELS_KEY", "SAMPLE_KEY", "TASKS", "TasksWriter"]

TASKS = "tasks.json"
CONFIG = "label_config.xml"
CONTROL = "masks"
IMAGE = "image"
SAMPLE_KEY = "fiftyone_sample"
LABELS_KEY = "fiftyone_labels"
FIELD_KEY = "fiftyone_field"
DATASET_KEY = "fiftyone_dataset"
MODELS_KEY = "fiftyone_models"

NOTHING_ASKED = "pictures with nothing to ask about"
ELSEWHERE = "pictures outside of the folder that Label Studio serves"


class TasksWriter:
    """Writes ``tasks.json`` and ``label_config.xml``: they appear when all of it is there.

    Parameters
    ----------
    folder
        Of the export.
    classes
        What regions may be called.
    settings
        Where pictures are served, and how.
    dataset_name
        For the tasks' data.
    reasons
        Counts what is left out.
    """

    def __init__(
        self,
        folder: ExportFolder,
        classes: Sequence[str],
        settings: ExportSettings,
        dataset_name: str,
        reasons: Counter[str],
    ) -> None:
        self._folder, self._settings, self._reasons = folder, settings, reasons
        self._dataset_name = dataset_name
        self._classes = list(classes)
        self._unnamed = False
        root = settings.image_root
        self._root = Path(root).expanduser().absolute() if root else None
        self._number = 0
        self._partial = whole_file(folder.path(TASKS))
        try:
            self._stream = self._partial.__enter__().open("w", encoding="utf-8")
        except OSError as error:
            raise _unwritable(TASKS, error) from error
        self._done = False

    def add(self, picture: ExchangedPicture) -> bool:
        """Write one task; gives whether there is one."""
        if not picture.objects:
            self._reasons[NOTHING_ASKED] += 1
            return False
        place = self._place(picture)
        if place is None:
            self._reasons[ELSEWHERE] += 1
            return False
        if self._settings.chosen_pictures is not Pictures.NONE:
            self._folder.note(picture, f"images/{picture.name}")
            self._folder.put_picture(
                f"images/{picture.name}", picture, self._settings.chosen_pictures
            )
        self._unnamed |= any(each.label is None for each in picture.objects)
        try:
            self._stream.write(",\n" if self._number else "[\n")
            self._stream.write(json.dumps(self._task(picture, place)))
        except OSError as error:
            raise _unwritable(TASKS, error) from error
        self._number += 1
        return True

    def finish(self) -> None:
        """Write what is left; both files are there then."""
        names = self._classes
        if self._unnamed and UNNAMED not in names:
            names = [*names, UNNAMED]
        try:
            self._stream.write("\n]\n" if self._number else "[]\n")
            self._stream.close()
            self._done = True
            self._partial.__exit__(None, None, None)
            with whole_file(self._folder.path(CONFIG)) as partial:
                partial.write_text(label_config(names), "utf-8")
        except OSError as error:
            raise _unwritable(TASKS, error) from error

    def close(self) -> None:
        """Let go of what is not finished."""
        if self._done:
            return
        self._stream.close()
        stop = KeyboardInterrupt()
        self._partial.__exit__(KeyboardInterrupt, stop, None)

    def _place(self, picture: ExchangedPicture) -> str | None:
        """The picture's place below the root of its addresses."""
        if self._root is None:
            return f"images/{picture.name}"
        try:
            return picture.path.absolute().relative_to(self._root).as_posix()
        except ValueError:
            return None

    def _task(self, picture: ExchangedPicture, place: str) -> dict[str, Any]:
        models = {each.attributes.get(MODEL_ID) for each in picture.objects} - {None}
        scores = [each.confidence for each in picture.objects if each.confidence is not None]
        prediction: dict[str, Any] = {
            "model_version": model_version(self._settings.label_field),
            "result": [_region(each, picture.size) for each in picture.objects],
        }
        if scores:
            prediction["score"] = min(scores)
        return {
            "data": {
                IMAGE: self._settings.image_prefix + quote(place),
                SAMPLE_KEY: picture.sample_id,
                LABELS_KEY: [each.label_id for each in picture.objects],
                FIELD_KEY: self._settings.label_field,
                DATASET_KEY: self._dataset_name,
                MODELS_KEY: sorted(map(str, models)),
                "filepath": str(picture.path),
            },
            "predictions": [prediction],
        }


def model_version(label_field: str) -> str:
    """The version of all pre-annotations of an export: Label Studio shows those of one only.

    The hashes of the models that made the masks are in the tasks' data.
    """
    return f"fiftyone {label_field}"


def label_config(classes: Sequence[str]) -> str:
    """A labelling interface with a brush of these classes."""
    labels = "".join(f"\n    <Label value={quoteattr(name)}/>" for name in classes)
    return (
        f'<View>\n  <Image name="{IMAGE}" value="${IMAGE}" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{CONTROL}" toName="{IMAGE}">{labels}\n  </BrushLabels>\n</View>\n'
    )


def _region(each: ExchangedObject, size: Size) -> dict[str, Any]:
    crop, box = rle_to_crop(each.segmentation)
    region = {
        "id": each.label_id,
        "type": "brushlabels",
        "from_name": CONTROL,
        "to_name": IMAGE,
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "value": {
            "format": "rle",
            "rle": crop_to_brush_rle(crop, box, size),
            "brushlabels": [each.label or UNNAMED],
        },
    }
    return region if each.confidence is None else {**region, "score": each.confidence}


def _unwritable(name: str, error: OSError) -> ExchangeError:
    return ExchangeError(
        f"Expected to write {name}, found: {error.strerror or error}. Make room, and start the "
        "same export again."
    )
