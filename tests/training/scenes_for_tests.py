"""A small labelled pool and a small nano that training tests share."""

import cv2
import numpy as np
import torch

from sam_plugins.model.nano import Nano
from sam_plugins.training.pool import IGNORE, Picture, Pool
from sam_plugins.training.recipe import Recipe, Stage

SMALL = Recipe(
    stages=(Stage(0.0, 64, 2, (0.4, 0.3, 0.3)),),
    sets={"cells": 1.0},
    learning_rate=2e-3,
    warm_up=2,
    objects=2,
    anchors=8,
    bf16=False,
)


def small_nano(seed: int = 0) -> Nano:
    """A nano of some thousand parameters."""
    torch.manual_seed(seed)
    return Nano(
        image_size=64,
        widths=(8, 8, 12, 12),
        depths=(1, 1, 1),
        width=24,
        affinity=8,
        groups=2,
        heads=2,
    )


def small_pool() -> Pool:
    """Two pictures of bright discs on noise, with a corner of unknown pixels."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(2):
        image = rng.integers(0, 60, (96, 128, 3)).astype(np.uint8)
        labels = np.zeros((96, 128), np.int32)
        for label in range(1, 7):
            centre = (int(rng.integers(10, 118)), int(rng.integers(10, 86)))
            disc = cv2.circle(np.zeros((96, 128), np.uint8), centre, 9, 1, -1)
            image[disc > 0] = rng.integers(120, 250, 3)
            labels[disc > 0] = label
        labels[:8, :8] = IGNORE
        pictures.append(Picture(image, (labels,)))
    return Pool({"cells": pictures})
