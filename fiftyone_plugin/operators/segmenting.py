"""`SegmentOperator`: what the operators that write masks share: form, work, output."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from fiftyone.operators import types

from fiftyone_plugin.labels import shown_by
from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.choices import RunChoices, choices_of
from fiftyone_plugin.operators.counting import count
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.results import add_counts
from fiftyone_plugin.operators.running import check, perform, report_of, sample_ids
from fiftyone_plugin.operators.showing import add_shown
from fiftyone_plugin.runs import Stop, Tell
from fiftyone_plugin.values import Mode
from sam_plugins.errors import SamPluginsError

__all__ = ["SegmentOperator"]


class SegmentOperator(FormOperator):
    """An operator that writes masks; a subclass says which, and asks what its mode needs."""

    mode: ClassVar[Mode]
    target = "Segment"
    risk = types.RiskLevel.MEDIUM

    @abstractmethod
    def ask_mode(self, inputs: Any, dataset: Any, params: Mapping[str, Any]) -> None:
        """Add what only this mode asks."""

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """What asks, what is written, by which model."""
        self.ask_mode(inputs, dataset, ctx.params)
        choices = self._choices(dataset, ctx.params)
        if choices is not None:
            add_shown(inputs, self.samples(ctx), choices.config)
        form.add_output(inputs, dataset, ctx.params, choices)
        form.add_model(inputs, ctx.params)
        form.add_limits(inputs, ctx.params)
        form.add_how(inputs)

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """Its values, and whether the dataset's fields and media fit."""
        check(dataset, choices_of(params, self.mode).config)

    def _choices(self, dataset: Any, params: Mapping[str, Any]) -> RunChoices | None:
        """The form as choices; None where something is wrong with it."""
        try:
            self.check(dataset, params)
        except SamPluginsError:
            return None
        return choices_of(params, self.mode)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Segment, or only count."""
        choices = choices_of(ctx.params, self.mode)
        view = self.samples(ctx)
        ids, shown = sample_ids(view), shown_by(view, choices.config)
        told: dict[str, Any] = {"shown": shown, "progress": progress, "stop": stop}
        if choices.dry_run:
            return count(dataset, ids, choices, **told).to_json()
        run, report = perform(dataset, ids, choices, **told)
        return report_of(run, report)

    def answer(self, outputs: Any, result: Mapping[str, Any]) -> None:
        """What became of it."""
        add_counts(outputs, result)
