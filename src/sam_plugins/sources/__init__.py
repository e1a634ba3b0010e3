"""Pictures too large to hold, read by window: arrays, dask, zarr, memory maps, TIFF pages.

`open_source` takes any of them and gives an `sam_plugins.ports.ImageSource`: windows as (h, w, 3)
uint8 RGB. What numbers become black and white is decided once for the whole source, so that
neighbouring windows agree where they meet.
"""

from sam_plugins.sources.opening import SOURCE_LIMITS, open_source
from sam_plugins.sources.rgb import RgbSource

__all__ = ["SOURCE_LIMITS", "RgbSource", "open_source"]
