"""Segment anything, where you already work.

>>> from sam_plugins import Prompt, load_image, open_segmenter  # doctest: +SKIP
>>> segmenter = open_segmenter()
>>> embedding = segmenter.encode(load_image("cells.tif"))
>>> masks = segmenter.decode(embedding, Prompt(point_coords=[(120, 80)], point_labels=[1]))
>>> masks.best()  # (H, W) bool

Importing the package loads nothing else; each name is fetched when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam_plugins.api import SAM
    from sam_plugins.automatic import (
        AutomaticSettings,
        MeasuredMask,
        Progress,
        default_settings,
        generate_masks,
        measure_answers,
    )
    from sam_plugins.errors import SamPluginsError
    from sam_plugins.images import Limits, load_image
    from sam_plugins.interaction import Interaction, Refined, Refiner, mask_prompt
    from sam_plugins.samples import load_sample, load_volume_sample
    from sam_plugins.session import SamPredictor, open_segmenter
    from sam_plugins.sources import open_source
    from sam_plugins.stores import CachedSegmenter, open_store
    from sam_plugins.tiling import TiledImage, generate_tiled_masks
    from sam_plugins.types import Embedding, MaskRecord, Masks, Prompt
    from sam_plugins.volume import follow_objects
    from sam_plugins.weights import KnownModel, download_weights, known_models
    from sam_plugins.worker import WorkerSegmenter, WorkerStatus, open_worker

    __version__: str

__all__ = [
    "SAM",
    "AutomaticSettings",
    "CachedSegmenter",
    "Embedding",
    "Interaction",
    "KnownModel",
    "Limits",
    "MaskRecord",
    "Masks",
    "MeasuredMask",
    "Progress",
    "Prompt",
    "Refined",
    "Refiner",
    "SamPluginsError",
    "SamPredictor",
    "TiledImage",
    "WorkerSegmenter",
    "WorkerStatus",
    "__version__",
    "default_settings",
    "download_weights",
    "follow_objects",
    "generate_masks",
    "generate_tiled_masks",
    "known_models",
    "load_image",
    "load_sample",
    "load_volume_sample",
    "mask_prompt",
    "measure_answers",
    "open_segmenter",
    "open_source",
    "open_store",
    "open_worker",
]

_HOMES = {
    "AutomaticSettings": "automatic",
    "CachedSegmenter": "stores",
    "Embedding": "types",
    "Interaction": "interaction",
    "KnownModel": "weights",
    "Limits": "images",
    "MaskRecord": "types",
    "Masks": "types",
    "MeasuredMask": "automatic",
    "Progress": "automatic",
    "Prompt": "types",
    "Refined": "interaction",
    "Refiner": "interaction",
    "SAM": "api",
    "SamPluginsError": "errors",
    "SamPredictor": "session",
    "TiledImage": "tiling",
    "WorkerSegmenter": "worker",
    "WorkerStatus": "worker",
    "default_settings": "automatic",
    "download_weights": "weights",
    "follow_objects": "volume",
    "generate_masks": "automatic",
    "generate_tiled_masks": "tiling",
    "known_models": "weights",
    "load_image": "images",
    "load_sample": "samples",
    "load_volume_sample": "samples",
    "mask_prompt": "interaction",
    "measure_answers": "automatic",
    "open_segmenter": "session",
    "open_source": "sources",
    "open_store": "stores",
    "open_worker": "worker",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = version("sam-plugins")
    elif name in _HOMES:
        value = getattr(import_module(f"sam_plugins.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
