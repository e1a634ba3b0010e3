"""`SegmentOperator`: what the operators that write masks share: form, work, output."""

from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.labels import shown_by
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.choices import RunChoices, choices_of
from fiftyone_plugin.operators.listing import button, listed
from fiftyone_plugin.operators.results import outputs_of
from fiftyone_plugin.operators.running import check, count, perform, report_of, sample_ids
from fiftyone_plugin.operators.showing import add_shown
from fiftyone_plugin.operators.streaming import run_work
from fiftyone_plugin.runs import Stop, Tell
from fiftyone_plugin.values import Mode
from sam_plugins.errors import SamPluginsError

__all__ = ["SegmentOperator"]


class SegmentOperator(foo.Operator):
    """An operator that writes masks; a subclass says which, and asks what its mode needs."""

    mode: ClassVar[Mode]
    operator: ClassVar[str]
    """Its name for FiftyOne."""
    title: ClassVar[str]
    description: ClassVar[str]
    icon: ClassVar[str]

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return listed(
            self.operator,
            self.title,
            self.description,
            risk=types.RiskLevel.MEDIUM,
        )

    def ask(self, inputs: Any, dataset: Any, params: dict[str, Any]) -> None:
        """Add what only this mode asks."""
        raise NotImplementedError

    def resolve_input(self, ctx: Any) -> Any:
        """The form: what asks, what is written, by which model."""
        inputs = types.Object()
        try:
            dataset = form.open_dataset(ctx)
            inputs.view_target(ctx, action_description="Segment", require_flat=True)
            self.ask(inputs, dataset, ctx.params)
            choices, problem = self._read(dataset, ctx.params)
            if choices is not None:
                problem = add_shown(inputs, ctx.target_view(require_flat=True), choices.config)
            form.add_output(inputs, dataset, ctx.params, choices)
            form.add_model(inputs, ctx.params)
            form.add_limits(inputs, ctx.params)
            form.add_how(inputs)
        except SamPluginsError as error:
            problem = str(error)
        if problem:
            form.add_problem(inputs, problem)
        return form.form(inputs, self.title)

    def _read(self, dataset: Any, params: dict[str, Any]) -> tuple[RunChoices | None, str]:
        """The form as choices, or what is wrong with it."""
        try:
            choices = choices_of(params, self.mode)
            check(dataset, choices.config)
        except SamPluginsError as error:
            return None, str(error)
        return choices, ""

    def execute(self, ctx: Any) -> Any:
        """Segment, or only count."""

        def work(progress: Tell, stop: Stop) -> dict[str, Any]:
            choices = choices_of(ctx.params, self.mode)
            dataset = form.open_dataset(ctx)
            view = ctx.target_view(require_flat=True)
            ids, shown = sample_ids(view), shown_by(view, choices.config)
            if choices.dry_run:
                return count(
                    dataset, ids, choices, shown=shown, progress=progress, stop=stop
                ).to_json()
            run, report = perform(dataset, ids, choices, shown=shown, progress=progress, stop=stop)
            return report_of(run, report)

        return run_work(ctx, work, self.resolve_output)

    def resolve_output(self, ctx: Any) -> Any:
        """What became of it."""
        return outputs_of(ctx, self.title)

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return button(self.title, self.icon)
