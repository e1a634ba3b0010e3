"""The values that flow through the library: frozen, validated, NumPy inside, picklable.

An image becomes an `Embedding`; an `Embedding` and a `Prompt` become `Masks`. Points are **xy**,
sizes **(H, W)**, arrays **[y, x]**, boxes **xyxy** in pixels of the whole image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam_plugins.errors import EmbeddingError, PromptError
from sam_plugins.interpolate import reach, upsample_logits

__all__ = ["Box", "Embedding", "Image", "MaskRecord", "Masks", "Prompt", "Rle", "Size"]

Image: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

Size: TypeAlias = tuple[int, int]
"""(H, W) in pixels."""

Box: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, x1 and y1 exclusive."""

Rle: TypeAlias = dict[str, Any]
"""COCO run-length encoding: {"size": [H, W], "counts": str}."""


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only array that nobody else can write to."""
    if array.flags.writeable or not (array.flags.c_contiguous and array.flags.owndata):
        array = np.array(array, order="C", copy=True)
        array.setflags(write=False)
    return array


def _numbers(values: ArrayLike, what: str) -> NDArray[np.float32]:
    """An owned, finite, read-only array."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{what} must be numbers, found {values!r}: {error}.") from error
    limits = np.finfo(np.float32)
    if not ((array >= limits.min) & (array <= limits.max)).all():
        raise PromptError(f"{what} must be finite numbers, found NaN or infinity.")
    return _frozen(array.astype(np.float32))


def _rebuilt(kind: type[Any], fields: dict[str, Any]) -> Any:
    """Unpickle through the constructor, so that arrays are frozen again."""
    return kind(**fields)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Prompt:
    """What a user says about one object. At least one field is given.

    Parameters
    ----------
    point_coords
        (N, 2) float32 xy in pixels of the whole image.
    point_labels
        (N,) int32, 1 foreground and 0 background; as many as points.
    box
        (4,) float32 xyxy in pixels; corners in any order are sorted.
    mask_input
        (1, h, w) float32 logits at the model's low resolution: `Masks.low_res_logits[[i]]` of an
        earlier round.
    mask_region
        xyxy of the window that `mask_input` covers; None means the window of the embedding.

    Raises
    ------
    PromptError
        If nothing is given, shapes disagree, a number is not finite, a label is not 0 or 1, or
        the box has no area.
    """

    point_coords: NDArray[np.float32] | None = None
    point_labels: NDArray[np.int32] | None = None
    box: NDArray[np.float32] | None = None
    mask_input: NDArray[np.float32] | None = None
    mask_region: Box | None = None

    def __init__(
        self,
        *,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        mask_region: Sequence[int] | None = None,
    ) -> None:
        coords, labels = _points(point_coords, point_labels)
        if coords is None and box is None and mask_input is None:
            raise PromptError(
                "A prompt needs points, a box or a mask and has none: give point_coords with "
                "point_labels, box or mask_input."
            )
        region = None if mask_region is None else tuple(int(v) for v in mask_region)
        if region is not None and len(region) != 4:
            raise PromptError(f"mask_region must be x0, y0, x1, y1, found {region}.")
        object.__setattr__(self, "point_coords", coords)
        object.__setattr__(self, "point_labels", labels)
        object.__setattr__(self, "box", None if box is None else _box(box))
        object.__setattr__(self, "mask_input", None if mask_input is None else _mask(mask_input))
        object.__setattr__(self, "mask_region", region)

    @property
    def is_ambiguous(self) -> bool:
        """True for exactly one point and no box: the case with three answers."""
        return self.box is None and self.point_coords is not None and len(self.point_coords) == 1

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (Prompt, {name: getattr(self, name) for name in Prompt.__slots__})


def _points(
    coords: ArrayLike | None, labels: ArrayLike | None
) -> tuple[NDArray[np.float32] | None, NDArray[np.int32] | None]:
    if coords is None:
        if labels is not None and np.size(labels):
            raise PromptError("point_labels were given without point_coords.")
        return None, None
    points = _numbers(coords, "point_coords")
    if points.size == 0:
        return None, None
    if points.ndim != 2 or points.shape[1] != 2:
        raise PromptError(
            f"point_coords must have shape (N, 2), each an xy pair, found {points.shape}."
        )
    if labels is None:
        raise PromptError(
            f"{len(points)} points have no point_labels: give one per point, 1 for foreground "
            "and 0 for background."
        )
    signs = _numbers(labels, "point_labels")
    if signs.shape != (len(points),):
        raise PromptError(
            f"point_labels must have one label per point, shape ({len(points)},), found "
            f"{signs.shape}."
        )
    if not np.isin(signs, (0, 1)).all():
        raise PromptError(
            "point_labels must be 1 (foreground) or 0 (background), found "
            f"{sorted(set(signs.tolist()))}."
        )
    return points, _frozen(signs.astype(np.int32))


