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
    from sam_plugins.automatic import generate_masks
    from sam_plugins.errors import SamPluginsError
    from sam_plugins.images import Limits, load_image
    from sam_plugins.session import SamPredictor, open_segmenter
    from sam_plugins.types import Embedding, MaskRecord, Masks, Prompt

    __version__: str

__all__ = [
    "SAM",
    "Embedding",
    "Limits",
    "MaskRecord",
    "Masks",
    "Prompt",
    "SamPluginsError",
    "SamPredictor",
    "__version__",
    "generate_masks",
    "load_image",
    "open_segmenter",
]

_HOMES = {
    "SAM": "api",
    "Embedding": "types",
    "Limits": "images",
    "MaskRecord": "types",
    "Masks": "types",
    "Prompt": "types",
    "SamPluginsError": "errors",
    "SamPredictor": "session",
    "generate_masks": "automatic",
    "load_image": "images",
    "open_segmenter": "session",
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
