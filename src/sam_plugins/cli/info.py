"""`sam-plugins info`: what to write into a report of a problem."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

from sam_plugins.cli.common import Common, common_of, print_json, results
from sam_plugins.errors import SamPluginsError

__all__ = ["info"]

_PACKAGES = ("sam-plugins", "torch", "numpy", "pillow", "tifffile", "scikit-image", "openvino")


def info(ctx: typer.Context) -> None:
    """Show versions, device, threads, model and folders."""
    common = common_of(ctx)
    document = _document(common)
    if common.as_json:
        print_json(document)
        return
    for name, value in document.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {text}" for key, text in value.items())
        line = f"{name.replace('_', ' '):14}{value}"
        results().print(line, markup=False, soft_wrap=True)


def _document(common: Common) -> dict[str, Any]:
    import torch

    from sam_plugins.device import bf16_sentence, choose_device, choose_numerics, thread_budget
    from sam_plugins.engines.choice import choose_engine
    from sam_plugins.session import best_model
    from sam_plugins.weights import cache_folder, find_checkpoint

    place = choose_device(common.device)
    engine = choose_engine(common.engine, place)
    name = common.model or os.environ.get("SAM_PLUGINS_MODEL") or "nano"
    if name == "best":
        name = best_model(place).name
    try:
        weights = str(find_checkpoint(name))
    except SamPluginsError as error:
        weights = str(error)
    return {
        "versions": {package: _version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": place,
        "device_name": torch.cuda.get_device_name(place) if place.startswith("cuda") else place,
        "threads": thread_budget(),
        "engine": engine.name,
        "engine_reason": engine.reason,
        "precision": choose_numerics(common.precision, place),
        "bf16": bf16_sentence(place),
        "model": name,
        "weights": weights,
        "cache_folder": str(cache_folder()),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
