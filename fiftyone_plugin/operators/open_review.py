"""Review masks, from the button above the grid or by name: opens the panel."""

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.operators.form_operator import above_grid
from fiftyone_plugin.operators.review_panel import PANEL

__all__ = ["OPERATORS", "OpenReview"]

TITLE = "Review masks"


class OpenReview(foo.Operator):
    """Opens the review panel, or shows the one that is open."""

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return foo.OperatorConfig(
            name="open_review",
            label=f"{TITLE} (sam-plugins)",
            description="Open the panel that shows masks worst first, to accept or reject them.",
            icon="rule",
            risk_level=types.RiskLevel.LOW,
        )

    def execute(self, ctx: Any) -> None:
        """Open it."""
        ctx.ops.open_panel(PANEL)

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return above_grid(TITLE, "rule", asks=False)


OPERATORS = [OpenReview]
