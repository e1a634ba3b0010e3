"""From a picture to the model's input, and prompts along with it.

The model sees a square of S x S pixels: the encoded window of the image, its longest side resized
to S, at the top left, and zeros below or right of it. Three frames follow, all in pixels: the
*image*, the *window* (xyxy region of the image that is encoded) and the *input*.

Sources: Kirillov et al., "Segment Anything" (2023), appendix A, and the behaviour of the published
code.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image as PillowImage

from sam_plugins.errors import ImageError, PromptError
from sam_plugins.types import Box, Embedding, Image, Prompt, Size

__all__ = [
    "InputPrompt",
    "boxes_from_input",
    "boxes_to_input",
    "checked_region",
    "embedding_key",
    "mask_to_logits",
    "normalised",
    "points_from_input",
    "points_to_input",
    "prompt_to_input",
    "resize_longest_side",
    "resized_size",
    "window_of",
]


def checked_region(image: Image, region: Sequence[int] | None) -> Box:
    """The window to encode, whole image by default.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    region
        xyxy in pixels, x1 and y1 exclusive.

    Raises
    ------
    ImageError
        If `image` is not (H, W, 3) uint8, or `region` is empty or reaches outside it.
    """
    found = getattr(image, "shape", None), getattr(image, "dtype", None)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ImageError(
            f"An image must be a (H, W, 3) uint8 RGB array, found shape {found[0]} and dtype "
            f"{found[1]}: read it with load_image."
        )
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(
            f"An image must have shape (H, W, 3) with at least one pixel, found {image.shape}: "
            "read it with load_image."
        )
    height, width = image.shape[:2]
    if region is None:
        return 0, 0, width, height
    if len(region) != 4:
        raise ImageError(f"A region is x0, y0, x1, y1, found {tuple(region)}.")
    x0, y0, x1, y1 = (int(value) for value in region)
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ImageError(
            f"Region {(x0, y0, x1, y1)} must have an area and lie within the image, which is "
            f"{width} wide and {height} high."
        )
    return x0, y0, x1, y1


def window_of(image: Image, region: Box) -> Image:
    """The pixels of `region`, (h, w, 3) uint8, as a view."""
    x0, y0, x1, y1 = region
    return image[y0:y1, x0:x1]


def embedding_key(window: Image, encoder_id: str) -> str:
    """Content key of one encoded window: hexadecimal SHA-256 over its size, pixels and encoder.

    The place of the window in its image is no part of it: equal pixels have equal features.
    """
    digest = hashlib.sha256(f"{encoder_id}\n{window.shape}\n".encode())
    digest.update(np.ascontiguousarray(window).data)
    return digest.hexdigest()


def resized_size(size: Size, longest_side: int) -> Size:
    """(H, W) after scaling so that the longer side is `longest_side`; no side falls below 1.

    Published rounding: ``int(x * scale + 0.5)``.
    """
    scale = longest_side * 1.0 / max(size)
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))


def resize_longest_side(image: Image, longest_side: int) -> Image:
    """(H, W, 3) uint8 resized so that the longer side is `longest_side`.

    Pillow's bilinear filter, antialiased when it shrinks and rounded to uint8, is part of the
    published behaviour: other libraries differ by up to 18 grey levels.
    """
    height, width = resized_size((image.shape[0], image.shape[1]), longest_side)
    if image.shape[:2] == (height, width):
        return image
    picture = PillowImage.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((width, height), PillowImage.Resampling.BILINEAR))


def normalised(
    resized: Image, side: int, mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """The model's input.

    Parameters
    ----------
    resized
        (h, w, 3) uint8, h and w at most `side`.
    side
        S, pixels.
    mean, std
        RGB on the scale 0..255; subtracted and divided *before* the padding.

    Returns
    -------
    (3, S, S) float32; zero below and right of the picture.
    """
    height, width = resized.shape[:2]
    pixels = np.zeros((3, side, side), np.float32)
    values = resized.transpose(2, 0, 1).astype(np.float32)
    values -= np.asarray(mean, np.float32)[:, None, None]
    values /= np.asarray(std, np.float32)[:, None, None]
    pixels[:, :height, :width] = values
    return pixels


def points_to_input(points: ArrayLike, region: Box, input_size: Size) -> NDArray[np.float32]:
    """(..., 2) xy of the image -> (..., 2) float32 xy of the input; computed in float64."""
    origin, scale = _frame(region, input_size)
    moved: NDArray[np.float64] = (np.asarray(points, np.float64) - origin) * scale
    return moved.astype(np.float32)


def points_from_input(points: ArrayLike, region: Box, input_size: Size) -> NDArray[np.float32]:
    """(..., 2) xy of the input -> (..., 2) float32 xy of the image; undoes `points_to_input`."""
    origin, scale = _frame(region, input_size)
    moved: NDArray[np.float64] = np.asarray(points, np.float64) / scale + origin
    return moved.astype(np.float32)


def boxes_to_input(boxes: ArrayLike, region: Box, input_size: Size) -> NDArray[np.float32]:
    """(..., 4) xyxy of the image -> (..., 4) float32 xyxy of the input."""
    corners = np.asarray(boxes, np.float64)
    moved = points_to_input(corners.reshape(*corners.shape[:-1], 2, 2), region, input_size)
    return moved.reshape(corners.shape)


def boxes_from_input(boxes: ArrayLike, region: Box, input_size: Size) -> NDArray[np.float32]:
    """(..., 4) xyxy of the input -> (..., 4) float32 xyxy of the image."""
    corners = np.asarray(boxes, np.float64)
    moved = points_from_input(corners.reshape(*corners.shape[:-1], 2, 2), region, input_size)
    return moved.reshape(corners.shape)


def _frame(region: Box, input_size: Size) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Origin of the window in the image and input pixels per image pixel, both xy."""
    x0, y0, x1, y1 = region
    scale = (input_size[1] / (x1 - x0), input_size[0] / (y1 - y0))
    return np.array((x0, y0), np.float64), np.array(scale, np.float64)


