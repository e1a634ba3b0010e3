"""The review panel as the App has it, without the App."""

from typing import Any

from fiftyone_plugin.start.plugin_folder import PLUGIN

__all__ = ["Opened"]


class Opened:
    """A panel as the App keeps it: its state comes back with every event."""

    def __init__(self, dataset: Any, view: Any = None) -> None:
        from fiftyone_plugin.operators.review_panel import ReviewPanel
        from fiftyone_plugin.operators.sentences import masks_fields

        self.panel = ReviewPanel()
        self.dataset, self.view = dataset, view
        fields = [n for n in masks_fields(dataset, frames=True) if n.endswith("masks")]
        self.state: dict[str, Any] = {"settings": {"label_field": fields[0]}} if fields else {}
        self.page: dict[str, Any] = {}
        self.said: list[tuple[str, Any]] = []
        self("on_load")

    def __call__(self, method: str) -> "Opened":
        """Send an event."""
        from fiftyone.operators.executor import ExecutionContext, Executor

        params = {"panel_id": "p", "panel_state": self.state, "__method__": method}
        request = {"dataset_name": self.dataset.name, "params": params}
        if self.view is not None:
            request["view"] = self.view._serialize()
        executor = Executor()
        ctx = ExecutionContext(request, executor, operator_uri=f"{PLUGIN}/review_masks")
        self.panel.execute(ctx)
        sent = executor._requests
        self.said = [(each.operator_uri, each.params) for each in sent]
        (page,) = [params["output"] for name, params in self.said if name == "show_panel_output"]
        self.page = page["type"]["properties"]
        return self

    @property
    def shown(self) -> Any:
        """What waits for a decision."""
        return self.state.get("shown")

    def text(self, name: str) -> str:
        """A text of the page."""
        return str(self.page[name]["default"])

    def disabled(self, name: str) -> bool:
        """Whether a button is off."""
        return bool(self.page["buttons"]["type"]["properties"][name]["view"]["disabled"])
