"""Masks from files: COCO, YOLO, SA-1B, and answers of Label Studio."""

from collections.abc import Mapping
from typing import Any

from fiftyone_plugin.exchange import Format, import_answers, import_masks
from fiftyone_plugin.exchange.choices import import_settings_of
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.exchanging import add_exchanged
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "ImportMasks"]

FORMATS = {
    Format.COCO: ("COCO", "A document with run lengths or polygons."),
    Format.YOLO: ("YOLO segmentation", "A folder with data.yaml and labels/."),
    Format.SA1B: ("SA-1B", "A folder with a document for each picture."),
    Format.LABEL_STUDIO: ("Answers of Label Studio", "Its export of the kind JSON."),
}


class ImportMasks(FormOperator):
    """Masks that others wrote, or decided on, become a field."""

    operator = "import_masks"
    title = "Import masks"
    description = "Read masks of files into a field; samples are found by file names."

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """What, from where, and into which field."""
        _ask(inputs, dataset, ctx.params)

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """The settings, once a source is named: before, the form is still being filled."""
        if params.get("source"):
            import_settings_of(params)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Read, and write the field."""
        settings = import_settings_of(ctx.params)
        read = import_answers if settings.format is Format.LABEL_STUDIO else import_masks
        return read(dataset, settings, progress=progress, stop=stop).to_json()

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """What was read, and what was left out."""
        add_exchanged(outputs, result)


def _ask(inputs: Any, dataset: Any, params: Mapping[str, Any]) -> None:
    form.add_radio(inputs, "format", FORMATS, Format.COCO, label="Format")
    inputs.str(
        "source",
        label="File or folder",
        description="On the machine of FiftyOne's server.",
        required=True,
    )
    answers = params.get("format") == Format.LABEL_STUDIO
    inputs.str(
        "label_field",
        label="Field for the masks",
        description="Empty: a new one beside the field that was asked about."
        if answers
        else "A new one.",
        required=not answers,
    )
    name = params.get("label_field")
    if not name or not dataset.has_field(name):
        return
    form.add_consent(
        inputs,
        params,
        f"Replace what is in {name!r}",
        f"Expected a new field, found {name!r}: choose another name, or agree to replace what "
        "it holds.",
        name="overwrite",
        description="In the samples that the files speak of.",
    )


OPERATORS = [ImportMasks]
