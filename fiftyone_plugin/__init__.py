"""The FiftyOne adapter. This version holds the manifest and no operators."""

__all__ = ["register"]


def register(plugin: object) -> None:
    """Tell FiftyOne what the plugin offers, which is nothing in this version.

    Parameters
    ----------
    plugin
        FiftyOne's registration context; it calls this on loading the plugin.
    """
