"""What `label-studio-ml start labelstudio_backend` runs, and what gunicorn serves as `app`.

The SDK's own manager keeps one labelling config for all projects, says "INITIAL" for a version and
starts another process with another model for each webhook; the one here asks `Handlers` instead.
Its errors carry tracebacks; here they carry their sentence. Who may ask is decided as by
`sam-plugins labelstudio serve`.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def make_app(settings: Any) -> Any:
    """The SDK's Flask application around `SamModel`.

    Parameters
    ----------
    settings
        Credentials, and where to listen.
    """
    from labelstudio_backend.model import SamModel, shared_handlers
    from labelstudio_backend.server.auth import Door
    from labelstudio_backend.server.problems import problem_of
    from sam_plugins.errors import SamPluginsError

    api = import_module("label_studio_ml.api")
    sdk = import_module("label_studio_ml.model")
    flask = import_module("flask")

    class Manager(sdk.LabelStudioMLManager):  # type: ignore[misc, name-defined]
        """Makes a model of each request's own labelling config."""

        @classmethod
        def fetch(cls, project: Any = None, label_config: Any = None, *_: Any, **__: Any) -> Any:
            answer = shared_handlers().setup({"schema": label_config})
            return sdk.ModelWrapper(
                model=SamModel(label_config=label_config), model_version=answer["model_version"]
            )

        @classmethod
        def predict(
            cls, tasks: Any, project: Any = None, label_config: Any = None, *_: Any, **values: Any
        ) -> Any:
            wrapper = cls.fetch(project, label_config)
            return wrapper.model.predict(tasks, context=values.get("context")), wrapper

        @classmethod
        def webhook(cls, event: str, data: dict[str, Any]) -> Any:
            return shared_handlers().webhook({**data, "action": event})

        @classmethod
        def _get_models_from_workdir(cls, project: Any) -> Any:
            return shared_handlers().versions()["versions"]

    vars(api)["_manager"] = Manager()  # the global that its routes use
    app = api.init_app(model_class=SamModel, model_dir=str(settings.state_folder))
    door = Door(settings)

    def refuse() -> Any:
        headers = {name.lower(): value for name, value in flask.request.headers.items()}
        refusal = door.refuse(flask.request.path, headers)
        if refusal is None:
            return None
        said = {"WWW-Authenticate": 'Basic realm="sam-plugins"'} if refusal[0] == 401 else {}
        return {"error": refusal[1]}, refusal[0], said

    def say_less(response: Any) -> Any:
        if response.status_code >= 400 and response.status_code != 401:
            response.data = json.dumps({"error": _sentence(response.get_json(silent=True))})
            response.mimetype = "application/json"
        return response

    def told(error: SamPluginsError) -> Any:
        problem = problem_of(error, "")
        return {"error": problem.sentence}, problem.status

    app.register_error_handler(SamPluginsError, told)  # of the routes where the SDK catches none
    app.before_request(refuse)
    app.after_request(say_less)
    return app


def _sentence(answer: Any) -> str:
    """Of the SDK's answer to an error, the error's own words."""
    answer = answer if isinstance(answer, dict) else {}
    if isinstance(answer.get("error"), str):
        return str(answer["error"])
    # "ConfigError: The labelling config ..."
    said = str(answer.get("detail") or "").partition(": ")[2]
    return said or "The request could not be answered; the backend's log says more."


def main() -> None:
    """Serve with Flask's own server, as the SDK's template does."""
    if sys.path and Path(sys.path[0]).resolve() == HERE:
        sys.path[0] = str(HERE.parent)  # else `server` and `values` were anybody's modules
    from dataclasses import replace

    from labelstudio_backend.server.auth import check_listening
    from labelstudio_backend.settings import Settings

    settings = Settings.from_environment()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-p", "--port", type=int, default=settings.port)
    parser.add_argument("--host", default=settings.host)
    said = parser.parse_args()
    settings = replace(settings, host=said.host, port=said.port)
    check_listening(settings)
    make_app(settings).run(host=settings.host, port=settings.port, threaded=True)


def __getattr__(name: str) -> Any:
    if name == "app":
        from labelstudio_backend.settings import Settings

        return make_app(Settings.from_environment())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    main()
