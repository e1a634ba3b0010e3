"""What regions of Label Studio mean: prompts as questions about objects, and masks."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelstudio_backend.controls.config import LabelConfig
from labelstudio_backend.controls.control import Control
from labelstudio_backend.controls.grouping import Prompted, grouped
from labelstudio_backend.controls.kinds import TAGS
from labelstudio_backend.controls.region import Region, read_regions
from labelstudio_backend.values import Ask
from sam_plugins.types import Box, Size

__all__ = ["prompt_keys", "read_asks", "read_masks", "task_asks", "which_picture"]

_SAID_BY_HAND = ("keypoint", "rectangle")
_DECIMALS = 4


def which_picture(config: LabelConfig, regions: object) -> tuple[str, int | None]:
    """The picture that the prompts of a context are about: that of the newest prompt.

    Parameters
    ----------
    config
        Of the project.
    regions
        ``context.result``.

    Returns
    -------
    to_name, item
        The image tag and its page; without prompts the first tag. The page is None where neither
        the tag nor the region speaks of pages.

    Raises
    ------
    ConfigError
        If the config has no image tag.
    RequestError
        If `regions` is no list.
    """
    tag, item = config.image(), None
    known = {image.name: image for image in config.images}
    for region, _ in _prompts(regions):
        if region.to_name in known:
            tag, item = known[region.to_name], region.item
    return tag.name, 0 if item is None and tag.several else item


def prompt_keys(regions: object) -> frozenset[str]:
    """One key for each prompt, the same for the same prompt in a later request.

    Raises
    ------
    RequestError
        As `read_asks`.
    """
    return frozenset(_key(region, kind) for region, kind in _prompts(regions))


def read_asks(config: LabelConfig, regions: object, size: Size) -> list[Ask]:
    """What the prompts of an interactive context ask for, object by object.

    Prompts of one label are about one object, unless there are several boxes: then each box is an
    object and takes the points that lie inside it. Regions of another picture than
    `which_picture` says, and those that are no prompts, are left out.

    Parameters
    ----------
    config, regions
        As `which_picture` takes them.
    size
        (H, W) of the picture.

    Returns
    -------
    Empty if nothing says what the object is.

    Raises
    ------
    RequestError
        If a prompt holds something else than numbers, or was drawn on a turned picture.
    """
    to_name, item = which_picture(config, regions)
    said = [(region, kind) for region, kind in _prompts(regions) if _about(region, to_name, item)]
    return _asks(said, to_name, item, size, alone=False)


def task_asks(
    config: LabelConfig, task: Mapping[str, Any], to_name: str, item: int | None, size: Size
) -> list[Ask]:
    """What lies on a task already, as questions: boxes and points that are no masks yet.

    Each box is an object with the points inside it, and each other foreground point is one of its
    own, unless points have the same parent region. They come from the newest annotation that has
    any, else the newest draft, else the newest prediction.

    Parameters
    ----------
    config
        Of the project.
    task
        As Label Studio sends it.
    to_name, item
        The picture.
    size
        Its (H, W).

    Raises
    ------
    RequestError
        As `read_asks`.
    """
    config.image(to_name)
    for result in _results(task):
        said = [
            (region, kind)
            for region, kind in _prompts(result)
            if kind.kind in _SAID_BY_HAND and _about(region, to_name, item)
        ]
        if asks := _asks(said, to_name, item, size, alone=True):
            return asks
    return []


def read_masks(
    config: LabelConfig,
    regions: object,
    size: Size,
    to_name: str | None = None,
    item: int | None = None,
) -> list[tuple[str | None, NDArray[np.bool_], Box]]:
    """Submitted regions as masks: brush, bitmask, polygon, rectangle.

    Parameters
    ----------
    config
        Of the project; what is drawn with its smart rectangles are prompts and no masks.
    regions
        The ``result`` of an annotation.
    size
        (H, W) of the picture.
    to_name, item
        Only regions of that picture; by default those of all.

    Returns
    -------
    (label, crop, box) of each, in their order; regions without pixels are left out.

    Raises
    ------
    RequestError
        If a region cannot be read, or was drawn on a turned picture.
    """
    smart = {control.name for control in config.controls if control.smart}
    found: list[tuple[str | None, NDArray[np.bool_], Box]] = []
    for region in read_regions(regions):
        kind = TAGS.get(region.type)
        if kind is None or (to_name is not None and not _about(region, to_name, item)):
            continue
        if kind.kind == "rectangle" and region.from_name in smart:
            continue
        mask = _upright(region, kind).mask(region, size)
        if mask is not None and mask[0].any():
            found.append((region.label, *mask))
    return found


def _asks(
    said: list[tuple[Region, type[Control]]],
    to_name: str,
    item: int | None,
    size: Size,
    *,
    alone: bool,
) -> list[Ask]:
    prompted = []
    for region, kind in said:
        interaction = _upright(region, kind).prompt(region, size)
        if interaction is not None:
            prompted.append(Prompted(region, interaction))
    return [
        Ask(label, interaction, to_name, item)
        for label, interaction in grouped(prompted, alone=alone)
    ]


def _prompts(regions: object) -> Iterator[tuple[Region, type[Control]]]:
    for region in read_regions(regions):
        kind = TAGS.get(region.type)
        if kind is not None and kind.prompts:
            yield region, kind


def _about(region: Region, to_name: str, item: int | None) -> bool:
    return region.to_name == to_name and (region.item or 0) == (item or 0)


def _upright(region: Region, kind: type[Control]) -> type[Control]:
    if not region.upright:
        raise region.refused("it was drawn while the picture was turned; turn it back")
    return kind


def _key(region: Region, kind: type[Control]) -> str:
    geometry = kind.geometry(region)
    if isinstance(geometry, list):
        geometry = [round(number, _DECIMALS) for number in geometry]
    said = [kind.kind, region.to_name, region.item or 0, region.label, region.positive, geometry]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]


def _results(task: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The results of a task, the one that counts most first."""
    for name in ("annotations", "drafts", "predictions"):
        entries = task.get(name)
        if not isinstance(entries, list | tuple):
            continue
        known = [
            entry
            for entry in entries
            if isinstance(entry, Mapping)
            and isinstance(entry.get("result"), list)
            and not entry.get("was_cancelled")
        ]
        yield from (entry["result"] for entry in sorted(known, key=_age, reverse=True))


def _age(entry: Mapping[str, Any]) -> tuple[str, int]:
    number = entry.get("id")
    when = entry.get("updated_at") or entry.get("created_at") or ""
    return str(when), number if isinstance(number, int) else 0
