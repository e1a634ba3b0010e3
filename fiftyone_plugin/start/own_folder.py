"""A FiftyOne of its own: everything it reads and writes lies below one folder."""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["environment_of"]

_FOLDERS = {
    "FIFTYONE_DATABASE_DIR": "database",
    "FIFTYONE_DEFAULT_DATASET_DIR": "datasets",
    "FIFTYONE_PLUGINS_DIR": "plugins",
    "FIFTYONE_MODEL_ZOO_DIR": "models",
}
_FILES = {
    "FIFTYONE_CONFIG_PATH": "config.json",
    "FIFTYONE_APP_CONFIG_PATH": "app_config.json",
}
_SETTINGS = {
    "FIFTYONE_DO_NOT_TRACK": "true",
    "FIFTYONE_DATABASE_VALIDATION": "false",
    "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",  # else the App offers no background runs
}
_OTHERS = (
    "FIFTYONE_DATABASE_URI",
    "FIFTYONE_DATABASE_NAME",
    "FIFTYONE_PRIVATE_DATABASE_PORT",
    "FIFTYONE_MODULE_PATH",
)
"""What would lead it to the user's own database."""


def environment_of(folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a FiftyOne that keeps to a folder.

    Parameters
    ----------
    folder
        Of its database, files, plugins and models; made where it is not there.
    environment
        What it begins with; that of this process by default.

    Returns
    -------
    All variables, for this process before it imports FiftyOne or for another.
    """
    variables = dict(os.environ if environment is None else environment)
    for name in _OTHERS:
        variables.pop(name, None)
    folder = folder.absolute()
    for name in _FOLDERS.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
    paths = {name: str(folder / place) for name, place in {**_FOLDERS, **_FILES}.items()}
    return {**variables, **paths, **_SETTINGS}
