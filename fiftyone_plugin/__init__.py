"""The FiftyOne adapter: the plugin `@sam-plugins/sam`.

FiftyOne runs this file a second time, from the plugin's folder and under a name of its own. So it
holds nothing but the way to the installed package.
"""

import logging
from typing import Any

__all__ = ["register"]


def register(plugin: Any) -> None:
    """Tell FiftyOne what the plugin offers.

    Parameters
    ----------
    plugin
        FiftyOne's registration context; it calls this on loading the plugin.

    Raises
    ------
    ImportError
        If the plugin's folder is here and its package is not; the sentence is logged as well, as
        FiftyOne keeps it to itself.
    """
    try:
        from fiftyone_plugin.operators import register_all

        register_all(plugin)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"fiftyone_plugin", "sam_plugins"}:
            raise
        sentence = (
            "The plugin @sam-plugins/sam needs its package, which the Python of this FiftyOne does "
            'not have: run pip install "sam-plugins[fiftyone]" with that Python, and start '
            "FiftyOne again."
        )
        logging.getLogger(__name__).error(sentence)
        raise ImportError(sentence) from error


def __getattr__(name: str) -> object:
    """`download_model` and `load_model`, which FiftyOne's zoo looks for in this folder."""
    if name not in ("download_model", "load_model"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fiftyone_plugin import zoo

    return getattr(zoo, name)
