"""Stands in for torchvision while `segment_anything` is imported, and not a moment longer.

That package uses four functions of torchvision; the CPU builds of torchvision do not fit every
torch, so the tests bring their own. `transformers` probes for torchvision too and must be imported
first.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_ROOT = "torchvision"


def to_pil_image(array: np.ndarray) -> Image.Image:
    """(H, W, 3) uint8 to a picture."""
    return Image.fromarray(array)


def resize(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """To (H, W), bilinear with antialias, as torchvision does for pictures."""
    return picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def box_area(boxes: Tensor) -> Tensor:
    """(N, 4) xyxy to (N,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Kept indices by falling score; only boxes with the same `idxs` suppress each other."""
    area = box_area(boxes)
    left = torch.argsort(scores, descending=True, stable=True)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[left, :2])
        high = torch.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        iou = shared / (area[best] + area[left] - shared)
        left = left[(iou <= iou_threshold) | (idxs[left] != idxs[best])]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64, device=boxes.device)


@contextmanager
def installed() -> Iterator[None]:
    """Put the stand-in into `sys.modules`; on leaving, everything is as before."""
    before = {name: module for name, module in sys.modules.items() if _is_torchvision(name)}
    functional = _module(f"{_ROOT}.transforms.functional", resize, to_pil_image)
    boxes = _module(f"{_ROOT}.ops.boxes", batched_nms, box_area)
    transforms = _module(f"{_ROOT}.transforms")
    transforms.functional = functional
    ops = _module(f"{_ROOT}.ops")
    ops.boxes = boxes
    for module in (_module(_ROOT), transforms, functional, ops, boxes):
        sys.modules[module.__name__] = module
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_torchvision(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_torchvision(name: str) -> bool:
    return name == _ROOT or name.startswith(f"{_ROOT}.")


def _module(name: str, *functions: object) -> ModuleType:
    module = ModuleType(name)
    for function in functions:
        setattr(module, function.__name__, function)
    return module
