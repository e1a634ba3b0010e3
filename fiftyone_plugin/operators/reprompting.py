"""What the operators of the re-prompting panel share: JSON in, JSON out, errors as sentences."""

import base64
import io
from collections.abc import Callable
from typing import Any

import fiftyone.core.json as foj
import fiftyone.operators as foo
import numpy as np
from bson import ObjectId
from fiftyone.operators import types
from numpy.typing import NDArray
from PIL import Image as PillowImage

from fiftyone_plugin.errors import ReviewError
from fiftyone_plugin.labels import picture_to_click
from fiftyone_plugin.review import (
    Corrections,
    Key,
    Opened,
    Preparation,
    Start,
    read_interaction,
    read_start,
    shared_reprompter,
)
from sam_plugins import Interaction
from sam_plugins.errors import SamPluginsError
from sam_plugins.types import Size

__all__ = [
    "answered",
    "asked",
    "mask_png",
    "open_sample",
    "opened_json",
    "prepared",
    "read_document",
    "unlisted",
    "written_json",
]

TINT = (255, 170, 0, 120)
"""RGBA of a mask that is not accepted yet."""


def unlisted(name: str, label: str) -> Any:
    """Configuration of an operator that only the panel calls."""
    return foo.OperatorConfig(
        name=name,
        label=label,
        unlisted=True,
        allow_immediate_execution=True,
        allow_delegated_execution=False,
        risk_level=types.RiskLevel.MEDIUM,
    )


def answered(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` gives, or `error` with the sentence that says why not."""
    try:
        return work()
    except SamPluginsError as error:
        return {"error": str(error)}


def open_sample(ctx: Any) -> Any:
    """The sample that the panel names; of a patch, the sample that it was cut from.

    Raises
    ------
    ReviewError
        If there is none.
    """
    sample_id = ctx.params.get("sample_id")
    if ctx.dataset is None or not isinstance(sample_id, str):
        raise ReviewError("Expected a dataset and a sample's id: open a sample first.")
    try:
        return ctx.dataset[sample_id]
    except KeyError:
        pass
    try:
        return ctx.dataset[ctx.view[sample_id]["sample_id"]]
    except (KeyError, AttributeError, ValueError) as error:
        raise ReviewError(
            f"Expected a sample of the dataset {ctx.dataset.name}, found the id {sample_id}: "
            "reload the page."
        ) from error


def prepared(ctx: Any, sample: Any) -> tuple[Key, Opened]:
    """The sample's picture in the process's `Reprompter`, prepared from now on if it was not.

    Raises
    ------
    ReviewError
        If the model is not named, or the sample is no picture.
    """
    model = ctx.params.get("model")
    if not isinstance(model, str) or not model:
        raise ReviewError("Expected the name of a model, found none.")
    if sample.media_type != "image":
        raise ReviewError(
            f"Only pictures can be asked again, and this sample is of type {sample.media_type}."
        )
    key = Key(ctx.dataset.name, str(sample.id), model)
    return key, shared_reprompter().open(key, lambda: picture_to_click(sample))


def asked(ctx: Any, corrections: Corrections, size: Size) -> tuple[Interaction, Start | None]:
    """What the panel says about one object, and the mask that it begins with, if any.

    Raises
    ------
    ReviewError, SampleError
        As `read_start` and `read_interaction`.
    """
    start = read_start(ctx.params, corrections, size)
    mask = None if start is None else start.mask
    return read_interaction(ctx.params, size, mask), start


def opened_json(opened: Opened) -> dict[str, Any]:
    """How far a picture is, for the panel."""
    said: dict[str, Any] = {"state": opened.preparation.value}
    if opened.preparation is Preparation.FAILED:
        said["error"] = opened.reason
    if opened.size is not None:
        said["size"] = list(opened.size)
    return said


def read_document(ctx: Any, sample_id: str) -> dict[str, Any]:
    """A sample as MongoDB holds it now.

    Raises
    ------
    ReviewError
        If it is gone.
    """
    document = ctx.dataset._sample_collection.find_one({"_id": ObjectId(sample_id)})
    if document is None:
        raise ReviewError(f"The sample {sample_id} is not in the dataset any more: open another.")
    return dict(document)


def written_json(ctx: Any, corrections: Corrections) -> dict[str, Any]:
    """What the panel shows after a sample was written to.

    The sample comes as the App itself is given it, so that the modal shows it where it is, zoom
    and all. A patch is not the sample that was written: there the App loads its view again.
    """
    if corrections.sample_id != ctx.params["sample_id"]:
        ctx.ops.reload_dataset()
    document = read_document(ctx, corrections.sample_id)
    return {"sample": foj.stringify(document), "undo": corrections.count}


def mask_png(crop: NDArray[np.bool_]) -> str:
    """A (h, w) mask as the address of a picture that a browser draws as it is: tint and nothing."""
    image = PillowImage.fromarray(crop.astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, *TINT[:3]])
    file = io.BytesIO()
    image.save(file, "PNG", bits=1, transparency=bytes((0, TINT[3])))
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
