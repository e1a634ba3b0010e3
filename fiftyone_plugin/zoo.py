"""The model in FiftyOne's zoo: `dataset.apply_model(model, label_field=..., prompt_field=...)`.

FiftyOne gives one picture and one sample at a time. A sample without prompts is done with empty
Detections and is not encoded; one that cannot be read raises, and costs no other its masks.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import fiftyone.core.labels as fol
import fiftyone.core.models as fom

from fiftyone_plugin.errors import FieldError, SampleError
from fiftyone_plugin.labels import detection_of, local_name, open_picture, read_asked
from fiftyone_plugin.masking import mask_everything, mask_objects
from fiftyone_plugin.models import segmenter_for
from fiftyone_plugin.storage import DOCUMENT_LIMIT, MaskFiles, fits_file, inline_bytes
from fiftyone_plugin.values import Mode, RunConfig, SampleAnswer, UnansweredObject
from sam_plugins import download_weights
from sam_plugins.images import as_rgb
from sam_plugins.ports import Segmenter
from sam_plugins.types import Image

__all__ = ["SamModel", "download_model", "load_model"]

_log = logging.getLogger(__name__)

_FIELDS = {
    "box_field": "box_field",
    "box_prompt_field": "box_field",
    "point_field": "point_field",
    "point_prompt_field": "point_field",
    "mask_field": "mask_field",
}
"""What `apply_model` may be given, with the names of FiftyOne's own wrapper of SAM as well."""

_EITHER = "prompt_field"
"""Boxes or points: what the sample's labels are decides."""

_OF_THE_CALL = {"mode", "label_field", "box_field", "point_field", "mask_field", "model"}
_SETTINGS = {each.name for each in fields(RunConfig)} - _OF_THE_CALL
_PREFIX = "sam-plugins/"


class SamModel(fom.SamplesMixin, fom.Model):  # type: ignore[misc, unused-ignore]
    """A segmenter that FiftyOne can apply to samples, and to frames of videos.

    Given a field of prompts it answers them; given none it finds everything. Masks above
    `RunConfig.max_inline_bytes` become files where `RunConfig.folder` is set.

    Parameters
    ----------
    config
        Model and settings; its mode and fields come from `apply_model`.
    segmenter
        Who answers; where none is given, the model that `config` names is opened.

    Raises
    ------
    sam_plugins.errors.SamPluginsError
        If the model cannot be opened.
    """

    def __init__(self, config: RunConfig, segmenter: Segmenter | None = None) -> None:
        fom.SamplesMixin.__init__(self)
        self.config = config
        self._segmenter = segmenter or segmenter_for(config.model, config.precision)

    @property
    def media_type(self) -> str:
        """Pictures; FiftyOne takes the frames of videos as such too."""
        return "image"

    @property
    def ragged_batches(self) -> bool:
        """True: pictures differ in size, and one at a time none can cost another its masks."""
        return True

    @property
    def transforms(self) -> None:
        """Nothing: a segmenter takes pictures as they are."""
        return

    @property
    def preprocess(self) -> bool:
        """False: there is nothing to prepare."""
        return False

    @property
    def needs_fields(self) -> dict[str, str]:
        """Which fields ask, by the names that `apply_model` takes.

        Raises
        ------
        FieldError
            On setting a name that is not known, or one thing twice.
        """
        return dict(self._fields)

    @needs_fields.setter
    def needs_fields(self, given: Mapping[str, str]) -> None:
        known = [_EITHER, *_FIELDS]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise FieldError(
                f"Expected {', '.join(known)} beside the model, found {', '.join(unknown)}: "
                "settings of the model are given to load_zoo_model()."
            )
        meant = [_FIELDS[name] for name in given if name != _EITHER]
        if len(set(meant)) < len(meant):
            raise FieldError(
                f"Expected one field each of boxes, points and masks, found {dict(given)}."
            )
        self._fields = dict(given)

    def predict(self, arg: Any, sample: Any = None) -> Any:
        """Masks of one picture.

        Parameters
        ----------
        arg
            (H, W, 3) uint8 RGB as FiftyOne reads it. Where the sample has a file, that is read
            instead: 16-bit pictures and EXIF orientation are then as everywhere else here.
        sample
            The sample or frame with the fields that ask; None finds everything.

        Returns
        -------
        `fiftyone.Detections`, empty where nothing was asked or found.

        Raises
        ------
        SampleError
            If the picture cannot be read, none of its labels can be used, or its masks are too
            large for a document.
        FieldError
            If a field holds other labels than boxes, points or masks.
        """
        config = self._configured(sample)
        in_file = sample is not None and sample.has_field("filepath") and sample["filepath"]
        image: Image = open_picture(sample) if in_file else as_rgb(arg)
        size = (image.shape[0], image.shape[1])
        if config.mode is Mode.EVERYTHING:
            answer = mask_everything(self._segmenter, image, config)
        else:
            asked, unusable = read_asked(sample, size, config)
            if unusable and not asked and in_file:
                raise SampleError(_told(unusable))
            answer = (
                mask_objects(self._segmenter, image, asked, config)
                if asked
                else SampleAnswer(objects=(), unanswered=(), size=size)
            )
            answer = replace(answer, unanswered=(*unusable, *answer.unanswered))
        if answer.unanswered:
            _log.warning("Sample %s: %s", sample.id, _told(answer.unanswered))
        return self._labels(answer, config, "" if sample is None else str(sample.id))

    def _configured(self, sample: Any) -> RunConfig:
        """The settings with the fields that ask."""
        given = self._fields if sample is not None else {}
        asking: dict[str, Any] = {_FIELDS[n]: f for n, f in given.items() if n != _EITHER}
        if _EITHER in given:
            kind = _kind_of(sample, given[_EITHER])
            if kind in asking:
                raise FieldError(
                    f"Expected one field for each kind of prompt, found {asking[kind]!r} and "
                    f"{given[_EITHER]!r} as {kind}: leave prompt_field away."
                )
            asking[kind] = given[_EITHER]
        mode = Mode.PROMPTS if given else Mode.EVERYTHING
        return replace(self.config, mode=mode, label_field="", **asking)

    def _labels(self, answer: SampleAnswer, config: RunConfig, sample_id: str) -> Any:
        if not answer.objects:
            return fol.Detections()
        model_id = self._segmenter.info.model_id
        run_id = config.run_id(model_id)
        files = self._files(answer, config, run_id)
        detections = []
        for number, masked in enumerate(answer.objects):
            path = ""
            if files is not None and fits_file(crop := masked.crop):
                path = str(files.write(sample_id or "picture", masked.prompt_id, number, crop))
            detections.append(
                detection_of(
                    masked,
                    answer.size,
                    run_id=run_id,
                    model_id=model_id,
                    mask_path=path,
                    sample_id=sample_id,
                    number=number,
                )
            )
        return fol.Detections(detections=detections)

    def _files(self, answer: SampleAnswer, config: RunConfig, run_id: str) -> MaskFiles | None:
        """Where the masks go, or None for the document."""
        limit = min(config.max_inline_bytes, DOCUMENT_LIMIT) if config.folder else DOCUMENT_LIMIT
        if inline_bytes((each.crop for each in answer.objects), limit) <= limit:
            return None
        if not config.folder:
            raise SampleError(
                f"Expected masks of at most {limit >> 20} MB in a sample's document, found more: "
                "give load_zoo_model() a folder for them."
            )
        return MaskFiles(Path(config.folder), run_id)


