"""A video of a dataset: its frames as pictures, and what the labels of its frames ask."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_plugin.errors import SampleError
from fiftyone_plugin.labels.asking import read_asked
from fiftyone_plugin.labels.pictures import open_picture
from fiftyone_plugin.labels.video_file import VideoFile, file_frame, file_frame_size
from fiftyone_plugin.values import AskedObject, RunConfig, UnansweredObject
from sam_plugins import load_image
from sam_plugins.errors import ImageError, SamPluginsError
from sam_plugins.images import checked_window
from sam_plugins.ports import ImageSource
from sam_plugins.types import Box, Image, Size

__all__ = [
    "Film",
    "FramePictures",
    "film_size",
    "identity",
    "open_frame",
    "open_video",
    "read_keys",
]

_OBJECTS = 200
"""Objects that are followed through one video at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A video that can be worked on.

    Parameters
    ----------
    source
        Its frames, counted from 0.
    numbers
        FiftyOne's frame number of each, from 1.
    missing
        Frames that the file promises and that cannot be read.
    """

    source: ImageSource
    numbers: Sequence[int]
    missing: int = 0

    @property
    def size(self) -> Size:
        """(H, W) of its frames."""
        return self.source.shape[1], self.source.shape[2]


class FramePictures:
    """Frames that were sampled to picture files, as an `ImageSource`.

    Parameters
    ----------
    paths
        One file per frame, in order.

    Raises
    ------
    SampleError
        If the first cannot be read.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = list(paths)
        self._last: tuple[int, Image] | None = None
        try:
            first = load_image(self._paths[0])
        except SamPluginsError as error:
            raise SampleError(f"The first frame cannot be read. {error}") from error
        self._size: Size = (first.shape[0], first.shape[1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frames, H, W)."""
        return (len(self._paths), *self._size)

    def read(self, index: int, region: Box | None = None) -> Image:
        """One window of one frame, as `ImageSource.read`.

        Raises
        ------
        ImageError
            If the file cannot be read, or its picture has another size than the first.
        """
        x0, y0, x1, y1 = checked_window("The video", self.shape, index, region)
        if self._last is None or self._last[0] != index:
            image = load_image(self._paths[index])
            if image.shape[:2] != self._size:
                raise ImageError(
                    f"Expected a frame of {self._size[1]} x {self._size[0]} pixels as the first, "
                    f"found {image.shape[1]} x {image.shape[0]} in {Path(self._paths[index]).name}:"
                    " sample the frames again."
                )
            self._last = index, image
        return np.ascontiguousarray(self._last[1][y0:y1, x0:x1])


@contextmanager
def open_video(sample: Any) -> Iterator[Film]:
    """The frames of a video: of its file, or where that is gone, of the frames' own pictures.

    Parameters
    ----------
    sample
        A FiftyOne sample of a video. Frames have pictures where `to_frames(sample_frames=True)` or
        something like it has given them a `filepath`.

    Raises
    ------
    SampleError
        If neither can be read.
    """
    path = sample["filepath"]
    if not Path(path).is_file() and (pictures := _pictures(sample)):
        numbers = sorted(pictures)
        yield Film(FramePictures([pictures[number] for number in numbers]), numbers)
        return
    file = VideoFile(path)
    try:
        yield Film(file, range(1, file.shape[0] + 1), file.missing)
    finally:
        file.close()


def open_frame(sample: Any, number: int) -> Image:
    """One frame of a video: of its file, or where that is gone, the frame's own picture.

    Parameters
    ----------
    sample
        A FiftyOne sample of a video.
    number
        FiftyOne's number of the frame, from 1.

    Returns
    -------
    (H, W, 3) uint8 RGB.

    Raises
    ------
    SampleError
        If neither can be read.
    """
    path, frame = sample["filepath"], sample.frames[number]
    if not Path(path).is_file() and frame.has_field("filepath") and frame["filepath"]:
        return open_picture(frame)
    return file_frame(path, number - 1)


def film_size(path: str, picture: str | None = None) -> Size:
    """(H, W) of a video's frames as `open_video` finds them, from one of them.

    Parameters
    ----------
    path
        Of the video.
    picture
        File of a frame, if there is one: it counts where the video is gone.

    Raises
    ------
    SampleError
        If it cannot be read.
    """
    if picture is None or Path(path).is_file():
        return file_frame_size(path)
    try:
        image = load_image(picture)
    except SamPluginsError as error:
        raise SampleError(f"The picture of a frame cannot be read. {error}") from error
    return image.shape[0], image.shape[1]


def _pictures(sample: Any) -> dict[int, str]:
    """Frame number -> picture file."""
    found = {}
    for number, frame in sample.frames.items():
        path = frame["filepath"] if frame.has_field("filepath") else None
        if path:
            found[int(number)] = str(path)
    return found


def read_keys(
    sample: Any,
    size: Size,
    config: RunConfig,
    visible: Mapping[str, frozenset[str]] | None = None,
) -> tuple[dict[int, tuple[AskedObject, ...]], list[tuple[int, UnansweredObject]]]:
    """What the labels of a video's frames ask.

    Each object has an `index` then, its number as a track in this video: that of its labels; or a
    free one where they have none, or where two of a frame have the same. Labels without one that
    share an `instance` are one object.

    Parameters
    ----------
    sample
        A FiftyOne sample of a video, with the fields of `fields_needed`.
    size
        (H, W) of its frames.
    config
        Which fields ask.
    visible
        As of `read_asked`. An object has the number that it has where all ask.

    Returns
    -------
    keys, unanswered
        {frame number: objects}; (frame number, label that cannot be used) pairs.

    Raises
    ------
    SampleError
        If more objects are asked for than can be followed at once.
    FieldError
        If a field holds other labels than it should.
    """
    said: dict[int, tuple[AskedObject, ...]] = {}
    unanswered: list[tuple[int, UnansweredObject]] = []
    shown: dict[int, set[str]] = {}
    for number, frame in sample.frames.items():
        asked, wrong = read_asked(frame, size, config)
        if asked:
            said[int(number)] = asked
        if visible is not None:
            some, wrong = read_asked(frame, size, config, visible)
            shown[int(number)] = {each.prompt_id for each in some}
        unanswered += [(int(number), each) for each in wrong]
    keys = _numbered(said)
    if visible is not None:
        keys = _of_ids(keys, shown)
    objects = {identity(each) for frame_keys in keys.values() for each in frame_keys}
    if len(objects) > _OBJECTS:
        raise SampleError(
            f"Expected at most {_OBJECTS} objects to follow in a video, found {len(objects)}: "
            "labels of one object in several frames need the same label and index, or ask with "
            "the labels of fewer frames."
        )
    return keys, unanswered


def _of_ids(
    keys: Mapping[int, Sequence[AskedObject]], ids: Mapping[int, set[str]]
) -> dict[int, tuple[AskedObject, ...]]:
    """Those of these prompts, and no frame without any."""
    found = {
        number: tuple(each for each in objects if each.prompt_id in ids.get(number, ()))
        for number, objects in keys.items()
    }
    return {number: objects for number, objects in found.items() if objects}


def identity(asked: AskedObject) -> tuple[str, int]:
    """(label, index), which tells the objects of a video apart."""
    return str(asked.carried.get("label")), int(asked.carried["index"])


def _numbered(
    said: Mapping[int, Sequence[AskedObject]],
) -> dict[int, tuple[AskedObject, ...]]:
    """The same, with an index on each object."""
    given = [_index(each) for objects in said.values() for each in objects]
    free = max((index for index in given if index is not None), default=0) + 1
    instances: dict[str, int] = {}
    numbered = {}
    for place in sorted(said):
        seen: set[tuple[str, int]] = set()
        objects = []
        for each in said[place]:
            index = _index(each)
            instance = getattr(each.carried.get("instance"), "id", None)
            if index is None and instance is not None:
                index = instances.get(str(instance))
            if index is None or (str(each.carried.get("label")), index) in seen:
                index, free = free, free + 1
                if instance is not None:
                    instances.setdefault(str(instance), index)
            one = replace(each, carried={**each.carried, "index": index})
            seen.add(identity(one))
            objects.append(one)
        numbered[place] = tuple(objects)
    return numbered


def _index(asked: AskedObject) -> int | None:
    index = asked.carried.get("index")
    return None if index is None else int(index)
