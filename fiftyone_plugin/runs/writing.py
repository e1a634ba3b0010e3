"""What was found, collected and written in batches bounded in number, bytes and time."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fiftyone_plugin.errors import RunError
from fiftyone_plugin.runs.collection import Documents, SampleWrite
from fiftyone_plugin.runs.frames import FrameDocuments
from fiftyone_plugin.runs.progress import WorkReport
from fiftyone_plugin.runs.records import Run
from fiftyone_plugin.storage import files_in_use
from fiftyone_plugin.values import Mode, Status

__all__ = ["Writer"]

_SAMPLES = 100
_BYTES = 16 << 20
_SECONDS = 5.0
"""What a batch holds at most, and how long it waits at most."""

_SWEPT = 500
"""Finished samples whose files are looked at together."""


class Writer:
    """Writes samples of a run: files before documents, and documents before files are removed.

    Parameters
    ----------
    dataset, run
        Where, and for whom.
    report
        Counts what was written.
    """

    def __init__(self, dataset: Any, run: Run, report: WorkReport) -> None:
        self._documents, self._run, self._report = Documents(dataset), run, report
        self._labels: Documents | FrameDocuments = self._documents
        if run.config.mode is Mode.VIDEO:
            self._labels = FrameDocuments(dataset)
        self._batch: list[SampleWrite] = []
        self._bytes = 0
        self._since = 0.0
        self._finished: list[str] = []

    def add(self, write: SampleWrite) -> None:
        """Take one sample; writes what there is when that is enough."""
        if self._batch and self._bytes + write.size > _BYTES:
            self.flush()
        if not self._batch:
            self._since = time.monotonic()
        self._batch.append(write)
        self._bytes += write.size
        if len(self._batch) >= _SAMPLES or self._bytes >= _BYTES:
            self.flush()
        else:
            self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write what has waited long enough."""
        if self._batch and time.monotonic() - self._since >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write everything that was taken.

        Raises
        ------
        RunError
            If the run was deleted meanwhile; nothing is written then.
        """
        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        present = {each.sample_id: self._run.files.present(each.sample_id) for each in batch}
        if not self._documents.registered(self._run):
            for each in batch:
                self._run.files.remove(present[each.sample_id])
            raise RunError(
                f"Expected the run {self._run.run_id} to be there, found that it was deleted while "
                "it was worked on: start it again if its masks are wanted."
            )
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        written = self._documents.write(self._run, batch, now)
        for each in batch:
            if each.sample_id in written:
                self._report.add(each.status, each.objects)
            else:
                self._report.skipped += 1
        self._tidy({name: files for name, files in present.items() if files})

    def finished_before(self, sample_id: str, status: Status | None) -> None:
        """Note a sample that needs nothing: files that a killed process left are removed."""
        self._report.skipped += 1
        if status in (Status.DONE, Status.NOTHING):
            self._finished.append(sample_id)
        if len(self._finished) >= _SWEPT:
            self.sweep()

    def sweep(self) -> None:
        """Remove what killed processes left of samples that were finished before."""
        finished, self._finished = self._finished, []
        present = {each: self._run.files.present(each) for each in finished}
        self._tidy({name: files for name, files in present.items() if files})

    def _tidy(self, present: dict[str, frozenset[Path]]) -> None:
        """Remove files that were there before a document was written and that nothing names."""
        if not present:
            return
        field = self._run.config.label_field
        named = self._labels.mask_paths(list(present), field)
        left = {name: files - named.get(name, frozenset()) for name, files in present.items()}
        left = {name: files for name, files in left.items() if files}
        if left:
            used = files_in_use(self._run.files.folder, left)
            self._run.files.remove(frozenset().union(*left.values()) - used)