def download_model(model_name: str, model_path: str) -> None:
    """Put a model's weights where FiftyOne wants them; it calls this once.

    They are checked, and kept in the cache of sam-plugins too, by a link where the disk can.

    Parameters
    ----------
    model_name
        Of `manifest.json`.
    model_path
        The file to make.

    Raises
    ------
    sam_plugins.errors.DownloadError
        If they cannot be fetched; it says what to do by hand.
    """
    weights = download_weights(model_name.removeprefix(_PREFIX))
    place = Path(model_path)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        with suppress(OSError):
            os.link(weights, part)
        if not part.exists():
            shutil.copyfile(weights, part)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def load_model(model_name: str, model_path: str, **settings: Any) -> SamModel:
    """The zoo's model; FiftyOne calls this with what `load_zoo_model` was given.

    Parameters
    ----------
    model_name
        Of `manifest.json`.
    model_path
        Its weights, as `download_model` put them.
    **settings
        Of `RunConfig`: `precision`, `box_mode`, `min_predicted_iou`, `min_stability`, `min_area`,
        `points_per_side`, `point_label_attribute`, `link_attribute`, `max_inline_bytes`, `folder`.

    Raises
    ------
    FieldError
        If a setting is not known.
    sam_plugins.errors.SamPluginsError
        If the weights cannot be read.
    """
    unknown = sorted(set(settings) - _SETTINGS)
    if unknown:
        raise FieldError(
            f"Expected settings among {', '.join(sorted(_SETTINGS))} for {model_name}, found "
            f"{', '.join(unknown)}."
        )
    plain = {"mode": Mode.EVERYTHING, "label_field": "", "model": str(model_path)}
    try:
        return SamModel(RunConfig.from_json({**settings, **plain}))
    except ValueError as error:
        raise FieldError(f"A setting of {model_name} is not known: {error}.") from error


def _kind_of(sample: Any, field: str) -> str:
    name = local_name(field)
    value = sample[name] if sample.has_field(name) else None
    return "point_field" if isinstance(value, fol.Keypoint | fol.Keypoints) else "box_field"


def _told(unanswered: tuple[UnansweredObject, ...]) -> str:
    """The first reasons, each once, and how many objects there are."""
    reasons = list(dict.fromkeys(each.reason for each in unanswered))
    return f"{len(unanswered)} objects without a mask. " + " ".join(reasons[:5])
