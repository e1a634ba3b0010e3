"""Takes the pictures of docs/napari.md from the running plugin.

    xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/python scripts/napari_pictures.py

A real window, real clicks and keys, the bundled model, the sample pictures. It needs a display, and
a few minutes. With words behind it, it takes only the pictures whose functions hold one of them in
their name. Look at each afterwards: it has to show what the text beside it says.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SIZE = (1300, 850)
COLOURS = 160
MOST_BYTES = 200_000

sys.path.insert(0, str(ROOT / "tests" / "napari"))


def wait(condition: Callable[[], Any], timeout: float = 90.0, what: str = "") -> None:
    """Handle Qt's events until a condition holds."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + timeout
    while not condition():
        QApplication.processEvents()
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s in vain for {what or condition}")
        time.sleep(0.002)


class Studio:
    """One window with the plugin, and a camera.

    Parameters
    ----------
    sample
        Key of a sample picture of the plugin; it is opened, and not yet used.
    """

    def __init__(self, sample: str | None) -> None:
        import napari
        from hands import Hands

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*SIZE)
        self.layer = None
        if sample is not None:
            (self.layer,) = self.viewer.open_sample("sam-plugins", sample)
        self.hands = Hands(self.viewer, wait, Path.cwd(), "unused")
        self.widget = self.hands.widget
        self.hands.settle(0.5)

    def show(self, panel: Any) -> None:
        """Bring a panel to the front."""
        self.widget.tabs.setCurrentWidget(panel)
        self.hands.settle(0.3)

    def turn_to(self, box: tuple[float, float, float, float], fill: float = 0.5) -> None:
        """Bring a part of the picture, xyxy in pixels, to the middle of the canvas."""
        displayed = list(self.viewer.dims.displayed)
        scale = self.layer.scale[displayed[1]]
        x0, y0, x1, y1 = box
        self.viewer.scene.camera.center = (0, (y0 + y1) / 2 * scale, (x0 + x1) / 2 * scale)
        side = max(x1 - x0, y1 - y0) * scale
        self.viewer.scene.camera.zoom = fill * self.hands.canvas.height() / side
        self.hands.settle(0.6)

    def picture(self, name: str) -> None:
        """Take a picture of the window."""
        self.hands.settle(1.0)
        save(self.viewer.screenshot(canvas_only=False, flash=False), name)

    def canvas(self) -> Any:
        """A picture of the canvas alone."""
        self.hands.settle(1.0)
        return self.viewer.screenshot(canvas_only=True, flash=False)

    def close(self) -> None:
        """Close the window."""
        self.hands.close()
        self.viewer.close()
        self.hands.widget = None


def save(pixels: Any, name: str) -> None:
    """Write (H, W, 4) uint8 as a small PNG."""
    from PIL import Image

    picture = Image.fromarray(pixels[..., :3])
    for colours in (COLOURS, 96, 64, 48):
        path = IMAGES / f"napari-{name}.png"
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            break
    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB")


def box_of(mask: Any) -> tuple[int, int, int, int]:
    """The box around a mask, xyxy."""
    from sam_plugins.masks import mask_to_box

    return mask_to_box(mask)


def largest_inside(truth: Any, count: int) -> list[int]:
    """Numbers of the largest objects that do not touch the edge."""
    import numpy as np

    edge = np.unique(np.concatenate((truth[0], truth[-1], truth[:, 0], truth[:, -1])))
    areas = np.bincount(truth.ravel())
    areas[edge] = 0
    return np.argsort(-areas)[:count].tolist()


def middle(mask: Any) -> tuple[float, float]:
    """A pixel well inside a mask, xy."""
    import numpy as np
    from scipy.ndimage import distance_transform_edt

    row, column = np.unravel_index(np.argmax(distance_transform_edt(mask)), mask.shape)
    return float(column), float(row)


def near_middle(truth: Any, count: int) -> list[int]:
    """Numbers of the largest objects in the middle of a picture, which stay in view."""
    import numpy as np

    height, width = truth.shape
    return [
        number
        for number in largest_inside(truth, 200)
        if np.hypot(*np.subtract(middle(truth == number), (width / 2, height / 2))) < width / 5
    ][:count]


