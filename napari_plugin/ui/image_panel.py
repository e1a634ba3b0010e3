"""The panel for what is segmented: layers, channels, brightness, where objects go."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_plugin.layers import ImageChoice, guess_channel_axis
from napari_plugin.session.pictures import DETAILS
from napari_plugin.ui.rows import Panel, button, choice, choose, note, number, row

__all__ = ["ImagePanel"]

NEW_LABELS = "a new layer"
_INTENSITIES = (
    ("percentiles of the whole layer", "percentile"),
    ("as displayed (contrast limits)", "contrast_limits"),
)
_ROWS_SHOWN = 3


class ImagePanel(Panel):
    """Choose what is segmented.

    Parameters
    ----------
    viewer
        Whose layers are offered.
    begin
        Called with layers, an `ImageChoice`, a Labels layer or None, and the detail.
    """

    def __init__(
        self, viewer: Any, begin: Callable[[list[Any], ImageChoice, Any, str], Any]
    ) -> None:
        super().__init__()
        self._viewer, self._begin = viewer, begin
        self.layers = QListWidget()
        self.layers.setToolTip("The image; check several of equal size to take them as channels")
        self.layers.setFixedHeight(24 * _ROWS_SHOWN)
        self.layers.itemChanged.connect(lambda *_: self._chosen())
        self.axis = choice((("none", None),), "Which axis of the data holds channels", self._axes)
        self.channels = [
            number(0, 0, 0, f"Which channel the model sees as {colour}")
            for colour in ("red", "green", "blue")
        ]
        self.intensity = choice(
            _INTENSITIES, "What is black and white: once for the whole layer", self._nothing
        )
        self.detail = choice(
            [(word, word) for word in DETAILS],
            "How large a part of the picture the model looks at: smaller parts show small objects",
            self._nothing,
        )
        self.target = choice(((NEW_LABELS, None),), "Where objects go", self._nothing)
        self.form.addRow("Image", self.layers)
        self.form.addRow("Channel axis", self.axis)
        self.form.addRow("Channels", row(*self.channels))
        self.form.addRow("Brightness", self.intensity)
        self.form.addRow("Detail", self.detail)
        self.form.addRow("Objects", self.target)
        self.go = button("Use this image", "Begin to annotate it", self.begin)
        self.column.addWidget(self.go)
        self.status = note()
        self.column.addWidget(self.status)
        self.column.addStretch()
        self._filling = False
        viewer.layers.events.inserted.connect(self.refresh)
        viewer.layers.events.removed.connect(self.refresh)
        viewer.layers.events.reordered.connect(self.refresh)
        self._connected: set[int] = set()
        self.refresh()

    def disconnect(self) -> None:
        """Follow the viewer's layers no longer."""
        for name in ("inserted", "removed", "reordered"):
            getattr(self._viewer.layers.events, name).disconnect(self.refresh)

    def refresh(self, event: Any = None) -> None:
        """Offer the layers that the viewer has now; what was checked stays checked."""
        before = {id(layer) for layer in self.checked()}
        images = [layer for layer in self._viewer.layers if layer_kind(layer) == "image"]
        self._filling = True
        self.layers.clear()
        for layer in images:
            item = QListWidgetItem(layer.name)
            item.setData(Qt.ItemDataRole.UserRole, layer)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            on = id(layer) in before or (not before and layer is images[0])
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.layers.addItem(item)
            if id(layer) not in self._connected:
                self._connected.add(id(layer))
                layer.events.name.connect(self.refresh)
        target = self.target.currentData()
        self.target.clear()
        self.target.addItem(NEW_LABELS, None)
        for layer in self._viewer.layers:
            if layer_kind(layer) == "labels":
                self.target.addItem(layer.name, layer)
        choose(self.target, target)
        self._filling = False
        self._chosen()

    def checked(self) -> list[Any]:
        """The image layers that are checked, from the bottom of the list of layers upwards."""
        items = [self.layers.item(index) for index in range(self.layers.count())]
        return [
            item.data(Qt.ItemDataRole.UserRole)
            for item in items
            if item.checkState() == Qt.CheckState.Checked
        ]

    def check_only(self, layer: Any) -> None:
        """Check one layer and no other."""
        self._filling = True
        for index in range(self.layers.count()):
            item = self.layers.item(index)
            on = item.data(Qt.ItemDataRole.UserRole) is layer
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self._filling = False
        self._chosen()

    def image_choice(self) -> ImageChoice:
        """What the panel says about channels and brightness."""
        axis = self.axis.currentData()
        layers = self.checked()
        channels = None
        if axis is not None or len(layers) > 1:
            channels = tuple(box.value() for box in self.channels)
        return ImageChoice(
            layers=tuple(layer.name for layer in layers),
            channel_axis=axis,
            channels=channels if axis is not None else None,
            intensity=self.intensity.currentData(),
        )

    def begin(self) -> None:
        """Begin to annotate what is chosen."""
        self._begin(
            self.checked(),
            self.image_choice(),
            self.target.currentData(),
            self.detail.currentData(),
        )

    def show_choice(self, chosen: ImageChoice, detail: str) -> None:
        """Show the channels, the brightness and the detail that are in use."""
        choose(self.axis, chosen.channel_axis)
        self._axes()
        for box, shown in zip(self.channels, chosen.channels or (), strict=False):
            box.setValue(shown)
        choose(self.intensity, chosen.intensity)
        choose(self.detail, detail)

    def show_target(self, layer: Any) -> None:
        """Show which Labels layer is in use."""
        choose(self.target, layer)

    def _chosen(self) -> None:
        """Another image is checked: its axes are offered, and a guess at the channels."""
        if self._filling:
            return
        layers = self.checked()
        before = self.axis.currentData()
        self.axis.clear()
        self.axis.addItem("none", None)
        guess = None
        if len(layers) == 1 and not getattr(layers[0], "rgb", False):
            layer = layers[0]
            for axis in range(layer.ndim):
                length = (
                    layer.data.shape[axis] if not layer.multiscale else layer.data[0].shape[axis]
                )
                self.axis.addItem(f"{layer.axis_labels[axis]}: {length}", axis)
            guess = guess_channel_axis(layer)
        choose(self.axis, before if before is not None else guess)
        self.go.setEnabled(bool(layers))
        self._axes()

    def _axes(self) -> None:
        axis, layers = self.axis.currentData(), self.checked()
        count = 0
        if axis is not None and layers:
            data = layers[0].data[0] if layers[0].multiscale else layers[0].data
            count = int(data.shape[axis])
        for position, box in enumerate(self.channels):
            box.setEnabled(count > 0)
            box.setRange(0, max(count - 1, 0))
            box.setValue(min(position, max(count - 1, 0)))

    def _nothing(self) -> None:
        """Choices count when the image is used."""


def layer_kind(layer: Any) -> str:
    """What napari calls a layer: "image", "labels", "points", ..."""
    return type(layer).__name__.lower()
