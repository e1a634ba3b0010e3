"""The objects of a dataset's samples, some samples at a time, as the core's evaluation takes them.

Samples are read as the database has them: FiftyOne's own objects take longer to make than a mask
to score.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fiftyone_plugin.errors import FieldError, SampleError
from fiftyone_plugin.labels import mask_of
from fiftyone_plugin.quality import (
    check_detections,
    ensure_sizes,
    iter_batches,
    number_of,
    root_of,
    sample_ids_of,
    size_of,
    stopping,
    stored_mask,
)
from fiftyone_plugin.runs import Stop, Tell
from sam_plugins.evaluation import ScoredMask
from sam_plugins.types import Size

__all__ = [
    "Counts",
    "Document",
    "ReadSample",
    "Source",
    "check_pictures",
    "open_source",
    "read_objects",
]

Document = Mapping[str, Any]

_BATCH = 32


@dataclass(slots=True)
class Counts:
    """What was read, and what could not be.

    Parameters
    ----------
    samples
        Whose masks were read.
    without_size
        Samples whose picture's size is not known, because it cannot be read.
    without_mask, unreadable, without_score
        Labels by field: those without a mask, those whose mask cannot be read, and those without
        a confidence, which count as the least sure.
    stopped
        Whether it was stopped before the end.
    """

    samples: int = 0
    without_size: int = 0
    without_mask: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    without_score: Counter[str] = field(default_factory=Counter)
    stopped: bool = False

    def notes(self, predictions: str = "") -> list[str]:
        """A sentence for each of these that is not zero; scores matter in one field only."""
        said = [
            f"{n} labels of {name} have no mask: left out." for name, n in _some(self.without_mask)
        ]
        said += [
            f"{n} labels of {name} have a mask that cannot be read: left out."
            for name, n in _some(self.unreadable)
        ]
        if missing := self.without_score[predictions]:
            said.append(
                f"{missing} labels of {predictions} have no confidence: they count as the least "
                "sure."
            )
        if self.without_size:
            said.append(f"{self.without_size} samples have a picture that cannot be read.")
        return said


def _some(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted((name, n) for name, n in counter.items() if n)


@dataclass(frozen=True, slots=True, eq=False)
class ReadSample:
    """One sample.

    Parameters
    ----------
    document
        As the database has it, with the fields that were asked for.
    size
        (H, W) of its picture.
    objects
        The masks of each field.
    labels
        Their labels as the database has them, in the same order.
    """

    document: Document
    size: Size
    objects: Mapping[str, tuple[ScoredMask, ...]]
    labels: Mapping[str, tuple[Document, ...]]

    @property
    def id(self) -> str:
        """Of the sample."""
        return str(self.document["_id"])


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Samples whose labels are to be read.

    Parameters
    ----------
    dataset
        The FiftyOne dataset.
    ids
        Of its samples.
    fields
        Of Detections.
    shown
        Ids of the labels that take part, by field; a field that is not there takes part wholly.
    """

    dataset: Any
    ids: Sequence[str]
    fields: tuple[str, ...]
    shown: Mapping[str, frozenset[str]]

    def read(
        self,
        counts: Counts,
        *,
        label: str,
        others: Sequence[str] = (),
        progress: Tell | None = None,
        stop: Stop | None = None,
    ) -> Iterator[list[ReadSample]]:
        """The samples, some at a time; `counts` is kept, and progress is told.

        Parameters
        ----------
        counts
            What was read.
        label
            What is being done, for people.
        others
            Fields of the samples that are read too.
        progress, stop
            Called and asked between batches.
        """
        batches = iter_batches(
            self.dataset,
            list(self.ids),
            [*self.fields, *others],
            size=_BATCH,
            label=label,
            progress=progress,
            stop=stopping(counts, stop),
        )
        for batch in batches:
            read = [self._read(document, counts) for document in batch]
            yield [sample for sample in read if sample is not None]

    def _read(self, document: Document, counts: Counts) -> ReadSample | None:
        size = size_of(document)
        if size is None:
            counts.without_size += 1
            return None
        counts.samples += 1
        both = {
            name: read_objects(document, name, size, counts, self.shown.get(name))
            for name in self.fields
        }
        return ReadSample(
            document,
            size,
            {name: objects for name, (objects, _) in both.items()},
            {name: labels for name, (_, labels) in both.items()},
        )


def check_pictures(collection: Any) -> None:
    """FieldError if a dataset or view shows something else than pictures, as patches or videos."""
    if collection._is_generated:
        raise FieldError(
            "Expected samples, found patches, clips or frames of samples: evaluate the view that "
            "they were made from, or their copy as a dataset of its own (clone)."
        )
    if collection.media_type == "video":
        raise FieldError(
            "Expected pictures, found videos: make a dataset of their frames first "
            "(to_frames with sample_frames=True, then clone)."
        )


def open_source(collection: Any, fields: Sequence[str]) -> Source:
    """Check that the fields can be read, and make sure that the sizes of pictures are known.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view of samples. What a view filters of the fields takes no part. Of
        grouped samples those of the active slice are read.
    fields
        Of Detections.

    Raises
    ------
    FieldError
        If a field holds something else, one is named twice, or the collection shows patches,
        clips, frames or videos.
    """
    dataset = root_of(collection)
    if len(set(fields)) != len(fields):
        raise FieldError(f"Expected two fields to compare, found {fields[0]!r} twice.")
    for name in fields:
        check_detections(dataset, name)
    check_pictures(collection)
    ids = sample_ids_of(collection)
    ensure_sizes(dataset, ids)
    shown: dict[str, frozenset[str]] = {}
    if collection is not dataset:
        shown = {
            name: frozenset(collection.values(f"{name}.detections.id", unwind=True))
            for name in fields
            if collection.has_field(name)
        }
    return Source(dataset, ids, tuple(fields), shown)


def read_objects(
    document: Document, name: str, size: Size, counts: Counts, shown: frozenset[str] | None = None
) -> tuple[tuple[ScoredMask, ...], tuple[Document, ...]]:
    """The masks of one field of one sample, and their labels.

    Parameters
    ----------
    document
        The sample as the database has it.
    name
        A field of Detections. A label whose attribute `iscrowd` is true is a crowd.
    size
        (H, W) of its picture.
    counts
        What is left out is added to it.
    shown
        Ids of the labels that take part; None for all.
    """
    objects, labels = [], []
    for label in (document.get(name) or {}).get("detections") or ():
        label_id = str(label["_id"])
        if shown is not None and label_id not in shown:
            continue
        try:
            found = mask_of(stored_mask(label), size)
        except SampleError:
            counts.unreadable[name] += 1
            continue
        if found is None:
            counts.without_mask[name] += 1
            continue
        score = number_of(label, "confidence")
        counts.without_score[name] += score is None
        objects.append(
            ScoredMask(
                crop=found[0],
                box=found[1],
                label=str(label.get("label") or ""),
                score=0.0 if score is None else score,
                is_crowd=bool(label.get("iscrowd")),
                id=label_id,
            )
        )
        labels.append(label)
    return tuple(objects), tuple(labels)
