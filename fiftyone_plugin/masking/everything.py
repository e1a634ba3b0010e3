"""All objects of a picture, where nothing asks."""

from collections.abc import Callable
from dataclasses import replace

from fiftyone_plugin.masking.measuring import measure_mask, why_left_out
from fiftyone_plugin.values import MaskedObject, RunConfig, SampleAnswer
from sam_plugins import default_settings, generate_masks
from sam_plugins.formats import rle_to_crop
from sam_plugins.ports import Segmenter
from sam_plugins.types import Image, MaskRecord

__all__ = ["mask_everything"]


def mask_everything(
    segmenter: Segmenter,
    image: Image,
    config: RunConfig,
    *,
    stop: Callable[[], bool] | None = None,
) -> SampleAnswer:
    """Find every object of a picture.

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
    stop
        Asked after each point; True ends the search, and what was found until then comes back.

    Returns
    -------
    Objects, highest predicted IoU first, with an empty `prompt_id`.

    Raises
    ------
    ImageError
        If `image` is not such an array.
    """
    settings = default_settings(segmenter.info.name)
    settings = replace(settings, points_per_side=config.points_per_side)
    size = (image.shape[0], image.shape[1])
    found: list[MaskedObject] = []
    for event in generate_masks(segmenter, image, settings, stop=stop):
        if isinstance(event, MaskRecord):
            crop, box = rle_to_crop(event.segmentation)
            quality = measure_mask(
                crop,
                box,
                size,
                predicted_iou=event.predicted_iou,
                stability_score=event.stability_score,
            )
            if why_left_out(quality, config) is None:
                found.append(MaskedObject(prompt_id="", crop=crop, box=box, quality=quality))
    return SampleAnswer(objects=tuple(found), unanswered=(), size=size)
