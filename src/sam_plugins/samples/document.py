"""A printed page: heading, paragraphs, a chart, a table and a stamp."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from sam_plugins.samples.drawing import DRAWN_LICENCE, DRAWN_SOURCE, smooth_noise, suggest
from sam_plugins.samples.sample import Sample
from sam_plugins.types import Box

__all__ = ["document"]

_TEXT = (
    "light enters the field and falls on a thin layer of cells where each border bends it a "
    "little so that an eye or a camera sees an edge between one body and the next"
)
_INK = (38, 40, 48)
_BLOCKS: dict[str, Box] = {
    "heading": (48, 40, 432, 74),
    "left": (48, 92, 230, 300),
    "chart": (252, 96, 432, 250),
    "right": (252, 268, 432, 392),
    "table": (48, 322, 230, 456),
    "stamp": (306, 418, 416, 528),
    "foot": (48, 478, 290, 540),
}


def document(seed: int = 2) -> Sample:
    """A page on a desk, a little warm, unevenly lit; each block is an object."""
    rng = np.random.default_rng([seed, 4])
    page = PillowImage.new("RGB", (480, 580), (250, 248, 242))
    pen = ImageDraw.Draw(page)
    pen.text((48, 38), "On seeing edges", fill=_INK, font=ImageFont.load_default(32))
    for name in ("left", "right", "foot"):
        _paragraph(rng, pen, _BLOCKS[name])
    _chart(rng, pen, _BLOCKS["chart"])
    _table(rng, pen, _BLOCKS["table"])
    _stamp(pen, _BLOCKS["stamp"])
    truth = _truth(page)
    pixels = ndimage.gaussian_filter(np.asarray(page, np.float32), (0.5, 0.5, 0))
    size = (page.height, page.width)
    light = 0.93 + 0.025 * smooth_noise(rng, size, 90) + 0.006 * smooth_noise(rng, size, 0.8)
    pixels = pixels * light[..., None] + rng.normal(0, 1.5, pixels.shape)
    names = list(_BLOCKS)
    points, box = suggest(truth, 1 + names.index("stamp"), 1 + names.index("chart"))
    return Sample(
        name="document",
        title="Printed page",
        image=np.clip(pixels, 0, 255).astype(np.uint8),
        licence=DRAWN_LICENCE,
        source=DRAWN_SOURCE,
        points=points,
        box=box,
        truth=truth,
    )


def _paragraph(rng: Generator, pen: ImageDraw.ImageDraw, box: Box) -> None:
    font, words = ImageFont.load_default(11), _TEXT.split()
    x0, y, x1, y1 = box
    while y + 13 <= y1:
        line = ""
        while True:
            longer = f"{line} {words[rng.integers(len(words))]}".strip()
            if pen.textlength(longer, font) > x1 - x0:
                break
            line = longer
        pen.text((x0, y), line, fill=_INK, font=font)
        y += 15


def _chart(rng: Generator, pen: ImageDraw.ImageDraw, box: Box) -> None:
    x0, y0, x1, y1 = box
    pen.rectangle((x0, y0, x1 - 1, y1 - 1), fill=(233, 238, 243), outline=(120, 130, 140))
    colours = ((70, 130, 180), (222, 125, 44), (94, 160, 92), (188, 82, 88), (128, 104, 170))
    for index, colour in enumerate(colours):
        left = x0 + 16 + index * 32
        top = y1 - 14 - int(rng.uniform(30, 115))
        pen.rectangle((left, top, left + 20, y1 - 14), fill=colour)
    pen.line((x0 + 10, y1 - 14, x1 - 10, y1 - 14), fill=_INK, width=2)
    pen.line((x0 + 10, y0 + 10, x0 + 10, y1 - 14), fill=_INK, width=2)


def _table(rng: Generator, pen: ImageDraw.ImageDraw, box: Box) -> None:
    x0, y0, x1, y1 = box
    font = ImageFont.load_default(11)
    rows, columns = 6, 4
    height, width = (y1 - y0 - 1) / rows, (x1 - x0 - 1) / columns
    pen.rectangle((x0, y0, x1 - 1, y0 + height), fill=(214, 222, 206))
    for row in range(rows + 1):
        pen.line((x0, y0 + row * height, x1 - 1, y0 + row * height), fill=(110, 115, 120))
    for column in range(columns + 1):
        pen.line((x0 + column * width, y0, x0 + column * width, y1 - 1), fill=(110, 115, 120))
    for row in range(rows):
        for column in range(columns):
            text = "ABCD"[column] if row == 0 else f"{rng.uniform(0, 10):.2f}"
            pen.text((x0 + column * width + 9, y0 + row * height + 5), text, _INK, font)


def _stamp(pen: ImageDraw.ImageDraw, box: Box) -> None:
    x0, y0, x1, y1 = box
    red = (196, 48, 52)
    pen.ellipse((x0, y0, x1 - 1, y1 - 1), fill=(248, 228, 222), outline=red, width=5)
    pen.ellipse((x0 + 11, y0 + 11, x1 - 12, y1 - 12), outline=red, width=2)
    pen.text(((x0 + x1) / 2, (y0 + y1) / 2), "SEEN", red, ImageFont.load_default(26), anchor="mm")


def _truth(page: PillowImage.Image) -> NDArray[np.uint16]:
    """Blocks as filled boxes, tight around their ink; the stamp is its disc."""
    labels = np.zeros((page.height, page.width), np.uint16)
    ink = np.asarray(page.convert("L")) < 244
    for label, (name, (x0, y0, x1, y1)) in enumerate(_BLOCKS.items(), 1):
        rows, columns = np.nonzero(ink[y0:y1, x0:x1])
        window = labels[y0:y1, x0:x1]
        if name == "stamp":
            y, x = np.mgrid[: y1 - y0, : x1 - x0]
            radius = (x1 - x0) / 2
            window[np.hypot(x - radius + 0.5, y - radius + 0.5) <= radius] = label
        else:
            window[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = label
    return labels
