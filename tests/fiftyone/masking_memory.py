"""A process of its own: the most memory that 500 boxes on 12 megapixels add to the model.

``python masking_memory.py KIND`` prints MB as JSON; KIND is "boxes", as labels have them, or
"random", of any size.
"""

import json
import sys
from pathlib import Path

import numpy as np

from fiftyone_plugin.masking import mask_objects
from fiftyone_plugin.values import AskedObject, Mode, RunConfig
from sam_plugins import open_segmenter
from sam_plugins.types import Prompt

HEIGHT, WIDTH, COUNT = 3000, 4000, 500


def resident(name: str) -> float:
    """MB of this process: VmRSS now, VmHWM the most since the mark was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) / 1024


def boxes(kind: str) -> list[tuple[float, float, float, float]]:
    """(COUNT) xyxy."""
    random = np.random.default_rng(0)
    if kind == "boxes":
        sides = random.uniform(100, 500, (COUNT, 2))
        low = random.uniform(0, 1, (COUNT, 2)) * ((WIDTH, HEIGHT) - sides)
        return [tuple(row) for row in np.concatenate((low, low + sides), 1).tolist()]
    corners = random.uniform(0, 1, (COUNT, 2, 2)) * (WIDTH, HEIGHT)
    low, high = corners.min(1), corners.max(1) + 5
    return [tuple(row) for row in np.concatenate((low, high), 1).tolist()]


def asked(found: list[tuple[float, float, float, float]]) -> list[AskedObject]:
    """As labels ask."""
    return [
        AskedObject(prompt_id=str(i), prompt=Prompt(box=box), given_box=box)
        for i, box in enumerate(found)
    ]


def main() -> None:
    """Measure."""
    segmenter = open_segmenter("nano", engine="torch", store=None)
    config = RunConfig(mode=Mode.PROMPTS, label_field="masks")
    small = np.zeros((96, 128, 3), np.uint8)
    mask_objects(segmenter, small, asked([(10.0, 10.0, 60.0, 60.0)] * 64), config)
    rows = np.arange(HEIGHT, dtype=np.uint8)[:, None, None]
    picture = np.repeat(np.repeat(rows, WIDTH, 1), 3, 2)
    what = asked(boxes(sys.argv[1]))
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    answer = mask_objects(segmenter, picture, what, config)
    measured = {
        "above": resident("VmHWM") - before,
        "objects": len(answer.objects),
        "pixels": sum(one.quality.area for one in answer.objects),
    }
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    main()
