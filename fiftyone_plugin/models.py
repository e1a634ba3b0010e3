"""Segmenters, opened once per process and shared by operators, panels and the zoo model."""

import threading
from collections import OrderedDict

from sam_plugins import open_segmenter
from sam_plugins.ports import Segmenter

__all__ = ["segmenter_for"]

_KEPT = 2
_opened: OrderedDict[tuple[str, str], Segmenter] = OrderedDict()
_lock = threading.Lock()


def segmenter_for(model: str, precision: str = "fp32") -> Segmenter:
    """The model of that name or path, with the store of embeddings that all hosts share.

    The two that were asked for last stay open. Safe to call from several threads.

    Raises
    ------
    sam_plugins.errors.SamPluginsError
        As `sam_plugins.open_segmenter`.
    """
    key = (model, precision)
    with _lock:
        if key not in _opened:
            _opened[key] = open_segmenter(model, precision=precision, store="default")
            while len(_opened) > _KEPT:
                _opened.popitem(last=False)
        _opened.move_to_end(key)
        return _opened[key]
