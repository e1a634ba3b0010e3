"""An answer as what is written into a sample's document, and the files beside it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.fields import WRITTEN
from fiftyone_plugin.labels import detection_of
from fiftyone_plugin.runs.collection import Documents, SampleState, SampleWrite
from fiftyone_plugin.runs.marks import mark_of, of_run, stays_or_mark
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.storage import fits_file, inline_bytes, room_for
from fiftyone_plugin.values import SampleAnswer, Status, UnansweredObject

__all__ = ["REASONS", "answered", "failed", "joined"]

REASONS = 20
"""Sentences that the reason field holds at most; more are counted."""

_SENTENCE = 500
"""Characters of one."""


def failed(sample_id: str, before: SampleState, reason: str) -> SampleWrite:
    """What is written where nothing could be asked.

    Labels stay as they are, so a sample with some masks, tried again in vain, keeps them.
    """
    status = Status.PARTIAL if before.status is Status.PARTIAL else Status.FAILED
    text = _shortened(reason)
    return SampleWrite(
        sample_id=sample_id, before=before, status=status, reason=text, size=len(text)
    )


def answered(
    run: Run,
    documents: Documents,
    sample_id: str,
    before: SampleState,
    answer: SampleAnswer,
) -> SampleWrite:
    """What is written of an answer; masks that are too large are files when this returns.

    Raises
    ------
    SampleError
        If the labels do not fit into a document even without their masks.
    RunError
        If a file cannot be written.
    """
    status = answer.status
    reason = _reason(answer.unanswered)
    if status is Status.FAILED:
        return failed(sample_id, before, reason)
    there = _labels_there(run, documents, sample_id) if before.status is not None else {}
    kept = [label_id for label_id, mark in there.items() if not mark]
    room = room_for(before.size, run.config.max_inline_bytes)
    crops = [each.crop for each in answer.objects]
    inline = inline_bytes(crops, room.inline) <= room.inline
    labels, files, size = [], [], len(reason)
    asked_before = Counter[str]()
    for masked in answer.objects:
        # Of its own prompt: what becomes of other prompts must not change what a label is called.
        number = asked_before[masked.prompt_id]
        asked_before[masked.prompt_id] += 1
        path = ""
        if not inline and fits_file(crop := masked.crop):
            file = run.files.write(sample_id, masked.prompt_id, number, crop)
            files.append(file)
            path = str(file)
        detection = detection_of(
            masked,
            answer.size,
            run_id=run.run_id,
            model_id=run.model_id,
            mask_path=path,
            sample_id=sample_id,
            number=number,
        )
        label = detection.to_dict()
        label[WRITTEN] = mark_of(label)
        if there.get(label["_id"]) == label[WRITTEN]:
            kept.append(label["_id"])
        if label["_id"] in kept:
            continue
        labels.append(label)
        size += _size(label)
    if size > room.labels:
        run.files.remove(files)
        raise SampleError(
            f"Expected labels of at most {room.labels >> 10} KB in the sample's document, found "
            f"{size >> 10} KB in {len(labels)} labels: remove other fields of the sample, or ask "
            "for fewer objects."
        )
    return SampleWrite(
        sample_id=sample_id,
        before=before,
        status=status,
        reason=reason,
        labels=tuple(labels),
        kept=tuple(kept),
        objects=len(labels),
        files=tuple(files),
        size=size,
    )


def _labels_there(run: Run, documents: Documents, sample_id: str) -> dict[Any, str]:
    """Ids of the labels that the run wrote before: the mark of each, "" if it stays at any rate.

    Those that somebody has edited or decided on stay. Any other stays where it is found again, with
    the tags and attributes that it was given since.
    """
    return {
        label["_id"]: stays_or_mark(label, run.files)
        for _, labels in documents.labels([sample_id], run.config.label_field)
        for label in labels
        if of_run(label, run.run_id)
    }


def _size(label: dict[str, Any]) -> int:
    import bson

    return len(bson.encode(label))


def _reason(unanswered: Sequence[UnansweredObject]) -> str:
    """One sentence per object; equal ones once, with their number."""
    counts: dict[str, int] = {}
    for each in unanswered:
        text = _shortened(each.reason)
        counts[text] = counts.get(text, 0) + 1
    return joined([text if n == 1 else f"{text} ({n} objects)" for text, n in counts.items()])


def joined(sentences: Sequence[str]) -> str:
    """Sentences as the reason field holds them: not too many, and none too long."""
    said = [_shortened(text) for text in sentences[:REASONS]]
    more = len(sentences) - REASONS
    return "\n".join(said + ([f"... and {more} more reasons"] if more > 0 else []))


def _shortened(text: str) -> str:
    return text if len(text) <= _SENTENCE else text[: _SENTENCE - 4] + " ..."
