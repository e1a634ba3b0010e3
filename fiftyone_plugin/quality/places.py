"""Where the labels of a field are: in the documents of samples, or in those of videos' frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fiftyone_plugin.errors import FieldError
from fiftyone_plugin.labels import FRAMES, local_name

__all__ = ["LabelPlace", "check_detections", "place_of", "root_of"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelPlace:
    """A field of labels, and the documents of MongoDB that hold it.

    Parameters
    ----------
    dataset
        A FiftyOne dataset.
    field
        The field as the dataset names it; that of a video's frames begins with "frames.".
    """

    dataset: Any
    field: str

    @property
    def in_frames(self) -> bool:
        """Whether each frame of a video has a document of its own."""
        return self.field.startswith(FRAMES)

    @property
    def name(self) -> str:
        """The field's name in its documents."""
        return local_name(self.field)

    @property
    def path(self) -> str:
        """Where its labels are in a document."""
        return f"{self.name}.detections"

    @property
    def documents(self) -> Any:
        """MongoDB's collection of the documents."""
        return self.dataset._frame_collection if self.in_frames else self.dataset._sample_collection

    @property
    def holder(self) -> str:
        """Name of a document's value that is the id of its sample."""
        return "_sample_id" if self.in_frames else "_id"

    @property
    def noun(self) -> str:
        """What people call several of the documents."""
        return "frames" if self.in_frames else "samples"

    def attribute(self, name: str) -> Any:
        """How the dataset declares an attribute of the labels; None if it does not."""
        return self.dataset.get_field(f"{self.field}.detections.{name}")

    def add_field(self, path: str, kind: Any, **options: Any) -> None:
        """Declare the field, with "" as the path, or something of its labels."""
        add = self.dataset.add_frame_field if self.in_frames else self.dataset.add_sample_field
        add(f"{self.name}.{path}".rstrip("."), kind, **options)

    def write(self, updates: Sequence[Any], ids: Sequence[str]) -> None:
        """Update documents, and let FiftyOne's objects of those ids know."""
        if updates:
            self.dataset._bulk_write(list(updates), ids=list(ids), frames=self.in_frames)

    def reload(self, document_id: str) -> None:
        """Let FiftyOne's object of a document know that it has changed."""
        from fiftyone.core.frame import Frame
        from fiftyone.core.sample import Sample

        if self.in_frames:
            Frame._reload_docs(self.dataset._frame_collection_name, frame_ids=[document_id])
        else:
            Sample._reload_docs(self.dataset._sample_collection_name, sample_ids=[document_id])


def root_of(collection: Any) -> Any:
    """The dataset of a FiftyOne dataset or view."""
    return collection._root_dataset


def place_of(collection: Any, label_field: str) -> LabelPlace:
    """Where the Detections of a field are.

    Parameters
    ----------
    collection
        A FiftyOne dataset or view. Fields of a view of frames (`to_frames`) are those of the
        frames of its dataset.
    label_field
        A field of it.

    Raises
    ------
    FieldError
        If the field holds no Detections.
    """
    dataset = root_of(collection)
    if collection._is_frames:
        label_field = FRAMES + local_name(label_field)
    kind = _kind(dataset, label_field)
    if kind == "Detections":
        return LabelPlace(dataset, label_field)
    raise _no_detections(label_field, kind, _fields(dataset, frames=True))


def check_detections(dataset: Any, label_field: str) -> None:
    """FieldError unless the field holds Detections of whole samples."""
    if label_field.startswith(FRAMES):
        raise FieldError(
            f"Expected a field of pictures, found {label_field!r} of videos' frames: make a "
            "dataset of their frames first (to_frames with sample_frames=True, then clone)."
        )
    if (kind := _kind(dataset, label_field)) != "Detections":
        raise _no_detections(label_field, kind, _fields(dataset, frames=False))


def _kind(dataset: Any, field: str) -> str | None:
    kind = getattr(dataset.get_field(field), "document_type", None)
    return getattr(kind, "__name__", None)


def _fields(dataset: Any, *, frames: bool) -> list[str]:
    import fiftyone as fo

    names = list(dataset.get_field_schema(embedded_doc_type=fo.Detections))
    if frames and dataset._has_frame_fields():
        of_frames = dataset.get_frame_field_schema(embedded_doc_type=fo.Detections)
        names += [FRAMES + name for name in of_frames]
    return sorted(names)


def _no_detections(field: str, kind: str | None, fields: Sequence[str]) -> FieldError:
    return FieldError(
        f"Expected a field of Detections, found {kind or 'nothing'} in {field!r}: name one of "
        f"{', '.join(fields) or 'a dataset that has one'}."
    )
