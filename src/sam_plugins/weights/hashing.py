"""The identity of weights: equal numbers give equal hashes, whatever file they came from."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from sam_plugins.device import thread_budget

if TYPE_CHECKING:
    import torch

    from sam_plugins.model.common import PromptableModel

__all__ = ["encoder_and_model_hash", "encoder_hash", "model_hash"]


def encoder_hash(model: "PromptableModel") -> str:
    """Hash of everything that decides the features of an image.

    Parameters
    ----------
    model
        On any device.

    Returns
    -------
    64 hexadecimal digits: SHA-256 over the side and normalisation of the input and, in the order of
    their names, each encoder tensor's name, number type, shape and the SHA-256 of its bytes.
    """
    return _combined(model, _parts(model, model.encoder_prefixes))


def model_hash(model: "PromptableModel") -> str:
    """As `encoder_hash`, over every tensor of the model."""
    return _combined(model, _parts(model, ("",)))


def encoder_and_model_hash(model: "PromptableModel") -> tuple[str, str]:
    """`encoder_hash` and `model_hash` in one pass over the numbers."""
    parts = _parts(model, ("",))
    encoder = [part for part in parts if part[0].startswith(model.encoder_prefixes)]
    return _combined(model, encoder), _combined(model, parts)


Part: TypeAlias = tuple[str, str, tuple[int, ...], str]


def _parts(model: "PromptableModel", prefixes: tuple[str, ...]) -> list[Part]:
    state = model.state_dict()
    chosen = {name: state[name] for name in sorted(state) if name.startswith(prefixes)}
    with ThreadPoolExecutor(thread_budget()) as pool:
        digests = list(pool.map(_bytes_hash, chosen.values()))
    return [
        (name, str(tensor.dtype), tuple(tensor.shape), digest)
        for (name, tensor), digest in zip(chosen.items(), digests, strict=True)
    ]


def _combined(model: "PromptableModel", parts: list[Part]) -> str:
    head = (model.image_size, tuple(model.pixel_mean), tuple(model.pixel_std))
    return hashlib.sha256(json.dumps([head, parts]).encode()).hexdigest()


def _bytes_hash(tensor: "torch.Tensor") -> str:
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().data).hexdigest()
