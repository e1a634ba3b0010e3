"""`LayerEvents`: what happens to the layers of a picture behind the session's back."""

from typing import TYPE_CHECKING, Any

from napari_plugin.session.target import Target
from sam_plugins.errors import SamPluginsError

if TYPE_CHECKING:
    from napari_plugin.session.annotator import Annotator

__all__ = ["LayerEvents"]


class LayerEvents:
    """Closes a picture whose layers are removed, and looks again at one that is replaced.

    Parameters
    ----------
    annotator
        Who annotates the picture.
    target
        The picture, with its Labels layer.
    """

    def __init__(self, annotator: "Annotator", target: Target) -> None:
        self._annotator, self._target = annotator, target
        annotator.viewer.layers.events.removed.connect(self._on_removed)
        for layer in target.layers:
            layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Listen no longer."""
        self._annotator.viewer.layers.events.removed.disconnect(self._on_removed)
        for layer in self._target.layers:
            layer.events.data.disconnect(self._on_data)

    def _on_removed(self, event: Any) -> None:
        layer, target = event.value, self._target
        if not any(layer is own for own in (*target.layers, target.labels)):
            return
        self._annotator.close_image()
        self._annotator.notify(
            "warning",
            f"The layer {layer.name} was removed, which ends work on this image. Nothing that was "
            "kept is lost: use the image again, and its objects are offered.",
        )

    def _on_data(self, event: Any) -> None:
        if self._target.image.is_current:
            return
        try:
            self._target.take_picture()
        except SamPluginsError as error:
            self._annotator.notify("error", str(error))
            return
        self._annotator.notify(
            "warning", f"The picture of {self._target.name} was replaced: masks are made anew."
        )
        self._annotator.model_changed()
