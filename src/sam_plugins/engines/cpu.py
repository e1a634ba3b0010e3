"""What encodes images on a CPU: torch at its fastest, or OpenVINO with torch at hand."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sam_plugins.device import Numerics
from sam_plugins.engines.handover import Handover
from sam_plugins.engines.openvino_encoder import OpenVinoEncoder
from sam_plugins.engines.torch_vit import TorchViT
from sam_plugins.errors import ModelError
from sam_plugins.model.common import PromptableModel
from sam_plugins.model.image_encoder import ImageEncoderViT
from sam_plugins.ports import EngineStatus, ImageEncoder

__all__ = ["openvino_encoder", "torch_encoder"]


def torch_encoder(model: PromptableModel, numerics: Numerics) -> ImageEncoder:
    """The fastest way that torch alone has; the model cannot encode by itself afterwards."""
    encoder = model.image_encoder
    if not isinstance(encoder, ImageEncoderViT):
        return model.encode_image
    fast = TorchViT(encoder, numerics)
    _release(model)
    return fast


def openvino_encoder(
    model: PromptableModel,
    numerics: Numerics,
    *,
    reload: Callable[[], PromptableModel],
    on_status: Callable[[EngineStatus], None] | None = None,
) -> Handover:
    """OpenVINO, with torch answering until it is compiled and should it fail.

    Once OpenVINO answers, the model cannot encode by itself any more, and torch holds no weights
    of the encoder.

    Parameters
    ----------
    model
        On the CPU.
    numerics
        Of both engines.
    reload
        Gives the same model again. Called only if OpenVINO fails after it has taken over.
    on_status
        As `Handover` takes it.
    """

    def instead() -> ImageEncoder:
        return torch_encoder(reload() if _is_released(model) else model, numerics)

    return Handover(
        meanwhile=_sharing(model, numerics),
        meanwhile_name="torch",
        make=lambda report: OpenVinoEncoder(model, numerics, progress=report),
        name="openvino",
        instead=instead,
        ready=lambda: _release(model),
        on_status=on_status,
    )


def _sharing(model: PromptableModel, numerics: Numerics) -> ImageEncoder:
    """An encoder on torch that needs no memory of its own and leaves the model as it is."""
    encoder = model.image_encoder
    if isinstance(encoder, ImageEncoderViT):
        return TorchViT(encoder, numerics, pack=False)
    return model.encode_image


def _release(model: PromptableModel) -> None:
    model.image_encoder = _Released()


def _is_released(model: PromptableModel) -> bool:
    return isinstance(model.image_encoder, _Released)


class _Released(nn.Module):
    """Stands where an encoder was whose weights an engine has taken over."""

    def forward(self, _pixels: Tensor) -> Any:
        """Refuse.

        Raises
        ------
        ModelError
            Always.
        """
        raise ModelError(
            "Expected a model that can encode by itself, found one whose encoder was handed to an "
            "engine: encode with the segmenter, or open it with engine='plain'."
        )
