"""Each kind of finding as a saved view of the dataset."""

from collections.abc import Iterable
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.fields import (
    AGREEMENT,
    BOX_IOU,
    DUPLICATES,
    FINDINGS,
    GROWTH,
    RAGGEDNESS,
    REVIEW,
    SHIFT,
)
from fiftyone_plugin.quality.findings import ALONE, COMPARED, FOLLOWED, WORDS, Finding
from fiftyone_plugin.quality.places import LabelPlace, place_of
from fiftyone_plugin.quality.thresholds import Thresholds

__all__ = [
    "check_view_names",
    "delete_views",
    "finding_view",
    "save_view",
    "save_views",
    "view_name",
]

_SIGNATURE = "Made by sam-plugins."
_REJECTED = "rejected"


def view_name(label_field: str, finding: Finding) -> str:
    """Name of the saved view of a finding: the field, and what was found."""
    return f"{label_field}: {WORDS[finding].view}"


def finding_view(dataset: Any, label_field: str, finding: Finding, other_field: str = "") -> Any:
    """The labels with a finding that nobody has rejected, as a FiftyOne view.

    It follows the dataset: labels that get the finding later are in it, and those that are rejected
    or lose it are not. Duplicates are shown with the better label that they are duplicates of, and
    what two fields show in both. Of a video only the frames that have such labels are in it.
    """
    from fiftyone import ViewField as F

    wanted = F(FINDINGS).contains(finding.value)
    if finding is Finding.DUPLICATE:
        wanted = wanted | (F(DUPLICATES) > 0)
    shown = wanted & (F(REVIEW) != _REJECTED)
    place = LabelPlace(dataset, label_field)
    fields = [label_field, other_field] if other_field else [label_field]
    view = dataset.view()
    for name in fields:
        view = view.filter_labels(name, shown, only_matches=False)
    some = F(place.path).length() > 0
    for name in fields[1:]:
        some = some | (F(LabelPlace(dataset, name).path).length() > 0)
    return view.match_frames(some) if place.in_frames else view.match(some)


def save_views(
    dataset: Any,
    label_field: str,
    thresholds: Thresholds | None = None,
    *,
    other_field: str = "",
) -> list[str]:
    """Save a view of each kind of finding, in place of those that were saved before.

    Parameters
    ----------
    dataset
        A FiftyOne dataset whose field was judged.
    label_field
        The field.
    thresholds
        That it was judged with, for the description.
    other_field
        The field that it was compared with: with one, the views of comparisons are saved, without
        they stay as they are.

    Returns
    -------
    list
        Names of the saved views.

    Raises
    ------
    FieldError
        If a view of such a name exists that somebody else made, or the field was never judged.
    """
    place = place_of(dataset, label_field)
    alone = [*ALONE, *(FOLLOWED if place.in_frames else ())]
    wanted = [*alone, *(f for f in Finding if f in COMPARED and other_field)]
    if place.attribute(RAGGEDNESS) is None:
        wanted = wanted[len(alone) :]
    if not wanted or place.attribute(FINDINGS) is None:
        raise FieldError(
            f"Expected the masks of {label_field!r} to be judged before views of them are saved: "
            "run judge_masks first."
        )
    _declare_review(dataset, [label_field, *([other_field] if other_field else [])])
    names = {finding: view_name(label_field, finding) for finding in wanted}
    check_view_names(dataset, names.values())
    numbers = _numbers(thresholds or Thresholds())
    for finding, name in names.items():
        other = other_field if finding in COMPARED else ""
        description = f"{WORDS[finding].meaning} {numbers[finding]}"
        if other:
            description = f"Compared with {other}: {description}"
        view = finding_view(dataset, label_field, finding, other)
        save_view(dataset, name, view, description)
    return list(names.values())


def check_view_names(dataset: Any, names: Iterable[str]) -> None:
    """FieldError if somebody else has saved a view under one of the names."""
    theirs = [name for name in names if _somebody_elses(dataset, name)]
    if theirs:
        raise FieldError(
            f"Expected the names of saved views to be free, found {theirs[0]!r}, which somebody "
            "else made: rename that view."
        )


def save_view(dataset: Any, name: str, view: Any, description: str) -> None:
    """Save a view that is known as ours, in place of one that was saved before."""
    signed = f"{description} {_SIGNATURE}"
    dataset.save_view(name, view, description=signed, overwrite=True)


def delete_views(dataset: Any, names: Iterable[str]) -> list[str]:
    """Delete saved views that are ours; those that somebody else saved under such a name stay.

    Returns
    -------
    Names of those that are gone.
    """
    ours = [name for name in names if dataset.has_saved_view(name)]
    ours = [name for name in ours if not _somebody_elses(dataset, name)]
    for name in ours:
        dataset.delete_saved_view(name)
    return ours


def _declare_review(dataset: Any, fields: list[str]) -> None:
    """Views filter by it, so that it must be known before anybody has reviewed anything."""
    from fiftyone_plugin.quality.batches import declare

    for name in fields:
        declare(dataset, name, {REVIEW: str, FINDINGS: list, DUPLICATES: int, AGREEMENT: float})


def _somebody_elses(dataset: Any, name: str) -> bool:
    if not dataset.has_saved_view(name):
        return False
    description = dataset.get_saved_view_info(name)["description"] or ""
    return not str(description).endswith(_SIGNATURE)


def _numbers(limits: Thresholds) -> dict[Finding, str]:
    """The thresholds of each finding, for people."""
    return {
        Finding.DUPLICATE: f"IoU of at least {limits.duplicate_iou:g}, or of one class and "
        f"{limits.duplicate_containment:g} of the smaller inside the larger.",
        Finding.TINY: f"Below {limits.tiny_area:g} pixels, {limits.tiny_of_picture:g} of the "
        f"picture, or {limits.tiny_of_class:g} of the median of its class.",
        Finding.RAGGED: f"Outline over {limits.max_raggedness:g} times that of its box, over "
        f"{limits.max_components:g} pieces or {limits.max_holes:g} holes.",
        Finding.LEAKING: f"Over {limits.max_outside_box:g} of it outside its box, over "
        f"{limits.max_filled:g} of the picture, or over {limits.max_borders:g} of its edges.",
        Finding.BOX: f"IoU ({BOX_IOU}) below {limits.min_box_iou:g}.",
        Finding.ACROSS: f"IoU of at least {limits.duplicate_iou:g}, or of one class and "
        f"{limits.duplicate_containment:g} of the smaller inside the larger.",
        Finding.DISAGREES: f"IoU ({AGREEMENT}) below {limits.min_agreement:g}.",
        Finding.JUMPS: f"Over {limits.max_shift:g} lengths ({SHIFT}) from where it was and was "
        f"heading to, or over {limits.max_growth:g} times larger or smaller ({GROWTH}).",
    }
