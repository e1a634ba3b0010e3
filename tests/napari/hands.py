"""Hands for a real window: clicks, drags and keys where a user would put them."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

Wait = Callable[..., None]


class Hands:
    """Acts on a napari window with the plugin docked in it.

    Parameters
    ----------
    viewer
        A shown viewer.
    wait
        The fixture ``wait_until``.
    shots
        Where screenshots go.
    """

    def __init__(self, viewer: Any, wait: Wait, shots: Path, name: str) -> None:
        self.viewer, self.wait, self.shots, self.name = viewer, wait, shots, name
        self.said: list[tuple[str, str]] = []
        self.dock, self.widget = viewer.window.add_plugin_dock_widget(
            "sam-plugins", "Segment anything"
        )
        self.widget.annotator.notify = lambda kind, text: self.said.append((kind, text))
        self.widget.notify = self.widget.annotator.notify
        self.canvas = viewer.window._qt_viewer.canvas.native
        self.count = 0

    @property
    def session(self) -> Any:
        return self.widget.annotator

    def settle(self, seconds: float = 0.15) -> None:
        """Let the window draw."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def use(self, layer: Any) -> None:
        """Choose an image and press the button; wait for the model."""
        self.widget.images.check_only(layer)
        self.press(self.widget.images.go)
        self.wait(lambda: self.session.target is not None, what="the picture")
        self.wait(lambda: self.widget.service.state.phase == "ready", what="the model")
        self.image = layer
        self.settle()

    def press(self, button: Any) -> None:
        """Click a button of the dock widget."""
        assert button.isEnabled(), f"{button.text()} cannot be pressed"
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def place(self, xy: Sequence[float]) -> QPoint:
        """Where on the canvas a pixel of the image is shown."""
        displayed = list(self.viewer.dims.displayed)
        data = list(self.image.world_to_data(self.viewer.dims.point))
        data[displayed[1]], data[displayed[0]] = xy
        world = np.array(self.image.data_to_world(data))[displayed]
        camera = self.viewer.scene.camera
        size = np.array((self.canvas.height(), self.canvas.width()))
        row, column = size / 2 + (world - np.array(camera.center[-2:])) * camera.zoom
        return QPoint(round(column), round(row))

    def click(
        self,
        xy: Sequence[float],
        *,
        ctrl: bool = False,
        shift: bool = False,
        right: bool = False,
    ) -> None:
        """Click on a pixel of the image."""
        modifier = Qt.KeyboardModifier.NoModifier
        if ctrl:
            modifier = Qt.KeyboardModifier.ControlModifier
        if shift:
            modifier = Qt.KeyboardModifier.ShiftModifier
        where = self.place(xy)
        QTest.mouseMove(self.canvas, where)
        self.settle(0.05)
        button = Qt.MouseButton.RightButton if right else Qt.MouseButton.LeftButton
        QTest.mouseClick(self.canvas, button, modifier, where)
        self.wait(lambda: not self.session.is_waiting, what="a mask")
        self.settle()

    def hover(self, xy: Sequence[float]) -> None:
        """Move the mouse to a pixel of the image."""
        QTest.mouseMove(self.canvas, self.place(xy))
        self.settle(0.1)

    def drag(self, *places: Sequence[float]) -> None:
        """Press at the first pixel, move over the others, let go at the last."""
        points = [self.place(xy) for xy in places]
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mouseMove(self.canvas, points[0])
        QTest.mousePress(self.canvas, left, none, points[0])
        for start, end in pairwise(points):
            for step in np.linspace(0, 1, 8)[1:]:
                middle = start + (end - start) * float(step)
                QTest.mouseMove(self.canvas, QPoint(middle))
                QApplication.processEvents()
        QTest.mouseRelease(self.canvas, left, none, points[-1])
        self.settle()
        self.wait(lambda: not self.session.is_waiting, what="a mask")
        self.settle()

    def key(self, key: str) -> None:
        """Press a key on the canvas: "K", "Shift+B"."""
        *modifiers, letter = key.split("+")
        modifier = (
            Qt.KeyboardModifier.ShiftModifier if modifiers else Qt.KeyboardModifier.NoModifier
        )
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{letter}"), modifier)
        self.settle(0.05)
        self.wait(lambda: not self.session.is_waiting, what="a mask")
        self.settle(0.05)

    def shot(self, step: str) -> None:
        """A screenshot of the whole window."""
        self.settle()
        self.count += 1
        path = self.shots / f"{self.name}-{self.count:02d}-{step}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        assert path.stat().st_size > 20_000

    def labels(self) -> Any:
        """What is in the Labels layer."""
        return np.asarray(self.session.target.labels.data)

    def close(self) -> None:
        """Close the dock widget, as its button does."""
        self.dock.destroyOnClose()
        assert self.session.target is None
