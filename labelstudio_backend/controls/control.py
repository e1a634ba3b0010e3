"""`Control`: a tag of the labelling config that regions are drawn with, and what all of them do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from labelstudio_backend.controls.region import Region
from labelstudio_backend.errors import ConfigError
from labelstudio_backend.values import Found
from sam_plugins import Interaction
from sam_plugins.types import Box, Size

__all__ = ["Control", "LabelSet", "Mask", "Written"]

Word = TypeVar("Word", bound=str)

Mask: TypeAlias = tuple[NDArray[np.bool_], Box]
"""(h, w) bool and its xyxy in the picture, x1 and y1 exclusive."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of one tag.

    Parameters
    ----------
    tag
        The name of the tag that they stand in.
    written
        As they are written in results, in their order.
    names
        What each may be called, by all its names: value, alias and predicted values.
    brought
        Where each task brings further labels, such as ``$classes``; they are not known here.
    """

    tag: str
    written: tuple[str, ...]
    names: Mapping[str, str]
    brought: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """One region's value.

    Parameters
    ----------
    value
        The geometry, without the label.
    area_lost
        Share of the object's pixels that the geometry cannot show, 0 to 1.
    """

    value: dict[str, Any]
    area_lost: float = 0.0


@dataclass(frozen=True, slots=True)
class Control:
    """A tag that regions are drawn with.

    Parameters
    ----------
    name
        Which regions say as ``from_name``.
    to_names
        The pictures that it is for.
    labels
        Its own labels, or those of the ``Labels`` tags for the same picture.
    labelled
        Whether the labels are its own: `BrushLabels` and not `Brush`.
    attributes
        By their names in lower case.
    """

    kind: ClassVar[str] = ""
    """Of its regions, without labels: ``brush``."""

    writes: ClassVar[bool] = True
    """Whether answers can be written with it."""

    prompts: ClassVar[bool] = True
    """Whether its regions say what is asked for."""

    name: str
    to_names: tuple[str, ...]
    labels: tuple[LabelSet, ...] = ()
    labelled: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """What its regions say as their ``type``."""
        return f"{self.kind}labels" if self.labelled else self.kind

    @property
    def smart(self) -> bool:
        """Whether it is a smart tool, so that what is drawn with it are prompts."""
        return any(self.flag(name) for name in ("smart", "smartonly"))

    def flag(self, name: str) -> bool:
        """Whether an attribute is ``true``."""
        return self.attributes.get(name, "").strip().lower() == "true"

    def choice(self, name: str, choices: tuple[Word, ...]) -> Word:
        """An attribute that is one of `choices`, the first of which is the default.

        Raises
        ------
        ConfigError
            If it is another word.
        """
        word = self.attributes.get(name, choices[0]).strip().lower()
        for known in choices:
            if word == known:
                return known
        raise ConfigError(
            f"{name} of the tag {self.name!r} must be one of {', '.join(choices)}, found {word!r}."
        )

    def amount(self, name: str, otherwise: float) -> float:
        """An attribute that is a number of at least 0.

        Raises
        ------
        ConfigError
            If it is not.
        """
        text = self.attributes.get(name)
        if text is None:
            return otherwise
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not 0 <= number < float("inf"):
            raise ConfigError(
                f"{name} of the tag {self.name!r} must be a number of at least 0, found {text!r}."
            )
        return number

    def written_labels(self) -> tuple[str, ...]:
        """All labels, as results have them."""
        return tuple(label for group in self.labels for label in group.written)

    def brought_labels(self) -> tuple[str, ...]:
        """Where tasks bring labels for it, such as ``$classes``."""
        return tuple(group.brought for group in self.labels if group.brought)

    def holder(self, label: str) -> tuple[LabelSet, str] | None:
        """The labels that a name stands among, and how it is written; None if it does not.

        Where tasks bring labels every name may be one of them.
        """
        known = next(((g, g.names[label]) for g in self.labels if label in g.names), None)
        return known or next(((g, label) for g in self.labels if g.brought), None)

    @classmethod
    def prompt(cls, region: Region, size: Size) -> Interaction | None:
        """What a region says as a prompt, in pixels; None if it says nothing.

        Raises
        ------
        RequestError
            If it holds something else than numbers.
        """
        return None

    @classmethod
    def geometry(cls, region: Region) -> object:
        """What of the value makes two prompts the same."""
        return dict(region.value)

    @classmethod
    def mask(cls, region: Region, size: Size) -> Mask | None:
        """The pixels of a region; None if it has none.

        Raises
        ------
        RequestError
            If the value cannot be read.
        """
        return None

    def write(self, found: Found) -> list[Written]:
        """What was found as values of regions, usually one.

        Raises
        ------
        ConfigError
            If an attribute cannot be used, or nothing can be written with this tag.
        """
        raise ConfigError(f"Nothing can be written with the tag {self.name!r}, a {self.kind} tag.")
