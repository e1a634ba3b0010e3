"""The one-liner: ``SAM("sam_b.pt").predict("image.jpg", bboxes=[439, 437, 524, 709])``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from sam_plugins.automatic import AutomaticSettings, generate_masks, mask_record
from sam_plugins.errors import ImageError, PromptError
from sam_plugins.formats import (
    CocoImage,
    records_to_label_image,
    rle_to_mask,
    write_coco,
    write_label_image,
)
from sam_plugins.images import load_image
from sam_plugins.ports import Segmenter, SegmenterInfo
from sam_plugins.rendering import crops_of_records, render_overlay
from sam_plugins.session import open_segmenter
from sam_plugins.stores import CachedSegmenter, MemoryStore
from sam_plugins.types import Image, MaskRecord, Prompt

if TYPE_CHECKING:
    from sam_plugins.evaluation import Report
    from sam_plugins.training.finetune import TrainingResult

__all__ = ["SAM", "Results"]


class SAM:
    """A model and the few things most people do with it.

    Parameters
    ----------
    model
        A name, a published file name ("sam_b.pt", "mobile_sam.pt") or a path, as
        `open_segmenter` takes it; or a segmenter that is open already.
    device, precision, engine
        As in `open_segmenter`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Segmenter | None = None,
        *,
        device: str | None = None,
        precision: str = "fp32",
        engine: str = "auto",
    ) -> None:
        if model is None or isinstance(model, str | os.PathLike):
            opened = open_segmenter(model, device=device, precision=precision, engine=engine)
            self._weights = opened.info.name if model is None else os.fspath(model)
        else:
            opened = model
            self._weights = model.info.name
        self.segmenter = CachedSegmenter(opened, MemoryStore())

    def info(self) -> SegmenterInfo:
        """Name, identity, input size, device and precision of the model."""
        return self.segmenter.info

    def predict(
        self,
        source: Any,
        *,
        points: Sequence[Any] | None = None,
        labels: Sequence[Any] | None = None,
        bboxes: Sequence[Any] | None = None,
        settings: AutomaticSettings | None = None,
    ) -> "Results":
        """Segment the objects that are pointed at, or everything.

        Parameters
        ----------
        source
            A path or anything else that `load_image` takes.
        points
            ``[x, y]`` for one object; ``[[x, y], [x, y]]`` for one object each;
            ``[[[x, y], [x, y]]]`` for several points of each object. Pixels.
        labels
            1 foreground or 0 background, nested as the points are; all 1 by default.
        bboxes
            ``[x0, y0, x1, y1]``, or a list of them, one object each. With `points` as well, as
            many boxes as objects.
        settings
            Of everything-mode, which answers when there are neither points nor boxes.

        Returns
        -------
        Results with one mask per object, in the order asked; of everything-mode best first.

        Raises
        ------
        ImageError
            If `source` is not a picture.
        PromptError
            If points, labels and boxes do not fit each other or the picture.
        """
        image = load_image(source)
        prompts = _prompts(points, labels, bboxes)
        if prompts:
            embedding = self.segmenter.encode(image)
            answers = self.segmenter.decode_many(embedding, prompts)
            records = [
                mask_record(masks, masks.best_index, _where(prompt))
                for prompt, masks in zip(prompts, answers, strict=True)
            ]
        else:
            events = generate_masks(self.segmenter, image, settings)
            records = [event for event in events if isinstance(event, MaskRecord)]
        name = Path(source).name if isinstance(source, str | os.PathLike) else "image"
        return Results(name=name, image=image, records=tuple(records), prompts=tuple(prompts))

    def val(self, dataset: str | os.PathLike[str], **options: Any) -> "Report":
        """Measure the model on a folder of pictures with masks.

        Parameters
        ----------
        dataset
            A folder with ``images`` and ``masks``, see `evaluation.read_folder`.
        options
            Of `evaluation.evaluate_segmenter`.
        """
        from sam_plugins.evaluation import evaluate_segmenter, read_folder

        return evaluate_segmenter(self.segmenter, read_folder(Path(dataset)), **options)

    def train(self, data: str | os.PathLike[str], **options: Any) -> "TrainingResult":
        """Fine-tune these weights on a folder of pictures with masks.

        Parameters
        ----------
        data
            A folder with ``images`` and ``masks``.
        options
            Of `sam_plugins.training.train`: ``out``, ``steps``, ``device`` and others.
        """
        from sam_plugins.training import train

        result: TrainingResult = train(data=Path(data), model=self._weights, **options)
        return result


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Results:
    """What was found in one picture.

    Parameters
    ----------
    name
        File name of the picture, or "image".
    image
        (H, W, 3) uint8 RGB.
    records
        One per object; masks are run lengths until looked at.
    prompts
        What was asked; empty for everything-mode.
    """

    name: str
    image: Image = field(repr=False)
    records: tuple[MaskRecord, ...] = field(repr=False)
    prompts: tuple[Prompt, ...] = field(repr=False, default=())

    def __len__(self) -> int:
        return len(self.records)

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(N, H, W) bool, decoded at each call."""
        height, width = self.image.shape[:2]
        masks = np.zeros((len(self), height, width), bool)
        for mask, record in zip(masks, self.records, strict=True):
            mask[:] = rle_to_mask(record.segmentation)
        return masks

    @property
    def boxes(self) -> NDArray[np.int64]:
        """(N, 4) int64 xyxy, x1 and y1 exclusive."""
        return np.array([record.box for record in self.records], np.int64).reshape(-1, 4)

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,) float32, the IoU that the model predicts for each mask."""
        return np.array([record.predicted_iou for record in self.records], np.float32)

    def plot(self) -> Image:
        """The picture with its masks and what was asked, (H, W, 3) uint8 RGB."""
        return render_overlay(self.image, crops_of_records(self.records), self.prompts)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result, by the ending of `path`.

        ``.png`` and ``.jpg`` are the overlay of `plot`, ``.tif`` is a label image in which smaller
        objects lie on top, ``.json`` is a COCO document.

        Raises
        ------
        ImageError
            If the ending is another one.
        OSError
            If the folder is missing or cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        size = (self.image.shape[0], self.image.shape[1])
        if suffix in (".png", ".jpg", ".jpeg"):
            PillowImage.fromarray(self.plot()).save(path)
        elif suffix in (".tif", ".tiff"):
            write_label_image(path, records_to_label_image(self.records, size))
        elif suffix == ".json":
            write_coco(path, [CocoImage(file_name=self.name, size=size, records=self.records)])
        else:
            raise ImageError(
                "A result is saved as .png or .jpg (overlay), .tif (label image) or .json (COCO), "
                f"found {path.name!r}."
            )
        return path


