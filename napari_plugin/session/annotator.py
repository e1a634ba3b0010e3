"""`Annotator`: prompt, look, keep. The heart of the plugin, on a viewer and without Qt."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from napari_plugin.layers import ImageChoice, world_to_plane
from napari_plugin.objects import Acceptance
from napari_plugin.session.answers import Answer, Answers
from napari_plugin.session.draft import Draft
from napari_plugin.session.preview import Preview
from napari_plugin.session.prompt_layers import PromptLayers, Sign
from napari_plugin.session.target import Target
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins.errors import SamPluginsError

__all__ = ["POLICIES", "Annotator", "Notify"]

Notify = Callable[[str, str], None]
"""Shows a sentence to the user: ("info" | "warning" | "error", sentence)."""

POLICIES: Mapping[str, str] = {
    "keep": "kept objects keep their pixels",
    "overwrite": "the new object takes them",
}
"""Whose a pixel is that two objects claim -> in words."""


class Annotator:
    """One picture being annotated. All methods are called on the thread of the window.

    Parameters
    ----------
    viewer
        A napari viewer, or its model.
    service
        Where the model works: `napari_plugin.service.ModelService`.
    notify
        Shows sentences.
    changed
        Called after everything that changes what the properties say.
    """

    def __init__(
        self,
        viewer: Any,
        service: Any,
        notify: Notify,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.viewer = viewer
        self.service = service
        self.notify = notify
        self.changed = changed
        self.target: Target | None = None
        self.prompts: PromptLayers | None = None
        self.preview: Preview | None = None
        self.answers: Answers | None = None
        self.draft = Draft()
        self.found: dict[int, dict[Plane, PlaneMask]] = {}
        """Masks that were found rather than prompted, by number of the draft's object."""
        self.origins: dict[int, str] = {}
        """Where the masks in `found` come from: "automatic" or "propagated"."""
        self.policy = "keep"
        self.prompting = False
        self._ids: dict[int, int] = {}
        self._accepting = False

    # -- the picture --------------------------------------------------------------------------

    def open_image(
        self,
        layers: Sequence[Any],
        choice: ImageChoice,
        *,
        labels: Any | None = None,
        detail: str = "automatic",
    ) -> bool:
        """Begin to annotate; False and a sentence if that cannot be.

        What was kept before stays in its layer; prompts that were not kept are let go.
        """
        try:
            target = Target(
                self.viewer,
                layers,
                choice,
                labels=labels,
                detail=detail,
                warn=lambda sentence: self.notify("warning", sentence),
            )
        except SamPluginsError as error:
            self.notify("error", str(error))
            return False
        self.close_image()
        self.target = target
        self.prompts = PromptLayers(self.viewer, target.ndim, target.placed(), self._on_prompts)
        self.preview = Preview(self.viewer, target.place_crop)
        self.answers = Answers(self.service, target.pictures, self._on_answer, self._on_failed)
        self.viewer.dims.events.current_step.connect(self._on_view)
        self.viewer.dims.events.order.connect(self._on_view)
        self.viewer.dims.events.ndisplay.connect(self._on_view)
        self._on_view()
        return True

    def close_image(self) -> None:
        """Stop annotating this picture; its objects stay, and its journal is closed cleanly."""
        if self.target is None:
            return
        for event in ("current_step", "order", "ndisplay"):
            getattr(self.viewer.dims.events, event).disconnect(self._on_view)
        if self.prompts is not None:
            self.prompts.close()
        if self.preview is not None:
            self.preview.close()
        self.target.close()
        self.target = self.prompts = self.preview = self.answers = None
        self._forget_draft()
        self.changed()

    @property
    def plane(self) -> Plane | None:
        """The plane in view, or None if there is no picture or it is shown in 3-D."""
        if self.target is None:
            return None
        try:
            return self.target.image.plane(self.viewer.dims)
        except SamPluginsError:
            return None

    # -- prompts ------------------------------------------------------------------------------

    def set_prompting(self, on: bool) -> None:
        """Whether clicks on the canvas are prompts."""
        self.prompting = on and self._ready()
        self.draw(None)

    @property
    def sign(self) -> Sign:
        """What the next drawn prompt says."""
        return self.prompts.sign if self.prompts is not None else "object"

    def set_sign(self, sign: Sign) -> None:
        """What the next drawn prompt says: "object" or "background"."""
        if self.prompts is not None:
            self.prompts.set_sign(sign)
            self.changed()

    @property
    def drawing(self) -> Literal["box", "scribble"] | None:
        """What a drag on the canvas draws, if anything."""
        shapes = self.prompts.drawn if self.prompts is not None else None
        if shapes is None or self.viewer.layers.selection.active is not shapes:
            return None
        return _DRAWN_BY_MODE.get(str(shapes.mode))

    def draw(self, kind: Literal["box", "scribble"] | None) -> None:
        """Let a drag draw a box or a scribble; None lets it move the picture."""
        if self.prompts is None or self.target is None:
            return
        if kind is None:
            if self.prompts.drawn is not None:
                self.prompts.drawn.mode = "pan_zoom"
            active = self.viewer.layers.selection.active
            if self.prompting and (active is None or self.prompts.holds(active)):
                self.viewer.layers.selection.active = self.target.layers[0]
        else:
            shapes = self.prompts.shapes
            self.viewer.layers.selection.active = shapes
            shapes.mode = _MODES[kind]
        self.changed()

    def click(self, position: Sequence[float], sign: Sign) -> bool:
        """A click at a place of the world; False and a sentence if it is no prompt there."""
        where = self._locate(position)
        if where is None or self.prompts is None:
            return False
        plane, xy = where
        self.prompts.set_number(self._owner(plane, xy))
        self.prompts.add_point(plane, xy, sign)
        return True

    def next_answer(self) -> None:
        """Show the next of the ambiguous answers, of the objects on the plane in view."""
        plane = self.plane
        if plane is None or self.answers is None:
            return
        draft = self.draft
        for number, planes in self.draft.objects.items():
            known = self.answers.latest(number, plane)
            if plane in planes and known is not None and known.mask is not None:
                draft = draft.with_answer(number, plane, (known.answer + 1) % max(known.answers, 3))
        if draft == self.draft:
            self.notify("info", "There is no mask here to choose another answer for: click first.")
            return
        self._set_draft(draft, show=False)

    def discard(self) -> None:
        """Take back all prompts and all masks that were found and not kept."""
        self._accepting = False
        self.found, self.origins = {}, {}
        self._set_draft(Draft(), show=True)
        self._ids = {}
        self._refresh()

    # -- objects ------------------------------------------------------------------------------

    @property
    def has_draft(self) -> bool:
        """Whether there is anything to keep or to clear."""
        return bool(self.draft) or bool(self.found)

    def accept(self) -> bool:
        """Keep what is shown; when its masks are still on their way, as soon as they are there.

        Returns
        -------
        Whether something was kept now.
        """
        if self.target is None or self.answers is None:
            return False
        if not self.has_draft:
            self.notify("info", "There is nothing to keep yet: click on an object first.")
            return False
        if self.answers.pending:
            self._accepting = True
            self.changed()
            return False
        self._accepting = False
        items, left, problems = self._acceptances()
        for problem in problems:
            self.notify("warning", problem)
        if not items:
            return False
        try:
            kept = self.target.book.accept_many(
                items, policy=self.policy, draft=(self.draft.to_json(), left.to_json())
            )
        except SamPluginsError as error:
            self.notify("error", str(error))
            return False
        lost = sum(each.lost for each in kept)
        if lost:
            self.notify("info", f"{lost} pixels belong to other objects and stay theirs.")
        self.found, self.origins, self._ids = {}, {}, {}
        self.draft = left
        self._show_draft()
        self._refresh()
        return True
