"""An answer as what is written into a sample's document, and the files beside it."""

from collections import Counter
from typing import Any

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.fields import WRITTEN
from fiftyone_plugin.labels import detection_of
from fiftyone_plugin.runs.collection import SampleState, SampleWrite
from fiftyone_plugin.runs.loading import Read
from fiftyone_plugin.runs.marks import mark_of
from fiftyone_plugin.runs.memory import Memory
from fiftyone_plugin.runs.reasons import reasons_of, shortened, text_of
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.storage import fits_file, inline_bytes, room_for
from fiftyone_plugin.values import SampleAnswer, Status

__all__ = ["answered", "failed", "status_after"]


def failed(
    sample_id: str, before: SampleState, reason: str, memory: Memory | None = None
) -> SampleWrite:
    """What is written where nothing could be asked.

    Labels stay as they are, so a sample with some masks, tried again in vain, keeps them. `reason`
    is what an error says, or where there is a `memory`, what that says.
    """
    had_masks = before.status in (Status.PARTIAL, Status.DONE)
    status = Status.PARTIAL if had_masks else Status.FAILED
    text = shortened(reason) if memory is None else reason
    return SampleWrite(
        sample_id=sample_id,
        before=before,
        status=status,
        reason=text,
        memory=memory,
        size=len(text),
    )


def answered(run: Run, item: Read, answer: SampleAnswer) -> SampleWrite:
    """What is written of an answer; masks that are too large are files when this returns.

    Labels that the run wrote before stay as they are, and none that is gone comes back.

    Raises
    ------
    SampleError
        If the labels do not fit into a document even without their masks.
    RunError
        If a file cannot be written.
    """
    sample_id, before = item.sample_id, item.before
    memory = item.memory.after(
        item.asked,
        answer.unanswered,
        reasons_of(answer.unanswered),
        of_view=item.of_view,
        retry=item.retry,
    )
    reason = text_of(memory.reasons, counted=True)
    status = status_after(before, bool(answer.objects), memory)
    if status is Status.FAILED:
        return failed(sample_id, before, reason, memory)
    room = room_for(before.size, max(run.config.max_inline_bytes - item.memory.inline, 0))
    crops = [each.crop for each in answer.objects]
    inline = inline_bytes(crops, room.inline) <= room.inline
    labels, files = [], []
    size = len(reason) + _size(memory.to_mongo() or {})
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
        kept=item.memory.labels,
        memory=memory,
        objects=len(labels),
        files=tuple(files),
        size=size,
    )


def status_after(before: SampleState, found: bool, memory: Memory) -> Status:
    """What becomes of a sample, with what it had before and whether anything was found now."""
    some = found or before.status in (Status.DONE, Status.PARTIAL)
    if memory.unanswered:
        return Status.PARTIAL if some else Status.FAILED
    return Status.DONE if some else Status.NOTHING


def _size(label: dict[str, Any]) -> int:
    import bson

    return len(bson.encode(label))
