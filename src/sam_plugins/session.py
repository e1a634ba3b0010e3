"""Where the parts are put together: `open_segmenter`, and the familiar `SamPredictor`."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sam_plugins.device import Numerics, choose_device, choose_numerics, thread_budget
from sam_plugins.errors import CheckpointError, ImageError, ModelError
from sam_plugins.images import load_image
from sam_plugins.ports import EmbeddingStore, EngineStatus, Segmenter
from sam_plugins.stores import CachedSegmenter, open_store
from sam_plugins.types import Embedding, Masks, Prompt
from sam_plugins.weights import (
    LoadedModel,
    encoder_and_model_hash,
    encoder_hash,
    find_checkpoint,
    load_model,
)

if TYPE_CHECKING:
    from sam_plugins.model.common import PromptableModel
    from sam_plugins.predictor import TorchSegmenter

__all__ = ["BestModel", "SamPredictor", "best_model", "open_segmenter"]

DEFAULT_MODEL = "nano"
MODEL_VARIABLE = "SAM_PLUGINS_MODEL"
THREADS_VARIABLE = "SAM_PLUGINS_THREADS"

ENGINE_HEAD_START = 1.0
"""Seconds that opening waits for an engine: more than compiling usually takes, and less than torch
would need longer for the first image of a large model."""

_ON_ACCELERATOR = ("vit_h", "vit_l", "vit_b", "vit_t")
_ON_CPU = ("vit_b", "vit_t")

_log = logging.getLogger(__name__)

Answer = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]


def open_segmenter(
    model: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    precision: str = "fp32",
    engine: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    on_engine_status: Callable[[EngineStatus], None] | None = None,
    store: EmbeddingStore | str | os.PathLike[str] | None = None,
) -> Segmenter:
    """A model, ready to encode and decode.

    Where the environment variable ``SAM_PLUGINS_THREADS`` is set, torch keeps to so many threads.

    Parameters
    ----------
    model
        A known name ("nano", "vit_t", "vit_b", ...; `sam-plugins models` lists them), "best" (see
        `best_model`), or the path of a checkpoint. None means the environment variable
        ``SAM_PLUGINS_MODEL`` and, where that is not set, "nano", which is bundled.
    device
        "cpu", "cuda", "cuda:1", "mps"; None or "auto" take the best one that is there.
    precision
        "fp32", or "bf16" for a faster and less exact encoder.
    engine
        What computes the image encoder: "openvino"; "torch", the fastest that torch alone can do;
        "plain", the forward pass that judges the others; or "auto", the fastest that is here. With
        equal precision their embeddings differ by rounding only and stand for each other.
        OpenVINO needs a moment to compile; if it needs long, torch answers meanwhile, and
        ``info.engine`` names what answers now.
    cache_dir
        Where weights are looked for; the user's cache folder by default.
    on_engine_status
        Called with each `EngineStatus` while OpenVINO is prepared, from another thread.
    store
        Where embeddings are kept: "default" for the folder on the disk that all hosts share, a path
        for another one, or a store. None keeps none.

    Raises
    ------
    ModelError
        If the precision or the engine is unknown, or `model` is the address of a server.
    MissingExtraError
        If OpenVINO is asked for and not installed.
    DownloadError
        If the weights of a known model are not on this machine.
    CheckpointError
        If a weights file is unknown, damaged, foreign or unsafe.
    DeviceError
        If the device, or the precision on it, is not to be had here.
    """
    name = os.fspath(model or os.environ.get(MODEL_VARIABLE) or DEFAULT_MODEL)
    if name.startswith(("http://", "https://")):
        raise ModelError(
            f"A server cannot be used as a model in this version, found {name!r}: give a model "
            "name or the path of a checkpoint."
        )
    import torch

    from sam_plugins.engines.choice import choose_engine

    if os.environ.get(THREADS_VARIABLE):
        torch.set_num_threads(thread_budget())
    place = choose_device(device)
    numerics = choose_numerics(precision, place)
    choice = choose_engine(engine, place)
    if name == "best":
        best = best_model(place, cache_dir)
        _log.info("Model %s: %s", best.name, best.reason)
        name = best.name
    loaded = load_model(name, device=place, cache_dir=cache_dir)
    for note in loaded.notes:
        _log.info("%s: %s", loaded.path, note)
    _log.info("Engine %s: %s", choice.name, choice.reason)
    if choice.name == "plain":
        opened = _plain(loaded, place, numerics)
    elif place.startswith("cuda"):
        opened = _on_cuda(loaded, place, numerics)
    elif place != "cpu":
        opened = _on_torch(loaded, place, numerics)
    else:
        opened = _with_engine(loaded, choice.name, numerics, on_engine_status)
    return opened if store is None else CachedSegmenter(opened, open_store(store))


def _on_torch(
    loaded: LoadedModel, place: str, numerics: Numerics, **options: Any
) -> "TorchSegmenter":
    from sam_plugins.predictor import TorchSegmenter

    return TorchSegmenter(
        loaded.model, name=loaded.variant, device=place, numerics=numerics, **options
    )


def _plain(loaded: LoadedModel, place: str, numerics: Numerics) -> "TorchSegmenter":
    """What judges the others: nothing but the model's own forward passes."""
    from sam_plugins.model.decoding import PlainDecoding

    return _on_torch(loaded, place, numerics, engine="plain", decoding=PlainDecoding(loaded.model))


