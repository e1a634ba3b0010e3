"""The panel for everything-mode."""

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QCheckBox, QProgressBar

from napari_plugin.ui.rows import Panel, button, choice, choose, fraction, note, number, row
from sam_plugins import AutomaticSettings, SamPluginsError

__all__ = ["EverythingPanel"]

_OVERLAPS = (
    ("the better one keeps it", "best_on_top"),
    ("the smaller one keeps it", "small_on_top"),
)

_LEAST_VISIBLE = 0.5
"""Of a mask that others lie on: less is a ring around them, and no object."""


class EverythingPanel(Panel):
    """What to search and keep, start, stop.

    Parameters
    ----------
    start
        Called with settings and whether to search only inside the drawn box.
    stop
        Ends the search; what was found stays.
    complain
        Shows a sentence about settings that do not fit.
    """

    def __init__(
        self,
        start: Callable[[AutomaticSettings, bool], Any],
        stop: Callable[[], Any],
        complain: Callable[[str], Any],
    ) -> None:
        super().__init__()
        self._start, self._complain = start, complain
        self._shown_for: str | None = None
        self.points = number(32, 1, 128, "Clicks per side of the picture, or of each tile of it")
        self.quality = fraction(0.88, "Keep masks whose predicted IoU is greater")
        self.stability = fraction(0.95, "Keep masks that change little when the threshold moves")
        self.smallest = number(0, 0, 10**8, "Drop objects of fewer pixels")
        self.largest = number(0, 0, 10**8, "Drop objects of more pixels; 0 does not limit")
        self.border = QCheckBox("leave out objects at the edge")
        self.layers = number(0, 0, 3, "Search enlarged parts of the picture too, for small objects")
        self.overlaps = choice(_OVERLAPS, "Whose a pixel is that two objects claim", lambda: None)
        self.inside = QCheckBox("only inside the drawn box")
        self.form.addRow("Points per side", self.points)
        self.form.addRow("Lowest quality", self.quality)
        self.form.addRow("Lowest stability", self.stability)
        self.form.addRow("Smallest (px)", self.smallest)
        self.form.addRow("Largest (px)", self.largest)
        self.form.addRow("Enlarged parts", self.layers)
        self.form.addRow("Shared pixels", self.overlaps)
        self.column.addWidget(self.border)
        self.column.addWidget(self.inside)
        self.go = button("Find everything", "Search the plane in view", self._go)
        self.halt = button("Stop, keep what was found", "End the search now", stop)
        self.halt.setEnabled(False)
        self.column.addLayout(row(self.go, self.halt))
        self.progress = QProgressBar()
        self.progress.setVisible(False)
        self.column.addWidget(self.progress)
        self.status = note("What is found is shown first: keep it with K, or clear it with Q.")
        self.column.addWidget(self.status)

    def show_defaults(self, name: str, settings: AutomaticSettings) -> None:
        """Show what suits a model, once for each model."""
        if name == self._shown_for:
            return
        self._shown_for = name
        self.points.setValue(settings.points_per_side)
        self.quality.setValue(settings.pred_iou_thresh)
        self.stability.setValue(settings.stability_score_thresh)
        choose(self.overlaps, "best_on_top")

    def settings(self) -> AutomaticSettings:
        """What the panel says.

        Raises
        ------
        PromptError
            If a number is out of its range.
        """
        return AutomaticSettings(
            points_per_side=self.points.value(),
            pred_iou_thresh=self.quality.value(),
            stability_score_thresh=self.stability.value(),
            min_area=self.smallest.value(),
            max_area=self.largest.value() or None,
            exclude_border=self.border.isChecked(),
            crop_n_layers=self.layers.value(),
            overlaps=self.overlaps.currentData(),
            min_visible=_LEAST_VISIBLE,
        )

    def _go(self) -> None:
        try:
            settings = self.settings()
        except SamPluginsError as error:
            self._complain(str(error))
            return
        self._start(settings, self.inside.isChecked())
