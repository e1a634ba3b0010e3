"""What a sample's labels ask for.

Each label is read on its own; one that cannot be used is set aside with a sentence, and what
remains is asked.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fiftyone_plugin.errors import FieldError, SampleError
from fiftyone_plugin.geometry import clip_box
from fiftyone_plugin.labels.carrying import carried_of
from fiftyone_plugin.labels.checking import local_name
from fiftyone_plugin.labels.instance_masks import finite_box, mask_of
from fiftyone_plugin.labels.linking import Objects, Part
from fiftyone_plugin.labels.points import signed_points
from fiftyone_plugin.values import AskedObject, RunConfig, UnansweredObject
from sam_plugins.errors import SamPluginsError
from sam_plugins.types import Prompt, Size

__all__ = ["labels_in", "read_asked"]


def read_asked(
    sample: Any,
    size: Size,
    config: RunConfig,
    visible: Mapping[str, frozenset[str]] | None = None,
) -> tuple[tuple[AskedObject, ...], tuple[UnansweredObject, ...]]:
    """The objects that a sample, or a frame of a video, asks for.

    Where boxes and masks are one field, a Detection with a mask asks with both.

    Parameters
    ----------
    sample
        A FiftyOne sample or frame, with the fields of `fields_needed`; it is not changed.
    size
        (H, W) of its picture.
    config
        Which fields ask, and how their labels are linked.
    visible
        By field, ids of the labels that may ask; the first label of an object decides for it. Those
        of a field that is not named only say more about an object that asks. None lets all ask.

    Returns
    -------
    asked, unanswered
        Objects in the order of their labels: of the boxes, then of masks and of points that belong
        to none. Labels that cannot be used, each with the reason.

    Raises
    ------
    FieldError
        If a field holds other labels than it should.
    """
    unanswered: list[UnansweredObject] = []
    hidden: set[str] = set()
    beside: set[str] = set()
    objects = Objects(config.link_attribute)
    both = config.mask_field == config.box_field

    def box(label: Any) -> Part:
        return _box_part(label, size, with_mask=both)

    def mask(label: Any) -> Part:
        return _mask_part(label, size)

    def points(label: Any) -> Part:
        coords, signs = signed_points(label, size, config.point_label_attribute)
        return Part(label, point_coords=coords, point_labels=signs)

    def read(field: str, kind: str, part: Callable[[Any], Part]) -> None:
        shown = None if visible is None else visible.get(local_name(field))
        for label in labels_in(sample, field, kind):
            if visible is not None and shown is None:
                beside.add(label.id)
            elif shown is not None and label.id not in shown:
                hidden.add(label.id)
            try:
                objects.add(part(label))
            except SamPluginsError as error:
                if label.id in hidden or label.id in beside:
                    continue
                unanswered.append(UnansweredObject(prompt_id=label.id, reason=str(error)))

    read(config.box_field, "Detection", box)
    if not both:
        read(config.mask_field, "Detection", mask)
    read(config.point_field, "Keypoint", points)
    asked = []
    for every in objects:
        first = every[0].label.id
        if first in hidden or first in beside:
            continue
        parts = [part for part in every if part.label.id not in hidden]
        try:
            asked.append(_asked(parts, config))
        except SamPluginsError as error:
            unanswered.append(UnansweredObject(prompt_id=first, reason=str(error)))
    return tuple(asked), tuple(unanswered)


def labels_in(sample: Any, field: str, kind: str) -> list[Any]:
    """The Detections or Keypoints of a field that holds one or a list of them, or nothing."""
    name = local_name(field)
    value = sample[name] if name and sample.has_field(name) else None
    if value is None:
        return []
    found = type(value).__name__
    if found == kind:
        return [value]
    if found != f"{kind}s":
        raise FieldError(f"Expected {kind}s in the field {field!r}, found {found}.")
    return list(value[f"{kind.lower()}s"] or ())


def _box_part(label: Any, size: Size, *, with_mask: bool) -> Part:
    _refuse_solid(label)
    given = finite_box(label, size)
    if given is None:
        raise SampleError(
            "Expected a box of four finite numbers [x, y, width, height], found "
            f"{list(label.bounding_box or ())}: draw it again, or delete the label."
        )
    if not (given[0] < given[2] and given[1] < given[3]):
        raise SampleError(
            "Expected a box with a width and a height, found "
            f"{list(label.bounding_box)}: draw it again, or delete the label."
        )
    clipped = clip_box(given, size)
    if clipped is None:
        raise SampleError(
            f"The box {list(label.bounding_box)} lies outside the picture, which reaches from 0 "
            "to 1: move it, or delete the label."
        )
    Prompt(box=clipped)  # Single precision may leave no area of it.
    found = mask_of(label, size) if with_mask else None
    return Part(label, given_box=given, box=clipped, mask=found)


def _mask_part(label: Any, size: Size) -> Part:
    _refuse_solid(label)
    found = mask_of(label, size)
    if found is None:
        raise SampleError(
            "Expected a Detection with a mask that lies in the picture, found none: draw one, or "
            "ask with its box."
        )
    if not found[0].any():
        raise SampleError("Its mask is empty: draw it, or ask with its box.")
    return Part(label, mask=found)


def _refuse_solid(label: Any) -> None:
    solid = (label.get_attribute_value(name, None) for name in ("location", "dimensions"))
    if not label.bounding_box and any(solid):
        raise SampleError(
            "Expected a box in the picture, found a box in space (a 3D detection): ask with 2D "
            "Detections."
        )


def _asked(parts: list[Part], config: RunConfig) -> AskedObject:
    """One object of the labels that are linked; the first of them gives its name and its id."""
    first = parts[0].label
    box = next((part.box for part in parts if part.box is not None), None)
    mask = next((part.mask for part in parts if part.mask is not None), None)
    coords = [part.point_coords for part in parts if part.point_coords is not None]
    labels = [part.point_labels for part in parts if part.point_labels is not None]
    if labels and box is None and mask is None and not np.concatenate(labels).any():
        raise SampleError(
            "All its points are background and it has no box: add a point on the object."
        )
    prompt = None
    if box is not None or coords:
        prompt = Prompt(
            box=box,
            point_coords=np.concatenate(coords) if coords else None,
            point_labels=np.concatenate(labels) if labels else None,
        )
    return AskedObject(
        prompt_id=first.id,
        prompt=prompt,
        given_box=next((part.given_box for part in parts if part.given_box is not None), None),
        mask=mask,
        carried=carried_of(first, left_out=config.point_label_attribute),
        linked=tuple(part.label.id for part in parts[1:]),
    )
