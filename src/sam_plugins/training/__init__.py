"""Promptable training: simulated clicks, losses, fine-tuning, the bundled model's recipe.

`train` fine-tunes any model on a user's folder; ``python -m sam_plugins.training.nano`` makes the
bundled weights.
"""

from typing import Any

from sam_plugins.errors import MissingExtraError

__all__ = ["train", "train_steps"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "Training needs OpenCV, which is not installed: pip install 'sam-plugins[train]'."
        ) from error
    from sam_plugins.training import finetune

    return getattr(finetune, name)
