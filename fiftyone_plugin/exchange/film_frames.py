"""A field of videos' frames as pictures with masks, one frame at a time.

Only frames that have masks are pictures of the export. What a frame shows is decoded when its
picture is written, and not where it is there already.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image as PillowImage

from fiftyone_plugin.errors import ExchangeError, SampleError
from fiftyone_plugin.exchange.reading import UNREADABLE, exchanged_objects
from fiftyone_plugin.exchange.values import (
    ExchangedPicture,
    ExportReport,
    ExportSettings,
    Format,
    Pictures,
)
from fiftyone_plugin.labels import FRAMES, open_video
from fiftyone_plugin.quality import LabelPlace, iter_batches, place_of, refs_of, size_of

__all__ = ["check_frames", "classes_of_frames", "count_frames", "frames_with_masks", "in_frames"]

_BATCH = 32


def in_frames(view: Any, field: str) -> bool:
    """Whether a field of a dataset or view is one of videos' frames, as documents of their own."""
    return field.startswith(FRAMES) and not view._is_frames


def check_frames(view: Any, settings: ExportSettings) -> None:
    """Refuse what cannot be done with frames, before anything is written.

    Raises
    ------
    FieldError
        If the frames have no such field of Detections.
    ExchangeError
        If the view shows clips or patches, or the format or way of pictures is not for frames.
    """
    place_of(view, settings.label_field)
    if view._is_generated:
        raise ExchangeError(
            "Expected videos, found what was cut from them: export the dataset or view that it was "
            "made from."
        )
    if settings.format is Format.LABEL_STUDIO:
        raise ExchangeError(
            "Expected pictures for tasks of Label Studio, found frames of videos, to which its "
            "answers do not come back: sample the frames to pictures (to_frames with "
            "sample_frames=True, then clone) and export that dataset."
        )
    if settings.chosen_pictures is Pictures.LINK:
        raise ExchangeError(
            "Expected pictures that can be linked, found frames of videos, which have no files: "
            "let them be copied."
        )


def classes_of_frames(view: Any, field: str) -> list[str]:
    """The classes of the labels that the frames of a view's videos have, sorted."""
    place = LabelPlace(view._root_dataset, field)
    found = place.documents.distinct(f"{place.path}.label", _of_videos(view.values("id")))
    return sorted(str(each) for each in found if each)


def count_frames(view: Any, field: str) -> int:
    """How many frames of a view's videos have labels."""
    place = LabelPlace(view._root_dataset, field)
    some = {**_of_videos(view.values("id")), f"{place.path}.0": {"$exists": True}}
    return int(place.documents.count_documents(some))


def _of_videos(ids: Sequence[str]) -> dict[str, Any]:
    from bson import ObjectId

    return {"_sample_id": {"$in": [ObjectId(each) for each in ids]}}


def frames_with_masks(
    view: Any, settings: ExportSettings, names: Mapping[str, str], report: ExportReport
) -> Iterator[ExchangedPicture | None]:
    """The frames of a view's videos, each when it is asked for.

    Parameters
    ----------
    view
        Of videos.
    settings
        Which field, and which masks leave.
    names
        Sample id -> a name whose stem no other video has. A frame's picture is named by it and the
        number of the frame.
    report
        Counts what cannot be read or has no mask.

    Yields
    ------
    None for a frame that is left out.
    """
    place = LabelPlace(view._root_dataset, settings.label_field)
    number = 0
    for sample_id in view.values("id"):
        shown = _shown(view, settings.label_field, sample_id)
        with ExitStack() as held:
            film = _Film(view._root_dataset, sample_id, held)
            for frame in _documents(place, sample_id):
                number += 1
                yield _picture(frame, number, film, names, settings, shown, report)


class _Film:
    """The frames of one video, which is opened when one of them is asked for."""

    def __init__(self, dataset: Any, sample_id: str, held: ExitStack) -> None:
        self._dataset, self._held = dataset, held
        self.sample_id = sample_id
        self.path = str(dataset.select(sample_id).values("filepath")[0])
        self._opened: Any = None

    def png(self, number: int) -> bytes:
        """A frame as a PNG file.

        Raises
        ------
        SampleError, ImageError
            If it cannot be read.
        """
        if self._opened is None:
            film = open_video(self._dataset[self.sample_id])
            self._opened = self._held.enter_context(film)
        if number not in self._opened.numbers:
            raise SampleError(
                f"Expected a frame {number} in {Path(self.path).name}, found fewer frames that can "
                "be read: the file is another one, or damaged."
            )
        index = self._opened.numbers.index(number)
        stream = io.BytesIO()
        PillowImage.fromarray(self._opened.source.read(index)).save(stream, "PNG")
        return stream.getvalue()


def _shown(view: Any, field: str, sample_id: str) -> frozenset[str] | None:
    """Ids of the labels that a view shows of a video; None where it shows all."""
    if view is view._root_dataset or not view._needs_frames():
        return None
    return frozenset(ref.label_id for ref in refs_of(view.select(sample_id), field))


def _documents(place: LabelPlace, sample_id: str) -> Iterator[dict[str, Any]]:
    """Documents of a video's frames that have labels, with the size of their pictures."""
    fields = [place.field, f"{FRAMES}filepath"]
    batches = iter_batches(
        place.dataset, [sample_id], fields, size=_BATCH, label="", progress=None, stop=None
    )
    return (frame for batch in batches for frame in batch)


def _picture(
    frame: Mapping[str, Any],
    number: int,
    film: _Film,
    names: Mapping[str, str],
    settings: ExportSettings,
    shown: frozenset[str] | None,
    report: ExportReport,
) -> ExchangedPicture | None:
    import fiftyone as fo

    size, name = size_of(frame), names.get(film.sample_id)
    if size is None or name is None:
        report.failed += 1
        report.reasons[UNREADABLE] += 1
        return None
    labels = frame[settings.label_field.removeprefix(FRAMES)]["detections"]
    detections = [
        fo.Detection.from_dict(label)
        for label in labels
        if shown is None or str(label["_id"]) in shown
    ]
    if not detections:
        return None
    found = list(exchanged_objects(detections, size, report))
    frame_number = int(frame["frame_number"])
    path, suffix = film.path, ".png"
    of_its_own = bool(frame.get("filepath")) and not Path(path).is_file()
    if of_its_own:
        path = str(frame["filepath"])
        suffix = Path(path).suffix
    return ExchangedPicture(
        number=number,
        name=f"{Path(name).stem}-{frame_number:06d}{suffix}",
        sample_id=film.sample_id,
        frame_number=frame_number,
        path=Path(path),
        still=None if of_its_own else partial(film.png, frame_number),
        size=size,
        objects=tuple(each for each in found if each.review in settings.chosen_reviews),
        others=tuple(each for each in found if each.review not in settings.chosen_reviews),
    )
