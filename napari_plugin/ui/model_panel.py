"""The panel for the model: which one, where it runs, how far it is."""

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtWidgets import QFileDialog, QProgressBar

from napari_plugin.ui.rows import Panel, button, choice, choose, note
from sam_plugins import KnownModel

__all__ = ["ModelPanel", "described"]

_FILE = "another file"
_DEVICES = (("best one here", None), ("cpu", "cpu"), ("cuda", "cuda"), ("mps", "mps"))
_PRECISIONS = (("fp32", "fp32"), ("bf16: faster, less exact", "bf16"))


class ModelPanel(Panel):
    """Choose a model; see what answers, and how far opening or downloading is.

    Parameters
    ----------
    models
        (name, text) of the models that are known.
    open_model
        Called with name or path, device and precision.
    stop
        Stops a download; what has arrived is kept.
    """

    def __init__(
        self,
        models: Sequence[tuple[str, str]],
        open_model: Callable[[str, str | None, str], Any],
        stop: Callable[[], Any],
    ) -> None:
        super().__init__()
        self._open_model = open_model
        entries: list[tuple[str, Any]] = [(text, name) for name, text in models]
        self.model = choice(
            [*entries, (f"{_FILE} ...", _FILE)], "Which model answers", self._opened
        )
        self.device = choice(_DEVICES, "Where it runs", self._opened)
        self.precision = choice(_PRECISIONS, "How exactly it computes", self._opened)
        self.form.addRow("Model", self.model)
        self.form.addRow("Device", self.device)
        self.form.addRow("Precision", self.precision)
        self.state = note()
        self.column.addWidget(self.state)
        self.progress = QProgressBar()
        self.progress.setVisible(False)
        self.column.addWidget(self.progress)
        self.halt = button("Stop", "Stop the download; what has arrived is kept", stop)
        self.halt.setVisible(False)
        self.column.addWidget(self.halt)
        self._last = self.model.currentData()

    def show_state(self, text: str, fraction: float | None, *, busy: bool, fetching: bool) -> None:
        """Show a sentence, and how far things are: `fraction` 0 to 1, None while unknown."""
        self.state.setText(text)
        self.progress.setVisible(busy)
        self.progress.setRange(0, 0 if fraction is None else 1000)
        self.progress.setValue(int(1000 * (fraction or 0)))
        self.halt.setVisible(fetching)

    def show_model(self, name: str) -> None:
        """Show which model is chosen; a path becomes an entry of its own."""
        if self.model.findData(name) < 0:
            self.model.insertItem(
                self.model.count() - 1, name.replace("\\", "/").split("/")[-1], name
            )
        choose(self.model, name)
        self._last = name

    def _opened(self) -> None:
        name = self.model.currentData()
        if name == _FILE:
            choose(self.model, self._last)
            path, _ = QFileDialog.getOpenFileName(
                self, "Weights file", "", "Weights (*.pth *.pt *.safetensors *.bin);;All files (*)"
            )
            if not path:
                return
            self.show_model(path)
            name = path
        self._last = name
        self._open_model(name, self.device.currentData(), self.precision.currentData())


def described(model: KnownModel) -> str:
    """A model as a line of a list: what it costs to have it."""
    if model.here:
        return model.name
    size = "" if model.size_bytes is None else f" of {model.size_bytes / 1e6:,.0f} MB"
    return f"{model.name} (download{size})"
