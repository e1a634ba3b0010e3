"""Where embeddings are kept on this machine."""

import os
from pathlib import Path

import platformdirs

__all__ = ["embeddings_folder"]


def embeddings_folder() -> Path:
    """The folder that all hosts of a user share; not created here.

    ``embeddings`` in the folder that the environment variable ``SAM_PLUGINS_CACHE`` names, else in
    the user's cache folder of this system.
    """
    asked = os.environ.get("SAM_PLUGINS_CACHE")
    cache = Path(asked).expanduser() if asked else Path(platformdirs.user_cache_dir("sam-plugins"))
    return cache / "embeddings"
