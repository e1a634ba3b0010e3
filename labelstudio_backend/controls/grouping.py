"""Which prompts are about the same object."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from labelstudio_backend.controls.region import Region
from sam_plugins import Interaction

__all__ = ["Prompted", "grouped"]


@dataclass(frozen=True, slots=True)
class Prompted:
    """A region and what it says: one point, one box, or the points of one stroke."""

    region: Region
    said: Interaction

    @property
    def points(self) -> list[tuple[float, float]]:
        """Where it points."""
        scribbled = [vertex for line, _ in self.said.scribbles for vertex in line]
        return [(x, y) for x, y, _ in self.said.points] + scribbled


def grouped(prompts: Sequence[Prompted], *, alone: bool) -> list[tuple[str | None, Interaction]]:
    """Objects, each with its label and all its prompts in their order.

    Each box is an object. A foreground prompt belongs to the smallest box of its label that it lies
    in. Background prompts belong to all objects of their label, or to all there are if their label
    has none.

    Parameters
    ----------
    prompts
        In the order in which they were given.
    alone
        Whether a foreground prompt outside all boxes is an object of its own, unless it has a
        parent: then it belongs to that box, or to those with the same parent. Otherwise all of a
        label are one object.

    Returns
    -------
    In the order of their first prompts; objects without foreground prompt or box do not exist.
    """
    boxes = [n for n, prompt in enumerate(prompts) if prompt.said.box is not None]
    objects: dict[object, list[int]] = {("box", n): [n] for n in boxes}
    for n, prompt in enumerate(prompts):
        if n not in boxes and prompt.region.positive:
            objects.setdefault(_object(n, prompts, boxes, alone=alone), []).append(n)
    labels = {key: prompts[members[0]].region.label for key, members in objects.items()}
    parents = {prompts[n].region.id: ("box", n) for n in boxes} if alone else {}
    for n, prompt in enumerate(prompts):
        if n in boxes or prompt.region.positive:
            continue
        label, parent = prompt.region.label, prompt.region.parent
        own: Iterable[object] = [key for key, known in labels.items() if known == label]
        if alone and parent is not None:
            siblings = (parents.get(parent), ("parent", label, parent))
            own = [key for key in siblings if key in objects] or own
        for key in own or objects:
            objects[key].append(n)
    return [
        (labels[key], _together([prompts[n].said for n in sorted(members)]))
        for key, members in sorted(objects.items(), key=lambda known: min(known[1]))
    ]


def _object(n: int, prompts: Sequence[Prompted], boxes: Sequence[int], *, alone: bool) -> object:
    """The key of the object that a foreground prompt belongs to."""
    prompt, label = prompts[n], prompts[n].region.label
    parent = prompt.region.parent if alone else None
    own = [b for b in boxes if prompts[b].region.label == label]
    for b in boxes:
        if parent is not None and prompts[b].region.id == parent:
            return "box", b
    around = [b for b in own if _lies_in(prompt, prompts[b])]
    if around:
        return "box", min(around, key=lambda b: _area(prompts[b]))
    if not alone:
        return "label", label
    return ("point", n) if parent is None else ("parent", label, parent)


def _lies_in(prompt: Prompted, box: Prompted) -> bool:
    """Whether more than half of its points lie in the box."""
    if box.said.box is None:
        return False
    x0, y0, x1, y1 = box.said.box
    inside = [x0 <= x + 0.5 <= x1 and y0 <= y + 0.5 <= y1 for x, y in prompt.points]
    return 2 * sum(inside) > len(inside)


def _area(box: Prompted) -> float:
    x0, y0, x1, y1 = box.said.box or (0.0, 0.0, 0.0, 0.0)
    return (x1 - x0) * (y1 - y0)


def _together(said: Sequence[Interaction]) -> Interaction:
    return Interaction(
        points=tuple(point for one in said for point in one.points),
        box=next((one.box for one in said if one.box is not None), None),
        scribbles=tuple(line for one in said for line in one.scribbles),
    )
