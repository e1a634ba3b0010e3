"""The line that offers sessions which ended without being saved."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_plugin.objects import Recovery
from napari_plugin.ui.rows import button, note, row

__all__ = ["RecoveryBar"]


class RecoveryBar(QWidget):
    """Offers the newest unsaved session of a picture: take it up, or forget it.

    Parameters
    ----------
    restore, forget
        Called with the session.
    """

    def __init__(
        self, restore: Callable[[Recovery], Any], forget: Callable[[Recovery], Any]
    ) -> None:
        super().__init__()
        self._offers: list[Recovery] = []
        self.text = note()
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self.text)
        self.take = button(
            "Restore", "Bring its objects and prompts back", lambda: self._use(restore)
        )
        self.drop = button("Forget", "Delete its journal", lambda: self._use(forget))
        column.addLayout(row(self.take, self.drop))
        self.setVisible(False)

    def offer(self, found: Sequence[Recovery]) -> None:
        """Show the newest of some sessions; nothing if there are none."""
        self._offers = list(found)
        self.setVisible(bool(self._offers))
        if not self._offers:
            return
        newest = self._offers[0]
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest.when))
        more = f" ({len(self._offers) - 1} older)" if len(self._offers) > 1 else ""
        count = f"{newest.objects} object{'' if newest.objects == 1 else 's'}"
        damage = f" {newest.damage}" if newest.damage else ""
        self.text.setText(
            f"Unsaved work on {newest.image!r} of {when}: {count}, {newest.pixels:,} pixels"
            f"{more}.{damage}"
        )

    def _use(self, act: Callable[[Recovery], Any]) -> None:
        if self._offers:
            act(self._offers.pop(0))
            self.offer(self._offers)
