"""What speaks against the masks of one picture: plain values, no FiftyOne."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fiftyone_plugin.quality.findings import Finding
from fiftyone_plugin.quality.shape import MaskShape, measure_shape
from fiftyone_plugin.quality.thresholds import Thresholds
from fiftyone_plugin.quality.tracking import Jump, Track, Tracks
from sam_plugins.evaluation import Crop, find_duplicates, group_duplicates, shared_pixels
from sam_plugins.masks import box_iou
from sam_plugins.types import Size

__all__ = [
    "Compared",
    "JudgedObject",
    "Judgement",
    "compare_objects",
    "follow_judged",
    "judge_objects",
]

FloatBox = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class JudgedObject:
    """One label with its mask, as far as it matters here.

    Parameters
    ----------
    label_id
        Of the FiftyOne label.
    label
        Its class.
    mask
        Crop and the whole pixels it covers.
    given_box
        xyxy float pixels: the box that the mask is measured against.
    box_iou, outside_box
        What the run that made the mask wrote about the box it was asked with; None where it is to
        be computed from `given_box`.
    worth
        Confidence times stability, 0 to 1; of duplicates the one of most worth stays.
    accepted, rejected
        What a curator said. An accepted mask is nobody's duplicate; a rejected one has none.
    track
        Which object of a video it is; None where that is not known.
    """

    label_id: str
    label: str
    mask: Crop
    given_box: FloatBox
    box_iou: float | None = None
    outside_box: float | None = None
    worth: float = 1.0
    accepted: bool = False
    rejected: bool = False
    track: Track | None = None


@dataclass(slots=True, eq=False)
class Judgement:
    """What was found about one object.

    Parameters
    ----------
    shape
        Its measures.
    box_iou, outside_box
        Of the given box with the mask's own box; part of the mask outside the given box.
    findings
        What speaks against it.
    duplicate_of
        Id of the better label, or "".
    duplicates
        How many have this one as their better label.
    jump
        What it is beside the frame before, where there is one.
    """

    shape: MaskShape
    box_iou: float
    outside_box: float
    findings: set[Finding] = field(default_factory=set)
    duplicate_of: str = ""
    duplicates: int = 0
    jump: Jump | None = None


@dataclass(slots=True, eq=False)
class Compared:
    """What one object is in another field.

    Parameters
    ----------
    agreement
        IoU with its partner there, 0 without one.
    findings
        What speaks against it.
    """

    agreement: float = 0.0
    findings: set[Finding] = field(default_factory=set)


def judge_objects(
    objects: Sequence[JudgedObject], size: Size, thresholds: Thresholds
) -> list[Judgement]:
    """Judge the masks of one picture; all but their size within their class.

    Parameters
    ----------
    objects
        All masks of one field.
    size
        (H, W) of the picture.
    thresholds
        From where on something is a finding.

    Returns
    -------
    list
        One for each object.
    """
    judged = [_judge(item, size, thresholds) for item in objects]
    pairs = [
        pair
        for pair in find_duplicates(
            [item.mask for item in objects],
            iou_threshold=thresholds.duplicate_iou,
            containment_threshold=thresholds.duplicate_containment,
        )
        if _same(objects[pair.first], objects[pair.second], pair.iou, pair.containment, thresholds)
        and not (objects[pair.first].accepted and objects[pair.second].accepted)
    ]
    for group in group_duplicates(pairs, [_rank(item) for item in objects]):
        judged[group.keep].duplicates = len(group.drop)
        for place in group.drop:
            judged[place].duplicate_of = objects[group.keep].label_id
            judged[place].findings.add(Finding.DUPLICATE)
    return judged


def follow_judged(
    tracks: Tracks, number: int, objects: Sequence[JudgedObject], judged: Sequence[Judgement]
) -> None:
    """Add to what was found about the masks of a frame how they differ from the frame before."""
    shapes = [(item.track, result.shape) for item, result in zip(objects, judged, strict=True)]
    for result, jump in zip(judged, tracks.look(number, shapes), strict=True):
        result.jump = jump
        if jump is not None and jump.found:
            result.findings.add(Finding.JUMPS)


def compare_objects(
    first: Sequence[JudgedObject], second: Sequence[JudgedObject], thresholds: Thresholds
) -> tuple[list[Compared], list[Compared]]:
    """Compare the masks of one picture in two fields.

    Partners are chosen by IoU, the best pair first, each mask having one at most. Classes do not
    matter: two models may name them differently. Rejected masks have no partner.

    Returns
    -------
    first, second
        One for each object of each.
    """
    here, there = [Compared() for _ in first], [Compared() for _ in second]
    shared = shared_pixels([item.mask for item in first], [item.mask for item in second])
    pairs = zip(
        (-shared.ious).tolist(),
        shared.first.tolist(),
        shared.second.tolist(),
        shared.containments.tolist(),
        strict=True,
    )
    for minus_iou, i, j, containment in sorted(pairs):
        if first[i].rejected or second[j].rejected:
            continue
        if not (here[i].agreement or there[j].agreement):
            here[i].agreement = there[j].agreement = -minus_iou
        if _same(first[i], second[j], -minus_iou, containment, thresholds):
            here[i].findings.add(Finding.ACROSS)
            there[j].findings.add(Finding.ACROSS)
    for objects, compared in ((first, here), (second, there)):
        for item, result in zip(objects, compared, strict=True):
            if result.agreement < thresholds.min_agreement and not item.rejected:
                result.findings.add(Finding.DISAGREES)
    return here, there


def _same(
    a: JudgedObject, b: JudgedObject, iou: float, containment: float, thresholds: Thresholds
) -> bool:
    """Whether two masks that overlap so much are one object."""
    if a.rejected or b.rejected:
        return False
    contained = containment >= thresholds.duplicate_containment and a.label == b.label
    return contained or iou >= thresholds.duplicate_iou


def _rank(item: JudgedObject) -> float:
    """Of duplicates the highest stays: what a curator accepted, then what is worth most."""
    return item.worth + item.accepted


def _judge(item: JudgedObject, size: Size, thresholds: Thresholds) -> Judgement:
    crop, box = item.mask
    shape = measure_shape(crop, box, size)
    iou, outside = item.box_iou, item.outside_box
    if iou is None:
        iou = float(box_iou([item.given_box], [shape.own_box])[0, 0])
    if outside is None:
        outside = _outside(item, shape)
    result = Judgement(shape, iou, outside)
    checks = {
        Finding.TINY: shape.area < thresholds.tiny_area
        or shape.filled < thresholds.tiny_of_picture,
        Finding.RAGGED: shape.raggedness > thresholds.max_raggedness
        or shape.components > thresholds.max_components
        or shape.holes > thresholds.max_holes,
        Finding.LEAKING: outside > thresholds.max_outside_box
        or shape.filled > thresholds.max_filled
        or shape.borders > thresholds.max_borders,
        Finding.BOX: iou < thresholds.min_box_iou,
    }
    result.findings.update(finding for finding, holds in checks.items() if holds)
    return result


def _outside(item: JudgedObject, shape: MaskShape) -> float:
    """Part of the mask's pixels whose centres lie outside the given box."""
    if not shape.area:
        return 0.0
    crop, (x0, y0, _, _) = item.mask
    left, top, right, bottom = item.given_box
    columns = slice(*(max(math.ceil(edge - x0 - 0.5), 0) for edge in (left, right)))
    rows = slice(*(max(math.ceil(edge - y0 - 0.5), 0) for edge in (top, bottom)))
    inside = int(crop[rows, columns].sum())
    return 1 - inside / shape.area
