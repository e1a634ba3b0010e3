"""The parts that forms are made of: fields to choose, models, limits, and what is wrong.

A form is asked for again at every change, so it reads the schema and the list of runs, and counts
labels only where a view hides some. What is wrong stands in the form as a sentence, and keeps it
from being sent.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.operators.choices import MODEL_FILE, RunChoices
from fiftyone_plugin.operators.streaming import PROBLEM
from fiftyone_plugin.runs import list_runs
from fiftyone_plugin.values import BoxMode, Mode
from sam_plugins import known_models

__all__ = [
    "add_box_mode",
    "add_consent",
    "add_everything_grid",
    "add_field",
    "add_how",
    "add_limits",
    "add_links",
    "add_model",
    "add_output",
    "add_problem",
    "add_radio",
    "add_signs",
    "answer",
    "form",
    "labels_fields",
    "open_dataset",
]

BOX_MODES = {
    BoxMode.TIGHTEN: (
        "Tighten",
        "The box becomes the mask's own. How well both agreed is kept, so wrong boxes surface.",
    ),
    BoxMode.KEEP: ("Keep", "The box stays as it is, and the mask is cut to it."),
    BoxMode.EXPAND: (
        "Expand and try again",
        "Where the mask reaches the box's edge, a larger box is asked. For boxes that are too "
        "tight; takes longer.",
    ),
}
_PRECISIONS = {"fp32": ("Exact (fp32)", ""), "bf16": ("Faster and less exact (bf16)", "")}
_BUILT_IN = {"id", "_cls", "tags", "label", "bounding_box", "mask", "mask_path", "confidence"}


def open_dataset(ctx: Any) -> Any:
    """The dataset that the App shows.

    Raises
    ------
    FieldError
        If it shows none.
    """
    if ctx.dataset is None:
        raise FieldError("Expected a dataset, found none: open one first.")
    return ctx.dataset


def form(inputs: Any, title: str) -> Any:
    """The finished form."""
    return types.Property(inputs, view=types.View(label=title))


def answer(ctx: Any, title: str, add: Callable[[Any, Mapping[str, Any]], None]) -> Any:
    """The output form: ``add(outputs, result)``, or the sentence that says what is wrong."""
    result, outputs = ctx.results or {}, types.Object()
    if result.get(PROBLEM):
        outputs.view(PROBLEM, types.Error(label=str(result[PROBLEM])))
    else:
        add(outputs, result)
    return form(outputs, title)


def add_radio(
    inputs: Any, name: str, choices: Mapping[Any, tuple[str, str]], default: str, **words: Any
) -> None:
    """One of a few, by value: its label and what it means."""
    radio = types.RadioGroup()
    for value, (label, description) in choices.items():
        radio.add_choice(str(value), label=label, description=description or None)
    inputs.enum(name, radio.values(), default=str(default), view=radio, **words)


def add_consent(
    inputs: Any, params: Mapping[str, Any], label: str, missing: str, *, name: str, **words: Any
) -> None:
    """A box to tick; until then the form says what is `missing` and cannot be sent."""
    agreed = inputs.bool(name, label=label, default=False, **words)
    if params.get(name) is not True:
        agreed.invalid = True
        agreed.error_message = missing


def labels_fields(dataset: Any, kind: str) -> list[str]:
    """Names of the sample and frame fields that hold labels of one kind.

    Parameters
    ----------
    dataset
        Of FiftyOne.
    kind
        Name of a FiftyOne class, as "Detections".
    """
    import fiftyone as fo

    holder = getattr(fo, kind)
    wanted = {"ftype": fo.EmbeddedDocumentField, "embedded_doc_type": holder}
    names = list(dataset.get_field_schema(**wanted))
    if dataset._has_frame_fields():
        names += [f"frames.{name}" for name in dataset.get_frame_field_schema(**wanted)]
    return names


def add_field(inputs: Any, name: str, fields: Sequence[str], label: str, description: str) -> None:
    """A field of labels to choose, or none; nothing where the dataset has no such field."""
    if not fields:
        return
    choices = types.Dropdown()
    for each in fields:
        choices.add_choice(each, label=each)
    inputs.enum(name, choices.values(), label=label, description=description, view=choices)


def add_signs(inputs: Any, dataset: Any, field: str) -> None:
    """Which attribute of keypoints says what is foreground."""
    choices = types.AutocompleteView(allow_user_input=True, allow_clearing=True)
    for each in _attributes(dataset, field, "keypoints"):
        choices.add_choice(each, label=each)
    inputs.str(
        "point_label_attribute",
        label="Signs of the points",
        description="Attribute of the keypoints with one number per point: 1 foreground, 0 "
        "background. Keypoints without it are foreground.",
        default="sam_labels",
        view=choices,
    )


def add_links(inputs: Any, dataset: Any, box_field: str, point_field: str) -> None:
    """What says that a box and a keypoint are one object."""
    of_points = _attributes(dataset, point_field, "keypoints")
    both = [name for name in _attributes(dataset, box_field, "detections") if name in of_points]
    if not both:
        return
    choices = types.Dropdown()
    for each in both:
        choices.add_choice(each, label=each)
    inputs.enum(
        "link_attribute",
        both,
        label="What links boxes and points",
        description="A box and a keypoint with an equal value of it are one object. Without it, "
        "each is an object of its own.",
        view=choices,
    )


def _attributes(dataset: Any, field: str, inner: str) -> list[str]:
    """Attributes of the labels of a field that may hold signs or links."""
    found = dataset.get_field(f"{field}.{inner}")
    schema = {} if found is None else found.field.get_field_schema()
    return [name for name in schema if name not in _BUILT_IN and name != "points"]


def add_model(inputs: Any, params: Mapping[str, Any]) -> None:
    """The models of this machine, or a file; and how exactly it computes."""
    choices = types.Dropdown()
    for known in known_models():
        if known.here:
            choices.add_choice(known.name, label=known.name, description=known.note)
    choices.add_choice(MODEL_FILE, label="A file", description="Of weights, on this machine.")
    inputs.enum(
        "model",
        choices.values(),
        label="Model",
        description="More of them: sam-plugins models, and sam-plugins download NAME.",
        default="nano",
        view=choices,
    )
    if params.get("model") == MODEL_FILE:
        inputs.str("model_path", label="Path of the weights")
    add_radio(inputs, "precision", _PRECISIONS, "fp32", label="Precision")


def add_box_mode(inputs: Any) -> None:
    """What becomes of a given box."""
    add_radio(inputs, "box_mode", BOX_MODES, BoxMode.TIGHTEN, label="What becomes of the boxes")


def add_everything_grid(inputs: Any) -> None:
    """How densely everything-mode asks."""
    inputs.int(
        "points_per_side",
        min=1,
        max=256,
        label="Points per side",
        description="The picture is asked at a grid of so many points in both directions: more "
        "find smaller objects, and take longer.",
        default=32,
    )


def add_limits(inputs: Any, params: Mapping[str, Any]) -> None:
    """Thresholds of quality, and where masks are kept; folded away at first."""
    inputs.bool(
        "more",
        label="Thresholds and storage",
        description="Leave bad masks out, and say where masks are kept.",
        default=False,
        view=types.SwitchView(),
    )
    if not params.get("more"):
        return
    inputs.float(
        "min_predicted_iou",
        min=0.0,
        max=1.0,
        label="Least predicted IoU",
        description="Masks that the model itself trusts less are not written. 0 writes all.",
        default=0.0,
    )
    inputs.float(
        "min_stability",
        min=0.0,
        max=1.0,
        label="Least stability",
        description="Masks whose edge depends more on the threshold are not written. 0 writes all.",
        default=0.0,
    )
    inputs.int("min_area", min=0, label="Least area in pixels", default=0)
    inputs.int(
        "max_inline_bytes",
        min=0,
        label="Most bytes of masks in the database, per sample",
        description="A sample with more has its masks as files. 0 writes files always.",
        default=1 << 20,
    )
    inputs.str(
        "folder",
        label="Folder of such files",
        description="Empty: FiftyOne's own folder for the files of this dataset.",
    )


def add_output(
    inputs: Any, dataset: Any, params: Mapping[str, Any], choices: RunChoices | None
) -> None:
    """The field that is written, and consent where it exists.

    Parameters
    ----------
    inputs
        The form.
    dataset
        Of FiftyOne.
    params
        The form as it is filled.
    choices
        The same, where it can be read.
    """
    inputs.str(
        "label_field",
        label="Field for the masks",
        description="A new one, or that of the same run before, which then continues.",
        default="masks",
    )
    name = str(params.get("label_field") or "masks")
    config = None if choices is None else choices.config
    video = config is not None and config.mode is Mode.VIDEO
    if not dataset.has_field(f"frames.{name.removeprefix('frames.')}" if video else name):
        return
    if config is not None and any(run.config == config for run in list_runs(dataset)):
        inputs.view(
            "continues",
            types.Notice(
                label=f"{name!r} was written by a run of the same settings: it continues, and "
                "what is done stays as it is."
            ),
        )
        return
    add_consent(
        inputs,
        params,
        f"Replace what is in {name!r}",
        f"Expected a new field, found {name!r} with labels of others: choose another name, or "
        "agree to replace them.",
        name="overwrite",
        description="The samples that are worked on lose the labels that they have there.",
    )


def add_how(inputs: Any) -> None:
    """Whether it writes, and whether failures are tried again."""
    inputs.bool(
        "retry",
        label="Try failures again",
        description="Work again on samples that this run failed on, in part or as a whole.",
        default=False,
    )
    inputs.bool(
        "dry_run",
        label="Only count",
        description="Say how many samples and objects there are, and what would be left out. "
        "Nothing is written.",
        default=False,
    )


def add_problem(inputs: Any, text: str) -> None:
    """What is wrong with the form; it cannot be sent before it is right."""
    shown = inputs.view(PROBLEM, types.Error(label=text))
    shown.invalid = True
    shown.error_message = text
