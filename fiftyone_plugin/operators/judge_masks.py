"""Judge masks: what speaks against them, as attributes and saved views."""

from collections.abc import Mapping
from typing import Any

from fiftyone.operators import types

from fiftyone_plugin.operators import form
from fiftyone_plugin.operators.form_operator import FormOperator
from fiftyone_plugin.operators.sentences import add_masks_field, field_of, sentences
from fiftyone_plugin.quality import (
    WORDS,
    ComparedReport,
    JudgedReport,
    Thresholds,
    compare_fields,
    judge_masks,
    place_of,
    save_views,
)
from fiftyone_plugin.runs import Stop, Tell

__all__ = ["OPERATORS", "JudgeMasks"]

_LABELS = {
    "duplicate_iou": "Duplicates: IoU from",
    "duplicate_containment": "Duplicates of one class: part of the smaller inside from (2: never)",
    "tiny_area": "Tiny: pixels below",
    "tiny_of_picture": "Tiny: part of the picture below",
    "tiny_of_class": "Tiny: part of its class's median below",
    "max_raggedness": "Ragged: outline over that of its box above",
    "max_components": "Ragged: pieces above",
    "max_holes": "Ragged: holes above",
    "max_outside_box": "Leaking: part outside its box above",
    "max_filled": "Leaking: part of the picture above",
    "max_borders": "Leaking: edges of the picture above",
    "min_box_iou": "Box disagrees: IoU below",
    "min_agreement": "Fields disagree: IoU below",
    "max_shift": "Jumps in videos: lengths of the object above",
    "max_growth": "Jumps in videos: times larger or smaller above",
}


class JudgeMasks(FormOperator):
    """Find duplicate, tiny, ragged and leaking masks, and where boxes or another field differ."""

    operator = "judge_masks"
    title = "Judge masks"
    description = "Find what speaks against masks, and save a view of each kind."
    target = "Judge"
    risk = types.RiskLevel.LOW

    def ask(self, inputs: Any, dataset: Any, ctx: Any) -> None:
        """Which masks, against which boxes and which other field, and thresholds."""
        add_masks_field(inputs, dataset, frames=True)
        others = [
            name
            for name in form.labels_fields(dataset, "Detections")
            if name != ctx.params.get("label_field")
        ]
        form.add_field(
            inputs,
            "box_field",
            others,
            "Boxes that asked",
            "Each mask is measured against the box of its prompt. Without, against what its "
            "run knows, or its own box.",
        )
        form.add_field(
            inputs,
            "other_field",
            others,
            "Compare with",
            "Masks of another model, or drawn by hand. Low agreement is listed.",
        )
        _add_thresholds(inputs, ctx.params)

    def check(self, dataset: Any, params: Mapping[str, Any]) -> None:
        """Thresholds in their range, where they are shown."""
        if params.get("more"):
            Thresholds.from_json(params)

    def act(self, ctx: Any, dataset: Any, progress: Tell, stop: Stop) -> dict[str, Any]:
        """Judge, compare, and save the views."""
        thresholds = Thresholds.from_json(ctx.params)
        field, other = field_of(ctx), ctx.params.get("other_field") or ""
        boxes = ctx.params.get("box_field") or ""
        view = self.samples(ctx)
        report = judge_masks(view, field, thresholds, box_field=boxes, progress=progress, stop=stop)
        said = _said(report, place_of(dataset, field).noun)
        counts = {finding.value: number for finding, number in report.findings.items()}
        if other and not report.stopped:
            compared = compare_fields(view, field, other, thresholds, progress=progress, stop=stop)
            said += _compared(compared, other)
            counts.update({finding.value: n for finding, n in compared.findings.items()})
        views = save_views(dataset, field, thresholds, other_field=other)
        said.append(f"Saved views: {', '.join(views)}.")
        return sentences(*said, objects=report.objects, findings=counts, views=views)


def _add_thresholds(inputs: Any, params: Mapping[str, Any]) -> None:
    inputs.bool(
        "more",
        label="Thresholds",
        description="From where on something speaks against a mask.",
        default=False,
        view=types.SwitchView(),
    )
    if not params.get("more"):
        return
    for name, usual in Thresholds().to_json().items():
        add = inputs.int if isinstance(usual, int) else inputs.float
        add(name, min=0, label=_LABELS[name], default=usual)


def _said(report: JudgedReport, noun: str) -> list[str]:
    said = [f"{report.objects} masks in {report.samples} {noun} were judged."]
    said += [f"{number} {WORDS[finding].view}" for finding, number in report.findings.items()]
    more = {
        "got the measures that they lacked.": report.filled,
        "have no mask.": report.without_mask,
        "have a mask that cannot be read.": report.unreadable,
    }
    said += [f"{number} labels {what}" for what, number in more.items() if number]
    if report.without_size:
        said.append(f"{report.without_size} {noun} have a picture that cannot be read.")
    if report.stopped:
        said.append("Stopped. The same form again judges all of them.")
    return said


def _compared(report: ComparedReport, other: str) -> list[str]:
    mean = report.mean_agreement
    agreed = (
        "none share a pixel" if mean is None else f"{report.partners} pairs, mean IoU {mean:.3f}"
    )
    said = [f"Compared with {report.objects[1]} masks of {other}: {agreed}."]
    return said + [f"{number} {WORDS[f].view}" for f, number in report.findings.items()]


OPERATORS = [JudgeMasks]
