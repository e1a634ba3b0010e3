"""What passes between a dataset and files: settings, pictures with their masks, and counts."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from fiftyone_plugin.fields import REVIEW
from sam_plugins.types import Box, Rle, Size

__all__ = [
    "ExchangedObject",
    "ExchangedPicture",
    "ExportReport",
    "ExportSettings",
    "Format",
    "ImportReport",
    "ImportSettings",
    "Pictures",
    "Review",
]

_REASONS = 20


class Format(StrEnum):
    """How masks lie in files.

    `TRAINING`: pictures and label images, as `sam-plugins train` reads them. `LABEL_STUDIO`: tasks
    with pre-annotations; what comes back is Label Studio's JSON export.
    """

    COCO = "coco"
    YOLO = "yolo"
    SA1B = "sa1b"
    TRAINING = "training"
    LABEL_STUDIO = "label-studio"


class Review(StrEnum):
    """What a curator has said of a mask; `UNSURE` where nobody has."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNSURE = "unsure"


class Pictures(StrEnum):
    """What becomes of the picture files: copied beside the masks, linked there, or left."""

    COPY = "copy"
    LINK = "link"
    NONE = "none"


REVIEWS: Mapping[Format, tuple[Review, ...]] = {
    Format.COCO: tuple(Review),
    Format.YOLO: tuple(Review),
    Format.SA1B: tuple(Review),
    Format.TRAINING: (Review.ACCEPTED,),
    Format.LABEL_STUDIO: (Review.UNSURE,),
}
"""Which masks leave, where nobody says."""

PICTURES: Mapping[Format, Pictures] = {
    Format.COCO: Pictures.NONE,
    Format.YOLO: Pictures.COPY,
    Format.SA1B: Pictures.NONE,
    Format.TRAINING: Pictures.COPY,
    Format.LABEL_STUDIO: Pictures.NONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """What is written, and where.

    Parameters
    ----------
    format
        How.
    label_field
        The Detections with the masks; of videos' frames, as "frames.masks".
    folder
        Where to: a new or empty one, or that of the same export before, which then continues.
    reviews
        Which masks; empty takes what is usual for the format: the accepted ones for training, the
        unsure ones for Label Studio, else all.
    pictures
        What becomes of the picture files; None takes what is usual for the format.
    scores
        YOLO: end each line with the confidence. Programs that train want lines without.
    tolerance
        YOLO: outlines may move by so many pixels and are shorter then; 0 is exact.
    image_prefix
        Label Studio: what an address of a picture begins with.
    image_root
        Label Studio: the folder that the rest of the address is relative to, as
        LOCAL_FILES_DOCUMENT_ROOT. Empty: pictures are copied into the export's folder, and the
        address is relative to that.
    """

    format: Format
    label_field: str
    folder: Path
    reviews: tuple[Review, ...] = ()
    pictures: Pictures | None = None
    scores: bool = False
    tolerance: float = 0.0
    image_prefix: str = "/data/local-files/?d="
    image_root: str = ""

    @property
    def chosen_reviews(self) -> tuple[Review, ...]:
        """Which masks leave."""
        return self.reviews or REVIEWS[self.format]

    @property
    def chosen_pictures(self) -> Pictures:
        """What becomes of the picture files."""
        if self.pictures is not None:
            return self.pictures
        if self.format is Format.LABEL_STUDIO and not self.image_root:
            return Pictures.COPY
        return PICTURES[self.format]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """What is read, and into which field.

    Parameters
    ----------
    format
        How it lies there; not `Format.TRAINING`.
    source
        A COCO document, a folder of SA-1B documents, the folder of a YOLO data set, or Label
        Studio's JSON export.
    label_field
        The field that is written. Of answers of Label Studio: empty is a new field beside the one
        that was asked about, "masks_answers".
    overwrite
        What the field holds already may be replaced, in the samples that the files speak of.
    max_inline_bytes, folder
        As those of `RunConfig`: masks of a sample that take more become files, and where.
    max_bytes
        Larger documents are refused.
    """

    format: Format
    source: Path
    label_field: str
    overwrite: bool = False
    max_inline_bytes: int = 1 << 20
    folder: str = ""
    max_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ExchangedObject:
    """One mask with what is known about it, on its way.

    Parameters
    ----------
    label
        Its class; None where it has none.
    segmentation
        Run lengths of the whole picture.
    box
        xyxy of the pixels, x1 and y1 exclusive.
    area
        Pixels.
    confidence
        From 0 to 1, FiftyOne's `confidence`; None where nobody says.
    attributes
        Everything else, by the names of the Detection's attributes: JSON values.
    tags
        Of the label.
    index
        Of the label, or None.
    label_id
        Of the label in FiftyOne; "" where it has none yet.
    """

    label: str | None
    segmentation: Rle
    box: Box
    area: int
    confidence: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    index: int | None = None
    label_id: str = ""

    @property
    def review(self) -> Review:
        """What a curator has said of it."""
        said = self.attributes.get(REVIEW)
        return Review(said) if said in set(Review) else Review.UNSURE


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ExchangedPicture:
    """One picture of an export.

    Parameters
    ----------
    number
        From 1, in the order of the samples.
    name
        Its file name in the export: no other has the same stem.
    sample_id, path
        The sample, and where its picture lies, or the video that has it as a frame.
    size
        (H, W) as it is displayed: EXIF orientation applied.
    objects
        Those that leave.
    others
        Masks of the picture that do not leave.
    frame_number
        Of a frame of a video, from 1; None for a picture.
    still
        Encodes the picture where it is no file of its own.
    """

    number: int
    name: str
    sample_id: str
    path: Path
    size: Size
    objects: tuple[ExchangedObject, ...]
    others: tuple[ExchangedObject, ...] = ()
    frame_number: int | None = None
    still: Callable[[], bytes] | None = None


@dataclass(slots=True)
class ExportReport:
    """What became of an export.

    Parameters
    ----------
    folder
        Where it lies.
    pictures, objects
        That are in it.
    unchanged
        Files that were there already, the same to the byte, and were not written again.
    removed
        Files of an earlier export into this folder that nothing asks for any more.
    failed
        Samples that could not be read; why is among the reasons.
    stopped
        Whether it was stopped; the same call goes on.
    reasons
        What was left out, and why: sentence -> number.
    """

    folder: str
    pictures: int = 0
    objects: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    stopped: bool = False
    reasons: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """As the output form and programs take it."""
        return {**asdict(self), "reasons": dict(self.reasons.most_common(_REASONS))}


@dataclass(slots=True)
class ImportReport:
    """What became of an import.

    Parameters
    ----------
    label_field
        The field that was written.
    pictures, objects
        Samples that were written, and their masks.
    unknown
        Pictures of the files that no sample has.
    ambiguous
        Pictures of the files that several samples could be.
    failed
        Pictures that could not be read; why is among the reasons.
    accepted, corrected, rejected, added
        Of answers of Label Studio: masks submitted as they were, changed, taken away, and new.
    unanswered
        Tasks that nobody has submitted yet.
    stopped
        Whether it was stopped.
    reasons
        What was left out, and why: sentence -> number.
    """

    label_field: str
    pictures: int = 0
    objects: int = 0
    unknown: int = 0
    ambiguous: int = 0
    failed: int = 0
    accepted: int = 0
    corrected: int = 0
    rejected: int = 0
    added: int = 0
    unanswered: int = 0
    stopped: bool = False
    reasons: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """As the output form and programs take it."""
        return {**asdict(self), "reasons": dict(self.reasons.most_common(_REASONS))}
