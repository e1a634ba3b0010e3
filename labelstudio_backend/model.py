"""The same answers through Label Studio's own SDK: `label-studio-ml start labelstudio_backend`.

For those who run that SDK already; `sam-plugins labelstudio serve` needs none of it. The release on
the package index (1.0.9) is what this is tested with; the newer one, which is installed from its
repository only, is not tested.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from labelstudio_backend.settings import Settings
from sam_plugins.errors import MissingExtraError

if TYPE_CHECKING:
    from labelstudio_backend.server.handlers import Handlers

__all__ = ["SamModel", "shared_handlers"]


def _find(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


_Base: Any = _find("label_studio_ml.model", "LabelStudioMLBase")
_Response: Any = _find("label_studio_ml.response", "ModelResponse")  # the newer release has it


@cache
def shared_handlers() -> "Handlers":
    """What answers in this process: the SDK makes a model for each request, and they share it."""
    from labelstudio_backend.server.serving import open_handlers

    return open_handlers(Settings.from_environment())


class SamModel(_Base or object):  # type: ignore[misc]
    """A model as the SDK knows models.

    Parameters
    ----------
    values
        What the SDK says; the labelling config is what is used of it.

    Raises
    ------
    MissingExtraError
        If the SDK is not installed.
    """

    def __init__(self, **values: Any) -> None:
        if _Base is None:
            raise MissingExtraError(
                "label-studio-ml is not installed here; run scripts/setup-label-studio-ml, or "
                "`sam-plugins labelstudio serve`, which needs none of it."
            )
        self._config_text = values.get("label_config")
        super().__init__(**values)

    @property
    def model_version(self) -> str:
        """Name and hash of the model; empty until it is open."""
        return str(shared_handlers().health()["model_version"])

    def predict(self, tasks: Any, context: Any = None, **others: Any) -> Any:
        """One element per task, as `/predict` answers them.

        Parameters
        ----------
        tasks
            As Label Studio sends them.
        context
            The prompts of a click.
        others
            Login and password for pictures, which are not used.
        """
        body = {
            "tasks": tasks,
            "label_config": self._config_text,
            "params": {"context": context},
        }
        answer = shared_handlers().predict(body)
        if _Response is None:
            return answer["results"]
        return _Response(predictions=answer["results"], model_version=answer["model_version"])

    def fit(self, *tasks: Any, event: str | None = None, data: Any = None, **others: Any) -> Any:
        """Keep what was submitted, as `/webhook` does.

        Parameters
        ----------
        tasks
            Of former protocols; not used. The newer SDK says event and data here.
        event, data
            What happened, and what Label Studio says of it.
        others
            A job's number and folder, which are not used.
        """
        if event is None and len(tasks) == 2:
            event, data = tasks
        if event is not None:
            shared_handlers().webhook({**(data or {}), "action": event})
        return {}
