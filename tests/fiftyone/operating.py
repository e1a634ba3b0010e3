"""Operators executed as a script does it, and forms as the App gets them."""

import asyncio
from typing import Any


def execute(uri: str, dataset: Any, *, view: Any = None, **params: Any) -> Any:
    """The result of an operator that runs at once."""
    import fiftyone.operators as foo

    context = {"dataset": dataset, "view": view, "params": params}
    result = foo.execute_operator(uri, context).result
    dataset.reload()
    return result


def form(uri: str, dataset: Any, **params: Any) -> dict[str, Any]:
    """Properties of the form, and in `_errors` why it cannot be sent."""
    from fiftyone.operators.executor import ExecutionContext, ValidationContext, resolve_type
    from fiftyone.operators.registry import OperatorRegistry

    request = {"dataset_name": dataset and dataset.name, "params": params, "target": "inputs"}
    registry = OperatorRegistry()
    made: Any = asyncio.run(resolve_type(registry, uri, request))
    checked = ValidationContext(ExecutionContext(request), made, registry.get_operator(uri))
    properties: dict[str, Any] = made.to_json()["type"]["properties"]
    properties["_errors"] = [each.reason for each in checked.errors]
    return properties


def outputs(uri: str, dataset: Any, results: Any) -> dict[str, Any]:
    """Properties of the output form of a result."""
    from fiftyone.operators.executor import resolve_type
    from fiftyone.operators.registry import OperatorRegistry

    request = {"dataset_name": dataset.name, "params": {}, "target": "outputs", "results": results}
    made: Any = asyncio.run(resolve_type(OperatorRegistry(), uri, request))
    return dict(made.to_json()["type"]["properties"])
