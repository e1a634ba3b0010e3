"""`sam-plugins fiftyone install` and `uninstall`."""

from pathlib import Path

from fiftyone_plugin.cli.console import say
from fiftyone_plugin.cli.datasets import fiftyone
from fiftyone_plugin.start import (
    PLUGIN,
    install_plugin,
    install_zoo_source,
    uninstall_plugin,
    uninstall_zoo_source,
)

__all__ = ["install", "uninstall"]


def install(folder: Path | None, *, copy: bool, zoo: bool) -> None:
    """Link or copy the plugin, list the models in the zoo if asked to, and say where."""
    plugins = folder or Path(fiftyone().config.plugins_dir)
    target = install_plugin(plugins, copy=copy)
    say(f"{PLUGIN} is in {target}: FiftyOne finds it when its App is opened again.")
    if zoo:
        source = install_zoo_source(Path(fiftyone().config.model_zoo_dir))
        say(f'{source} lists the models: fiftyone.zoo.load_zoo_model("sam-plugins/nano").')


def uninstall(folder: Path | None) -> None:
    """Take plugin and models away, and say so."""
    plugins = folder or Path(fiftyone().config.plugins_dir)
    there = uninstall_plugin(plugins)
    say(f"{PLUGIN} is gone from {plugins}." if there else f"{PLUGIN} is not in {plugins}.")
    models = Path(fiftyone().config.model_zoo_dir)
    if folder is None and uninstall_zoo_source(models):
        say(f"The models are gone from the zoo in {models}; weights that are there stay.")
