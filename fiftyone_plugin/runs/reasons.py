"""Why prompts have no mask: sentences, each with the labels it is about, in bounded number."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fiftyone_plugin.values import UnansweredObject

__all__ = ["REASONS", "Reason", "about", "bounded", "reasons_of", "shortened", "text_of"]

REASONS = 20
"""Sentences that are kept of a sample at most; more are counted."""

_SENTENCE = 500
"""Characters of one."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence, empty where there were too many, and ids of the labels that it is about."""

    sentence: str
    label_ids: frozenset[str]


def reasons_of(unanswered: Iterable[UnansweredObject]) -> list[Reason]:
    """One per sentence."""
    return [Reason(each.reason, frozenset((each.prompt_id,))) for each in unanswered]


def about(reasons: Iterable[Reason], label_ids: Collection[str]) -> list[Reason]:
    """What is said of these labels."""
    left = [Reason(each.sentence, each.label_ids.intersection(label_ids)) for each in reasons]
    return [each for each in left if each.label_ids]


def bounded(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Equal sentences once, none too long, and those beyond `REASONS` as one that is empty."""
    by_sentence: dict[str, frozenset[str]] = {}
    more: frozenset[str] = frozenset()
    for each in reasons:
        sentence = shortened(each.sentence)
        if sentence and (sentence in by_sentence or len(by_sentence) < REASONS):
            by_sentence[sentence] = by_sentence.get(sentence, frozenset()) | each.label_ids
        else:
            more |= each.label_ids
    said = [Reason(sentence, ids) for sentence, ids in by_sentence.items()]
    return (*said, Reason("", more)) if more else tuple(said)


def text_of(reasons: Sequence[Reason], *, counted: bool) -> str:
    """As the reason field holds them, a line each.

    Parameters
    ----------
    reasons
        Bounded.
    counted
        Whether a sentence says how many objects it is about.
    """
    lines = []
    for each in reasons:
        many = len(each.label_ids)
        if not each.sentence:
            lines.append(f"... and more reasons, of {many} prompt{'s' if many > 1 else ''}")
        else:
            lines.append(each.sentence + (f" ({many} objects)" if counted and many > 1 else ""))
    return "\n".join(lines)


def shortened(sentence: str) -> str:
    """A sentence of bounded length."""
    return sentence if len(sentence) <= _SENTENCE else sentence[: _SENTENCE - 4] + " ..."
