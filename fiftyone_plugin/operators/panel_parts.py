"""What the review panel is made of: its settings, the counts, and one mask in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.fields import AGREEMENT, BOX_IOU, GROWTH, RAGGEDNESS, SHIFT
from fiftyone_plugin.operators.sentences import likely_masks, masks_fields
from fiftyone_plugin.quality import WORDS, Finding, this_user
from fiftyone_plugin.review import Counts

__all__ = ["Settings", "add_counts", "add_item", "add_settings"]

_MASKS = "label_field"
_NUMBERS = {
    "confidence": "Confidence (predicted IoU)",
    "stability_score": "Stability",
    BOX_IOU: "IoU of given and own box",
    AGREEMENT: "IoU with the other field",
    RAGGEDNESS: "Raggedness (1 is smooth)",
    "area": "Pixels",
    SHIFT: "Lengths from where it was and was heading to",
    GROWTH: "Times larger or smaller than before",
}
_ANY = "any"
_SETTINGS = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a curator has chosen in the panel.

    Parameters
    ----------
    label_field
        The masks, "" if the dataset has none.
    reviewer
        Whose steps undo takes back.
    finding
        Only masks with this finding, or "".
    below
        Only masks of less trust, or None.
    only_view
        Only what the App's view shows.
    """

    label_field: str
    reviewer: str
    finding: str = ""
    below: float | None = None
    only_view: bool = False

    @classmethod
    def of(cls, ctx: Any) -> "Settings":
        """From the panel's state; what does not fit the dataset is the default."""
        chosen = ctx.panel.get_state(_SETTINGS) or {}
        fields = masks_fields(ctx.dataset, frames=True) if ctx.dataset is not None else []
        field = chosen.get(_MASKS)
        finding, below = chosen.get("finding"), chosen.get("below")
        return cls(
            label_field=field if field in fields else likely_masks(ctx.dataset, fields),
            reviewer=str(chosen.get("reviewer") or "").strip()[:100] or ctx.user_id or this_user(),
            finding=finding if finding in tuple(Finding) else "",
            below=float(below) if isinstance(below, int | float) and 0 <= below < 1 else None,
            only_view=chosen.get("only_view") is True,
        )

    def collection(self, ctx: Any) -> Any:
        """What is reviewed: the dataset, or the App's view of it."""
        return ctx.view if self.only_view else ctx.dataset


def add_counts(panel: Any, counts: Counts, some: bool) -> None:
    """How far the review is."""
    done = counts.accepted + counts.rejected
    panel.md(
        f"**{counts.accepted}** accepted · **{counts.rejected}** rejected · **{counts.open}** open"
        f" ({done} of {counts.total} decided)",
        name="counts",
    )
    if not some:
        left = counts.open
        text = (
            f"{left} masks are open, and none of them is in this choice: skipped ones come again "
            "after a change of the settings."
            if left
            else "All masks are decided."
        )
        panel.view("done", types.Notice(label=text))


def add_item(
    panel: Any, shown: Mapping[str, Any], problem: str, seconds: float | None = None
) -> None:
    """One mask: its picture, class, numbers, what speaks against it; and when a video shows it."""
    if problem:
        panel.view("no_picture", types.Warning(label=problem))
    else:
        panel.img("picture", height="260px", alt_text="The mask on its picture")
    frame = f", frame {shown['frame_number']} of its video" if shown["frame_number"] else ""
    frame += "" if seconds is None else f" (at {seconds:.2f} s)"
    lines = [f"**{_plain(shown['label'] or 'no class')}**{frame}: trust {shown['trust']:.2f}", ""]
    known = {Finding(each) for each in shown["findings"] if each in tuple(Finding)}
    lines += [f"- **{WORDS[finding].view}**: {WORDS[finding].meaning}" for finding in sorted(known)]
    lines += ["", "| Known of it | |", "|---|---:|"]
    lines += [
        f"| {words} | {_digits(shown['numbers'][name])} |"
        for name, words in _NUMBERS.items()
        if name in shown["numbers"]
    ]
    panel.md("\n".join(lines), name="about")


def _digits(number: float) -> str:
    """Four digits; of large numbers all before the point."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _plain(text: str) -> str:
    """A class's name without what Markdown or HTML would take for more."""
    return "".join(c if c.isalnum() or c in " -.,:" else f"&#{ord(c)};" for c in text[:80])


def add_settings(panel: Any, ctx: Any, settings: Settings, change: Callable[[Any], None]) -> None:
    """What is reviewed, and by whom."""
    box = panel.v_stack(_SETTINGS, gap=1)
    fields = types.Dropdown(label="Masks")
    for name in masks_fields(ctx.dataset, frames=True) if ctx.dataset is not None else ():
        fields.add_choice(name, label=name)
    if settings.label_field:
        box.enum(
            _MASKS,
            fields.values(),
            label="Masks",
            default=settings.label_field,
            view=fields,
            on_change=change,
        )
    kinds = types.Dropdown(label="Only masks with")
    kinds.add_choice(_ANY, label="anything or nothing found")
    for finding in Finding:
        kinds.add_choice(finding.value, label=WORDS[finding].view)
    box.enum(
        "finding",
        kinds.values(),
        label="Only masks with",
        default=settings.finding or _ANY,
        view=kinds,
        on_change=change,
    )
    box.float(
        "below",
        min=0,
        max=1,
        label="Only masks of trust below (1: all)",
        default=1.0 if settings.below is None else settings.below,
        on_change=change,
    )
    box.bool(
        "only_view",
        label="Only what the App's view shows",
        default=settings.only_view,
        view=types.SwitchView(),
        on_change=change,
    )
    box.str(
        "reviewer",
        label="Your name",
        default=settings.reviewer,
        description="Undo takes back the steps of one name. Several people: a name for each.",
        on_change=change,
    )
    panel.bool(
        "follow",
        label="Open each mask's sample as it comes",
        default=False,
        view=types.SwitchView(),
    )
