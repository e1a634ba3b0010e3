"""The image encoder of any of our models on OpenVINO."""

import logging
from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from sam_plugins.device import Numerics, thread_budget
from sam_plugins.engines.openvino_nano import NANO_OUTPUTS, nano_graph
from sam_plugins.engines.openvino_tiny_vit import tiny_vit_graph
from sam_plugins.engines.openvino_vit import vit_graph
from sam_plugins.model.common import PromptableModel
from sam_plugins.model.image_encoder import ImageEncoderViT
from sam_plugins.model.nano import NanoEncoder
from sam_plugins.model.tiny_vit import TinyViT

__all__ = ["OpenVinoEncoder"]

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}

_log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]


class OpenVinoEncoder:
    """An `ImageEncoder` that computes what ``model.encode_image`` does, on the CPU.

    Nothing is traced and nothing is kept on disk: the graph is built from the weights in a fraction
    of a second, and compiled in about as much. Reading a compiled graph back from a file of the
    weights' size would save less than half a second.

    Parameters
    ----------
    model
        Its encoder's weights are shared with the graph, which keeps their memory; of the model
        itself nothing is needed afterwards.
    numerics
        Told to OpenVINO in every case, since it would silently choose bfloat16 where the processor
        has it.
    progress
        Called with what is being done and the fraction done.

    Raises
    ------
    ImportError
        If OpenVINO is not installed.
    RuntimeError
        If OpenVINO cannot compile the graph.
    """

    def __init__(
        self,
        model: PromptableModel,
        numerics: Numerics = "fp32",
        *,
        progress: Progress = lambda _message, _fraction: None,
    ) -> None:
        core = import_module("openvino").Core()
        progress("building the graph", 0.0)
        with torch.inference_mode():
            graph, self._names = _graph_of(model)
        progress("compiling the graph", 0.2)
        self.compiled: Any = core.compile_model(graph, "CPU", settings(numerics))
        self._request = self.compiled.create_infer_request()
        self._lock = Lock()

    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        """(B, 3, S, S) float32 to name -> (B, c, h, w) float32, an image at a time."""
        images = [self._encode(image[None]) for image in pixels.float().contiguous()]
        if len(images) == 1:
            return images[0]
        return {name: torch.cat([image[name] for image in images]) for name in self._names}

    def _encode(self, pixels: Tensor) -> dict[str, Tensor]:
        with self._lock:
            results = self._request.infer([pixels.numpy()])
            maps = [torch.from_numpy(results[i].copy()) for i in range(len(self._names))]
        return dict(zip(self._names, maps, strict=True))


def settings(numerics: Numerics) -> dict[str, Any]:
    """What OpenVINO is told: precision, threads, and to use them all for one image."""
    return {
        "INFERENCE_PRECISION_HINT": _PRECISIONS[numerics],
        "INFERENCE_NUM_THREADS": thread_budget(),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # Pinned, the threads of two processes would share one core and leave another idle.
        "ENABLE_CPU_PINNING": False,
    }


def _graph_of(model: PromptableModel) -> tuple[Any, tuple[str, ...]]:
    """The graph of a model's encoder, and the names of its outputs."""
    encoder = model.image_encoder
    if isinstance(encoder, ImageEncoderViT):
        return vit_graph(encoder), ("image_embedding",)
    if isinstance(encoder, TinyViT):
        return tiny_vit_graph(encoder), ("image_embedding",)
    if isinstance(encoder, NanoEncoder):
        return nano_graph(encoder, model.image_size), NANO_OUTPUTS
    raise RuntimeError(f"No OpenVINO graph is known for {type(encoder).__name__}.")