def prompting() -> None:
    """The first minute: a click and its mask."""
    from sam_plugins import load_sample

    truth = load_sample("nuclei").truth
    studio = Studio("nuclei")
    studio.hands.use(studio.layer)
    first = largest_inside(truth, 1)[0]
    studio.turn_to(box_of(truth == first), 0.3)
    studio.hands.click(middle(truth == first))
    studio.picture("click")
    studio.close()


def answers() -> None:
    """Three answers of one click."""
    import numpy as np

    from sam_plugins import load_sample

    truth = load_sample("cells").truth
    studio = Studio("cells")
    studio.hands.use(studio.layer)
    number = largest_inside(truth, 3)[0]
    studio.turn_to(box_of(truth == number), 0.5)
    studio.hands.click(middle(truth == number))
    views = []
    for _ in range(3):
        views.append(studio.canvas())
        studio.hands.key("G")
    save(side_by_side(np, views), "answers")
    studio.close()


def side_by_side(np: Any, views: list[Any]) -> Any:
    """The middles of pictures of the canvas, in a row, with a thin gap."""
    height, width = views[0].shape[:2]
    side = min(height, width, 640)
    top, left = (height - side) // 2, (width - side) // 2
    gap = np.full((side, 8, 4), 255, np.uint8)
    row = [part for view in views for part in (view[top : top + side, left : left + side], gap)]
    return np.concatenate(row[:-1], axis=1)


def boxes() -> None:
    """Several boxes, one object each."""
    from sam_plugins import load_sample

    truth = load_sample("nuclei").truth
    studio = Studio("nuclei")
    studio.hands.use(studio.layer)
    height, width = truth.shape
    studio.turn_to((width * 0.25, height * 0.25, width * 0.75, height * 0.75), 0.8)
    studio.hands.key("Shift+B")
    for number in near_middle(truth, 4):
        x0, y0, x1, y1 = box_of(truth == number)
        studio.hands.drag((x0 - 3, y0 - 3), (x1 + 2, y1 + 2))
    studio.picture("boxes")
    studio.close()


def refine() -> None:
    """An object that another program made, opened and corrected."""
    import numpy as np
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import label

    from sam_plugins import load_sample

    sample = load_sample("nuclei")
    studio = Studio("nuclei")
    grey = gaussian(np.asarray(studio.layer.data).astype(float), 4)
    found = label(grey > 0.6 * threshold_otsu(grey)).astype(np.int32)
    place = {"scale": studio.layer.scale, "units": studio.layer.units}
    other = studio.viewer.add_labels(found, name="threshold", **place)
    # A component that is two nuclei.
    parts = [np.unique(sample.truth[found == n]) for n in range(1, found.max() + 1)]
    sizes = [((found == n).sum(), n) for n, seen in enumerate(parts, 1) if (seen > 0).sum() == 2]
    _, number = max(sizes)
    inside = np.where(found == number, sample.truth, 0)
    counts = np.bincount(inside.ravel())
    counts[0] = 0
    keep, drop = (int(n) for n in np.argsort(-counts)[:2])
    studio.widget.images.check_only(studio.layer)
    from napari_plugin.ui.rows import choose

    choose(studio.widget.images.target, other)
    studio.hands.use(studio.layer)
    studio.turn_to(box_of(found == number), 0.4)
    studio.hands.click(middle(inside == keep), shift=True)
    before = studio.canvas()
    studio.hands.click(middle(inside == keep))
    studio.hands.click(middle(inside == drop), ctrl=True)
    during = studio.canvas()
    studio.hands.key("K")
    save(side_by_side(np, [before, during, studio.canvas()]), "refine")
    studio.close()


def everything() -> None:
    """Everything-mode: under way, and what it found."""
    studio = Studio("nuclei")
    studio.hands.use(studio.layer)
    panel = studio.widget.everything
    studio.show(panel)
    bar = panel.progress
    studio.hands.press(panel.go)
    wait(lambda: bar.isVisible() and bar.value() > 0.4 * bar.maximum() > 0, what="progress")
    save(studio.viewer.screenshot(canvas_only=False, flash=False), "everything-running")
    wait(lambda: not studio.widget.jobs.running, what="the end of the search")
    studio.picture("everything")
    studio.close()