def _box(values: ArrayLike) -> NDArray[np.float32]:
    box = _numbers(values, "box")
    if box.shape == (1, 4):
        box = box[0]
    if box.shape != (4,):
        raise PromptError(f"box must be four numbers x0, y0, x1, y1, found shape {box.shape}.")
    x0, x1 = sorted((float(box[0]), float(box[2])))
    y0, y1 = sorted((float(box[1]), float(box[3])))
    if x0 == x1 or y0 == y1:
        raise PromptError(f"box must have an area, found {box.tolist()}.")
    return _frozen(np.array((x0, y0, x1, y1), np.float32))


def _mask(values: ArrayLike) -> NDArray[np.float32]:
    mask = _numbers(values, "mask_input")
    if mask.ndim == 2:
        mask = mask[None]
    if mask.ndim != 3 or mask.shape[0] != 1 or 0 in mask.shape:
        raise PromptError(
            f"mask_input must be low-resolution logits of shape (1, h, w), found {mask.shape}: "
            "pass Masks.low_res_logits[[i]] of an earlier answer."
        )
    return _frozen(mask)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Embedding:
    """One window of one image, encoded. Opaque to adapters.

    Parameters
    ----------
    features
        name -> (c, h, w) float32; one map or several.
    region
        xyxy of the encoded window in pixels of the whole image.
    original_size
        (H, W) of the whole image.
    input_size
        (H, W) of the window after resizing, before padding.
    padded_size
        (H, W) of the model input.
    encoder_id
        Which encoder weights, preprocessing and numerics made it.
    key
        Content hash of the window's pixels and `encoder_id`.
    """

    features: Mapping[str, NDArray[np.float32]]
    region: Box
    original_size: Size
    input_size: Size
    padded_size: Size
    encoder_id: str
    key: str

    def __post_init__(self) -> None:
        maps = {name: _frozen(np.asarray(value)) for name, value in self.features.items()}
        if not maps or any(value.ndim != 3 for value in maps.values()):
            shapes = {name: value.shape for name, value in maps.items()}
            raise EmbeddingError(f"features must be maps of shape (c, h, w), found {shapes}.")
        object.__setattr__(self, "features", MappingProxyType(maps))
        for name in ("region", "original_size", "input_size", "padded_size"):
            object.__setattr__(self, name, tuple(int(v) for v in getattr(self, name)))

    @property
    def nbytes(self) -> int:
        """Bytes held by the features."""
        return sum(value.nbytes for value in self.features.values())

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in Embedding.__slots__}
        return _rebuilt, (Embedding, fields | {"features": dict(self.features)})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Masks:
    """The answers to one prompt, as low-resolution logits; pixels are computed when looked at.

    Parameters
    ----------
    low_res_logits
        (C, h, w) float32; C = 3 ambiguous answers or 1, and fewer where a threshold was given.
        They cover the padded model input.
    iou_predictions
        (C,) float32, the model's own estimate of each answer's IoU.
    region
        xyxy of the encoded window in pixels of the whole image; outside it a mask is False.
    original_size
        (H, W) of the whole image.
    input_size, padded_size
        (H, W) of the resized window and of the model input with its padding.
    mask_threshold
        A pixel belongs to the mask when its logit is greater.
    """

    low_res_logits: NDArray[np.float32]
    iou_predictions: NDArray[np.float32]
    region: Box
    original_size: Size
    input_size: Size
    padded_size: Size
    mask_threshold: float = 0.0

    def __post_init__(self) -> None:
        logits, scores = _frozen(self.low_res_logits), _frozen(self.iou_predictions)
        if logits.ndim != 3 or scores.shape != logits.shape[:1]:
            raise ValueError(
                f"low_res_logits must be (C, h, w) and iou_predictions (C,), found {logits.shape} "
                f"and {scores.shape}."
            )
        object.__setattr__(self, "low_res_logits", logits)
        object.__setattr__(self, "iou_predictions", scores)

    def __len__(self) -> int:
        return len(self.iou_predictions)

    @property
    def best_index(self) -> int:
        """Index of the answer with the highest predicted IoU."""
        return int(np.argmax(self.iou_predictions))

    @property
    def ranked(self) -> tuple[int, ...]:
        """Indices from the highest predicted IoU to the lowest."""
        return tuple(int(i) for i in np.argsort(-self.iou_predictions, kind="stable"))

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(C, H, W) bool over the whole image; computed at each call."""
        found = np.zeros((len(self), *self.original_size), bool)
        for index in range(len(self)):
            found[index] = self.mask(index)
        return found

    def above(self, pred_iou_thresh: float | None) -> "Masks":
        """Only the answers whose predicted IoU is greater; all of them for None."""
        if pred_iou_thresh is None:
            return self
        kept = self.iou_predictions > pred_iou_thresh
        if kept.all():
            return self
        return replace(
            self,
            low_res_logits=self.low_res_logits[kept],
            iou_predictions=self.iou_predictions[kept],
        )

    def best(self) -> NDArray[np.bool_]:
        """(H, W) bool of the answer with the highest predicted IoU."""
        return self.mask(self.best_index)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """(H, W) bool of one answer."""
        whole = np.zeros(self.original_size, bool)
        crop, (x0, y0, x1, y1) = self.crop(index)
        whole[y0:y1, x0:x1] = crop
        return whole

    def logits(self, index: int) -> NDArray[np.float32]:
        """(h, w) float32 logits of one answer over `region`."""
        return self._window(index, None, None)

    def crop(self, index: int) -> tuple[NDArray[np.bool_], Box]:
        """The mask of one answer, cut to its bounding box.

        Returns
        -------
        crop, box
            bool array and its xyxy in the whole image (x1, y1 exclusive). An empty mask gives a
            (0, 0) array and a box of no area. Nothing of the size of the image is computed.
        """
        logits, (x0, y0, _, _) = self.logits_above(index, self.mask_threshold)
        mask = logits > self.mask_threshold
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return np.zeros((0, 0), bool), (self.region[0], self.region[1]) * 2
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        left, right = int(columns[0]), int(columns[-1]) + 1
        box = (x0 + left, y0 + top, x0 + right, y0 + bottom)
        return np.ascontiguousarray(mask[top:bottom, left:right]), box

    def logits_above(self, index: int, threshold: float) -> tuple[NDArray[np.float32], Box]:
        """The logits of one answer, without margins in which none is greater than `threshold`.

        Returns
        -------
        logits, box
            (h, w) float32 and the xyxy they cover in the whole image (x1, y1 exclusive): a little
            more than the bounding box of ``logits > threshold``. (0, 0) if nothing can exceed it.
        """
        x0, y0, x1, y1 = self.region
        above = self.low_res_logits[index] > threshold - 1e-5 * abs(threshold)
        span = reach(above, self.padded_size, self.input_size, (y1 - y0, x1 - x0))
        if span is None:
            return np.zeros((0, 0), np.float32), (x0, y0, x0, y0)
        rows, columns = span
        box = (x0 + columns[0], y0 + rows[0], x0 + columns[1], y0 + rows[1])
        return self._window(index, rows, columns), box

    def _window(
        self, index: int, rows: tuple[int, int] | None, columns: tuple[int, int] | None
    ) -> NDArray[np.float32]:
        x0, y0, x1, y1 = self.region
        low, size = self.low_res_logits[index], (y1 - y0, x1 - x0)
        return upsample_logits(low, self.padded_size, self.input_size, size, rows, columns)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (Masks, {name: getattr(self, name) for name in Masks.__slots__})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MaskRecord:
    """One mask of everything-mode.

    Parameters
    ----------
    segmentation
        COCO RLE of the whole image.
    box
        xyxy of the mask, x1 and y1 exclusive.
    area
        Pixels.
    predicted_iou, stability_score
        The model's estimate, and the IoU of the masks at threshold plus and minus an offset.
    point_coords
        The xy point that prompted it.
    crop_box
        xyxy of the window of the image it was found in.
    """

    segmentation: Rle = field(repr=False)
    box: Box
    area: int
    predicted_iou: float
    stability_score: float
    point_coords: tuple[float, float]
    crop_box: Box
