"""The dock widget: puts the session, the model and the panels together."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QProgressBar, QTabWidget, QVBoxLayout, QWidget

from napari_plugin.layers import ImageChoice
from napari_plugin.objects import Recovery, discard
from napari_plugin.service import ModelService, ServiceState
from napari_plugin.session.annotator import Annotator
from napari_plugin.session.exporting import exported
from napari_plugin.session.jobs import Jobs
from napari_plugin.session.kept import KeptObjects
from napari_plugin.session.series_run import SeriesRun
from napari_plugin.session.target import Target
from napari_plugin.session.task import Task
from napari_plugin.session.words import hint
from napari_plugin.ui.bridge import Bridge
from napari_plugin.ui.ending import once
from napari_plugin.ui.everything_panel import EverythingPanel
from napari_plugin.ui.export_panel import ExportPanel
from napari_plugin.ui.image_panel import ImagePanel
from napari_plugin.ui.keys import bind_keys, unbind_keys
from napari_plugin.ui.model_panel import ModelPanel, described
from napari_plugin.ui.mouse import CanvasClicks
from napari_plugin.ui.prompt_panel import PromptPanel
from napari_plugin.ui.recovery_bar import RecoveryBar
from napari_plugin.ui.rows import note
from napari_plugin.ui.series_panel import SeriesPanel
from napari_plugin.ui.volume_panel import VolumePanel
from napari_plugin.ui.warming import Warming
from sam_plugins import (
    Progress,
    SamPluginsError,
    default_settings,
    known_models,
)

__all__ = ["SamWidget"]

_SHOW: dict[str, Callable[[str], None]] = {
    "info": show_info,
    "warning": show_warning,
    "error": show_error,
}
_LOOK_MS = 400
_SWEEP_MS = 1000
_SLOW_MS = 300
"""How long a mask may take before a bar says that it is on its way."""


class SamWidget(QWidget):
    """Segment anything in this viewer.

    Parameters
    ----------
    napari_viewer
        The viewer that the widget is docked in.
    open_segmenter
        What opens models; the worker process by default.
    """

    def __init__(self, napari_viewer: Any, open_segmenter: Any = None) -> None:
        super().__init__()
        # napari hands plugins a wrapper, and through it a layer is not identical with itself.
        napari_viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.viewer = napari_viewer
        self.bridge = Bridge()
        self.warming = Warming(self.bridge.deliver)
        self.service = ModelService(
            self.bridge.deliver, open_segmenter, on_state=self._on_model_state
        )
        self.annotator = Annotator(napari_viewer, self.service, self.notify, self.refresh)
        self.jobs = Jobs(self.annotator, self._on_progress)
        self.kept = KeptObjects(self.annotator)
        self.clicks = CanvasClicks(self.annotator, self.kept.reopen)
        self.series = SeriesRun(self.annotator, self.begin)
        self.annotator.upcoming = self.series.upcoming
        self._export: Task | None = None
        self._closed = False
        self._make_panels()
        bind_keys(napari_viewer, self, self._actions())
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self.annotator.look)
        self._sweep = QTimer(self)
        self._sweep.setInterval(_SWEEP_MS)
        self._sweep.timeout.connect(self._on_sweep)
        self._sweep.start()
        napari_viewer.scene.camera.events.connect(self._on_camera)
        napari_viewer.layers.selection.events.active.connect(self._on_selection)
        self._ending = once(
            [
                self.jobs.close,
                self.clicks.close,
                partial(unbind_keys, napari_viewer),
                partial(napari_viewer.scene.camera.events.disconnect, self._on_camera),
                partial(
                    napari_viewer.layers.selection.events.active.disconnect, self._on_selection
                ),
                self.annotator.close_image,
                self.bridge.close,
                self.service.close,
            ]
        )
        # The window may be destroyed without a word to its docks.
        self.destroyed.connect(self._ending)
        self.refresh()
        self.service.open()

    # -- what is shown ------------------------------------------------------------------------

    def _make_panels(self) -> None:
        self.tabs = QTabWidget()
        self.images = ImagePanel(self.viewer, self.begin)
        kept = self.kept
        picks = {
            "reopen": kept.reopen,
            "delete": kept.delete,
            "merge": kept.merge,
            "split": kept.split,
        }
        self.prompts = PromptPanel(self.annotator, self._actions(), picks)
        self.everything = EverythingPanel(
            lambda settings, inside: self.jobs.everything(settings, inside=inside),
            self.jobs.stop,
            lambda sentence: self.notify("warning", sentence),
        )
        self.volume = VolumePanel(self._follow, self.jobs.stop)
        self.models = ModelPanel(
            [(model.name, described(model)) for model in known_models()],
            self._open_model,
            self.service.cancel_download,
        )
        self.export = ExportPanel(self._start_export, self._stop_export)
        self.folder = SeriesPanel(self._open_series, self._step_series, self._show_series)
        self.recovery = RecoveryBar(self._restore, self._forget)
        for title, panel in (
            ("Image", self.images),
            ("Prompt", self.prompts),
            ("Everything", self.everything),
            ("z / t", self.volume),
            ("Export", self.export),
            ("Series", self.folder),
            ("Model", self.models),
        ):
            self.tabs.addTab(panel, title)
        self.model_line = note()
        self.busy = QProgressBar()
        self.busy.setMaximumHeight(8)
        self.busy.setTextVisible(False)
        self.busy.setRange(0, 0)
        policy = self.busy.sizePolicy()
        # A layout that changes with every click would cost more than the mask.
        policy.setRetainSizeWhenHidden(True)
        self.busy.setSizePolicy(policy)
        self.busy.setVisible(False)
        self._slow = QTimer(self)
        self._slow.setSingleShot(True)
        self._slow.setInterval(_SLOW_MS)
        self._slow.timeout.connect(lambda: self.busy.setVisible(self.annotator.is_waiting))
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 2, 2, 2)
        column.addWidget(self.model_line)
        column.addWidget(self.busy)
        column.addWidget(self.recovery)
        column.addWidget(self.tabs)

    def _actions(self) -> dict[str, Callable[[], Any]]:
        session = self.annotator

        def under_mouse(act: Callable[[Any], Any]) -> Callable[[], None]:
            return lambda: act(tuple(self.viewer.cursor.position))

        return {
            "prompting": lambda: session.tools.set_prompting(not session.tools.prompting),
            "background": lambda: session.tools.set_sign(
                "object" if session.tools.sign == "background" else "background"
            ),
            "box": lambda: session.tools.draw(None if session.tools.drawing == "box" else "box"),
            "scribble": lambda: session.tools.draw(
                None if session.tools.drawing == "scribble" else "scribble"
            ),
            "next_answer": session.next_answer,
            "accept": session.accept,
            "discard": session.discard,
            "undo": session.undo,
            "redo": session.redo,
            "reopen": under_mouse(self.kept.reopen),
            "delete": under_mouse(self.kept.delete),
            "merge": under_mouse(self.kept.merge),
            "split": under_mouse(self.kept.split),
        }

    def notify(self, kind: str, sentence: str) -> None:
        """Show a sentence to the user."""
        _SHOW[kind](sentence)

    def refresh(self) -> None:
        """Show how things are."""
        if self._closed:
            return
        self.prompts.refresh()
        if not self.annotator.is_waiting:
            self._slow.stop()
            if self.busy.isVisible():
                self.busy.setVisible(False)
        elif not self._slow.isActive() and not self.busy.isVisible():
            self._slow.start()
        text = hint(self.annotator)
        overlay = self.viewer.canvas.overlays.text
        if overlay.text != text:
            overlay.text = text
        if overlay.visible != bool(text):
            overlay.visible = bool(text)
        target, plane = self.annotator.target, self.annotator.plane
        self.volume.show_axes(target.axes if target is not None and plane is not None else ())

    # -- what the panels ask for --------------------------------------------------------------

    def begin(
        self, layers: list[Any], choice: ImageChoice, labels: Any | None, detail: str
    ) -> None:
        """Begin to annotate an image, as soon as napari is ready for new layers."""
        self.warming.then(lambda: self._begin(layers, choice, labels, detail))

    def _begin(
        self, layers: list[Any], choice: ImageChoice, labels: Any | None, detail: str
    ) -> None:
        if not self.annotator.open_image(layers, choice, labels=labels, detail=detail):
            return
        target = self.annotator.target
        if target is not None:
            self.images.show_target(target.labels)
            self.images.status.setText(f"Objects of {target.name} go to {target.labels.name}.")
            for sentence in target.image.notes():
                self.notify("warning", sentence)
            self._look_for_offers(target)
        self.annotator.tools.set_prompting(True)
        self.tabs.setCurrentWidget(self.prompts)

    def _look_for_offers(self, target: Target) -> None:
        """Offer what was not saved on this picture, once the journals are read."""
        self.recovery.offer([])

        def offer(found: list[Recovery]) -> None:
            if target is self.annotator.target:
                self.recovery.offer(found)

        def ended(how: Exception | str | None) -> None:
            if isinstance(how, Exception):
                self.notify("warning", f"Journals could not be looked through: {how}")

        # Journals may be many and large: the window does not wait for them.
        Task(lambda: iter([target.offers()]), self.bridge.deliver, offer, ended)

    def _follow(self, axis: int, first: int, last: int, kept: bool) -> None:
        self.jobs.follow(axis, range(first, last + 1), kept=kept)

    def _open_model(self, name: str, device: str | None, precision: str) -> None:
        # Opening drops what was asked of the former model, so that masks are asked for after it.
        self.service.open(name, device, precision=precision)
        self.annotator.model_changed()

    def _restore(self, recovery: Recovery) -> None:
        target = self.annotator.target
        if self.annotator.restore(recovery) and target is not None:
            self.images.show_choice(target.image.choice, target.pictures.detail)
            self.notify("info", f"{recovery.objects} objects are back.")

    def _forget(self, recovery: Recovery) -> None:
        try:
            discard(recovery.path)
        except SamPluginsError as error:
            self.notify("error", str(error))

    def _start_export(self, folder: Path, kinds: Sequence[str], overwrite: bool) -> None:
        try:
            work = exported(self.annotator, self.service.state, folder, kinds, overwrite=overwrite)
        except SamPluginsError as error:
            self.notify("error", str(error))
            return
        self.export.show_running(True)

        def ended(how: Exception | str | None) -> None:
            self._export = None
            self.export.show_running(False)
            if isinstance(how, Exception):
                self.notify("error", str(how) or type(how).__name__)
            elif how is None:
                self.notify("info", f"{len(kinds)} kinds of files were written to {folder}.")

        self._export = Task(lambda: work, self.bridge.deliver, self.export.show_progress, ended)

    def _stop_export(self) -> None:
        if self._export is not None:
            self._export.stop()

    def _open_series(self, folder: Path) -> None:
        def opened() -> None:
            self.series.open(folder)
            self.folder.show_series(self.series.series)

        self.warming.then(opened)

    def _step_series(self, by: int, state: Any) -> None:
        self.series.go(by, state)
        self.folder.show_series(self.series.series)

    def _show_series(self, position: int) -> None:
        self.series.show(position)
        self.folder.show_series(self.series.series)

    # -- what happens -------------------------------------------------------------------------

    def _on_model_state(self, state: ServiceState) -> None:
        if self._closed:
            return
        info = state.info
        if state.phase == "ready" and info is not None:
            text = f"{info.name} on {info.device} with {info.engine}, {info.numerics}"
            self.everything.show_defaults(info.name, default_settings(info.name))
        else:
            text = state.message
        self.model_line.setText(text)
        busy = state.phase in ("opening", "downloading")
        self.models.show_state(
            state.message or text,
            state.fraction,
            busy=busy,
            fetching=state.phase == "downloading",
        )
        if state.phase == "failed":
            self.notify("error", state.message)

    def _on_progress(self, progress: Progress | None) -> None:
        running = progress is not None
        for panel, kind in ((self.everything, "automatic"), (self.volume, "propagated")):
            own = running and self.jobs.kind == kind
            panel.progress.setVisible(own)
            panel.halt.setEnabled(own)
            panel.go.setEnabled(not running)
            if own and progress is not None:
                panel.progress.setRange(0, progress.total)
                panel.progress.setValue(progress.done)
                panel.progress.setFormat(f"{progress.message} (%p%)")

    def _on_camera(self, event: Any) -> None:
        self._look.start()

    def _on_sweep(self) -> None:
        if self.annotator.target is not None:
            self.annotator.target.watch.sweep()

    def _on_selection(self, event: Any) -> None:
        layer = event.value
        if layer is not None and hasattr(layer.events, "mode"):
            layer.events.mode.disconnect(self._on_mode)
            layer.events.mode.connect(self._on_mode)
        self.refresh()

    def _on_mode(self, event: Any) -> None:
        self.refresh()

    def event(self, event: Any) -> bool:
        """Qt: a dock widget that is closed lets go of what it held."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut()
        return bool(super().event(event))

    def shut(self) -> None:
        """End all work; what was kept stays in its layer."""
        if self._closed:
            return
        self._closed = True
        self._look.stop()
        self._sweep.stop()
        self._stop_export()
        self.images.disconnect()
        self.viewer.canvas.overlays.text.visible = False
        self._ending()
