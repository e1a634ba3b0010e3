"""The models in FiftyOne's zoo: a folder there that FiftyOne takes as a source of models."""

import shutil
from pathlib import Path

from fiftyone_plugin.errors import FiftyOneError

__all__ = ["SOURCE", "install_zoo_source", "uninstall_zoo_source"]

SOURCE = "sam-plugins"
"""Folder below FiftyOne's folder of models."""

_CONTENT = ("manifest.json", "__init__.py")


def install_zoo_source(models: Path) -> Path:
    """Make FiftyOne's zoo list our models; what an earlier call made is brought up to date.

    The files are copied: FiftyOne keeps weights beside them, which must not lie in the package.

    Parameters
    ----------
    models
        FiftyOne's folder of models, `fiftyone.config.model_zoo_dir`.

    Raises
    ------
    FiftyOneError
        If the folder cannot be written, or holds something else under that name.
    """
    target = models / SOURCE
    if (target / "manifest.json").exists() and not _is_ours(target):
        raise FiftyOneError(
            f"Expected our models in {target}, found something else: move that away first."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in _CONTENT:
            shutil.copy(Path(__file__).parents[1] / name, target / name)
    except OSError as error:
        raise FiftyOneError(
            f"The models cannot be put into {models} ({error.strerror}): check who may write there."
        ) from error
    return target


def uninstall_zoo_source(models: Path) -> bool:
    """Take away what `install_zoo_source` made; weights that FiftyOne put beside it stay.

    Returns
    -------
    Whether there was something.

    Raises
    ------
    FiftyOneError
        If it cannot be removed.
    """
    target = models / SOURCE
    if not _is_ours(target):
        return False
    try:
        for name in _CONTENT:
            (target / name).unlink(missing_ok=True)
        shutil.rmtree(target / "__pycache__", ignore_errors=True)
        if not any(target.iterdir()):
            target.rmdir()
    except OSError as error:
        raise FiftyOneError(f"{target} cannot be removed ({error.strerror}).") from error
    return True


def _is_ours(folder: Path) -> bool:
    """Whether a folder is a source of ours."""
    try:
        return f'"{SOURCE}/nano"' in (folder / "manifest.json").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
