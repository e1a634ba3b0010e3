"""Masks to files: COCO, YOLO, SA-1B, a training set, or tasks of Label Studio."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.exchange import Format, Pictures, Review, export_masks
from fiftyone_plugin.exchange.choices import export_settings_of
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.exchanging import add_exchanged
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "ExportMasks"]

FORMATS = {
    Format.COCO: ("COCO", "One document with run lengths, classes, scores and quality."),
    Format.YOLO: ("YOLO segmentation", "Pictures, outlines that are exact, and data.yaml."),
    Format.SA1B: ("SA-1B", "A document for each picture."),
    Format.TRAINING: ("Training set", "What sam-plugins train reads, of accepted masks."),
    Format.LABEL_STUDIO: ("Label Studio", "Tasks with pre-annotations, of masks to decide on."),
}
_REVIEWS = {
    Review.ACCEPTED: "Accepted masks",
    Review.UNSURE: "Masks that nobody has decided on",
    Review.REJECTED: "Rejected masks",
}
_PICTURES = {
    Pictures.COPY: "Copy them",
    Pictures.LINK: "Link to them",
    Pictures.NONE: "Leave them where they are",
}


class ExportMasks(FormOperator):
    """The masks of a field leave as files."""

    operator = "export_masks"
    title = "Export masks"
    description = "Write the masks of a field as files: to train with, or to decide on."
    target = "Export"

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Which masks, how, and where to."""
        fields = form.labels_fields(dataset, "Detections")
        if not fields:
            raise FieldError("Expected a field of Detections, found none: segment first.")
        _ask(inputs, fields, ctx.params)

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """The settings, once a folder is named: before, the form is still being filled."""
        if params.get("folder"):
            export_settings_of(_params(params))

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Write."""
        settings = export_settings_of(_params(ctx.params))
        return export_masks(self.samples(ctx), settings, progress=progress, stop=stop).to_json()

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """What is there now, and what was left out."""
        add_exchanged(outputs, result)


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The form's values; each sort of mask has a box of its own to tick."""
    if "reviews" in params:
        return dict(params)
    chosen = [each.value for each in Review if params.get(f"with_{each.value}") is True]
    return {**params, "reviews": chosen}


def _ask(inputs: Any, fields: list[str], params: Mapping[str, Any]) -> None:
    form.add_field(inputs, "label_field", fields, "Masks", "The field whose masks leave.")
    form.add_radio(inputs, "format", FORMATS, Format.COCO, label="Format")
    inputs.str(
        "folder",
        label="Folder",
        description="On the machine of FiftyOne's server: a new one, or that of the same export, "
        "which then continues.",
        required=True,
    )
    for review, label in _REVIEWS.items():
        inputs.bool(
            f"with_{review.value}",
            label=label,
            description="None ticked: what is usual for the format.",
            default=False,
        )
    pictures = types.Dropdown()
    for how, label in _PICTURES.items():
        pictures.add_choice(how.value, label=label)
    inputs.enum(
        "pictures",
        pictures.values(),
        label="Pictures",
        description="Empty: what is usual for the format.",
        view=pictures,
    )
    chosen = params.get("format")
    if chosen == Format.YOLO:
        inputs.bool("scores", label="End lines with the confidence", default=False)
        inputs.float(
            "tolerance",
            min=0.0,
            label="Pixels that outlines may move",
            description="0 is exact; more makes lines shorter.",
            default=0.0,
        )
    if chosen == Format.LABEL_STUDIO:
        inputs.str(
            "image_root",
            label="Folder that Label Studio serves",
            description="Its LOCAL_FILES_DOCUMENT_ROOT, or what your own server shows. Empty: "
            "pictures are copied into the export's folder.",
        )
        inputs.str(
            "image_prefix",
            label="What addresses begin with",
            default="/data/local-files/?d=",
        )


OPERATORS = [ExportMasks]
