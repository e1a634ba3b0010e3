"""Projects of a real Label Studio, and what the core itself answers to the same prompts."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import requests
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from real_programs import RealPrograms

from labelstudio_backend.start.sample_projects import attach
from sam_plugins import Interaction, Refiner, TiledImage, open_segmenter
from sam_plugins.formats import brush_rle_to_crop

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RealProject:
    """A project with the backend attached.

    Parameters
    ----------
    number
        Of the project.
    model
        Of its ML backend.
    tasks
        Numbers, in the order of the pictures.
    """

    number: int
    model: int
    tasks: list[int]


def png(rgb: NDArray[np.uint8]) -> bytes:
    """A picture as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG")
    return out.getvalue()


def make_project(
    programs: RealPrograms,
    title: str,
    label_config: str,
    pictures: dict[str, bytes] | None = None,
    data: Sequence[dict[str, Any]] = (),
    *,
    url: str | None = None,
) -> RealProject:
    """A project with uploaded pictures (name -> bytes of the file), or tasks of these data.

    `url` is another backend than the one that runs, such as a double.
    """
    client = programs.client
    number = int(client.create_project(title, label_config)["id"])
    for name, content in (pictures or {}).items():
        upload(programs, number, name, content)
    if data:
        client.import_tasks(number, data)
    access = programs.access
    address = url or programs.backend.url
    attached = attach(client, number, address, access.backend_user, access.backend_password)
    tasks = [int(task["id"]) for task in client.tasks(number)]
    return RealProject(number, int(attached["id"]), tasks)


def upload(programs: RealPrograms, project: int, name: str, content: bytes) -> None:
    """Upload a file as a user does: it becomes a task."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            f"{programs.label_studio.url}/api/projects/{project}/import",
            headers={"Authorization": f"Token {programs.access.token}"},
            files={"file": (name, content)},
            timeout=60,
        )
    assert answer.status_code == 201, answer.text


@cache
def segmenter() -> Any:
    return open_segmenter("nano")


def core_answer(rgb: NDArray[np.uint8], interaction: Interaction) -> Mask:
    """(H, W) bool: what the core says of a picture, asked directly."""
    found = Refiner(TiledImage(segmenter(), rgb)).answer(interaction)
    mask = np.zeros(rgb.shape[:2], bool)
    x0, y0, x1, y1 = found.box
    mask[y0:y1, x0:x1] = found.crop
    return mask


def interaction_of(context: dict[str, Any], size: tuple[int, int]) -> Interaction:
    """The prompts that Label Studio sent, in pixels: percents of width and height."""
    height, width = size
    points: list[tuple[float, float, int]] = []
    box = None
    for region in context["result"]:
        value = region["value"]
        assert (region["original_width"], region["original_height"]) == (width, height)
        x, y = value["x"] / 100 * width, value["y"] / 100 * height
        if region["type"] == "rectanglelabels":
            right, bottom = value["width"] / 100 * width, value["height"] / 100 * height
            box = (x, y, x + right, y + bottom)
        elif region["type"] == "keypointlabels":
            points.append((x, y, 1 if region.get("is_positive", True) else 0))
    return Interaction(tuple(points), box)


def mask_of(region: dict[str, Any]) -> Mask:
    """(H, W) bool of a brush or polygon region, as any other program would read it."""
    size = (region["original_height"], region["original_width"])
    if region["type"] == "brushlabels":
        crop, (x0, y0, x1, y1) = brush_rle_to_crop(region["value"]["rle"], size)
        mask = np.zeros(size, bool)
        mask[y0:y1, x0:x1] = crop
        return mask
    scale = 8  # finer than a pixel: a ring of vertices is not rounded to whole pixels
    canvas = Image.new("L", (size[1] * scale, size[0] * scale))
    ring = [
        (x / 100 * size[1] * scale - 0.5, y / 100 * size[0] * scale - 0.5)
        for x, y in region["value"]["points"]
    ]
    ImageDraw.Draw(canvas).polygon(ring, fill=1)
    inside = np.asarray(canvas).reshape(size[0], scale, size[1], scale)
    covered: Mask = inside.mean((1, 3)) >= 0.5
    return covered


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))
