"""`FormOperator`: the frame of all operators that people see: form, work, answer.

An operator is a subclass with its words, what it asks and what it does. A short one to look at is
`UndoReview` in `review_selected`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.sentences import add_sentences
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.errors import SamPluginsError

__all__ = ["FormOperator", "above_grid"]


class FormOperator(foo.Operator, ABC):
    """A form about the dataset that the App shows; work, now or scheduled; and its answer.

    A subclass gives `ask` and `act`, and of the others what differs. What any of them raises as a
    `SamPluginsError` is shown as a sentence.
    """

    operator: ClassVar[str]
    """Its name for FiftyOne."""
    title: ClassVar[str]
    description: ClassVar[str]
    target: ClassVar[str] = ""
    """What is done to samples, a verb: the form asks to which. Empty: it does not ask."""
    risk: ClassVar[Any] = types.RiskLevel.HIGH
    """Low where it only adds, medium where it writes masks, high where it takes something away or
    writes files."""
    delegated: ClassVar[bool] = True
    """Whether it may be scheduled."""
    icon: ClassVar[str | None] = None
    """In the list of operators."""
    button: ClassVar[str | None] = None
    """Icon of a button above the grid, for what is done daily; None: no button."""

    @abstractmethod
    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Add the fields of the form to `inputs`; raise what keeps it from being filled."""

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """Raise what is wrong with the form as it is filled."""

    @abstractmethod
    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Do what the filled form says; the result, as JSON values."""

    def after(self, ctx: Any, result: Mapping[str, Any]) -> Any:
        """What the App does then."""
        return ctx.ops.reload_dataset()

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """Add what a result says to `outputs`."""
        add_sentences(outputs, result)

    def samples(self, ctx: Any) -> Any:
        """The view that the form was asked about."""
        return ctx.target_view(require_flat=True)

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return foo.OperatorConfig(
            name=self.operator,
            label=f"{self.title} (sam-plugins)",
            description=self.description,
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=self.delegated,
            icon=self.icon,
            risk_level=self.risk,
        )

    def resolve_input(self, ctx: Any) -> Any:
        """The form, with what is missing or wrong."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            if self.target:
                inputs.view_target(ctx, action_description=self.target, require_flat=True)
            self.ask(inputs, dataset, ctx)
            self.check(dataset, ctx.params)
        except SamPluginsError as error:
            form.add_problem(inputs, str(error))
        return form.form(inputs, self.title)

    def execute(self, ctx: Any) -> Any:
        """Do it, with progress where the App waits."""

        def work(progress: Tell, stop: Stop) -> dict[str, Any]:
            return self.act(ctx, form.open_dataset(ctx), progress, stop)

        return run_work(ctx, work, self.resolve_output, lambda result: self.after(ctx, result))

    def resolve_output(self, ctx: Any) -> Any:
        """The answer, or what went wrong."""
        return form.answer(ctx, self.title, self.answer)

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid, for those that have one."""
        return None if self.button is None else above_grid(self.title, self.button)


def above_grid(title: str, icon: str, *, asks: bool = True) -> Any:
    """A button above the grid; there is room for a few.

    Parameters
    ----------
    title
        What it is called.
    icon
        What it shows.
    asks
        Whether it opens a form; else it executes at once.
    """
    return types.Placement(
        types.Places.SAMPLES_GRID_SECONDARY_ACTIONS,
        types.Button(label=title, icon=icon, prompt=asks),
    )
