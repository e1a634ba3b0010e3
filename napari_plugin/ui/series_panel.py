"""The panel for a folder of images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QListWidget

from napari_plugin.session.series import Series
from napari_plugin.ui.rows import Panel, button, note, row

__all__ = ["SeriesPanel"]

_SIGNS = {"open": "  ", "done": "\N{CHECK MARK} ", "skipped": "\N{EN DASH} "}


class SeriesPanel(Panel):
    """Open a folder, go through its images, mark them done or skipped.

    Parameters
    ----------
    open_folder
        Called with a folder.
    go
        Called with a number of images to go on by, and what becomes of the one that is left:
        "done", "skipped" or None for as it is.
    show
        Called with the number of an image.
    """

    def __init__(
        self,
        open_folder: Callable[[Path], Any],
        go: Callable[[int, str | None], Any],
        show: Callable[[int], Any],
    ) -> None:
        super().__init__()
        self._open_folder = open_folder
        self.column.addWidget(
            button("Open a folder of images", "Annotate one after the other", self._browse)
        )
        self.files = QListWidget()
        self.files.itemDoubleClicked.connect(lambda *_: show(self.files.currentRow()))
        self.column.addWidget(self.files)
        self.column.addLayout(
            row(
                button("Previous", "Save, and open the image before", lambda: go(-1, None)),
                button("Next", "Save, and open the next image", lambda: go(1, None)),
            )
        )
        self.column.addLayout(
            row(
                button("Skip", "Leave this image out, open the next", lambda: go(1, "skipped")),
                button("Done", "Save, mark it done, open the next", lambda: go(1, "done")),
            )
        )
        self.status = note()
        self.column.addWidget(self.status)

    def show_series(self, series: Series | None) -> None:
        """Show files and their states."""
        self.files.clear()
        if series is None:
            return
        for entry in series.entries:
            self.files.addItem(f"{_SIGNS[entry.state]}{entry.path.name}")
        self.files.setCurrentRow(series.position)
        done = sum(entry.state != "open" for entry in series.entries)
        self.status.setText(
            f"{done} of {len(series.entries)} done or skipped. Labels go to {series.output}."
        )

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of images")
        if folder:
            self._open_folder(Path(folder))
