"""What goes in and comes out: questions, answers, and where pictures come from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from labelstudio_backend.values import Ask, Found, Picture
from sam_plugins.types import Size

__all__ = ["Answers", "Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """One interactive request.

    Parameters
    ----------
    task
        Its number, or whatever says which task it is.
    picture
        That is meant.
    prompts
        One stable key per prompt.
    labels
        Of the prompts.
    read
        What the prompts mean, given the size (H, W) of the picture.
    """

    task: str
    picture: Picture
    prompts: frozenset[str]
    labels: frozenset[str]
    read: Callable[[Size], list[Ask]]


class Answers(list[tuple[Ask, Found]]):
    """Objects and what was asked, and which model found them.

    Parameters
    ----------
    found
        In the order of what was asked.
    model_version
        Of the model that all of them come from.
    """

    def __init__(self, found: Iterable[tuple[Ask, Found]] = (), model_version: str = "") -> None:
        super().__init__(found)
        self.model_version = model_version

    @property
    def nbytes(self) -> int:
        """Of the masks."""
        return sum(found.crop.nbytes for _, found in self)
