"""One video: its objects followed, and the labels of its frames written before its own status."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fiftyone_plugin.errors import RunError, SampleError
from fiftyone_plugin.fields import PROMPT_ID, WRITTEN
from fiftyone_plugin.labels import Film, detection_of, identity, open_video, read_keys
from fiftyone_plugin.masking import follow_video
from fiftyone_plugin.runs.collection import Documents, SampleWrite
from fiftyone_plugin.runs.documents import failed, status_after
from fiftyone_plugin.runs.frames import FrameDocuments, FrameState, FrameWrite, Tracks, wanted
from fiftyone_plugin.runs.loading import Video
from fiftyone_plugin.runs.marks import mark_of
from fiftyone_plugin.runs.memory import Memory
from fiftyone_plugin.runs.ranges import numbers_in, ranges_text
from fiftyone_plugin.runs.reasons import Reason, text_of
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.runs.spool import Spool, spooling
from fiftyone_plugin.runs.unfound import Unfound
from fiftyone_plugin.storage import fits_file, inline_bytes, room_for
from fiftyone_plugin.values import AskedObject, MaskedObject, Status, UnansweredObject
from sam_plugins import Progress
from sam_plugins.ports import Segmenter

__all__ = ["FollowedVideo"]

_FRAMES = 50
_BYTES = 8 << 20
"""What is written at once at most."""

_RANGES_LENGTH = 2000
_RANGES_TOGETHER = 1 << 20
"""Characters that say where one object was found, and all of a video, at most."""

_NO_FRAME = "The video has no such frame that can be read: delete the label, or mend the file."

Keys = Mapping[int, Sequence[AskedObject]]


class FollowedVideo:
    """The work on one video.

    Parameters
    ----------
    dataset, run
        Where, and for whom.
    item
        The sample, what its document said, and what is asked.
    """

    def __init__(self, dataset: Any, run: Run, item: Video) -> None:
        self._run, self._item, self._before = run, item, item.before
        self._id = item.sample_id
        self._samples, self._frames = Documents(dataset), FrameDocuments(dataset)
        self._unfound = Unfound()
        self._again: frozenset[tuple[str, int]] = frozenset()
        self._found = {(a, b): frozenset(numbers_in(c)) for a, b, c in item.memory.found}
        self._objects = self._made = 0

    def work(
        self,
        segmenter: Segmenter,
        *,
        progress: Callable[[Progress, int], None],
        stop: Callable[[], bool],
    ) -> SampleWrite | None:
        """Follow its objects and write its frames; what is left to write is the sample itself.

        Parameters
        ----------
        segmenter
            The model.
        progress
            Told about frames, and how many masks there are.
        stop
            Asked after each frame.

        Returns
        -------
        None where it was stopped: nothing was written then, or some frames, which the next call
        writes again.

        Raises
        ------
        SampleError
            If the video cannot be read, or asks for too much.
        RunError
            If the run was deleted meanwhile, or files cannot be written.
        """
        item, memory = self._item, self._item.memory
        with open_video(item.sample) as film, spooling() as spool:
            every, wrong = read_keys(item.sample, film.size, self._run.config, item.visible)
            refused = [
                (number, each)
                for number, each in wrong
                if memory.is_open((each.prompt_id,), retry=item.retry)
            ]
            for number, each in refused:
                self._unfound.add(number, None, each.prompt_id, each.reason)
            asked = self._open(every)
            keys = self._in(film, asked)
            self._follow(segmenter, film, keys, spool, progress, stop)
            if stop():
                return None
            self._unfound.forget(spool.has)
            memory = self._remembered(film, asked, [each for _, each in refused], spool)
            reason = text_of(memory.reasons, counted=False)
            status = status_after(self._before, bool(self._objects), memory)
            if status is Status.FAILED:
                return failed(self._id, self._before, reason, memory)
            if not self._written(spool, self._tracks(every), stop):
                return None
        return SampleWrite(
            sample_id=self._id,
            before=self._before,
            status=status,
            reason=reason,
            memory=memory,
            objects=self._made,
            size=len(reason),
        )

    def _open(self, every: Keys) -> Keys:
        """What is asked now: objects of which some label was never answered, with all of theirs."""
        memory, retry = self._item.memory, self._item.retry
        self._again = frozenset(
            identity(each)
            for objects in every.values()
            for each in objects
            if memory.is_open(each.label_ids, retry=retry)
        )
        asked = {
            number: [each for each in objects if identity(each) in self._again]
            for number, objects in every.items()
        }
        return {number: objects for number, objects in asked.items() if objects}

    def _tracks(self, every: Keys) -> Tracks:
        """What may become of labels that are there: those of a video that is finished stay."""
        finished = self._before.status in (Status.DONE, Status.PARTIAL)
        return Tracks(
            who={
                label_id: identity(each)
                for objects in every.values()
                for each in objects
                for label_id in each.label_ids
            },
            found=self._found,
            replaced=frozenset() if finished else self._again,
        )

    def _remembered(
        self, film: Film, asked: Keys, refused: Sequence[UnansweredObject], spool: Spool
    ) -> Memory:
        """What is remembered of the video once its frames are written.

        Of a film that is not complete no object is: each may be on the frames that are missing.
        """
        objects = [each for frame in asked.values() for each in frame]
        missing = self._again if film.missing else self._unfound.objects
        in_vain = [
            UnansweredObject(prompt_id=each.prompt_id, reason="")
            for each in objects
            if identity(each) in missing
        ]
        labels = {which: set[str]() for which in self._again}
        for each in objects:
            labels[identity(each)].update(each.label_ids)
        after = self._item.memory.after(
            objects,
            [*refused, *in_vain],
            [*_incomplete(film, labels), *self._unfound.reasons(labels)],
            of_view=bool(self._run.shown),
            retry=self._item.retry,
        )
        known = sorted(self._found.keys() | self._again)
        length = min(_RANGES_LENGTH, _RANGES_TOGETHER // max(len(known), 1))
        found = []
        for which in known:
            there = self._found.get(which, frozenset()) | spool.where(which)
            found.append((*which, ranges_text(there, length)))
        return replace(after, found=tuple(each for each in found if each[2]))

    def _in(self, film: Film, asked: Keys) -> dict[int, Sequence[AskedObject]]:
        """What is asked by the place of its frame in the film; other frames cannot be asked."""
        places = {number: place for place, number in enumerate(film.numbers)}
        for number in sorted(asked.keys() - places.keys()):
            for each in asked[number]:
                self._unfound.add(number, identity(each), each.prompt_id, _NO_FRAME)
        return {places[number]: asked[number] for number in asked if number in places}

    def _follow(
        self,
        segmenter: Segmenter,
        film: Film,
        keys: Keys,
        spool: Spool,
        progress: Callable[[Progress, int], None],
        stop: Callable[[], bool],
    ) -> None:
        """Everything that is found, into the spool."""
        who = {each.prompt_id: identity(each) for objects in keys.values() for each in objects}
        outcomes = follow_video(
            segmenter,
            film.source,
            keys,
            self._run.config,
            progress=lambda made: progress(made, self._objects),
            stop=stop,
        )
        for place, outcome in outcomes:
            number = film.numbers[place]
            if isinstance(outcome, UnansweredObject):
                self._unfound.add(number, who[outcome.prompt_id], outcome.prompt_id, outcome.reason)
            elif outcome.asked is not None:
                which = identity(outcome.asked)
                spool.add(number, which, self._label(number, which[1], outcome, film))
                self._objects += 1

    def _label(self, number: int, index: int, masked: MaskedObject, film: Film) -> dict[str, Any]:
        detection = detection_of(
            masked,
            film.size,
            run_id=self._run.run_id,
            model_id=self._run.model_id,
            sample_id=f"{self._id}-{number}",
            number=index,
        )
        return dict(detection.to_dict())

    # -- writing ------------------------------------------------------------------------------

    def _written(self, spool: Spool, tracks: Tracks, stop: Callable[[], bool]) -> bool:
        """Write the frames, some at once; False where it was stopped."""
        alone = self._run.replaces and self._before.status is None
        numbers = set(spool.numbers)
        if alone or tracks.replaced:
            numbers.update(self._frames.numbers(self._run, self._id, of_others=alone))
        ordered = sorted(numbers)
        for start in range(0, len(ordered), _FRAMES):
            some = ordered[start : start + _FRAMES]
            states = self._frames.states(self._run, self._id, some, tracks)
            batch: list[FrameWrite] = []
            size = 0
            for number in some:
                write = self._frame(spool, number, states.get(number), tracks)
                if batch and size + write.size > _BYTES:
                    self._write(batch, tracks, alone)
                    batch, size = [], 0
                batch.append(write)
                size += write.size
            self._write(batch, tracks, alone)
            if stop():
                return False
        return True

    def _write(self, batch: list[FrameWrite], tracks: Tracks, alone: bool) -> None:
        if not self._samples.registered(self._run):
            self._run.files.remove(self._run.files.present(self._id))
            raise RunError(
                f"Expected the run {self._run.run_id} to be there, found that it was deleted while "
                "it was worked on: start it again if its masks are wanted."
            )
        if self._samples.unchanged(self._run, self._id, self._before):
            self._frames.write(self._run, self._id, batch, tracks, alone=alone)

    def _frame(
        self, spool: Spool, number: int, state: FrameState | None, tracks: Tracks
    ) -> FrameWrite:
        """The labels that a frame is to get; large masks become files.

        With the masks that stay, those in its document have no more bytes than they may.
        """
        import bson
        from fiftyone.core.labels import Detection

        labels = [dict(each) for each in wanted(list(spool.labels(number)), number, state, tracks)]
        crops = [Detection.from_dict(dict(each)).mask for each in labels]
        before, there = (state.size, state.inline) if state is not None else (0, 0)
        room = room_for(before, max(self._run.config.max_inline_bytes - there, 0))
        inline = inline_bytes(crops, room.inline) <= room.inline
        size = 0
        for label, crop in zip(labels, crops, strict=True):
            if not inline and fits_file(crop):
                name = f"{label[PROMPT_ID]}-{label['index']}"
                file = self._run.files.write(self._id, name, number, crop)
                label.update(mask=None, mask_path=str(file))
            label[WRITTEN] = mark_of(label)
            size += len(bson.encode(label))
        if size > room.labels:
            raise SampleError(
                f"Expected labels of at most {room.labels >> 10} KB in the document of frame "
                f"{number}, found {size >> 10} KB in {len(labels)} labels: remove other fields of "
                "the frame, or ask for fewer objects."
            )
        self._made += len(labels)
        return FrameWrite(number, tuple(labels), size)


def _incomplete(film: Film, labels: Mapping[Any, Collection[str]]) -> list[Reason]:
    """What is said of the labels of all objects where frames of the film are missing."""
    if not film.missing or not labels:
        return []
    there = film.source.shape[0]
    sentence = (
        f"Only {there} of {there + film.missing} frames can be read: the file is damaged or not "
        "complete. Put a whole one in its place and try again."
    )
    return [Reason(sentence, frozenset().union(*labels.values()))]
