"""Find, download, verify and load checkpoints. Importing it loads neither torch nor a network."""

from sam_plugins.weights.catalogue import KnownModel, download_weights, known_models
from sam_plugins.weights.download import download
from sam_plugins.weights.hashing import encoder_and_model_hash, encoder_hash, model_hash
from sam_plugins.weights.loading import LoadedModel, load_model
from sam_plugins.weights.locate import cache_folder, find_checkpoint
from sam_plugins.weights.registry import CHECKPOINTS, Checkpoint, checkpoint_named

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "KnownModel",
    "LoadedModel",
    "cache_folder",
    "checkpoint_named",
    "download",
    "download_weights",
    "encoder_and_model_hash",
    "encoder_hash",
    "find_checkpoint",
    "known_models",
    "load_model",
    "model_hash",
]
