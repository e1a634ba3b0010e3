"""What a form says of a view that hides labels: how many of them are asked."""

from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.labels import count_shown, fields_needed, shown_by
from fiftyone_plugin.operators import form
from fiftyone_plugin.values import RunConfig

__all__ = ["add_shown"]


def add_shown(inputs: Any, view: Any, config: RunConfig) -> None:
    """How many labels the view shows of those that could ask, or why it cannot be gone by.

    Nothing where it shows all.
    """
    try:
        shown = shown_by(view, config)
    except FieldError as error:
        form.add_problem(inputs, str(error))
        return
    if shown:
        some, every = count_shown(view, shown, config)
        inputs.view(
            "shown",
            types.Notice(
                label=f"The view shows {some} of the dataset's {every} labels in "
                f"{' and '.join(fields_needed(config))}: only these are asked."
            ),
        )
