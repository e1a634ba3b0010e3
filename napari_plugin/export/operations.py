"""What was done to the labels, in order: JSON objects that can be done again.

======== ================================================================================
kind     what it says
======== ================================================================================
accept   ``id`` gets masks on ``planes``: each has either ``prompts``, from which the model
         makes the mask again, or ``mask``, run lengths of a mask that it did not make from
         prompts (found automatically, followed through a stack). ``policy`` says whose the
         pixels are that another object has. What an earlier accept gave ``id`` on these
         planes goes first; what was painted by hand stays.
paint    ``changes``: pixels that got another value, as run lengths with their ``id``, 0
         where they were erased. ``origin`` is "hand"; "imported" for what was there first;
         "rest" for what no other operation makes.
split    as paint: the pixels of each part.
delete   the objects ``ids`` go.
merge    the objects ``ids`` become ``into``.
relabel  the object ``id`` becomes ``to``.
======== ================================================================================

What was undone is left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from napari_plugin.values import POLICIES, Plane, PlaneMask, PromptSet
from sam_plugins.errors import DatasetError, SamPluginsError
from sam_plugins.formats import crop_to_rle, rle_area
from sam_plugins.types import Size

__all__ = [
    "Operation",
    "accept_operation",
    "check_operation",
    "delete_operation",
    "merge_operation",
    "paint_operation",
    "plane_size",
    "relabel_operation",
    "split_operation",
]

Operation: TypeAlias = dict[str, Any]
"""One step, as JSON has it."""

_MOST_ID = 2**32 - 1
_MOST_PROMPTS = 10_000
_MOST_PLANES = 100_000


def plane_size(plane: Plane, shape: Sequence[int]) -> Size:
    """(H, W) of a plane of labels of a shape.

    Raises
    ------
    ValueError
        If labels of this shape have no such plane.
    """
    inside = len(plane.index) == len(shape) and all(
        axis in (plane.rows, plane.columns) or 0 <= at < length
        for axis, (at, length) in enumerate(zip(plane.index, shape, strict=False))
    )
    if not inside:
        raise ValueError(f"labels of shape {tuple(shape)} have no plane {plane}")
    return int(shape[plane.rows]), int(shape[plane.columns])


def accept_operation(
    object_id: int,
    masks: Iterable[tuple[Plane, PromptSet] | PlaneMask],
    shape: Sequence[int],
    *,
    policy: str = "keep",
    origin: str = "prompt",
) -> Operation:
    """An object was kept.

    Parameters
    ----------
    object_id
        Its label.
    masks
        For each plane what was said there, or the mask itself where no prompt makes it again.
    shape
        Of the labels.
    policy
        A key of `values.POLICIES`.
    origin
        "prompt", "automatic", "propagated": for people who read it.
    """
    planes = []
    for found in masks:
        if isinstance(found, PlaneMask):
            size = plane_size(found.plane, shape)
            mask = crop_to_rle(found.crop, found.box, size)
            planes.append({"plane": found.plane.to_json(), "mask": mask})
        else:
            plane, said = found
            planes.append({"plane": plane.to_json(), "prompts": said.to_json()})
    return {
        "kind": "accept",
        "id": int(object_id),
        "policy": policy,
        "origin": origin,
        "planes": planes,
    }


def paint_operation(
    changes: Iterable[tuple[int, PlaneMask]], shape: Sequence[int], *, origin: str = "hand"
) -> Operation:
    """Pixels got another value: (value, where) each; 0 where they were erased.

    `origin` is "hand"; for what a layer held at the beginning "imported"; for what is left over
    when all else was done "rest".
    """
    return {"kind": "paint", "origin": origin, "changes": _changes(changes, shape)}


def split_operation(
    object_id: int, parts: Iterable[tuple[int, PlaneMask]], shape: Sequence[int]
) -> Operation:
    """An object became several: the label and the pixels of each part."""
    return {"kind": "split", "id": int(object_id), "changes": _changes(parts, shape)}


def _changes(changes: Iterable[tuple[int, PlaneMask]], shape: Sequence[int]) -> list[Any]:
    return [
        {
            "plane": found.plane.to_json(),
            "id": int(value),
            "mask": crop_to_rle(found.crop, found.box, plane_size(found.plane, shape)),
        }
        for value, found in changes
    ]


def delete_operation(ids: Iterable[int]) -> Operation:
    """Objects went."""
    return {"kind": "delete", "ids": [int(each) for each in ids]}


def merge_operation(ids: Iterable[int], into: int) -> Operation:
    """Objects became one."""
    return {"kind": "merge", "ids": [int(each) for each in ids], "into": int(into)}


def relabel_operation(object_id: int, to: int) -> Operation:
    """An object got another label."""
    return {"kind": "relabel", "id": int(object_id), "to": int(to)}


def check_operation(number: int, found: Any, shape: Sequence[int]) -> Operation:
    """An operation of a file, every value of it looked at.

    Parameters
    ----------
    number
        Its place in the list, for the message.
    found
        What JSON held there.
    shape
        Of the labels.

    Raises
    ------
    DatasetError
        If it is no operation on labels of this shape.
    """
    try:
        if not isinstance(found, Mapping) or found.get("kind") not in _CHECKS:
            raise ValueError(f"its kind must be one of {', '.join(_CHECKS)}")
        _CHECKS[found["kind"]](found, shape)
    except (SamPluginsError, AttributeError, KeyError, TypeError, ValueError) as error:
        problem = f"{error!r}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise DatasetError(f"Operation {number} cannot be done again: {problem}.") from error
    return dict(found)


def _check_accept(found: Mapping[str, Any], shape: Sequence[int]) -> None:
    _id(found["id"])
    if found["policy"] not in POLICIES:
        raise ValueError(f"its policy must be one of {', '.join(POLICIES)}")
    for entry in _listed(found["planes"]):
        size = plane_size(Plane.from_json(entry["plane"]), shape)
        if ("mask" in entry) == ("prompts" in entry):
            raise ValueError("each plane needs either prompts or a mask")
        if "mask" in entry:
            _check_mask(entry["mask"], size)
            continue
        said = PromptSet.from_json(entry["prompts"])
        if not said or len(said.points) + len(said.scribbles) > _MOST_PROMPTS:
            raise ValueError(f"a plane needs 1 to {_MOST_PROMPTS} prompts")
        if sum(len(line.vertices) for line in said.scribbles) > 100 * _MOST_PROMPTS:
            raise ValueError("its scribbles have too many vertices")
        if said.mask is not None:
            _check_mask(said.mask, size)


def _check_changes(found: Mapping[str, Any], shape: Sequence[int]) -> None:
    for entry in _listed(found["changes"]):
        _id(entry["id"], least=0)
        _check_mask(entry["mask"], plane_size(Plane.from_json(entry["plane"]), shape))


def _check_ids(found: Mapping[str, Any], shape: Sequence[int]) -> None:
    for each in _listed(found["ids"]):
        _id(each)
    if found["kind"] == "merge":
        _id(found["into"])


def _check_relabel(found: Mapping[str, Any], shape: Sequence[int]) -> None:
    _id(found["id"])
    _id(found["to"])


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Sequence[int]], None]] = {
    "accept": _check_accept,
    "paint": _check_changes,
    "split": _check_changes,
    "delete": _check_ids,
    "merge": _check_ids,
    "relabel": _check_relabel,
}


def _id(value: Any, least: int = 1) -> None:
    if type(value) is not int or not least <= value <= _MOST_ID:
        raise ValueError(f"a label must be {least} to {_MOST_ID}, found {value!r:.50}")


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_PLANES:
        raise ValueError(f"expected a list of at most {_MOST_PLANES}, found {value!r:.50}")
    return value


def _check_mask(rle: Any, size: Size) -> None:
    rle_area(rle)
    if tuple(rle["size"]) != size:
        raise ValueError(f"a mask is for {rle['size']} pixels, its plane has {list(size)}")
