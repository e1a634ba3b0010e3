"""`sam-plugins fiftyone install` and `uninstall`."""

from pathlib import Path

from fiftyone_plugin.cli.console import say
from fiftyone_plugin.cli.datasets import fiftyone
from fiftyone_plugin.start import PLUGIN, install_plugin, uninstall_plugin

__all__ = ["install", "uninstall"]


def install(folder: Path | None, *, copy: bool) -> None:
    """Link or copy the plugin, and say where."""
    plugins = folder or _plugins()
    target = install_plugin(plugins, copy=copy)
    say(f"{PLUGIN} is in {target}: FiftyOne finds it when its App is opened again.")


def uninstall(folder: Path | None) -> None:
    """Take it away, and say so."""
    plugins = folder or _plugins()
    there = uninstall_plugin(plugins)
    say(f"{PLUGIN} is gone from {plugins}." if there else f"{PLUGIN} is not in {plugins}.")


def _plugins() -> Path:
    return Path(fiftyone().config.plugins_dir)
