"""Answers as Label Studio's regions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from labelstudio_backend.controls.config import LabelConfig
from labelstudio_backend.controls.control import Control, LabelSet, Written
from labelstudio_backend.values import Ask, Found

__all__ = ["area_lost", "write_regions"]

_DECIMALS = 4


def write_regions(
    config: LabelConfig, answers: Sequence[tuple[Ask, Found]], model_version: str
) -> list[dict[str, Any]]:
    """The regions of a prediction, or of the answer to a click.

    Parameters
    ----------
    config
        Says which tag each label is written with.
    answers
        What was asked and what was found. Where nothing was found nothing is written.
    model_version
        Kept in each region's ``meta``, which annotators do not see; so is ``area_lost`` where a
        polygon cannot show all of an object.

    Returns
    -------
    One region for an answer, or one for each part of it (polygons). Tags without labels of their
    own take two entries with one id: the geometry, and the label of the ``Labels`` tag.

    Raises
    ------
    ConfigError
        If no tag can write a label, or an attribute of the tag cannot be used.
    """
    regions: list[dict[str, Any]] = []
    for ask, found in answers:
        if not found.crop.any():
            continue
        control = config.output(ask.label, ask.to_name)
        for written in control.write(found):
            label = _label(config, control, ask.label)
            regions += _entries(control, ask, found, written, label, model_version)
    return regions


def area_lost(region: Mapping[str, Any]) -> float:
    """Which share of an object's pixels a region cannot show, as `write_regions` noted it."""
    meta = region.get("meta")
    share = meta.get("area_lost", 0.0) if isinstance(meta, Mapping) else 0.0
    return float(share) if isinstance(share, int | float) else 0.0


def _entries(
    control: Control,
    ask: Ask,
    found: Found,
    written: Written,
    label: tuple[LabelSet, str] | None,
    model_version: str,
) -> list[dict[str, Any]]:
    height, width = found.size
    meta: dict[str, Any] = {"model_version": model_version} if model_version else {}
    if written.area_lost > 0:
        meta["area_lost"] = round(written.area_lost, _DECIMALS)
    region: dict[str, Any] = {
        "id": uuid4().hex[:12],
        "from_name": control.name,
        "to_name": ask.to_name,
        "type": control.type,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": written.value,
        "score": _share(found.score),
        "origin": "prediction",
    }
    if ask.item is not None:
        region["item_index"] = ask.item
    if meta:
        region["meta"] = meta
    if label is None:
        return [region]
    group, name = label
    if control.labelled:
        region["value"] = {**written.value, control.type: [name]}
        return [region]
    companion = {"from_name": group.tag, "type": "labels"}
    return [region, {**region, **companion, "value": {**written.value, "labels": [name]}}]


def _label(config: LabelConfig, control: Control, label: str | None) -> tuple[LabelSet, str] | None:
    if label is not None:
        return config.held(label, control)
    # A tag with labels that was chosen without one has a single label.
    return control.holder(control.written_labels()[0]) if control.labelled else None


def _share(score: float) -> float:
    """From 0 to 1, as Label Studio's check of predictions wants it."""
    return round(min(max(float(score), 0.0), 1.0), _DECIMALS) if math.isfinite(score) else 0.0
