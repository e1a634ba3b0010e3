"""What a replay needs without a window: the files of an image, and a model's answers."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from napari_plugin.export.provenance import Provenance
from napari_plugin.export.replay import Answer
from napari_plugin.values import Plane, PlaneMask, PromptSet
from sam_plugins import Refiner, TiledImage
from sam_plugins.errors import ImageError
from sam_plugins.ports import ImageSource, Segmenter

__all__ = ["PlaneSources", "answers_of", "found_paths", "opened_image"]

_PLANES = 4


class PlaneSources(Protocol):
    """An image whose planes can be shown to a model."""

    def source(self, plane: Plane) -> ImageSource:
        """One frame: the plane as RGB."""
        ...


def found_paths(document: Provenance, folder: Path) -> list[Path]:
    """The files of the image: where the document says, or beside the document.

    Raises
    ------
    ImageError
        If it names none, or one is not there.
    """
    if not document.image.paths:
        raise ImageError(
            f"The image {document.image.name!r} was not opened from a file: save it, and give the "
            "file with --image."
        )
    paths = []
    for text in document.image.paths:
        # The path may come from a computer of another kind.
        name = text.replace("\\", "/").rsplit("/", 1)[-1]
        places = [Path(text), folder / text, folder / name]
        found = next((place for place in places if place.exists()), None)
        if found is None:
            raise ImageError(
                f"The image '{text}' is not there any more: put '{name}' beside the document, or "
                "give the file with --image."
            )
        paths.append(found)
    return paths


def opened_image(
    document: Provenance, layers: Sequence[Any], *, any_image: bool = False
) -> PlaneSources:
    """The image of a document, seen as it was when the masks were made.

    Parameters
    ----------
    document
        Says which layers and channels, and what is black and white in them.
    layers
        Image layers of its files.
    any_image
        Go on if the pixels are not those of the document.

    Raises
    ------
    SamPluginsError
        If the layers are not those of the document, or their pixels differ.
    """
    from napari_plugin.layers import ImageChoice, LayerImage, fingerprint

    choice = ImageChoice.from_json(document.image.choice)
    image = LayerImage(_chosen(layers, choice.layers), choice)
    if tuple(image.shape) != document.labels_shape:
        raise ImageError(
            f"The objects lie on an image of {document.labels_shape}, found "
            f"{tuple(image.shape)}: give the image '{document.image.name}' with --image."
        )
    if fingerprint(image) != document.image.fingerprint and not any_image:
        raise ImageError(
            f"The pixels are not those that '{document.image.name}' had when the masks were made: "
            "give that image with --image, or go on with this one by --any-image."
        )
    return image


def _chosen(layers: Sequence[Any], names: Sequence[str]) -> Sequence[Any]:
    """The layers of a document by name, or in their order where they were renamed."""
    by_name = {layer.name: layer for layer in layers}
    if names and all(name in by_name for name in names):
        return [by_name[name] for name in names]
    return layers[: len(names)] if names else layers


def answers_of(
    segmenter: Segmenter,
    source: Callable[[Plane], ImageSource],
    tiles: Mapping[str, int],
) -> Answer:
    """Ask a model as the plugin does.

    Parameters
    ----------
    segmenter
        The model.
    source
        ``plane -> ImageSource`` of one frame.
    tiles
        "tile" and "threshold" of `TiledImage`.
    """
    refiners: OrderedDict[Plane, Refiner] = OrderedDict()
    tile, threshold = tiles.get("tile"), tiles.get("threshold")

    def answer(plane: Plane, said: PromptSet) -> PlaneMask:
        refiner = refiners.pop(plane, None)
        if refiner is None:
            shown = TiledImage(segmenter, source(plane), tile=tile, threshold=threshold)
            refiner = Refiner(shown)
        refiners[plane] = refiner
        if len(refiners) > _PLANES:
            refiners.popitem(last=False)
        found = refiner.answer(said.interaction())
        return PlaneMask(plane, found.box, found.crop)

    return answer
