"""Small pieces that the panels are made of: rows with a label, buttons with a tip, numbers."""

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

__all__ = ["Panel", "button", "choice", "choose", "fraction", "note", "number", "row"]


class Panel(QWidget):
    """A column of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.column.setContentsMargins(6, 6, 6, 6)
        self.form = QFormLayout()
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self.column.addLayout(self.form)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)


def button(
    text: str, tip: str, action: Callable[[], Any], *, checkable: bool = False
) -> QPushButton:
    """A button that calls `action` when it is pressed, or when it is switched if `checkable`."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.clicked.connect(lambda *_: action())
    return made


def row(*widgets: QWidget) -> QHBoxLayout:
    """Widgets side by side."""
    made = QHBoxLayout()
    for widget in widgets:
        made.addWidget(widget)
    return made


def choice(entries: Sequence[tuple[str, Any]], tip: str, changed: Callable[[], Any]) -> QComboBox:
    """One of several: (text, value); `changed` is called when the user chooses another."""
    made = QComboBox()
    made.setToolTip(tip)
    made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.setMinimumContentsLength(8)
    for text, value in entries:
        made.addItem(text, value)
    made.activated.connect(lambda *_: changed())
    return made


def choose(box: QComboBox, value: Any) -> None:
    """Show the entry with a value, if there is one."""
    for index in range(box.count()):
        if box.itemData(index) == value:
            box.setCurrentIndex(index)
            return


def number(value: int, low: int, high: int, tip: str) -> QSpinBox:
    """A whole number."""
    made = QSpinBox()
    made.setRange(low, high)
    made.setValue(value)
    made.setToolTip(tip)
    made.setKeyboardTracking(False)
    return made


def fraction(value: float, tip: str) -> QDoubleSpinBox:
    """A number from 0 to 1."""
    made = QDoubleSpinBox()
    made.setRange(0.0, 1.0)
    made.setSingleStep(0.05)
    made.setDecimals(2)
    made.setValue(value)
    made.setToolTip(tip)
    return made


def note(text: str = "") -> QLabel:
    """A line of text that wraps and can be copied."""
    made = QLabel(text)
    made.setWordWrap(True)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made
