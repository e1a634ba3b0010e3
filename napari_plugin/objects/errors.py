"""What can go wrong with the objects of a layer and with their journal."""

from sam_plugins.errors import SamPluginsError

__all__ = ["JournalError", "LabelsError"]


class LabelsError(SamPluginsError, ValueError):
    """An object that is not there, or a Labels layer that cannot hold it."""


class JournalError(SamPluginsError):
    """A journal that cannot be read: another program's file, damaged, or in use."""
