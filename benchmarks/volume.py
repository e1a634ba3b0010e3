"""How well `nano` follows objects through drawn sequences whose truth is known.

    python benchmarks/volume.py
    python benchmarks/volume.py --seeds 1

Each object is given on the middle one of its frames: by a click in its middle, with one beside it
on each neighbour that it touches, or by its box. Everything else is found.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import machine, table
from numpy.typing import NDArray
from scipy import ndimage

from sam_plugins import Prompt, follow_objects, open_segmenter, open_source
from sam_plugins.formats import rle_to_mask
from sam_plugins.masks import mask_iou, mask_to_box
from sam_plugins.ports import Followed
from sam_plugins.samples import VOLUME_SAMPLES, VolumeSample, load_volume_sample
from sam_plugins.samples.volumes import SEQUENCES, sequence

Ask = Callable[[NDArray[Any], int], Prompt]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="sequences of each kind")
    options = parser.parse_args()
    segmenter = open_segmenter("nano")
    samples = [
        (kind, [sequence(kind, seed) for seed in range(options.seeds)]) for kind in SEQUENCES
    ]
    samples += [(name, [load_volume_sample(name)]) for name in VOLUME_SAMPLES]
    rows = []
    for kind, of_kind in samples:
        for title, ask in (("clicks", by_clicks), ("box", by_box)):
            found = [judged(segmenter, sample, ask) for sample in of_kind]
            ious = [iou for result in found for iou in result["ious"]]
            seconds = sum(result["seconds"] for result in found)
            rows.append(
                [
                    kind,
                    title,
                    f"{np.mean(ious):.3f}",
                    str(sum(result["swaps"] for result in found)),
                    str(max(max(result["ends"]) for result in found)),
                    f"{1000 * seconds / len(ious):.0f}",
                ]
            )
    columns = ["sequence", "key", "mean IoU", "swapped", "slices off at an end", "ms a mask"]
    table("Objects followed by `nano`; aims: mean IoU 0.70, none swapped, 1 slice", columns, rows)
    print(machine(1))


def by_box(labels: NDArray[Any], number: int) -> Prompt:
    """The box of an object on one frame."""
    return Prompt(box=mask_to_box(labels == number))


def by_clicks(labels: NDArray[Any], number: int) -> Prompt:
    """A click inside, and one on each neighbour that touches it."""
    own = labels == number
    near = np.unique(labels[ndimage.binary_dilation(own, iterations=3) & ~own])
    beside = [_inner(labels == other) for other in near if other]
    return Prompt(point_coords=[_inner(own), *beside], point_labels=[1, *(0 for _ in beside)])


def _inner(mask: NDArray[np.bool_]) -> tuple[int, int]:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(x), int(y)


def judged(segmenter: Any, sample: VolumeSample, ask: Ask) -> dict[str, Any]:
    """Follow every object of a sample from its middle frame."""
    truth, count = sample.truth, int(sample.truth.max())
    there = [np.flatnonzero((truth == number).any((1, 2))) for number in range(1, count + 1)]
    keys: dict[int, dict[int, Prompt]] = {}
    for number, frames in enumerate(there, 1):
        frame = int(frames[len(frames) // 2])
        keys.setdefault(frame, {})[number] = ask(truth[frame], number)
    masks = {}
    begun = time.perf_counter()
    for event in follow_objects(segmenter, open_source(sample.image, axes="TYX"), keys):
        if isinstance(event, Followed):
            masks[event.frame, event.object_id] = rle_to_mask(event.record.segmentation)
    seconds = time.perf_counter() - begun
    ious, swaps, ends = [], 0, []
    nothing = np.zeros(truth.shape[1:], bool)
    for number, frames in enumerate(there, 1):
        found = sorted(frame for frame, identity in masks if identity == number)
        for frame in sorted({*frames.tolist(), *found}):
            mask = masks.get((frame, number), nothing)
            ious.append(mask_iou(mask, truth[frame] == number))
            counts = np.bincount(truth[frame][mask], minlength=count + 1)[1:]
            swaps += int(bool(counts.any()) and int(counts.argmax()) + 1 != number)
        ends += [abs(found[0] - int(frames[0])), abs(found[-1] - int(frames[-1]))]
    return {"ious": ious, "swaps": swaps, "ends": ends, "seconds": seconds}


if __name__ == "__main__":
    main()