def mask_to_logits(
    mask: NDArray[np.bool_],
    region: Box,
    input_size: Size,
    padded_size: Size,
    low_res_size: Size,
    magnitude: float = 7.0,
) -> NDArray[np.float32]:
    """A mask drawn by hand or by another tool, as a prompt.

    Parameters
    ----------
    mask
        (H, W) bool over the whole image.
    region
        xyxy of the encoded window.
    input_size, padded_size
        Of the embedding, (H, W) in input pixels.
    low_res_size
        (h, w) of the model's logits.
    magnitude
        The logit of a cell that lies wholly inside; outside it is negative. 7 means 99.9 % sure.

    Returns
    -------
    (1, h, w) float32 for `Prompt.mask_input`; a cell's value is linear in its covered fraction.
    """
    x0, y0, x1, y1 = region
    window = np.asarray(mask, bool)[y0:y1, x0:x1]
    if window.shape != (y1 - y0, x1 - x0):
        raise ImageError(
            f"A mask must be (H, W) over the whole image and cover region {region}, found shape "
            f"{np.shape(mask)}."
        )
    spans, cells = [], []
    for axis in (0, 1):
        cell = padded_size[axis] / low_res_size[axis] * window.shape[axis] / input_size[axis]
        cells.append(min(low_res_size[axis], math.ceil(window.shape[axis] / cell - 1e-9)))
        spans.append(cells[axis] * cell)
    padding = [(0, max(0, math.ceil(spans[axis]) - window.shape[axis])) for axis in (0, 1)]
    padded = np.pad(window.astype(np.float32), padding)
    picture = PillowImage.fromarray(padded).resize(
        (cells[1], cells[0]),
        PillowImage.Resampling.BOX,
        box=(0, 0, min(spans[1], padded.shape[1]), min(spans[0], padded.shape[0])),
    )
    covered = np.zeros((1, *low_res_size), np.float32)
    covered[0, : cells[0], : cells[1]] = np.asarray(picture)
    return magnitude * (2 * covered - 1)


