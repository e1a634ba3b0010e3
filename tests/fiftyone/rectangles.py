"""Rectangles with known IoUs, as rows for the fixture `known` and as the core's values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam_plugins.evaluation import ScoredMask

SIZE = (96, 128)
Row = dict[str, Any]


def rectangle(x0: int, y0: int, x1: int, y1: int, **known: Any) -> Row:
    """One object: `dent` rows of its top are missing; the rest are attributes."""
    return {"box": (x0, y0, x1, y1), "label": "cell", **known}


def crop_of(row: Row) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = row["box"]
    crop = np.ones((y1 - y0, x1 - x0), bool)
    crop[: row.get("dent", 0)] = False
    return crop


def detection(row: Row) -> Any:
    import fiftyone as fo

    x0, y0, x1, y1 = row["box"]
    box = [x0 / SIZE[1], y0 / SIZE[0], (x1 - x0) / SIZE[1], (y1 - y0) / SIZE[0]]
    more = {name: value for name, value in row.items() if name not in ("box", "dent")}
    return fo.Detection(bounding_box=box, mask=crop_of(row), **more)


def scored(rows: list[Row]) -> list[ScoredMask]:
    return [
        ScoredMask(
            crop=crop_of(d),
            box=d["box"],
            label=d["label"],
            score=d.get("confidence", 0.0),
            is_crowd=bool(d.get("iscrowd")),
        )
        for d in rows
    ]


def random_rows(count: int = 12, seed: int = 0) -> tuple[list[list[Row]], list[list[Row]]]:
    """Truths, and predictions that are shifted, renamed, missing or too many."""
    rng = np.random.default_rng(seed)
    truths: list[list[Row]] = []
    predictions: list[list[Row]] = []
    for _ in range(count):
        known: list[Row] = []
        found: list[Row] = []
        for index in range(4):
            x, y = 2 + 30 * index, int(rng.integers(2, 40))
            w, h = (int(n) for n in rng.integers(12, 26, 2))
            label = "ab"[int(rng.integers(2))]
            known.append(rectangle(x, y, x + w, y + h, label=label))
            if rng.random() < 0.85:
                dx, dy = (int(n) for n in rng.integers(0, 4, 2))
                moved = (x + dx, y + dy, x + w + dx, y + h + dy)
                other = label if rng.random() < 0.9 else "b"
                confidence = round(float(rng.random()), 3)
                found.append(rectangle(*moved, label=other, confidence=confidence))
            if rng.random() < 0.2:
                found.append(rectangle(x, 72, x + 10, 90, label=label, confidence=0.3))
        truths.append(known)
        predictions.append(found)
    return truths, predictions