def z_stack() -> None:
    """An object followed through z."""
    import numpy as np

    from sam_plugins import load_volume_sample

    truth = load_volume_sample("z_stack").truth
    areas = np.bincount(truth.ravel())
    areas[0] = 0
    number = int(np.argmax(areas))
    there = np.flatnonzero((truth == number).any((1, 2)))
    frame = int(there[len(there) // 2])
    studio = Studio("z_stack")
    studio.viewer.dims.set_current_step(0, frame)
    studio.hands.use(studio.layer)
    studio.hands.click(middle(truth[frame] == number))
    studio.show(studio.widget.volume)
    studio.hands.press(studio.widget.volume.go)
    wait(lambda: not studio.widget.jobs.running, what="the end of the run")
    studio.picture("z")
    views = []
    for z in (there[1], frame, there[-2]):
        studio.viewer.dims.set_current_step(0, int(z))
        views.append(studio.canvas())
    save(side_by_side(np, views), "z-slices")
    studio.close()


def export() -> None:
    """The panel for files."""
    studio = Studio("nuclei")
    studio.hands.use(studio.layer)
    from sam_plugins import load_sample

    truth = load_sample("nuclei").truth
    for number in near_middle(truth, 3):
        studio.hands.click(middle(truth == number))
        studio.hands.key("K")
    panel = studio.widget.export
    studio.show(panel)
    for kind in ("measurements", "geojson"):
        panel.kinds[kind].setChecked(True)
    panel.folder.setText("export")
    studio.hands.press(panel.go)
    wait(lambda: panel.go.isEnabled(), what="the files")
    studio.picture("export")
    studio.close()


def series() -> None:
    """A folder of images, one after the other."""
    import numpy as np
    from PIL import Image

    from sam_plugins import load_sample

    folder = Path("experiment")
    folder.mkdir(exist_ok=True)
    grey = load_sample("nuclei").image[..., 0]
    truth = load_sample("nuclei").truth
    for number in range(6):
        turned = np.rot90(grey, number % 4)
        flipped = turned[::-1] if number > 3 else turned
        Image.fromarray(np.ascontiguousarray(flipped)).save(folder / f"well_{number + 1:02d}.png")
    studio = Studio(None)
    studio.show(studio.widget.folder)
    studio.widget._open_series(folder)
    ready = studio.widget.service
    wait(lambda: ready.state.phase == "ready", what="the model")
    studio.hands.image = studio.layer = studio.hands.session.target.layers[0]
    studio.hands.click(middle(truth == largest_inside(truth, 1)[0]))
    studio.hands.key("K")
    studio.widget._step_series(1, "done")
    studio.widget._step_series(1, "skipped")
    studio.show(studio.widget.folder)
    studio.picture("series")
    studio.close()


def restore() -> None:
    """The offer to take up a session that was not saved."""
    from sam_plugins import load_sample

    truth = load_sample("nuclei").truth
    studio = Studio("nuclei")
    studio.hands.use(studio.layer)
    for number in largest_inside(truth, 5):
        studio.hands.click(middle(truth == number))
        studio.hands.key("K")
    # A crash: nothing is closed, the lock goes with the process.
    target = studio.hands.session.target
    wait(lambda: target.watch.sweep() == 0)
    target.journal._lock.release()
    target.journal.close = lambda **_: None
    studio.close()
    again = Studio("nuclei")
    again.hands.use(again.layer)
    again.picture("restore")
    again.hands.press(again.widget.recovery.take)
    again.close()


PICTURES = (
    prompting,
    answers,
    boxes,
    refine,
    everything,
    z_stack,
    export,
    series,
    restore,
)


def main() -> int:
    """Take all pictures, or those whose function's name holds an argument."""
    words = sys.argv[1:] or [""]
    wanted = [take for take in PICTURES if any(word in take.__name__ for word in words)]
    with tempfile.TemporaryDirectory() as home:
        # Nothing of who takes the pictures is seen in them.
        for name, where in (
            ("HOME", ""),
            ("SAM_PLUGINS_CACHE", "cache"),
            ("NAPARI_CONFIG", "napari.yaml"),
        ):
            os.environ[name] = str(Path(home) / where)
        os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
        os.chdir(home)
        for take in wanted:
            os.environ["SAM_PLUGINS_JOURNALS"] = str(Path(home) / "journals" / take.__name__)
            take()
        os.chdir(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
