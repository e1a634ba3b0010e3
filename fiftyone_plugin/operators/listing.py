"""How operators are listed in the App, and their buttons above the grid: once for all of them."""

from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

__all__ = ["button", "listed"]


def listed(
    name: str,
    title: str,
    description: str,
    *,
    risk: Any = types.RiskLevel.HIGH,
    delegated: bool = True,
    icon: str | None = None,
) -> Any:
    """An operator with a form that may take long: with progress, now or delegated.

    Parameters
    ----------
    name
        Its name for FiftyOne.
    title, description
        What people read.
    risk
        Of FiftyOne's levels: low where it only adds, medium where it writes masks, high where it
        takes something away or writes files.
    delegated
        Whether it may be scheduled.
    icon
        In the list of operators.
    """
    return foo.OperatorConfig(
        name=name,
        label=f"{title} (sam-plugins)",
        description=description,
        dynamic=True,
        execute_as_generator=True,
        allow_immediate_execution=True,
        allow_delegated_execution=delegated,
        icon=icon,
        risk_level=risk,
    )


def button(title: str, icon: str) -> Any:
    """A button above the grid."""
    return types.Placement(
        types.Places.SAMPLES_GRID_SECONDARY_ACTIONS,
        types.Button(label=title, icon=icon, prompt=True),
    )
