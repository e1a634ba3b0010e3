"""What a run remembers of a sample that it has written before: which labels it has asked.

A label that was answered is not asked again: its mask is there, or somebody has taken it out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.runs.reasons import Reason, about, bounded
from fiftyone_plugin.values import AskedObject, UnansweredObject

__all__ = ["NEVER", "Memory", "remembered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a run has asked of one sample, and what is there of it.

    Parameters
    ----------
    answered, unanswered
        Ids of the labels that have asked with and without success. Labels of the run say that
        theirs was answered, also where nothing was remembered.
    found
        Of a video, (label, index, frames) of the objects that were asked: where they were found,
        as "3-3,5-9".
    of_view
        Whether the sample may hold labels that were never asked because a view hid them.
    reasons
        Why labels have asked in vain, at most `REASONS` and one that counts the others.
    labels, inline
        Ids of the run's labels in the sample, which stay as they are, and bytes of their masks in
        its document.
    """

    answered: frozenset[str] = frozenset()
    unanswered: frozenset[str] = frozenset()
    found: tuple[tuple[str, int, str], ...] = ()
    of_view: bool = False
    reasons: tuple[Reason, ...] = ()
    labels: tuple[Any, ...] = ()
    inline: int = 0

    def is_open(self, label_ids: Collection[str], *, retry: bool) -> bool:
        """Whether an object of these labels is to be asked: never before, or in vain and again."""
        return self.answered.isdisjoint(label_ids) and (
            retry or self.unanswered.isdisjoint(label_ids)
        )

    def knows(self, label_id: str) -> bool:
        """Whether a label has asked before."""
        return label_id in self.answered or label_id in self.unanswered

    def after(
        self,
        asked: Iterable[AskedObject],
        unanswered: Iterable[UnansweredObject],
        reasons: Iterable[Reason],
        *,
        of_view: bool,
        retry: bool,
    ) -> "Memory":
        """What is remembered once these were asked, and some of them in vain, for these reasons.

        What was not answered before and is not asked now stays unanswered; except where everything
        was to be asked again: such labels are gone.
        """
        in_vain = {each.prompt_id for each in unanswered}
        now = set(in_vain)
        answered: set[str] = set(self.answered)
        for each in asked:
            now.update(each.label_ids)
            (in_vain if each.prompt_id in in_vain else answered).update(each.label_ids)
        if of_view or not retry:
            in_vain |= self.unanswered - answered
        before = about(self.reasons, in_vain - now)
        return Memory(
            answered=frozenset(answered),
            unanswered=frozenset(in_vain),
            reasons=bounded([*before, *reasons]),
            of_view=of_view,
        )

    def to_mongo(self) -> dict[str, Any] | None:
        """As a sample's document holds it; None where nothing is left to ask."""
        if not self.unanswered and not self.of_view:
            return None
        return {
            "answered": sorted(self.answered),
            "unanswered": sorted(self.unanswered),
            "found": [list(each) for each in self.found],
            "reasons": [[each.sentence, sorted(each.label_ids)] for each in self.reasons],
            "of_view": self.of_view,
        }


NEVER = Memory()
"""Of a sample that the run has not written yet."""


def remembered(
    value: Mapping[str, Any] | None, labels: Iterable[Mapping[str, Any]], inline: int = 0
) -> Memory:
    """What a document says.

    Parameters
    ----------
    value
        As `Memory.to_mongo` gave it; None also of a run of a version that remembered nothing.
    labels
        The run's own labels with their ids and prompt ids.
    inline
        Bytes of their masks in the document.
    """
    value = value or {}
    labels = list(labels)
    there = {str(each["prompt_id"]) for each in labels if each.get("prompt_id")}
    reasons = [Reason(str(a), frozenset(map(str, b))) for a, b in value.get("reasons") or ()]
    return Memory(
        answered=frozenset(value.get("answered") or ()) | there,
        unanswered=frozenset(value.get("unanswered") or ()) - there,
        found=tuple((str(a), int(b), str(c)) for a, b, c in value.get("found") or ()),
        of_view=bool(value.get("of_view")),
        reasons=tuple(reasons),
        labels=tuple(each["_id"] for each in labels),
        inline=inline,
    )
