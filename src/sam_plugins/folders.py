"""Where this library keeps what it can make or fetch again."""

import os
from pathlib import Path

import platformdirs

__all__ = ["CACHE_VARIABLE", "cache_root"]

CACHE_VARIABLE = "SAM_PLUGINS_CACHE"


def cache_root() -> Path:
    """The folder that ``SAM_PLUGINS_CACHE`` names, else the user's cache folder of this system.

    It is not created here.
    """
    asked = os.environ.get(CACHE_VARIABLE)
    return Path(asked).expanduser() if asked else Path(platformdirs.user_cache_dir("sam-plugins"))
