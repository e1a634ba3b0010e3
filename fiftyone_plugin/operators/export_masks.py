"""Masks to files: COCO, YOLO, SA-1B, a training set, or tasks of Label Studio."""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.exchange import Format, Pictures, Review, export_masks
from fiftyone_plugin.exchange.choices import export_settings_of
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.exchanging import exchanged
from fiftyone_plugin.operators.listing import listed
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.errors import SamPluginsError

__all__ = ["OPERATORS", "ExportMasks"]

TITLE = "Export masks"
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


class ExportMasks(foo.Operator):
    """The masks of a field leave as files."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "export_masks",
            TITLE,
            "Write the masks of a field as files: to train with, or to decide on.",
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: which masks, how, and where to."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            fields = form.labels_fields(dataset, "Detections")
            if not fields:
                raise FieldError("Expected a field of Detections, found none: segment first.")
            inputs.view_target(ctx, action_description="Export", require_flat=True)
            _ask(inputs, fields, ctx.params)
            if ctx.params.get("folder"):
                export_settings_of(_params(ctx.params))
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, TITLE)

    def execute(self, ctx: Any) -> Any:
        """Write."""

        def work(progress: Tell, stop: Stop) -> dict[str, Any]:
            form.open_dataset(ctx)
            settings = export_settings_of(_params(ctx.params))
            view = ctx.target_view(require_flat=True)
            return export_masks(view, settings, progress=progress, stop=stop).to_json()

        return run_work(ctx, work, self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """What is there now, and what was left out."""
        return exchanged(ctx, TITLE)


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The form's values; each sort of mask has a box of its own to tick."""
    if "reviews" in params:
        return dict(params)
    chosen = [each.value for each in Review if params.get(f"with_{each.value}") is True]
    return {**params, "reviews": chosen}


def _ask(inputs: Any, fields: list[str], params: Mapping[str, Any]) -> None:
    form.add_field(inputs, "label_field", fields, "Masks", "The field whose masks leave.")
    formats = types.RadioGroup()
    for each, (label, description) in FORMATS.items():
        formats.add_choice(each.value, label=label, description=description)
    inputs.enum("format", formats.values(), label="Format", default=Format.COCO.value, view=formats)
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
