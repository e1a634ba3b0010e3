"""The plugin in FiftyOne's folder of plugins: linked or copied there, and taken away again."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from fiftyone_plugin.errors import FiftyOneError

__all__ = ["PLUGIN", "install_plugin", "uninstall_plugin"]

PLUGIN = "@sam-plugins/sam"
"""The plugin's name for FiftyOne, and where it lies below the folder of plugins."""

_METADATA = frozenset(("fiftyone.yml", "fiftyone.yaml"))
_CONTENT = ("fiftyone.yml", "__init__.py", "requirements.txt", "dist")
"""What FiftyOne reads of it; the rest it imports from the installed package."""


def install_plugin(plugins: Path, *, copy: bool = False) -> Path:
    """Make FiftyOne find the plugin; what an earlier call made is replaced.

    Parameters
    ----------
    plugins
        FiftyOne's folder of plugins.
    copy
        Copy what FiftyOne reads, where links are not possible; a link follows the installed
        package when that is updated.

    Returns
    -------
    Where the plugin is now.

    Raises
    ------
    FiftyOneError
        If something else lies there, or the folder cannot be written.
    """
    source, target = Path(__file__).parents[1].absolute(), plugins / PLUGIN
    uninstall_plugin(plugins)
    for other in _named_so(plugins):
        raise FiftyOneError(
            f"The plugin is in {other} already, and FiftyOne stops at two of a name: remove that "
            "one first."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not copy:
            target.symlink_to(source, target_is_directory=True)
            return target
        target.mkdir()
        for name in _CONTENT:
            if (source / name).is_dir():
                shutil.copytree(source / name, target / name)
            elif (source / name).exists():
                shutil.copy(source / name, target / name)
    except OSError as error:
        advice = "check who may write there" if copy else "try --copy"
        raise FiftyOneError(
            f"The plugin cannot be put into {plugins} ({error.strerror}): {advice}."
        ) from error
    return target


def uninstall_plugin(plugins: Path) -> bool:
    """Take away what `install_plugin` made.

    Returns
    -------
    Whether there was something.

    Raises
    ------
    FiftyOneError
        If something else lies there, or it cannot be removed.
    """
    target = plugins / PLUGIN
    try:
        if target.is_symlink():
            target.unlink()
        elif not target.exists():
            return False
        elif _is_ours(target):
            shutil.rmtree(target)
        else:
            raise FiftyOneError(
                f"Expected the plugin in {target}, found something else: move that away first."
            )
    except OSError as error:
        raise FiftyOneError(f"{target} cannot be removed ({error.strerror}).") from error
    return True


def _named_so(plugins: Path) -> Iterator[Path]:
    """Folders of plugins that have our name."""
    for folder, below, files in os.walk(plugins, followlinks=True):
        found = _METADATA.intersection(files)
        if found:
            below.clear()
        if any(_names_us(Path(folder, name)) for name in found):
            yield Path(folder)


def _names_us(metadata: Path) -> bool:
    try:
        return re.search(rf"^name:\W*{PLUGIN}\W*$", metadata.read_text("utf-8"), re.M) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds a copy of the plugin and nothing beside it."""
    known = {*_CONTENT, "__pycache__"}
    return _names_us(folder / "fiftyone.yml") and all(
        each.name in known for each in folder.iterdir()
    )
