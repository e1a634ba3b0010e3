"""Embeddings whose content follows from their key, so that a wrong one shows."""

import hashlib

import numpy as np

from sam_plugins.types import Embedding

ENCODER = "encoder-of-the-tests"


def embedding_of(key, side=8):
    """(4, side, side) normal numbers that depend on `key` alone."""
    seed = int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:8], "little")
    random = np.random.default_rng(seed)
    return Embedding(
        features={"image": random.standard_normal((4, side, side), np.float32)},
        region=(0, 0, 40, 30),
        original_size=(30, 40),
        input_size=(48, 64),
        padded_size=(64, 64),
        encoder_id=ENCODER,
        key=str(key),
    )


def same(found, expected):
    return (
        found.key == expected.key
        and found.encoder_id == expected.encoder_id
        and found.features.keys() == expected.features.keys()
        and all(
            values.tobytes() == expected.features[name].tobytes()
            for name, values in found.features.items()
        )
    )