def _on_cuda(loaded: LoadedModel, place: str, numerics: Numerics) -> "TorchSegmenter":
    """Compiled passes, many images and prompts at a time."""
    from sam_plugins.engines.accelerator import accelerated

    parts = accelerated(loaded.model, place, numerics)
    return _on_torch(loaded, place, numerics, encoder=parts.encoder, decoding=parts.decoding)


def _with_engine(
    loaded: LoadedModel,
    engine: str,
    numerics: Numerics,
    on_status: Callable[[EngineStatus], None] | None,
) -> "TorchSegmenter":
    """A segmenter on the CPU whose encoder's weights belong to an engine."""
    from sam_plugins.engines.cpu import openvino_encoder, torch_encoder

    hashes = encoder_and_model_hash(loaded.model)
    if engine == "torch":
        encoder = torch_encoder(loaded.model, numerics)
        return _on_torch(loaded, "cpu", numerics, encoder=encoder, engine=engine, hashes=hashes)

    def reload() -> "PromptableModel":
        again = load_model(loaded.path, variant=loaded.variant).model
        if encoder_hash(again) != hashes[0]:
            raise CheckpointError(
                f"Expected the weights that {loaded.path} had when it was opened, found others: "
                "open the model again."
            )
        return again

    handover = openvino_encoder(loaded.model, numerics, reload=reload, on_status=on_status)
    segmenter = _on_torch(
        loaded, "cpu", numerics, encoder=handover, engine=handover.engine, hashes=hashes
    )
    handover.start()
    handover.wait(ENGINE_HEAD_START)
    return segmenter


@dataclass(frozen=True, slots=True)
class BestModel:
    """What "best" means on this machine, and why: a name and a sentence."""

    name: str
    reason: str


def best_model(device: str, cache_dir: str | os.PathLike[str] | None = None) -> BestModel:
    """The most accurate published model that is on this machine and practical on the device.

    On a GPU that is the largest one. On a CPU `vit_l` and `vit_h` take the better part of a minute
    per image and are passed over. Nothing is downloaded: without published weights it is `nano`.
    """
    order = _ON_CPU if device == "cpu" else _ON_ACCELERATOR
    for name in order:
        path = _on_this_machine(name, cache_dir)
        if path is not None:
            return BestModel(name, f"the first of {', '.join(order)} found ({path}), on {device}.")
    return BestModel(
        DEFAULT_MODEL,
        f"bundled; none of {', '.join(order)} is on this machine (`sam-plugins download NAME` "
        "fetches one).",
    )


def _on_this_machine(name: str, cache_dir: str | os.PathLike[str] | None) -> Path | None:
    try:
        return find_checkpoint(name, cache_dir)
    except CheckpointError:
        return None


class SamPredictor:
    """Set an image, then ask about it: the interface people know from the published code.

    It remembers one image and is therefore not to be shared between threads; the segmenter inside
    is.

    Parameters
    ----------
    segmenter
        A segmenter, or what `open_segmenter` takes.
    """

    def __init__(self, segmenter: Segmenter | str | os.PathLike[str] | None = None) -> None:
        if segmenter is None or isinstance(segmenter, str | os.PathLike):
            segmenter = open_segmenter(segmenter)
        self._segmenter = segmenter
        self._embedding: Embedding | None = None

    @property
    def segmenter(self) -> Segmenter:
        """What answers."""
        return self._segmenter

    @property
    def is_image_set(self) -> bool:
        """Whether there is an image to ask about."""
        return self._embedding is not None

    @property
    def embedding(self) -> Embedding:
        """The encoded image.

        Raises
        ------
        ImageError
            If no image is set.
        """
        if self._embedding is None:
            raise ImageError("No image is set: call set_image(image) before asking about it.")
        return self._embedding

    def set_image(self, image: Any) -> None:
        """Encode an image: an array, a path, or whatever `load_image` takes.

        If it cannot be read the former image is forgotten all the same.
        """
        self.reset_image()
        self._embedding = self._segmenter.encode(load_image(image))

    def reset_image(self) -> None:
        """Forget the image."""
        self._embedding = None

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> Answer:
        """Answer one prompt about the image.

        Parameters
        ----------
        point_coords, point_labels
            (N, 2) xy in pixels and (N,), 1 foreground and 0 background.
        box
            (4,) xyxy in pixels.
        mask_input
            (1, h, w) low-resolution logits of an earlier answer.
        multimask_output
            Three answers, best for a single click, or one.
        return_logits
            Give logits in place of masks.

        Returns
        -------
        masks, iou_predictions, low_res_logits
            (C, H, W) bool, or float32 logits; (C,) float32; (C, h, w) float32.

        Raises
        ------
        ImageError
            If no image is set.
        PromptError
            If the prompt is empty, malformed or does not fit the image.
        """
        prompt = Prompt(
            point_coords=point_coords, point_labels=point_labels, box=box, mask_input=mask_input
        )
        answer = self._segmenter.decode(self.embedding, prompt, multimask_output=multimask_output)
        return _unpacked(answer, return_logits)

    def predict_batch(
        self,
        prompts: Sequence[Prompt],
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> list[Answer]:
        """Answer many prompts about the image, in order; see `predict`."""
        answers = self._segmenter.decode_many(
            self.embedding, prompts, multimask_output=multimask_output
        )
        return [_unpacked(answer, return_logits) for answer in answers]


def _unpacked(answer: Masks, return_logits: bool) -> Answer:
    if return_logits:
        pixels: NDArray[Any] = np.stack([answer.logits(i) for i in range(len(answer))])
    else:
        pixels = answer.masks
    return pixels, answer.iou_predictions, answer.low_res_logits
