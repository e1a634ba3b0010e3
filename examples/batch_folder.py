"""Everything in every picture of a folder: ``python examples/batch_folder.py FOLDER OUT``.

One overlay, one label image and one COCO file per picture. ``sam-plugins segment FOLDER --out OUT``
does the same with a progress bar and goes on where it was stopped.
"""

import sys
from pathlib import Path

from sam_plugins import SAM, SamPluginsError


def main(folder: Path, out: Path) -> None:
    """Segment each picture of `folder` and write the results to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    sam = SAM()
    for path in sorted(folder.glob("*.png")):
        try:
            results = sam.predict(path)
        except SamPluginsError as error:
            print(f"{path.name}: {error}")
            continue
        results.save(out / f"{path.stem}.png")
        results.save(out / f"{path.stem}.tif")
        results.save(out / f"{path.stem}.json")
        print(f"{path.name}: {len(results)} objects")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: python examples/batch_folder.py FOLDER OUT")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
