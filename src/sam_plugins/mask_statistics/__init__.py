"""Stability, area, box and run lengths of masks, straight from low-resolution logits.

`measure_masks` runs a kernel that numba compiles at its first use; `measure_plain` says in NumPy
what it must agree with. Importing this loads no numba.
"""

from sam_plugins.mask_statistics.compiled import compiled_kernel, is_prepared
from sam_plugins.mask_statistics.measure import measure_masks
from sam_plugins.mask_statistics.plain import measure_plain
from sam_plugins.mask_statistics.values import MaskStatistics, Window

__all__ = [
    "MaskStatistics",
    "Window",
    "compiled_kernel",
    "is_prepared",
    "measure_masks",
    "measure_plain",
]
