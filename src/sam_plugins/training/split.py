"""Which pictures train and which validate, fixed once in a committed file.

Pictures that show the same thing must fall on the same side. Two pictures are tied when their
set's manifest puts them in the same cluster, or when their difference hashes are within
`NEAR_DUPLICATE_BITS`; a set named in `WHOLE_SETS` shows one scene and is never divided. Tied
groups are dealt to validation in a seeded order until the set's share is reached.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from sam_plugins.errors import DatasetError

__all__ = ["GROUPS", "Split", "committed_split", "make_split", "read_split"]

NEAR_DUPLICATE_BITS = 10
"""Of 256: re-encoded copies differ by less, unrelated photographs by about 100."""

VALIDATION_SHARE = {
    "dsb2018": 0.2,
    "coco_ccby": 0.25,
    "dali_pixabay": 0.25,
    "publaynet_examples": 0.25,
}
"""Share of each set's pictures; a set that is absent here only trains."""

WHOLE_SETS = ("fruits_nuts", "maize_clsm", "embl_neubias")
"""Sets made from one scene or by one algorithm: too alike inside to validate each other."""

GROUPS = {
    "nuclei": ("dsb2018",),
    "photographs": ("coco_ccby", "dali_pixabay", "fruits_nuts"),
    "documents": ("publaynet_examples",),
}
"""Sets pooled in the accuracy table."""


@dataclass(frozen=True, slots=True)
class Split:
    """File stems per set: {set: {"train": [...], "val": [...]}}."""

    seed: int
    sets: Mapping[str, Mapping[str, Sequence[str]]]

    def stems(self, name: str, subset: str) -> Sequence[str]:
        """Stems of one set, `subset` "train" or "val"; empty if the set is not in the split."""
        return self.sets.get(name, {}).get(subset, ())

    def to_json(self) -> str:
        """The committed form."""
        groups = {name: list(members) for name, members in GROUPS.items()}
        content = {"version": 1, "seed": self.seed, "groups": groups, "sets": self.sets}
        return json.dumps(content, indent=1) + "\n"


def read_split(path: Path) -> Split:
    """Read a split file.

    Raises
    ------
    DatasetError
        If the file is missing or is not a version 1 split.
    """
    try:
        content = json.loads(path.read_text())
        return Split(int(content["seed"]), content["sets"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path} is not a readable split file ({error}): make one with "
            "`python -m sam_plugins.training.split POOL FILE`."
        ) from error


def committed_split() -> Split:
    """The split that the bundled model was trained and measured on."""
    with resources.as_file(resources.files("sam_plugins.training") / "split.json") as path:
        return read_split(path)


def make_split(pool: Path, seed: int = 0) -> Split:
    """Divide every set of a pool of ``<set>/images`` and ``<set>/masks`` folders."""
    generator = np.random.default_rng(seed)
    sets: dict[str, dict[str, list[str]]] = {}
    for folder in sorted(path.parent for path in pool.glob("*/masks")):
        groups = _tied(folder)
        order = generator.permutation(len(groups))
        total = sum(len(group) for group in groups)
        wanted = VALIDATION_SHARE.get(folder.name, 0.0) * total
        chosen: list[str] = []
        for index in order:
            group = groups[int(index)]
            if len(chosen) + len(group) / 2 <= wanted:
                chosen += group
        rest = sorted({stem for group in groups for stem in group} - set(chosen))
        sets[folder.name] = {"train": rest, "val": sorted(chosen)}
    if not sets:
        raise DatasetError(f"{pool} holds no <set>/masks folder: pass the pool's root folder.")
    return Split(seed, sets)


def _tied(folder: Path) -> list[list[str]]:
    """Stems of one set in groups that must not be divided."""
    masks = {path.stem for path in (folder / "masks").iterdir()}
    paths = sorted(path for path in (folder / "images").iterdir() if path.stem in masks)
    stems = [path.stem for path in paths]
    if folder.name in WHOLE_SETS:
        return [stems]
    parent = list(range(len(stems)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    clusters = _clusters(folder / "manifest.json")
    hashes = np.stack([_difference_hash(path) for path in paths])
    for i in range(len(stems)):
        distance = (hashes[:i] != hashes[i]).sum(1)
        same = [clusters.get(stems[j], j) == clusters.get(stems[i], i) for j in range(i)]
        for j in np.flatnonzero((distance <= NEAR_DUPLICATE_BITS) | np.array(same, bool)):
            parent[root(int(j))] = root(i)
    groups: dict[int, list[str]] = {}
    for i, stem in enumerate(stems):
        groups.setdefault(root(i), []).append(stem)
    return list(groups.values())


def _clusters(manifest: Path) -> dict[str, object]:
    if not manifest.exists():
        return {}
    records = json.loads(manifest.read_text()).get("records", [])
    return {
        record["id"]: ("cluster", record["cluster"]) for record in records if "cluster" in record
    }


def _difference_hash(path: Path) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """256 bits: whether each of 16x16 cells is brighter than its left neighbour."""
    with PillowImage.open(path) as image:
        small = np.asarray(
            image.convert("L").resize((17, 16), PillowImage.Resampling.BOX), np.int16
        )
    bits: np.ndarray[tuple[int], np.dtype[np.bool_]] = (small[:, 1:] > small[:, :-1]).ravel()
    return bits


if __name__ == "__main__":
    import sys

    Path(sys.argv[2]).write_text(make_split(Path(sys.argv[1])).to_json())
