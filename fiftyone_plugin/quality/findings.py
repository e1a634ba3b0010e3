"""What can be found to speak against a mask, and the words for it."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ALONE", "COMPARED", "FOLLOWED", "JUDGED", "WORDS", "Finding", "Words"]


class Finding(StrEnum):
    """One thing that speaks against a mask; the values stand in the labels' `findings`."""

    DUPLICATE = "duplicate"
    TINY = "tiny"
    RAGGED = "ragged"
    LEAKING = "leaking"
    BOX = "box disagrees"
    ACROSS = "in both fields"
    DISAGREES = "fields disagree"
    JUMPS = "jumps"


@dataclass(frozen=True, slots=True)
class Words:
    """How people read a finding.

    Parameters
    ----------
    view
        Last part of the saved view's name.
    meaning
        One sentence.
    """

    view: str
    meaning: str


WORDS = {
    Finding.DUPLICATE: Words(
        "duplicates", "A better mask of the same field covers the same object, or contains it."
    ),
    Finding.TINY: Words("tiny", "The mask is very small, in pixels or for its class."),
    Finding.RAGGED: Words(
        "ragged", "The mask's outline is frayed, or it is in pieces or has holes."
    ),
    Finding.LEAKING: Words(
        "leaking", "The mask runs out of its box, fills the picture or reaches most of its edges."
    ),
    Finding.BOX: Words("box disagrees", "The box that was given and the mask's own box differ."),
    Finding.ACROSS: Words("in both fields", "The other field has the same object."),
    Finding.DISAGREES: Words(
        "fields disagree", "No mask of the other field fits this one, or only badly."
    ),
    Finding.JUMPS: Words(
        "jumps", "From the frame before, the object's mask changes its place or size too much."
    ),
}
"""Every finding in words."""

ALONE = (Finding.DUPLICATE, Finding.TINY, Finding.RAGGED, Finding.LEAKING, Finding.BOX)
"""What the masks of one picture show."""

FOLLOWED = (Finding.JUMPS,)
"""What the frames of a video show, besides."""

JUDGED = frozenset((*ALONE, *FOLLOWED))
"""What one field alone can show. Judging it again replaces these and leaves the others."""

COMPARED = frozenset((Finding.ACROSS, Finding.DISAGREES))
"""What two fields show. Comparing them again replaces these and leaves the others."""
