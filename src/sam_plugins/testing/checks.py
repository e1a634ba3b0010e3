"""The comparisons that the contracts are made of; they raise AssertionError."""

from collections.abc import Callable

import numpy as np

from sam_plugins.types import Embedding, Masks

__all__ = [
    "check",
    "check_refuses",
    "check_same_embedding",
    "check_same_features",
    "check_same_masks",
]


def check(condition: object, what: str) -> None:
    """Fail with `what` unless the condition holds."""
    if not condition:
        raise AssertionError(what)


def check_refuses(error: type[Exception], call: Callable[[], object], what: str) -> None:
    """Fail unless the call raises this error, with more than a word in it."""
    try:
        call()
    except error as raised:
        check(len(str(raised)) > 20, f"the error about {what} says too little: {raised}")
        return
    raise AssertionError(f"{what} should raise {error.__name__}")


def check_same_masks(first: Masks, second: Masks, tolerance: float = 0.0) -> None:
    """Fail unless all fields are equal, numbers within the tolerance."""
    for name in ("low_res_logits", "iou_predictions"):
        np.testing.assert_allclose(
            getattr(first, name), getattr(second, name), rtol=0, atol=tolerance
        )
    for name in ("region", "original_size", "input_size", "padded_size", "mask_threshold"):
        check(getattr(first, name) == getattr(second, name), f"{name} differs")


def check_same_features(first: Embedding, second: Embedding, tolerance: float = 0.0) -> None:
    """Fail unless the feature maps are equal within the tolerance."""
    check(first.features.keys() == second.features.keys(), "other feature maps")
    for name, values in first.features.items():
        np.testing.assert_allclose(values, second.features[name], rtol=0, atol=tolerance)


def check_same_embedding(found: Embedding | None, expected: Embedding) -> None:
    """Fail unless there is one and all its fields are equal."""
    if found is None:
        raise AssertionError("the store lost an embedding it has room for")
    check_same_features(found, expected)
    for name in ("region", "original_size", "input_size", "padded_size", "encoder_id", "key"):
        check(getattr(found, name) == getattr(expected, name), f"{name} differs")