@dataclass(frozen=True, slots=True, eq=False)
class InputPrompt:
    """A checked prompt in pixels of the model's input.

    Parameters
    ----------
    point_coords, point_labels, box, mask_input
        (N, 2) float32 xy, (N,) int32, (4,) float32 xyxy and (1, h, w) float32, or None.
    multimask_output
        Three answers or one.
    """

    point_coords: NDArray[np.float32] | None
    point_labels: NDArray[np.int32] | None
    box: NDArray[np.float32] | None
    mask_input: NDArray[np.float32] | None
    multimask_output: bool

    @property
    def kind(self) -> tuple[int, bool, bool, bool]:
        """Prompts of one kind fit into one forward pass as they are, without padding."""
        points = 0 if self.point_coords is None else len(self.point_coords)
        return points, self.box is not None, self.mask_input is not None, self.multimask_output


def prompt_to_input(
    prompt: Prompt, embedding: Embedding, low_res_size: Size, multimask_output: bool | None = None
) -> InputPrompt:
    """A prompt as the model takes it, checked against the window it is about.

    Parameters
    ----------
    prompt
        In pixels of the whole image.
    embedding
        Of the window.
    low_res_size
        (h, w) of the model's logits.
    multimask_output
        None means three answers for exactly one point, otherwise one.

    Raises
    ------
    PromptError
        If a point lies outside the window, the box does not meet it, or `mask_input` has another
        size or covers another window. A box that reaches beyond the window is clipped to it.

    Notes
    -----
    Hosts place pixel centres at whole numbers or at halves: a point counts as inside in either
    reading, from half a pixel before the window to its far edge.
    """
    region, input_size = embedding.region, embedding.input_size
    coords, box = prompt.point_coords, prompt.box
    if coords is not None:
        inside = (coords >= np.subtract(region[:2], 0.5)) & (coords <= region[2:])
        if not inside.all():
            outside = coords[~inside.all(axis=1)][0].tolist()
            raise PromptError(
                f"Point {tuple(outside)} lies outside {_described(embedding)}: give xy in pixels."
            )
        coords = points_to_input(coords, region, input_size)
    if box is not None:
        clipped = np.concatenate((np.maximum(box[:2], region[:2]), np.minimum(box[2:], region[2:])))
        if not (clipped[:2] < clipped[2:]).all():
            raise PromptError(
                f"Box {tuple(box.tolist())} lies outside {_described(embedding)}: give xyxy in "
                "pixels."
            )
        box = boxes_to_input(clipped, region, input_size)
    if prompt.mask_input is not None:
        _check_mask(prompt, prompt.mask_input.shape, region, low_res_size)
    return InputPrompt(
        point_coords=coords,
        point_labels=prompt.point_labels,
        box=box,
        mask_input=prompt.mask_input,
        multimask_output=prompt.is_ambiguous if multimask_output is None else multimask_output,
    )


def _described(embedding: Embedding) -> str:
    height, width = embedding.original_size
    size = f"the image, which is {width} wide and {height} high"
    if embedding.region == (0, 0, width, height):
        return size
    return f"the encoded window {embedding.region} of {size}"


def _check_mask(prompt: Prompt, shape: tuple[int, ...], region: Box, low_res_size: Size) -> None:
    expected = (1, *low_res_size)
    if shape != expected:
        raise PromptError(
            f"mask_input must have shape {expected} for this model, found {shape}: pass "
            "Masks.low_res_logits[[i]] of an earlier answer, or turn a mask into one with "
            "mask_to_logits."
        )
    if prompt.mask_region not in (None, region):
        raise PromptError(
            f"mask_input covers {prompt.mask_region} of the image, the embedding {region}: encode "
            "that region, or make the mask prompt anew."
        )
