"""Pictures of results that a person wants to look at: overlays, clicks, boxes, a contact sheet.

Pillow and NumPy only. Lines grow with the picture; edges are drawn at three times the size and
averaged, so that they are smooth.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from sam_plugins.formats.rle import rle_to_crop
from sam_plugins.masks import mask_to_box
from sam_plugins.types import Box, Image, MaskRecord, Prompt

__all__ = [
    "Crop",
    "Panel",
    "colour_of",
    "contact_sheet",
    "crops_of_masks",
    "crops_of_records",
    "render_overlay",
]

Crop = tuple[NDArray[np.bool_], Box]
"""(h, w) bool pixels of one mask and the xyxy of where they lie in the picture."""

Colour = tuple[int, int, int]

_FINE = 3
_GOLDEN_ANGLE = 137.50776
_FIRST_HUE = 255.0
"""A blue that few photographs hold."""

_LIGHTNESS = (0.64, 0.76, 0.58)
_GREEN: Colour = (28, 172, 76)
_RED: Colour = (222, 44, 52)
_WHITE: Colour = (255, 255, 255)


def colour_of(index: int) -> Colour:
    """RGB of the object with this index: always the same, and far from its neighbours'.

    Hues turn by the golden angle at a perceived lightness of three levels (Oklch, Ottosson 2020).
    """
    hue = math.radians(_FIRST_HUE + _GOLDEN_ANGLE * index)
    lightness, chroma = _LIGHTNESS[index % 3], 0.19
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red, green, blue = (
        _eight_bits(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _eight_bits(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _eight_bits(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )
    return red, green, blue


def _eight_bits(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    encoded = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return round(255 * encoded)


def crops_of_masks(masks: Iterable[NDArray[np.bool_]]) -> list[Crop]:
    """(H, W) bool masks to crops; empty ones stay in their place."""
    crops: list[Crop] = []
    for mask in masks:
        x0, y0, x1, y1 = mask_to_box(mask)
        crops.append((mask[y0:y1, x0:x1], (x0, y0, x1, y1)))
    return crops


def crops_of_records(records: Iterable[MaskRecord]) -> list[Crop]:
    """Records of everything-mode to crops."""
    return [rle_to_crop(record.segmentation) for record in records]


def render_overlay(
    image: Image, crops: Sequence[Crop], prompts: Sequence[Prompt] = (), fill: float = 0.45
) -> Image:
    """Masks over a picture: translucent colour, a line with a white rim, and what was asked.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    crops
        One per object, in any order; larger ones are drawn first. Object ``i`` has
        ``colour_of(i)``.
    prompts
        Their points are drawn as discs, green with a plus or red with a minus, their boxes as
        frames.
    fill
        Opacity of the colour inside a mask, 0 to 1.

    Returns
    -------
    (H, W, 3) uint8 RGB.
    """
    canvas = image.astype(np.float32)
    width = line_width(image)
    order = sorted(range(len(crops)), key=lambda i: -int(np.count_nonzero(crops[i][0])))
    for index in order:
        _paint_mask(canvas, crops[index], colour_of(index), fill, width)
    picture = PillowImage.fromarray(np.clip(canvas + 0.5, 0, 255).astype(np.uint8))
    for prompt in prompts:
        _draw_prompt(picture, prompt, width)
    return np.array(picture)


def line_width(image: Image) -> float:
    """Width in pixels of lines that suit a picture of this size."""
    return max(1.5, 0.0036 * math.sqrt(image.shape[0] * image.shape[1]))


def _paint_mask(
    canvas: NDArray[np.float32], crop: Crop, colour: Colour, fill: float, width: float
) -> None:
    mask, (x0, y0, x1, y1) = crop
    if not mask.size:
        return
    fine = _FINE if mask.size < 1_000_000 else 1
    body = _enlarged(mask, fine)
    rim = _eroded(body, max(1, round(0.45 * width * fine)))
    core = _eroded(rim, round(width * fine))
    window = canvas[y0:y1, x0:x1]
    layers = ((body, fill, colour), (body & ~rim, 0.8, _WHITE), (rim & ~core, 0.95, colour))
    for layer, opacity, tone in layers:
        coverage = opacity * _averaged(layer, fine)[..., None]
        window += (np.array(tone, np.float32) - window) * coverage


def _enlarged(mask: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """A mask at `factor` times its size with its stairs smoothed."""
    if factor == 1:
        return mask
    grey = PillowImage.fromarray(np.pad(mask, 1).astype(np.uint8) * 255)
    large = grey.resize((grey.width * factor, grey.height * factor), PillowImage.Resampling.BICUBIC)
    return (np.asarray(large) > 127)[factor:-factor, factor:-factor]


def _eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Shrink by `steps` pixels, in turns of a cross and a square, which is nearly a disc."""
    inner = np.pad(mask, 1)
    for step in range(steps):
        rows = inner.copy()
        rows[1:-1] &= inner[:-2] & inner[2:]
        source = rows if step % 2 else inner
        columns = source.copy()
        columns[:, 1:-1] &= source[:, :-2] & source[:, 2:]
        inner = rows & columns
    return inner[1:-1, 1:-1]


