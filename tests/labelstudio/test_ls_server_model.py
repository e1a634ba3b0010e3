"""The SDK's model without the SDK: what is said then, and doubles of both its releases."""

import importlib
import sys
from types import ModuleType

import pytest
from annotator_doubles import CONFIG, AnnotatorDouble, IntakeDouble, body, region

from labelstudio_backend.server import Handlers
from sam_plugins.errors import MissingExtraError

SDK = ("label_studio_ml", "label_studio_ml.model", "label_studio_ml.response")


class OldBase:
    """As in release 1.0.9."""

    def __init__(self, label_config=None, train_output=None, **kwargs) -> None:
        self.label_config = label_config


class NewBase:
    """As in the repository: the config is a property of the base's own, and fit is told more."""

    def __init__(self, project_id=None, label_config=None) -> None:
        self._told = label_config

    @property
    def label_config(self) -> str:
        return "<View/>"


class Response:
    def __init__(self, predictions, model_version=None) -> None:
        self.predictions = predictions
        self.model_version = model_version


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """`labelstudio_backend.model` as it is with another SDK, over doubles."""
    handlers = Handlers(AnnotatorDouble(), IntakeDouble())

    def load(base=None, response=None):
        for name in SDK:
            monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
        if base is not None:
            for name in SDK[: 3 if response else 2]:
                monkeypatch.setitem(sys.modules, name, ModuleType(name))
            sys.modules[SDK[1]].LabelStudioMLBase = base
            if response:
                sys.modules[SDK[2]].ModelResponse = response
        monkeypatch.delitem(sys.modules, "labelstudio_backend.model", raising=False)
        module = importlib.import_module("labelstudio_backend.model")
        monkeypatch.setattr(module, "shared_handlers", lambda: handlers)
        return module, handlers

    yield load
    sys.modules.pop("labelstudio_backend.model", None)


def test_without_the_sdk_it_can_be_imported_and_says_what_is_missing(load) -> None:
    module, _ = load()
    with pytest.raises(MissingExtraError, match="setup-label-studio-ml"):
        module.SamModel(label_config=CONFIG)


def results(found: list[dict]) -> list[dict]:
    """Without the regions' own ids, which are new each time."""
    return [
        {**one, "result": [{**made, "id": None} for made in one["result"]]} if one else one
        for one in found
    ]


def test_the_release_is_answered_with_a_list(load) -> None:
    module, handlers = load(OldBase)
    model = module.SamModel(label_config=CONFIG, hostname="", access_token="")
    request = body(region())
    found = model.predict(request["tasks"], context=request["params"]["context"], login=None)
    assert results(found) == results(handlers.predict(request)["results"])
    assert model.predict(request["tasks"], context=None) == [[]]
    assert model.model_version == "nano-0123456789"


def test_the_newer_one_is_answered_with_its_response(load) -> None:
    module, handlers = load(NewBase, Response)
    model = module.SamModel(project_id="1", label_config=CONFIG)
    request = body(region())
    found = model.predict(request["tasks"], request["params"]["context"])
    assert results(found.predictions) == results(handlers.predict(request)["results"])
    assert found.model_version == "nano-0123456789"


def test_what_was_submitted_is_kept_by_both(load) -> None:
    module, handlers = load(OldBase)
    intake = handlers._intake
    event = {"annotation": {"id": 1}}
    module.SamModel(label_config=CONFIG).fit((), event="ANNOTATION_CREATED", data=event, job_id="1")
    module.SamModel(label_config=CONFIG).fit("ANNOTATION_UPDATED", event)
    module.SamModel(label_config=CONFIG).fit(())
    assert [said["action"] for said in intake.events] == [
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
    ]
