"""The panel for files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QProgressBar

from napari_plugin.export import KINDS
from napari_plugin.ui.rows import Panel, button, note, row
from sam_plugins import Progress

__all__ = ["ExportPanel"]

_AT_FIRST = ("tiff", "provenance")


class ExportPanel(Panel):
    """Which files, where.

    Parameters
    ----------
    start
        Called with a folder, kinds and whether to replace files.
    stop
        Ends the export.
    """

    def __init__(
        self, start: Callable[[Path, Sequence[str], bool], Any], stop: Callable[[], Any]
    ) -> None:
        super().__init__()
        self._start = start
        self.kinds: dict[str, QCheckBox] = {}
        for name, kind in KINDS.items():
            box = QCheckBox(kind.title)
            box.setToolTip(kind.note)
            box.setChecked(name in _AT_FIRST)
            self.kinds[name] = box
            self.column.addWidget(box)
        self.folder = QLineEdit(str(Path.home()))
        self.folder.setToolTip("Where the files go; it is made if it is not there")
        self.column.addLayout(row(self.folder, button("...", "Choose the folder", self._browse)))
        self.replace = QCheckBox("replace files of these names")
        self.column.addWidget(self.replace)
        self.go = button("Export", "Write the files", self._go)
        self.halt = button("Stop", "Write no further file", stop)
        self.halt.setEnabled(False)
        self.column.addLayout(row(self.go, self.halt))
        self.progress = QProgressBar()
        self.progress.setVisible(False)
        self.column.addWidget(self.progress)
        self.status = note(
            "A provenance file replays without a window: sam-plugins napari replay FILE"
        )
        self.column.addWidget(self.status)

    def show_running(self, running: bool) -> None:
        """Show whether files are being written."""
        self.go.setEnabled(not running)
        self.halt.setEnabled(running)
        self.progress.setVisible(running)

    def show_progress(self, progress: Progress) -> None:
        """Show how far it is."""
        self.progress.setRange(0, progress.total)
        self.progress.setValue(progress.done)
        self.status.setText(progress.message)

    def chosen(self) -> list[str]:
        """Names of the kinds that are checked."""
        return [name for name, box in self.kinds.items() if box.isChecked()]

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder", self.folder.text())
        if folder:
            self.folder.setText(folder)

    def _go(self) -> None:
        self._start(Path(self.folder.text()).expanduser(), self.chosen(), self.replace.isChecked())
