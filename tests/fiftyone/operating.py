"""Operators executed as a script does it, and forms as the App gets them."""

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_a_thread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Called in a thread of its own: an open browser leaves an event loop running in this one."""

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(function, *arguments, **named).result()

    return call


@in_a_thread
def execute(
    uri: str, dataset: Any, *, view: Any = None, selected_labels: Sequence[Any] = (), **params: Any
) -> Any:
    """The result of an operator that runs at once."""
    import fiftyone.operators as foo

    context = {"dataset": dataset, "view": view, "params": params}
    context["selected_labels"] = list(selected_labels)
    result = foo.execute_operator(uri, context).result
    dataset.reload()
    return result


@in_a_thread
def delegate(uri: str, dataset: Any, *, view: Any = None, **params: Any) -> str:
    """Queue an operator for whichever launcher takes it up; the id of the operation."""
    import fiftyone.operators as foo

    context = {"dataset": dataset, "view": view, "params": params, "request_delegation": True}
    queued = foo.execute_operator(uri, context)
    assert queued.delegated
    return str(queued.result["id"])


@in_a_thread
def form(
    uri: str, dataset: Any, *, view: Any = None, selected_labels: Sequence[Any] = (), **params: Any
) -> dict[str, Any]:
    """Properties of the form, and in `_errors` why it cannot be sent."""
    from fiftyone.operators.executor import ExecutionContext, ValidationContext, resolve_type
    from fiftyone.operators.registry import OperatorRegistry

    request = {"dataset_name": dataset and dataset.name, "params": params, "target": "inputs"}
    request["selected_labels"] = list(selected_labels)
    request["view"] = None if view is None else view._serialize()
    registry = OperatorRegistry()
    made: Any = asyncio.run(resolve_type(registry, uri, request))
    checked = ValidationContext(ExecutionContext(request), made, registry.get_operator(uri))
    properties: dict[str, Any] = made.to_json()["type"]["properties"]
    properties["_errors"] = [each.reason for each in checked.errors]
    return properties


@in_a_thread
def outputs(uri: str, dataset: Any, results: Any) -> dict[str, Any]:
    """Properties of the output form of a result."""
    from fiftyone.operators.executor import resolve_type
    from fiftyone.operators.registry import OperatorRegistry

    request = {"dataset_name": dataset.name, "params": {}, "target": "outputs", "results": results}
    made: Any = asyncio.run(resolve_type(OperatorRegistry(), uri, request))
    return dict(made.to_json()["type"]["properties"])
