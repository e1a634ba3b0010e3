"""How a picture of a window becomes one of the documentation: smaller, and of few colours."""

import io
import sys
from pathlib import Path

from PIL import Image

__all__ = ["IMAGES", "ROOT", "save"]

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
WIDTH = 1050
COLOURS = 128
MOST_BYTES = 200_000


def save(png: Path, name: str) -> None:
    """Write a picture of a window among those of the documentation; too many bytes end it."""
    out = io.BytesIO()
    whole = Image.open(png).convert("RGB")
    smaller = whole.resize((WIDTH, round(whole.height * WIDTH / whole.width)), Image.Resampling.BOX)
    shown = smaller.quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE
    )
    shown.save(out, "PNG", optimize=True)
    if len(out.getvalue()) > MOST_BYTES:
        sys.exit(f"{name} has {len(out.getvalue()):,} bytes, more than {MOST_BYTES:,}")
    (IMAGES / name).write_bytes(out.getvalue())
    print(f"{name}: {len(out.getvalue()):,} bytes")