def _averaged(mask: NDArray[np.bool_], factor: int) -> NDArray[np.float32]:
    height, width = mask.shape[0] // factor, mask.shape[1] // factor
    cells = mask.reshape(height, factor, width, factor)
    mean: NDArray[np.float32] = cells.mean(axis=(1, 3), dtype=np.float32)
    return mean


def _draw_prompt(picture: PillowImage.Image, prompt: Prompt, width: float) -> None:
    if prompt.box is not None:
        x0, y0, x1, y1 = (round(float(v)) for v in prompt.box)
        thick = max(2, round(width * 1.6))
        pen = ImageDraw.Draw(picture)
        pen.rectangle((x0 - 1, y0 - 1, x1, y1), outline=_WHITE, width=1)
        pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=_GREEN, width=thick)
    if prompt.point_coords is not None and prompt.point_labels is not None:
        for (x, y), label in zip(prompt.point_coords, prompt.point_labels, strict=True):
            marker = _marker(positive=bool(label), radius=max(6.0, 4.2 * width))
            corner = (round(float(x) - marker.width / 2), round(float(y) - marker.height / 2))
            picture.paste(marker, corner, marker)


def _marker(positive: bool, radius: float) -> PillowImage.Image:
    """A click: a disc with a sign and a white ring, on a soft shadow."""
    fine = 4
    half = math.ceil(radius * 1.35)
    side, r = 2 * half * fine, radius * fine
    layer = PillowImage.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)

    def disc(size: float, colour: tuple[int, ...]) -> None:
        middle = side / 2
        pen.ellipse((middle - size, middle - size, middle + size, middle + size), fill=colour)

    disc(r * 1.14, (0, 0, 0, 90))
    disc(r, _WHITE)
    disc(r * 0.8, _GREEN if positive else _RED)
    long, short = r * 0.46, r * 0.13
    middle = side / 2
    pen.rectangle((middle - long, middle - short, middle + long, middle + short), fill=_WHITE)
    if positive:
        pen.rectangle((middle - short, middle - long, middle + short, middle + long), fill=_WHITE)
    return layer.resize((2 * half, 2 * half), PillowImage.Resampling.BOX)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One picture of a contact sheet and the line below it."""

    image: Image
    caption: str


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[Panel]]], titles: Sequence[str], panel_width: int = 400
) -> Image:
    """Many pictures on one sheet.

    Parameters
    ----------
    rows
        A heading and the panels of each row; panels are fitted to `panel_width`, and in height
        to a row's first one.
    titles
        Headings of the columns.
    panel_width
        Pixels.

    Returns
    -------
    (H, W, 3) uint8 RGB.
    """
    gap, margin, top = 14, 28, 74
    heading, small = ImageFont.load_default(21), ImageFont.load_default(15)
    heights = [
        round(panel_width * panels[0].image.shape[0] / panels[0].image.shape[1])
        for _, panels in rows
    ]
    width = 2 * margin + len(titles) * (panel_width + gap) - gap
    sheet = PillowImage.new("RGB", (width, top + sum(heights) + 78 * len(rows)), (250, 250, 248))
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((margin + column * (panel_width + gap), 26), title, (24, 28, 34), heading)
    y = top
    for (name, panels), height in zip(rows, heights, strict=True):
        pen.text((margin, y - 4), name, (92, 98, 106), small)
        y += 22
        for column, panel in enumerate(panels):
            x = margin + column * (panel_width + gap)
            picture = PillowImage.fromarray(panel.image)
            fitted = picture.resize((panel_width, height), PillowImage.Resampling.LANCZOS)
            sheet.paste(fitted, (x, y))
            pen.text((x, y + height + 6), panel.caption, (60, 66, 74), small)
        y += height + 56
    return np.array(sheet)
