"""The work of a run: read, ask, write, sample by sample, until all are done or it is stopped."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fiftyone_plugin.errors import RunError, SampleError
from fiftyone_plugin.masking import mask_everything, mask_objects
from fiftyone_plugin.runs.collection import SampleWrite
from fiftyone_plugin.runs.documents import answered, failed
from fiftyone_plugin.runs.following import FollowedVideo
from fiftyone_plugin.runs.loading import Loader, Read, Skipped, Unread, Video, sentence
from fiftyone_plugin.runs.progress import Stop, Tell, WorkProgress, WorkReport
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.runs.schema import declare_newer
from fiftyone_plugin.runs.writing import Writer
from fiftyone_plugin.values import Mode, SampleAnswer
from sam_plugins import Progress
from sam_plugins.errors import ImageError
from sam_plugins.ports import Segmenter

__all__ = ["work_on"]

_OUTAGE = 10
"""Samples in a row that the model fails on, before it is taken to be the model's fault."""

_PATIENCE = 1.0
"""Seconds without a picture, after which it is looked whether something waits to be written."""


def work_on(
    dataset: Any,
    run: Run,
    sample_ids: Sequence[str],
    segmenter: Segmenter,
    *,
    progress: Tell | None = None,
    stop: Stop | None = None,
    retry: bool = False,
) -> WorkReport:
    """Make the masks of samples; those that this run has done are left as they are.

    Each sample is written once, whole or not at all, whatever happens to this process or to others
    that work on the same samples. What is not done yet is done by the next call. Labels that were
    answered are not asked again: their masks stay as they are, also edited, and also gone.

    Parameters
    ----------
    dataset
        The run's FiftyOne dataset; not a view.
    run
        As `open_run` gave it.
    sample_ids
        Which samples.
    segmenter
        The model of the run.
    progress
        Told about each sample, in this thread.
    stop
        Asked before each sample; what was found until then is written.
    retry
        Work again on samples that failed, or of which some objects did.

    Raises
    ------
    RunError
        If the model is not the run's, the run was deleted, files cannot be written, or the model
        fails again and again. What was done is written, and the same call goes on.
    """
    if segmenter.info.model_id != run.model_id:
        raise RunError(
            f"Expected the model of the run {run.run_id}, with the hash {run.model_id}, found "
            f"{segmenter.info.model_id}: other weights are a new run, into another field."
        )
    declare_newer(dataset, run)
    return _Work(dataset, run, list(dict.fromkeys(sample_ids)), segmenter).through(
        progress or (lambda now: None), stop or (lambda: False), retry=retry
    )


class _Work:
    def __init__(self, dataset: Any, run: Run, ids: Sequence[str], segmenter: Segmenter) -> None:
        self._dataset, self._run, self._ids, self._segmenter = dataset, run, ids, segmenter
        self._report = WorkReport()
        self._writer = Writer(dataset, run, self._report)
        self._in_a_row = 0
        self._objects = 0

    def through(self, tell: Tell, stop: Stop, *, retry: bool) -> WorkReport:
        """All samples; what was found is written even if something is raised."""
        try:
            with Loader(self._dataset, self._run, self._ids, retry=retry) as loader:
                self._each(loader, tell, stop)
        finally:
            self._writer.flush()
        if not self._report.stopped:
            self._writer.sweep()
        self._dataset.reload()
        return self._report

    def _each(self, loader: Loader, tell: Tell, stop: Stop) -> None:
        done = 0
        for item in loader.items(_PATIENCE):
            if stop():
                self._report.stopped = True
                return
            if item is None:
                self._writer.flush_if_due()
                continue
            label = "was done before"
            if isinstance(item, Skipped):
                self._writer.finished_before(item.sample_id, item.status)
            else:
                write = self._write(item, stop, tell, done)
                if write is None:
                    self._report.stopped = True
                    return
                self._writer.add(write)
                if isinstance(item, Video):
                    self._writer.flush()
                self._objects += write.objects
                label = write.status.value
            done += 1
            tell(WorkProgress(done, len(self._ids), self._objects, label))

    def _write(
        self, item: Read | Video | Unread, stop: Stop, tell: Tell, done: int
    ) -> SampleWrite | None:
        """What is to be written of a sample; None where it was stopped halfway."""
        if isinstance(item, Unread):
            return failed(item.sample_id, item.before, item.reason)
        if isinstance(item, Video):
            return self._follow(item, stop, tell, done)
        try:
            answer = self._answer(item, stop)
        except SampleError as error:
            return failed(item.sample_id, item.before, str(error))
        except Exception as error:
            return self._model_failed(item, error)
        if stop():
            return None
        self._in_a_row = 0
        try:
            return answered(self._run, item, answer)
        except SampleError as error:
            return failed(item.sample_id, item.before, str(error))

    def _follow(self, item: Video, stop: Stop, tell: Tell, done: int) -> SampleWrite | None:
        """A video's frames are written when this returns, and its own document is not."""
        from pymongo.errors import PyMongoError

        def progress(made: Progress, objects: int) -> None:
            part = made.done / made.total if made.total else 0.0
            label = f"frame {made.done} of {made.total}"
            tell(WorkProgress(done, len(self._ids), self._objects + objects, label, part))

        video = FollowedVideo(self._dataset, self._run, item)
        try:
            write = video.work(self._segmenter, progress=progress, stop=stop)
        except (RunError, PyMongoError):
            raise
        except (SampleError, ImageError) as error:
            return failed(item.sample_id, item.before, str(error))
        except Exception as error:
            return self._model_failed(item, error)
        self._in_a_row = 0
        return write

    def _answer(self, item: Read, stop: Stop) -> SampleAnswer:
        size = (item.image.shape[0], item.image.shape[1])
        if self._run.config.mode is Mode.EVERYTHING:
            patches = item.asked if self._run.config.box_field else None
            answer = mask_everything(
                self._segmenter, item.image, self._run.config, patches, stop=stop
            )
            return replace(answer, unanswered=(*item.unanswered, *answer.unanswered))
        if not item.asked:
            return SampleAnswer(objects=(), unanswered=item.unanswered, size=size)
        answer = mask_objects(self._segmenter, item.image, item.asked, self._run.config)
        return SampleAnswer(
            objects=answer.objects, unanswered=(*item.unanswered, *answer.unanswered), size=size
        )

    def _model_failed(self, item: Read | Video, error: Exception) -> SampleWrite:
        self._in_a_row += 1
        if self._in_a_row >= _OUTAGE:
            raise RunError(
                f"Expected the model to answer, found that it failed on {_OUTAGE} samples in a "
                f"row: {sentence(error)} Look after it, then start the same run again with retry."
            ) from error
        return failed(item.sample_id, item.before, sentence(error))
