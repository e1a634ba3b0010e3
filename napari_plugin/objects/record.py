"""`ObjectRecord`: what is known of one object besides its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from napari_plugin.objects.regions import Region
from napari_plugin.values import Plane, PromptSet

__all__ = ["ObjectRecord"]


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """How an object came to be.

    Parameters
    ----------
    id
        Its value in the labels.
    prompts
        What was said about it, by plane; empty for an object that was joined, split or made by
        another program.
    origin
        "prompt", "automatic", "propagated", "imported", "merged" or "split".
    key_planes
        The planes on which a person decided; those with prompts by default.
    score
        What the model thought of its answer, 0 to 1.
    model_id
        Which model answered; empty if none did.
    owned
        The pixels that this plugin wrote. Others with the same value are a person's brush work:
        they are kept when the object is accepted again.
    """

    id: int
    prompts: Mapping[Plane, PromptSet] = field(default_factory=dict)
    origin: str = "prompt"
    key_planes: tuple[Plane, ...] | None = None
    score: float | None = None
    model_id: str = ""
    owned: tuple[Region, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", MappingProxyType(dict(self.prompts)))
        if self.key_planes is None:
            object.__setattr__(self, "key_planes", tuple(self.prompts))

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectRecord, (
            self.id,
            dict(self.prompts),
            self.origin,
            self.key_planes,
            self.score,
            self.model_id,
            self.owned,
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "id": self.id,
            "prompts": [
                {"plane": plane.to_json(), "said": said.to_json()}
                for plane, said in self.prompts.items()
            ],
            "origin": self.origin,
            "key_planes": [plane.to_json() for plane in self.key_planes or ()],
            "score": self.score,
            "model_id": self.model_id,
            "owned": [region.to_json() for region in self.owned],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "ObjectRecord":
        """The record that `to_json` wrote.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it is anything else.
        """
        score = found["score"]
        return cls(
            id=int(found["id"]),
            prompts={
                Plane.from_json(entry["plane"]): PromptSet.from_json(entry["said"])
                for entry in found["prompts"]
            },
            origin=str(found["origin"]),
            key_planes=tuple(Plane.from_json(plane) for plane in found["key_planes"]),
            score=None if score is None else float(score),
            model_id=str(found["model_id"]),
            owned=tuple(Region.from_json(region) for region in found["owned"]),
        )
