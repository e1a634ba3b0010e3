"""From a weights file to a model: names, shapes and sizes first, numbers last."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam_plugins.errors import CheckpointError
from sam_plugins.specs import SPECS, ModelSpec, build_model, spec_named
from sam_plugins.weights.declared import shown
from sam_plugins.weights.locate import find_checkpoint
from sam_plugins.weights.naming import Named, published_names, unwrapped
from sam_plugins.weights.reader import WeightsFile, open_weights
from sam_plugins.weights.registry import checkpoint_named

if TYPE_CHECKING:
    import torch

    from sam_plugins.model.common import PromptableModel

__all__ = ["LoadedModel", "load_model"]

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
SIZED_BY_IMAGE = ("pos_embed", "rel_pos_h", "rel_pos_w")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with its weights.

    Parameters
    ----------
    model
        In evaluation mode, float32.
    variant
        Name of its `ModelSpec`.
    path
        The file.
    unused
        Parts of the file that the model does not need, such as "decoder_state".
    notes
        What the user may want to know, one sentence each.
    """

    model: "PromptableModel"
    variant: str
    path: Path
    unused: tuple[str, ...]
    notes: tuple[str, ...]


def load_model(
    name_or_path: str | os.PathLike[str],
    *,
    variant: str | None = None,
    device: str = "cpu",
    cache_dir: str | os.PathLike[str] | None = None,
    specs: Mapping[str, ModelSpec] = SPECS,
) -> LoadedModel:
    """Load a checkpoint by model name, file name in the cache folder, or path.

    Nothing in the file is executed. Names, shapes and number types are compared with the variant
    before any tensor is read, so that memory stays within what the model needs.

    Parameters
    ----------
    variant
        Which model the file is expected to hold; found from names and shapes by default.
    device
        Where the model goes.
    cache_dir
        As in `cache_folder`.
    specs
        The variants to choose from.

    Raises
    ------
    DownloadError
        If a known model's weights are not on this machine.
    CheckpointError
        If the file is damaged, unsafe, or holds another model.
    ModelError
        If `variant` is unknown.
    """
    path = find_checkpoint(name_or_path, cache_dir)
    known = checkpoint_named(os.fspath(name_or_path))
    asked = variant or (known.variant if known else None)
    if asked is not None and asked not in specs:
        spec_named(asked)
    with open_weights(path) as file:
        named = published_names(*unwrapped(file.tree))
        spec, model = _fitting(named.tensors, specs, asked, path)
        state = _state(file, named, model.state_dict())
    model.load_state_dict(state, assign=True)
    notes = (*named.notes, *_note_unused(named.unused))
    return LoadedModel(model.to(device), spec.name, path, named.unused, notes)


def _note_unused(unused: tuple[str, ...]) -> tuple[str, ...]:
    return (f"Not used from the file: {', '.join(unused[:6])}.",) if unused else ()


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How the tensors of a file differ from those of a variant."""

    spec: ModelSpec
    model: "PromptableModel"
    matching: int
    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]

    @property
    def perfect(self) -> bool:
        return not (self.missing or self.unexpected or self.reshaped)

    @property
    def shared(self) -> int:
        return self.matching + len(self.reshaped)

    @property
    def likeness(self) -> tuple[int, int]:
        return self.shared - len(self.missing) - len(self.unexpected), self.matching


def _compare(tensors: Mapping[str, Any], spec: ModelSpec) -> _Comparison:
    model = build_model(spec, device="meta")
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shared = [name for name in wanted if name in tensors]
    reshaped = [name for name in shared if tuple(tensors[name].shape) != wanted[name]]
    return _Comparison(
        spec,
        model,
        matching=len(shared) - len(reshaped),
        missing=[name for name in wanted if name not in tensors],
        unexpected=[name for name in tensors if name not in wanted],
        reshaped=reshaped,
    )


def _fitting(
    tensors: Mapping[str, Any], specs: Mapping[str, ModelSpec], asked: str | None, path: Path
) -> tuple[ModelSpec, "PromptableModel"]:
    """The variant whose every name and shape is in the file, built without memory."""
    seen = []
    order = sorted(specs.values(), key=lambda spec: spec.name != asked)
    for spec in order:
        comparison = _compare(tensors, spec)
        if comparison.perfect:
            if asked is not None and spec.name != asked:
                raise CheckpointError(
                    f"Expected the weights of {asked!r}, found those of {spec.name!r} in {path}: "
                    f"ask for {spec.name!r}, or give the file of {asked!r}."
                )
            return spec, comparison.model
        seen.append(comparison)
    closest = seen[0] if asked is not None else max(seen, key=lambda one: one.likeness)
    raise CheckpointError(_difference(tensors, closest, path))


def _difference(tensors: Mapping[str, Any], found: _Comparison, path: Path) -> str:
    """What keeps the file from being that variant, in one sentence or two."""
    name, total = found.spec.name, len(tensors)
    if 2 * found.shared < total:
        return (
            f"Expected a Segment Anything checkpoint, found {total} tensors of another model in "
            f"{path} ({_few(tensors)}): choose a file of {name} or one of its relatives."
        )
    wanted = found.model.state_dict()
    if found.reshaped and all(key.endswith(SIZED_BY_IMAGE) for key in found.reshaped):
        key = found.reshaped[0]
        return (
            f"Expected {name} for images of {found.spec.image_size} pixels, found weights for "
            f"another image size in {path} ({shown(key)} is {tuple(tensors[key].shape)} and not "
            f"{tuple(wanted[key].shape)}): use the weights as published, before resizing."
        )
    parts = []
    if found.missing:
        parts.append(f"{len(found.missing)} missing ({_few(found.missing)})")
    if found.unexpected:
        parts.append(f"{len(found.unexpected)} unexpected ({_few(found.unexpected)})")
    if found.reshaped:
        key = found.reshaped[0]
        parts.append(
            f"{len(found.reshaped)} of another shape ({shown(key)} is {tuple(tensors[key].shape)} "
            f"and not {tuple(wanted[key].shape)})"
        )
    return (
        f"Expected the {len(wanted)} tensors of {name}, found {' and '.join(parts)} in {path}: "
        "get the complete file of this model, or name the variant it belongs to."
    )


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(shown(name) for name in listed[:3]) + (", ..." if len(listed) > 3 else "")


def _state(
    file: WeightsFile, named: Named, wanted: Mapping[str, "torch.Tensor"]
) -> dict[str, "torch.Tensor"]:
    """Every tensor of the model, checked, read, and in the model's number type."""
    for name, target in wanted.items():
        declared = named.tensors[name]
        allowed = FLOATS if target.is_floating_point() else INTEGERS
        if declared.dtype not in allowed:
            raise CheckpointError(
                f"Expected {shown(name)} as {allowed[0]} or a relative, found {declared.dtype}: "
                "save the weights as float32 or float16."
            )
        file.check(name, declared)
    state = {}
    for name, target in wanted.items():
        tensor = file.read(named.tensors[name]).to(target.dtype)
        if tensor.is_floating_point() and tensor.numel():
            low, high = tensor.aminmax()
            if not (low.isfinite() and high.isfinite()):
                raise CheckpointError(
                    f"Expected finite numbers, found NaN or infinity in {shown(name)}: the "
                    "training diverged or the file is damaged; use another checkpoint."
                )
        state[name] = tensor
    return state
