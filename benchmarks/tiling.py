"""A picture larger than memory likes, segmented whole: time, peak memory and what was found.

    python benchmarks/tiling.py                      # 20,000 x 20,000 with nano
    python benchmarks/tiling.py --size 3000 3000     # a quick look

The picture is drawn window by window when it is read: discs and ellipses in uneven light, one in
each cell of a grid, so that the truth is known everywhere and nothing is held. A fresh process
segments it into a zarr label image and reports its own peak memory; then the labels are compared
with the truth, block by block. Objects across borders of tiles are counted apart: a seam would
show there as two labels in one object.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import machine, table
from numpy.typing import NDArray

BLOCK = 1000
LIMIT_GB = 4.0


class Scene:
    """A picture and its truth, computed where they are looked at.

    Parameters
    ----------
    height, width
        Pixels.
    pitch
        Side of the grid's cells; each holds one object.
    """

    def __init__(self, height: int, width: int, pitch: int) -> None:
        self.shape = (1, height, width)
        self._pitch = pitch

    def read(self, index: int, region: tuple[int, int, int, int] | None = None) -> Any:
        """The picture, (h, w, 3) uint8."""
        x0, y0, x1, y1 = region or (0, 0, self.shape[2], self.shape[1])
        truth, shade = self._drawn(x0, y0, x1, y1)
        y, x = np.arange(y0, y1)[:, None], np.arange(x0, x1)[None]
        light = 38 + 22 * np.sin(x / 900) * np.cos(y / 1100)
        grey = light + _noise(x, y) * 7 + np.where(truth > 0, shade, 0)
        rgb = np.stack((grey * 0.7, grey, grey * 0.85), axis=-1)
        return rgb.clip(0, 255).astype(np.uint8)

    def truth(self, region: tuple[int, int, int, int]) -> NDArray[np.int64]:
        """(h, w) int64: 0, or one number for each object."""
        return self._drawn(*region)[0]

    def centre(self, number: int) -> tuple[float, float, float]:
        """Middle, xy, and radius of the circle around an object."""
        row, column = divmod(number - 1, self._across)
        cx, cy, rx, ry, _, _ = self._object(row, column)
        return cx, cy, max(rx, ry)

    @property
    def _across(self) -> int:
        return -(-self.shape[2] // self._pitch)

    def _object(self, row: int, column: int) -> tuple[float, ...]:
        pitch = self._pitch
        random = np.random.default_rng((row, column))
        rx, ry = random.uniform(0.2, 0.4, 2) * pitch
        room = max(rx, ry)
        cx = column * pitch + random.uniform(room, pitch - room)
        cy = row * pitch + random.uniform(room, pitch - room)
        return cx, cy, rx, ry, random.uniform(0, np.pi), random.uniform(70, 140)

    def _drawn(
        self, x0: int, y0: int, x1: int, y1: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        truth = np.zeros((y1 - y0, x1 - x0), np.int64)
        shades = np.zeros(truth.shape)
        pitch = self._pitch
        for row in range(y0 // pitch, -(-y1 // pitch)):
            for column in range(x0 // pitch, -(-x1 // pitch)):
                cx, cy, rx, ry, angle, shade = self._object(row, column)
                left, right = max(column * pitch, x0), min((column + 1) * pitch, x1)
                top, bottom = max(row * pitch, y0), min((row + 1) * pitch, y1)
                y, x = np.arange(top, bottom)[:, None] - cy, np.arange(left, right)[None] - cx
                along = x * np.cos(angle) + y * np.sin(angle)
                across = y * np.cos(angle) - x * np.sin(angle)
                inside = (along / rx) ** 2 + (across / ry) ** 2 <= 1
                part = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
                truth[part][inside] = row * self._across + column + 1
                shades[part][inside] = shade
        return truth, shades


def _noise(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """White noise of about one standard deviation that depends on the place alone."""
    with np.errstate(over="ignore"):
        mixed = x.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = mixed ^ (y.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F))
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = mixed ^ (mixed >> np.uint64(32))
    return ((mixed & np.uint64(0xFFFF)).astype(np.float64) / 0xFFFF - 0.5) * 3.46


def main() -> int:
    """Run the work in a fresh process, then compare and print."""
    options = _options()
    if options.worker:
        return _work(options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, *sys.argv[1:], "--worker", str(folder)]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        whole = time.perf_counter() - started
        result = json.loads((folder / "result.json").read_text("utf-8"))
        scene = Scene(*options.size, options.pitch)
        result |= {"process_seconds": whole} | _compared(scene, folder / "labels.zarr", result)
    print(machine(options.threads))
    rows = [
        (name.replace("_", " "), f"{value:,.3f}" if isinstance(value, float) else f"{value}")
        for name, value in result.items()
    ]
    table("A large picture, segmented whole", ("", "value"), rows)
    print(
        f"\npeak memory {result['peak_gb']:.2f} GB: "
        f"{'under' if result['peak_gb'] < LIMIT_GB else 'NOT under'} {LIMIT_GB:g} GB"
    )
    if options.out:
        Path(options.out).write_text(json.dumps(result, indent=2), "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, nargs=2, default=(20_000, 20_000), metavar=("H", "W"))
    parser.add_argument("--pitch", type=int, default=160, help="pixels per object and side")
    parser.add_argument("--source", choices=("drawn", "dask", "zarr"), default="dask")
    parser.add_argument("--model", default="nano", help="name or checkpoint")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tile", type=int, help="side of a tile; automatic by default")
    parser.add_argument("--halo", type=int)
    parser.add_argument("--points-per-side", type=int, help="of a tile")
    parser.add_argument("--folder", help="for picture and labels; temporary by default")
    parser.add_argument("--out", help="write the figures as JSON")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def _work(options: argparse.Namespace) -> int:
    """Segment; what `main` runs in a fresh process."""
    os.environ["SAM_PLUGINS_THREADS"] = str(options.threads)
    from dataclasses import replace

    from sam_plugins import open_segmenter
    from sam_plugins.automatic import default_settings
    from sam_plugins.tiling import LabelImage, TiledImage, write_labels

    folder = Path(options.worker)
    source = _source(options, folder)
    started, processor = time.perf_counter(), time.process_time()
    segmenter = open_segmenter(options.model, device=options.device)
    settings = default_settings(segmenter.info.name)
    if options.points_per_side:
        settings = replace(settings, points_per_side=options.points_per_side)
    tiled = TiledImage(segmenter, source, tile=options.tile, halo=options.halo, threshold=0)
    shown, objects = -1, 0
    # What a stopped run left behind would make this one look quick.
    shutil.rmtree(folder / "labels.zarr.parts", ignore_errors=True)
    for event in write_labels(tiled, folder / "labels.zarr", settings, overwrite=True):
        if isinstance(event, LabelImage):
            objects = event.objects
        elif event.done * 50 // event.total > shown:
            shown = event.done * 50 // event.total
            seconds = time.perf_counter() - started
            sys.stderr.write(f"\r{seconds:8.0f} s  {2 * shown:3d} %  {event.message}   ")
            sys.stderr.flush()
    sys.stderr.write("\n")
    # On Linux in units of 1024 bytes, on macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    result = {
        "picture": f"{options.size[0]} x {options.size[1]} ({options.source})",
        "model": f"{segmenter.info.name}, {segmenter.info.numerics} on {segmenter.info.device}",
        "threads": options.threads,
        "tiles": len(tiled.grid),
        "tile": tiled.grid.tile,
        "halo": tiled.grid.halo,
        "points_per_side": settings.points_per_side,
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - processor,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9,
        "objects_found": objects,
    }
    (folder / "result.json").write_text(json.dumps(result), "utf-8")
    return 0


def _source(options: argparse.Namespace, folder: Path) -> Any:
    """The picture as it is asked for: drawn when read, by dask, or written to zarr first."""
    from sam_plugins.sources import open_source

    scene = Scene(*options.size, options.pitch)
    if options.source == "drawn":
        return scene
    _, height, width = scene.shape
    if options.source == "zarr":
        import zarr

        path = folder / "picture.zarr"
        array = zarr.create_array(
            str(path), shape=(height, width, 3), chunks=(512, 512, 3), dtype="u1", overwrite=True
        )
        step = 512 * 4
        for y in range(0, height, step):
            for x in range(0, width, step):
                region = (x, y, min(x + step, width), min(y + step, height))
                array[y : region[3], x : region[2]] = scene.read(0, region)
        return open_source(path)
    import dask.array as da

    def block(block_info: Any = None) -> Any:
        (y0, y1), (x0, x1), _ = block_info[None]["array-location"]
        return scene.read(0, (x0, y0, x1, y1))

    sides = [tuple(min(BLOCK, n - at) for at in range(0, n, BLOCK)) for n in (height, width)]
    return open_source(da.map_blocks(block, chunks=(*sides, (3,)), dtype=np.uint8), axes="YXC")


def _compared(scene: Scene, path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """IoU of each object with the label that covers most of it."""
    import zarr

    from sam_plugins.tiling import TileGrid

    labels: Any = zarr.open(str(path), mode="r")
    _, height, width = scene.shape
    pairs: dict[tuple[int, int], int] = {}
    for y in range(0, height, 1024):
        for x in range(0, width, 1024):
            region = (x, y, min(x + 1024, width), min(y + 1024, height))
            truth = scene.truth(region).ravel()
            found = np.asarray(labels[y : region[3], x : region[2]]).ravel().astype(np.int64)
            names, counts = np.unique(truth << 32 | found, return_counts=True)
            for name, count in zip(names.tolist(), counts.tolist(), strict=True):
                key = (name >> 32, name & 0xFFFFFFFF)
                pairs[key] = pairs.get(key, 0) + count
    truths: dict[int, int] = {}
    founds: dict[int, int] = {}
    for (truth_name, found_name), count in pairs.items():
        truths[truth_name] = truths.get(truth_name, 0) + count
        founds[found_name] = founds.get(found_name, 0) + count
    best: dict[int, float] = dict.fromkeys((name for name in truths if name), 0.0)
    shares: dict[int, int] = {}
    for (truth_name, found_name), count in pairs.items():
        if truth_name and found_name:
            iou = count / (truths[truth_name] + founds[found_name] - count)
            best[truth_name] = max(best[truth_name], iou)
            if count >= 0.2 * truths[truth_name]:
                shares[truth_name] = shares.get(truth_name, 0) + 1
    grid = TileGrid((height, width), result["tile"], result["halo"])
    across = {name for name in best if _is_across(scene, grid, name)}
    figures: dict[str, Any] = {"objects_drawn": len(best)}
    for kind, names in (("inside", best.keys() - across), ("across_borders", across)):
        ious = np.array([best[name] for name in names] or [0.0])
        figures |= {
            f"{kind}_objects": len(names),
            f"{kind}_mean_iou": float(ious.mean()),
            f"{kind}_iou_above_0.75": float((ious > 0.75).mean()),
            f"{kind}_with_two_labels": sum(shares.get(name, 0) > 1 for name in names),
        }
    return figures


def _is_across(scene: Scene, grid: Any, name: int) -> bool:
    """Whether an object lies in the cores of several tiles."""
    x, y, radius = scene.centre(name)
    corners = ((x - radius, y - radius), (x + radius, y + radius))
    return len({grid.at(*corner) for corner in corners}) > 1


if __name__ == "__main__":
    sys.exit(main())
