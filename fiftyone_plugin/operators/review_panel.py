"""The review panel: one mask at a time, worst first."""

from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from fiftyone_plugin.operators.panel_parts import (
    Settings,
    add_counts,
    add_item,
    add_settings,
)
from fiftyone_plugin.quality import LabelRef
from fiftyone_plugin.review import (
    QueueItem,
    Verdict,
    count_reviews,
    decide,
    mask_picture,
    next_open,
    seconds_of,
    undo,
)
from sam_plugins.errors import SamPluginsError

__all__ = ["OPERATORS", "PANEL", "ReviewPanel"]

PANEL = "review_masks"
"""Its name for FiftyOne."""

_MOST_SKIPPED = 5000


class _Config(foo.PanelConfig):
    """FiftyOne takes no level of risk for a panel, and the highest for granted."""

    @property
    def risk_level(self) -> Any:
        """It changes nothing that cannot be taken back."""
        return types.RiskLevel.LOW


class ReviewPanel(foo.Panel):
    """Shows the open mask that can be trusted least, and takes what a curator says of it.

    What is shown is in the panel's state, so that a button is always about the mask that the
    curator saw, whatever others decide meanwhile. What was decided is in the dataset.
    """

    @property
    def config(self) -> Any:
        """What FiftyOne lists it as."""
        return _Config(
            name=PANEL,
            label="Review masks",
            icon="rule",
            surfaces="grid modal",
            help_markdown="Masks that nobody has decided about, worst first.",
        )

    def on_load(self, ctx: Any) -> None:
        """Begin, or go on where anybody left off."""
        self._show_next(ctx)

    def on_change_dataset(self, ctx: Any) -> None:
        """Another dataset has other masks."""
        ctx.panel.set_state({"settings": {}, "skipped": [], "message": ""})
        self._show_next(ctx)

    def on_change_view(self, ctx: Any) -> None:
        """Where only the view is reviewed, it decides what comes next."""
        if Settings.of(ctx).only_view:
            self._show_next(ctx)

    def change(self, ctx: Any) -> None:
        """A setting was changed: the worst by the new ones."""
        ctx.panel.set_state("skipped", [])
        ctx.panel.set_state("message", "")
        self._show_next(ctx)

    def accept(self, ctx: Any) -> None:
        """Accept what is shown."""
        self._decide(ctx, Verdict.ACCEPTED)

    def reject(self, ctx: Any) -> None:
        """Reject what is shown."""
        self._decide(ctx, Verdict.REJECTED)

    def skip(self, ctx: Any) -> None:
        """Leave what is shown open, and go on; it comes again when the panel is opened anew."""
        shown = ctx.panel.get_state("shown")
        if shown:
            skipped = [*(ctx.panel.get_state("skipped") or ()), shown["label_id"]]
            ctx.panel.set_state("skipped", skipped[-_MOST_SKIPPED:])
        ctx.panel.set_state("message", "")
        self._show_next(ctx)

    def undo(self, ctx: Any) -> None:
        """Take the reviewer's last step back, and show what it was about."""
        settings = Settings.of(ctx)
        try:
            undone = undo(ctx.dataset, settings.label_field, reviewer=settings.reviewer)
        except SamPluginsError as error:
            ctx.panel.set_state("message", str(error))
            return
        said = f"{len(undone.labels)} masks are as they were before they were {undone.verdict}."
        ctx.panel.set_state("message", " ".join([said, *undone.held[:1]]))
        ctx.ops.reload_samples()
        self._show_next(ctx, first=undone.labels[0])

    def open_in_modal(self, ctx: Any) -> None:
        """Open the sample with the mask selected.

        FiftyOne 1.22 has no way to begin a video at a frame, so the panel says where it is.
        """
        shown = ctx.panel.get_state("shown")
        if shown:
            ctx.ops.open_sample(id=shown["sample_id"])
            self._select(ctx, shown)

    def _decide(self, ctx: Any, verdict: Verdict) -> None:
        settings = Settings.of(ctx)
        shown = ctx.panel.get_state("shown")
        if not shown:
            return
        try:
            decided = decide(
                ctx.dataset,
                settings.label_field,
                [LabelRef(shown["holder_id"], shown["label_id"])],
                verdict,
                reviewer=settings.reviewer,
            )
        except SamPluginsError as error:
            ctx.panel.set_state("message", str(error))
            return
        gone = "The mask was removed meanwhile." if decided.gone else ""
        held = f"{decided.held[0]} That stays." if decided.held else ""
        ctx.panel.set_state("message", held or gone)
        ctx.ops.reload_samples()
        self._show_next(ctx)

    def _show_next(self, ctx: Any, first: LabelRef | None = None) -> None:
        """Put the next mask into the panel: a given one, or the worst that is open."""
        try:
            item = self._next(ctx, Settings.of(ctx), first)
        except SamPluginsError as error:
            ctx.panel.set_state({"shown": None, "message": str(error)})
            return
        ctx.panel.set_state("shown", item and _state_of(item))
        url, problem, seconds = "", "", None
        if item is not None:
            try:
                sample = ctx.dataset[item.sample_id]
                field = Settings.of(ctx).label_field
                seconds = seconds_of(sample, item.frame_number)
                url = mask_picture(sample, field, item.ref.label_id, item.frame_number)
            except (KeyError, SamPluginsError) as error:
                problem = str(error)
            if ctx.panel.get_state("follow"):
                self.open_in_modal(ctx)
        ctx.panel.set_state("seconds", seconds)
        ctx.panel.set_state("picture_problem", problem)
        ctx.panel.set_state("picture", url)

    def _next(self, ctx: Any, settings: Settings, first: LabelRef | None) -> QueueItem | None:
        if not settings.label_field:
            return None
        if first is not None:
            found = next_open(ctx.dataset, settings.label_field, only=[first.label_id])
            if found:
                return found[0]
        skipped = ctx.panel.get_state("skipped") or ()
        found = next_open(
            settings.collection(ctx),
            settings.label_field,
            without=skipped,
            finding=settings.finding,
            below=settings.below,
        )
        return found[0] if found else None

    def _select(self, ctx: Any, shown: Mapping[str, Any]) -> None:
        label = {"label_id": shown["label_id"], "sample_id": shown["sample_id"]}
        if shown["frame_number"] is not None:
            label["frame_number"] = shown["frame_number"]
        ctx.ops.set_selected_labels([{**label, "field": Settings.of(ctx).label_field}])

    def render(self, ctx: Any) -> Any:
        """The panel: how far it is, buttons, the mask and what is known of it, and settings."""
        panel = types.Object()
        settings = Settings.of(ctx)
        shown = ctx.panel.get_state("shown")
        if settings.label_field:
            try:
                counts = count_reviews(settings.collection(ctx), settings.label_field)
                add_counts(panel, counts, shown is not None)
            except SamPluginsError as error:
                panel.view("problem", types.Warning(label=str(error)))
        else:
            panel.view("none", types.Notice(label="This dataset has no field of masks yet."))
        if ctx.panel.get_state("message"):
            said = types.Notice(label=ctx.panel.get_state("message"))
            panel.view("said", said)
        buttons = panel.h_stack("buttons", gap=1, align_x="center")
        nothing = not shown
        buttons.btn(
            "accept",
            label="Accept",
            icon="check",
            variant="contained",
            on_click=self.accept,
            disabled=nothing,
        )
        buttons.btn(
            "reject",
            label="Reject",
            icon="close",
            variant="contained",
            on_click=self.reject,
            disabled=nothing,
        )
        buttons.btn("skip", label="Skip", icon="skip_next", on_click=self.skip, disabled=nothing)
        buttons.btn("undo", label="Undo", icon="undo", on_click=self.undo)
        buttons.btn(
            "open",
            label="Open in modal",
            icon="open_in_full",
            on_click=self.open_in_modal,
            disabled=nothing,
        )
        if shown:
            problem = ctx.panel.get_state("picture_problem") or ""
            add_item(panel, shown, problem, ctx.panel.get_state("seconds"))
        add_settings(panel, ctx, settings, self.change)
        return types.Property(panel, view=types.GridView(orientation="vertical", gap=1, px=2))


def _state_of(item: QueueItem) -> dict[str, Any]:
    """A queue item as JSON."""
    return {
        "sample_id": item.sample_id,
        "holder_id": item.ref.sample_id,
        "frame_number": item.frame_number,
        "label_id": item.ref.label_id,
        "label": item.label,
        "trust": item.trust,
        "findings": list(item.findings),
        "numbers": dict(item.numbers),
    }


OPERATORS = [ReviewPanel]