def _prompts(
    points: Sequence[Any] | None, labels: Sequence[Any] | None, bboxes: Sequence[Any] | None
) -> list[Prompt]:
    clicked = _clicks(points, labels)
    boxes = [] if bboxes is None else list(bboxes)
    if boxes and _depth(boxes) == 1:
        boxes = [boxes]
    if not clicked:
        return [Prompt(box=box) for box in boxes]
    if boxes and len(boxes) != len(clicked):
        raise PromptError(
            f"Points for {len(clicked)} objects came with {len(boxes)} boxes: give one box per "
            "object. Several points of one object are nested once more: points=[[[x, y], [x, y]]]."
        )
    return [
        Prompt(point_coords=some, point_labels=signs, box=box)
        for (some, signs), box in zip(clicked, boxes or [None] * len(clicked), strict=True)
    ]


def _clicks(
    points: Sequence[Any] | None, labels: Sequence[Any] | None
) -> list[tuple[list[Any], list[Any]]]:
    """Points and labels of each object."""
    if points is None or len(points) == 0:
        if labels is not None and len(labels):
            raise PromptError("labels were given without points.")
        return []
    depth = _depth(points)
    if depth not in (1, 2, 3):
        raise PromptError(
            "points must be [x, y], a list of them, or a list of lists of them, found nesting of "
            f"depth {depth}."
        )
    nested = [[points]] if depth == 1 else [[p] for p in points] if depth == 2 else list(points)
    if labels is None:
        signs = [[1] * len(some) for some in nested]
    else:
        signs = [[sign] for sign in labels] if _depth(labels) == 1 and depth < 3 else list(labels)
    if len(signs) != len(nested):
        raise PromptError(
            f"points describe {len(nested)} objects and labels {len(signs)}: nest both alike, "
            "one label for each point."
        )
    for some in signs:
        if np.ndim(some) == 1 and len(some) and not np.any(some):
            raise PromptError(
                "An object has background points only: give it a foreground point. Points of one "
                "object are nested once more: points=[[[x, y], [x, y]]], labels=[[1, 0]]."
            )
    return list(zip(nested, signs, strict=True))


def _depth(values: Any) -> int:
    """How deep lists are nested, by their first elements."""
    depth = 0
    while isinstance(values, list | tuple | np.ndarray) and len(values):
        values, depth = values[0], depth + 1
    return depth


def _where(prompt: Prompt) -> tuple[float, float]:
    """The first foreground point, or the centre of the box."""
    if prompt.point_coords is not None and prompt.point_labels is not None:
        first = int(np.argmax(prompt.point_labels))
        x, y = prompt.point_coords[first].tolist()
        return x, y
    if prompt.box is None:
        raise PromptError("A prompt of the one-liner has points or a box, found neither.")
    x0, y0, x1, y1 = prompt.box.tolist()
    return (x0 + x1) / 2, (y0 + y1) / 2
