"""All objects of a picture, or of each patch of it, where nothing asks for them one by one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from fiftyone_plugin.geometry import whole_box
from fiftyone_plugin.masking.measuring import measure_mask, why_left_out
from fiftyone_plugin.values import (
    AskedObject,
    MaskedObject,
    RunConfig,
    SampleAnswer,
    UnansweredObject,
)
from sam_plugins import default_settings, generate_masks
from sam_plugins.errors import ImageError
from sam_plugins.formats import rle_to_crop
from sam_plugins.ports import Segmenter
from sam_plugins.types import Box, Image, MaskRecord

__all__ = ["mask_everything"]

Stop = Callable[[], bool]

_OF_ONE_OBJECT = ("index", "instance")
"""What a patch's label says of one object, and not of those in it."""


def mask_everything(
    segmenter: Segmenter,
    image: Image,
    config: RunConfig,
    patches: Sequence[AskedObject] | None = None,
    *,
    stop: Stop | None = None,
) -> SampleAnswer:
    """Find every object of a picture, or of its patches.

    Searched as `sam_plugins.generate_masks` does with what suits the model, from a grid of the
    configuration's `points_per_side`. Masks below a threshold of the configuration are left out:
    nothing asked for them, so that no reason is kept.

    Parameters
    ----------
    segmenter
        Any model.
    image
        (H, W, 3) uint8 RGB.
    config
        Its grid and thresholds are used.
    patches
        Boxes, each searched as a picture of its own: small objects are seen larger. Where patches
        overlap, an object may be found in each. None searches the picture as a whole.
    stop
        Asked after each point; True ends the search, and what was found until then comes back.

    Returns
    -------
    Objects, highest predicted IoU first within the picture or patch. `prompt_id` is that of the
    patch, whose label they carry, or empty. A patch that cannot be searched is an
    `UnansweredObject`.

    Raises
    ------
    ImageError
        If `image` is not such an array.
    """
    size = (image.shape[0], image.shape[1])
    if patches is None:
        whole = (0, 0, size[1], size[0])
        found = tuple(_searched(segmenter, image, whole, config, None, stop))
        return SampleAnswer(objects=found, unanswered=(), size=size)
    objects: list[MaskedObject] = []
    unanswered: list[UnansweredObject] = []
    for patch in patches:
        box = None if patch.given_box is None else whole_box(patch.given_box, size)
        try:
            if box is not None:
                objects += _searched(segmenter, image, box, config, patch, stop)
        except ImageError as error:
            unanswered.append(UnansweredObject(prompt_id=patch.prompt_id, reason=str(error)))
    return SampleAnswer(objects=tuple(objects), unanswered=tuple(unanswered), size=size)


def _searched(
    segmenter: Segmenter,
    image: Image,
    place: Box,
    config: RunConfig,
    patch: AskedObject | None,
    stop: Stop | None,
) -> Iterator[MaskedObject]:
    """The objects of one part of a picture, in pixels of the whole picture."""
    settings = default_settings(segmenter.info.name)
    settings = replace(settings, points_per_side=config.points_per_side)
    x, y, right, bottom = place
    part = image[y:bottom, x:right]
    asked = None
    if patch is not None:
        carried = {k: v for k, v in patch.carried.items() if k not in _OF_ONE_OBJECT}
        asked = replace(patch, carried=carried)
    for event in generate_masks(segmenter, part, settings, stop=stop):
        if not isinstance(event, MaskRecord):
            continue
        crop, (x0, y0, x1, y1) = rle_to_crop(event.segmentation)
        box = (x + x0, y + y0, x + x1, y + y1)
        quality = measure_mask(
            crop,
            box,
            (image.shape[0], image.shape[1]),
            predicted_iou=event.predicted_iou,
            stability_score=event.stability_score,
        )
        if why_left_out(quality, config) is None:
            yield MaskedObject(
                prompt_id="" if patch is None else patch.prompt_id,
                crop=crop,
                box=box,
                quality=quality,
                asked=asked,
            )
