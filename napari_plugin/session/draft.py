"""`Draft`: the prompts that are not accepted yet, of each object on each plane."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from napari_plugin.values import Plane, PromptSet
from sam_plugins.errors import PromptError

__all__ = ["Draft", "ids_of", "state_of"]


@dataclass(frozen=True, slots=True)
class Draft:
    """Prompts by number of the object, then by plane; no entry is empty.

    Objects of a draft are numbered from 1; an object that was opened again has a number as well,
    and the session knows which id it stands for.
    """

    objects: Mapping[int, Mapping[Plane, PromptSet]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kept = {
            number: MappingProxyType({plane: said for plane, said in planes.items() if said})
            for number, planes in self.objects.items()
        }
        full = {number: planes for number, planes in sorted(kept.items()) if planes}
        object.__setattr__(self, "objects", MappingProxyType(full))

    def __bool__(self) -> bool:
        return bool(self.objects)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Draft):
            return NotImplemented
        return _plain(self) == _plain(other)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return Draft, (_plain(self),)

    def prompts(self) -> Iterator[tuple[int, Plane, PromptSet]]:
        """Every object on every plane."""
        for number, planes in self.objects.items():
            for plane, said in planes.items():
                yield number, plane, said

    def get(self, number: int, plane: Plane) -> PromptSet:
        """What was said about an object on a plane; empty if nothing."""
        return self.objects.get(number, {}).get(plane, PromptSet())

    def with_prompts(self, number: int, plane: Plane, said: PromptSet) -> "Draft":
        """The draft with other prompts for one object on one plane."""
        planes = dict(self.objects.get(number, {})) | {plane: said}
        return Draft(dict(self.objects) | {number: planes})

    def with_answer(self, number: int, plane: Plane, answer: int | None) -> "Draft":
        """The draft with another of the ambiguous answers chosen."""
        return self.with_prompts(number, plane, replace(self.get(number, plane), answer=answer))

    @property
    def next_number(self) -> int:
        """A number that no object has."""
        return max(self.objects, default=0) + 1

    def to_json(self) -> list[dict[str, Any]]:
        """A JSON array."""
        return [
            {"object": number, "plane": plane.to_json(), "prompts": said.to_json()}
            for number, plane, said in self.prompts()
        ]

    @classmethod
    def from_json(cls, found: Any) -> "Draft":
        """The draft that `to_json` wrote.

        Raises
        ------
        PromptError
            If it is anything else.
        """
        objects: dict[int, dict[Plane, PromptSet]] = {}
        try:
            for entry in found:
                plane = Plane.from_json(entry["plane"])
                said = PromptSet.from_json(entry["prompts"])
                objects.setdefault(int(entry["object"]), {})[plane] = said
        except (KeyError, TypeError, ValueError) as error:
            raise PromptError(
                f"A draft must be a list of objects, planes and prompts, found {found!r:.200} "
                f"({error})."
            ) from error
        return cls(objects)


def _plain(draft: Draft) -> dict[int, dict[Plane, PromptSet]]:
    return {number: dict(planes) for number, planes in draft.objects.items()}


def state_of(draft: Draft, ids: Mapping[int, int]) -> dict[str, Any]:
    """A draft with the ids that its numbers stand for, as the history and the journal hold it."""
    return {
        "prompts": draft.to_json(),
        "ids": {str(number): identity for number, identity in ids.items()},
    }


def ids_of(state: Mapping[str, Any]) -> dict[int, int]:
    """The ids of what `state_of` made.

    Raises
    ------
    PromptError
        If it is anything else.
    """
    try:
        return {int(number): int(identity) for number, identity in state.get("ids", {}).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise PromptError(f"Ids must be numbers by number, found {state!r:.200}.") from error
