"""Every benchmark of speed and memory, one after the other, as one page of markdown.

    make bench                       # everything, the better part of two hours
    make bench QUICK=1               # a few rounds of each: does it run, not how fast it is
    python benchmarks/bench.py encode decode

Each part is a process of its own, so that the threads of one engine do not stand in another's way.
Close other work first. A part that fails says so and the others go on.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent

PARTS: dict[str, tuple[list[str], list[str]]] = {
    "encode": (["encode.py"], ["encode.py", "--quick"]),
    "decode": (["decode.py"], ["decode.py", "--rounds", "2", "--points", "8"]),
    "everything": (["everything.py"], ["everything.py", "--quick"]),
    "nano": (["nano_speed.py"], ["nano_speed.py", "--rounds", "3"]),
    "cold_start": (["cold_start.py"], ["cold_start.py", "--rounds", "1", "--rows", "nano"]),
    "volume": (["volume.py"], ["volume.py", "--seeds", "1"]),
    "label_studio": (
        ["label_studio.py", "clicks"],
        ["label_studio.py", "clicks", "--rounds", "3"],
    ),
    "fiftyone": (["fiftyone_boxes.py"], ["fiftyone_boxes.py", "--quick"]),
    "tiling": (["tiling.py"], ["tiling.py", "--size", "2000", "2000"]),
}
"""Name -> the script with its arguments, and the same for a quick look."""


def main() -> int:
    """Run the parts; 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"expected parts among {', '.join(PARTS)}, found {', '.join(unknown)}")
    failed = []
    for name in options.parts or PARTS:
        script, *arguments = PARTS[name][options.quick]
        print(f"\n## {name}: `python benchmarks/{' '.join((script, *arguments))}`\n", flush=True)
        start = time.monotonic()
        done = subprocess.run([sys.executable, str(HERE / script), *arguments], check=False)
        if done.returncode:
            failed.append(name)
            print(f"\n{name} failed with exit code {done.returncode}.")
        print(f"\n{(time.monotonic() - start) / 60:.1f} min", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
