"""Image layers of files, read by whatever reader napari has for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sam_plugins.errors import ImageError

__all__ = ["image_layers"]


def image_layers(paths: Sequence[Path]) -> list[Any]:
    """Image layers as napari makes them of files, with whatever reader is installed.

    Raises
    ------
    ImageError
        If a file cannot be read, or holds no image.
    """
    import npe2
    from napari.layers import Image, Layer

    npe2.PluginManager.instance().discover()
    layers = []
    for path in paths:
        try:
            found = npe2.read([str(path)], stack=False)
            for data, *more in found:
                options: Any = more[0] if more else {}
                kind: Any = more[1] if len(more) > 1 else "image"
                layer = Layer.create(data, {"name": path.stem, **options}, kind)
                layers += [layer] if isinstance(layer, Image) else []
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ImageError(
                f"napari cannot read '{path}' ({reason.rstrip('.')}): check the file, or install "
                "the plugin that it was opened with."
            ) from error
    if not layers:
        raise ImageError(
            f"{', '.join(map(str, paths))} holds no image: give the file of the image."
        )
    return layers
