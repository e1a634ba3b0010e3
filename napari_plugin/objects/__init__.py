"""The objects of a Labels layer: what was accepted, its history, and the journal that outlives us.

No Qt and no model: it works on anything that is indexed like a NumPy array, and `LabelsWatch` alone
knows a napari layer.
"""

from napari_plugin.objects.accepting import Acceptance, Accepted
from napari_plugin.objects.book import Book
from napari_plugin.objects.history import Undone
from napari_plugin.objects.journal import About, Journal
from napari_plugin.objects.record import ObjectRecord
from napari_plugin.objects.recovery import (
    Recovery,
    Restored,
    discard,
    journals_folder,
    recoverable,
    restore,
)
from napari_plugin.objects.watch import LabelsWatch

__all__ = [
    "About",
    "Acceptance",
    "Accepted",
    "Book",
    "Journal",
    "LabelsWatch",
    "ObjectRecord",
    "Recovery",
    "Restored",
    "Undone",
    "discard",
    "journals_folder",
    "recoverable",
    "restore",
]
