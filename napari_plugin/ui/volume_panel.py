"""The panel for following objects through z or t."""

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtWidgets import QCheckBox, QProgressBar

from napari_plugin.ui.rows import Panel, button, choice, note, number, row

__all__ = ["VolumePanel"]


class VolumePanel(Panel):
    """Along which axis, how far, start, stop.

    Parameters
    ----------
    start
        Called with the axis, the first and last position, and whether kept objects of the slice in
        view are followed instead of the prompts.
    stop
        Ends the run; what was found stays.
    """

    def __init__(
        self, start: Callable[[int, int, int, bool], Any], stop: Callable[[], Any]
    ) -> None:
        super().__init__()
        self._start = start
        self._lengths: tuple[int, ...] = ()
        self.axis = choice((), "The axis to follow objects along: z or t", self._axis_changed)
        self.first = number(0, 0, 0, "The first slice to follow objects to")
        self.last = number(0, 0, 0, "The last slice to follow objects to")
        self.kept = QCheckBox("follow the kept objects of this slice")
        self.kept.setToolTip("Instead of the object that is being prompted; ids stay as they are")
        self.form.addRow("Along", self.axis)
        self.form.addRow("From slice", self.first)
        self.form.addRow("To slice", self.last)
        self.column.addWidget(self.kept)
        self.go = button(
            "Follow", "Follow the prompted objects from their slices both ways", self._go
        )
        self.halt = button("Stop, keep what was found", "End the run now", stop)
        self.halt.setEnabled(False)
        self.column.addLayout(row(self.go, self.halt))
        self.progress = QProgressBar()
        self.progress.setVisible(False)
        self.column.addWidget(self.progress)
        self.keys = note()
        self.column.addWidget(self.keys)
        self.column.addWidget(
            note(
                "Prompt an object in one or more slices, then follow it. Look through the slices; "
                "where the mask is wrong, prompt it there as well and follow again. Keep it with K."
            )
        )

    def show_axes(self, axes: Sequence[tuple[int, str, int]]) -> None:
        """Offer axes: (number, name, length). The choice stays if it is still there."""
        offered = [self.axis.itemData(index) for index in range(self.axis.count())]
        if offered == [(axis, length) for axis, _, length in axes]:
            return
        self.axis.clear()
        for axis, name, length in axes:
            self.axis.addItem(f"{name} ({length})", (axis, length))
        self._axis_changed()

    def _axis_changed(self) -> None:
        data = self.axis.currentData()
        last = data[1] - 1 if data else 0
        for box, value in ((self.first, 0), (self.last, last)):
            box.setRange(0, last)
            box.setValue(value)
        self.go.setEnabled(data is not None)

    def _go(self) -> None:
        data = self.axis.currentData()
        if data is not None:
            first, last = sorted((self.first.value(), self.last.value()))
            self._start(data[0], first, last, self.kept.isChecked())
