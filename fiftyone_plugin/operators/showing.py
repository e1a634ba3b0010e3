"""What a form says of a view that hides labels: how many of them are asked."""

from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.labels import count_shown, fields_needed, shown_by
from fiftyone_plugin.values import RunConfig

__all__ = ["add_shown"]


def add_shown(inputs: Any, view: Any, config: RunConfig) -> str:
    """How many labels the view shows of those that could ask; nothing where it shows all.

    Returns
    -------
    Why the view cannot be gone by, or "".
    """
    try:
        shown = shown_by(view, config)
    except FieldError as error:
        return str(error)
    if shown:
        some, every = count_shown(view, shown, config)
        inputs.view(
            "shown",
            types.Notice(
                label=f"The view shows {some} of the dataset's {every} labels in "
                f"{' and '.join(fields_needed(config))}: only these are asked."
            ),
        )
    return ""
