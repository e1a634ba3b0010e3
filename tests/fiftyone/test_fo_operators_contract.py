"""What every operator that people see keeps: its form opens on whatever the App shows."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from app_server import link_plugin
from operating import form

from fiftyone_plugin.operators import MODULES
from fiftyone_plugin.start.plugin_folder import PLUGIN

WITHOUT_FORM = {"open_review"}
NEEDS_NOTHING = {"segment_everything"}
"""Their forms can be sent as they open, on any dataset of pictures."""


def listed() -> list[Any]:
    """The operators that the App lists and that have a form."""
    made = [each() for module in MODULES for each in import_module(module).OPERATORS]
    return [
        each for each in made if not each.config.unlisted and each.config.name not in WITHOUT_FORM
    ]


def uris() -> list[str]:
    return [f"{PLUGIN}/{each.config.name}" for each in listed()]


@pytest.fixture(autouse=True)
def plugin(fiftyone_here: Any, fiftyone_folder: Path) -> None:
    link_plugin(fiftyone_folder / "plugins")


@pytest.fixture
def empty(fiftyone_here: Any) -> Iterator[Any]:
    """A dataset without a sample."""
    dataset = fiftyone_here.Dataset()
    yield dataset
    dataset.delete()


def test_every_operator_that_people_see_has_the_common_frame() -> None:
    from fiftyone_plugin.operators.form_operator import FormOperator

    assert len(listed()) > 10
    for each in listed():
        assert isinstance(each, FormOperator), each
        assert each.title, each
        assert each.description.endswith((".", "?")), each


def test_without_a_dataset_every_form_says_that_one_is_missing() -> None:
    for uri in uris():
        shown = form(uri, None)
        assert "open one first" in shown["problem"]["error_message"], uri
        assert shown["_errors"], uri


def test_without_a_dataset_nothing_is_executed() -> None:
    from fiftyone.operators.executor import ExecutionContext, Executor

    from fiftyone_plugin.errors import FieldError

    for each in listed():
        request = {"dataset_name": None, "params": {"agreed": True}}
        with pytest.raises(FieldError, match="open one first"):
            each.execute(ExecutionContext(request, Executor()))


def test_on_an_empty_dataset_every_form_opens_and_says_what_is_missing(empty: Any) -> None:
    for uri in uris():
        shown = form(uri, empty)
        assert shown["_errors"] or uri.rpartition("/")[2] in NEEDS_NOTHING, uri


def test_where_there_is_nothing_to_do_every_form_opens_and_says_what_is_missing(
    make_dataset: Callable[..., Any],
) -> None:
    dataset = make_dataset(2, 0)
    dataset.delete_sample_field("boxes")
    for uri in uris():
        shown = form(uri, dataset)
        assert shown["_errors"] or uri.rpartition("/")[2] in NEEDS_NOTHING, uri


def test_an_answer_that_is_a_problem_is_shown_as_one() -> None:
    from fiftyone.operators.executor import ExecutionContext

    for each in listed():
        made = each.resolve_output(ExecutionContext({"results": {"problem": "Expected more."}}))
        (shown,) = made.to_json()["type"]["properties"].values()
        assert shown["view"]["label"] == "Expected more.", each
