"""A window that works until it is killed; `test_window` runs it as a process of its own.

    python killed_window.py LABELS.npy

It keeps an object, paints, opens the object again and clicks beside it, writes what the labels
are, says "kept" and waits.
"""

import sys
import time
from pathlib import Path

import napari
import numpy as np
from hands import Hands
from qtpy.QtWidgets import QApplication

from sam_plugins import load_sample


def wait(condition, timeout=90.0, what=""):
    deadline = time.monotonic() + timeout
    while not condition():
        QApplication.processEvents()
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what or condition}")
        time.sleep(0.002)


def main(path):
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1300, 850)
    (layer,) = viewer.open_sample("sam-plugins", "nuclei")
    hands = Hands(viewer, wait, Path.cwd(), "killed")
    hands.use(layer)
    xy = load_sample("nuclei").points[0][:2]
    hands.click(xy)
    hands.key("K")
    target = hands.session.target
    target.labels.brush_size = 8
    target.labels.paint((20, 30), 7)
    hands.click(xy, shift=True)
    hands.click((xy[0] + 40, xy[1]), ctrl=True)
    wait(lambda: target.watch.sweep() == 0, what="the sweep")
    np.save(path, hands.labels())
    sys.stdout.write("kept\n")
    sys.stdout.flush()
    wait(lambda: False, timeout=300)


if __name__ == "__main__":
    main(sys.argv[1])
