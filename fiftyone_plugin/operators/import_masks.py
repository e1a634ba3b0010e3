"""Masks from files: COCO, YOLO, SA-1B, and answers of Label Studio."""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.exchange import Format, import_answers, import_masks
from fiftyone_plugin.exchange.choices import import_settings_of
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.exchanging import exchanged
from fiftyone_plugin.operators.listing import listed
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.errors import SamPluginsError

__all__ = ["OPERATORS", "ImportMasks"]

TITLE = "Import masks"
FORMATS = {
    Format.COCO: ("COCO", "A document with run lengths or polygons."),
    Format.YOLO: ("YOLO segmentation", "A folder with data.yaml and labels/."),
    Format.SA1B: ("SA-1B", "A folder with a document for each picture."),
    Format.LABEL_STUDIO: ("Answers of Label Studio", "Its export of the kind JSON."),
}


class ImportMasks(foo.Operator):
    """Masks that others wrote, or decided on, become a field."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            "import_masks",
            TITLE,
            "Read masks of files into a field; samples are found by file names.",
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form: what, from where, and into which field."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            _ask(inputs, dataset, ctx.params)
            if ctx.params.get("source"):
                import_settings_of(ctx.params)
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, TITLE)

    def execute(self, ctx: Any) -> Any:
        """Read, and write the field."""

        def work(progress: Tell, stop: Stop) -> dict[str, Any]:
            dataset, settings = form.open_dataset(ctx), import_settings_of(ctx.params)
            answers = settings.format is Format.LABEL_STUDIO
            read = import_answers if answers else import_masks
            return read(dataset, settings, progress=progress, stop=stop).to_json()

        return run_work(ctx, work, self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """What was read, and what was left out."""
        return exchanged(ctx, TITLE)


def _ask(inputs: Any, dataset: Any, params: Mapping[str, Any]) -> None:
    formats = types.RadioGroup()
    for each, (label, description) in FORMATS.items():
        formats.add_choice(each.value, label=label, description=description)
    inputs.enum("format", formats.values(), label="Format", default=Format.COCO.value, view=formats)
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
    asked = inputs.bool(
        "overwrite",
        label=f"Replace what is in {name!r}",
        description="In the samples that the files speak of.",
        default=False,
    )
    if not params.get("overwrite"):
        asked.invalid = True
        asked.error_message = (
            f"Expected a new field, found {name!r}: choose another name, or agree to replace what "
            "it holds."
        )


OPERATORS = [ImportMasks]
