"""What `segment` writes for each picture, and how it knows that a picture is finished."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam_plugins.cli.files import write_picture
from sam_plugins.errors import ImageError
from sam_plugins.formats import (
    CocoImage,
    read_coco,
    records_to_label_image,
    write_coco,
    write_label_image,
)
from sam_plugins.rendering import crops_of_records, render_overlay
from sam_plugins.types import Image, MaskRecord

__all__ = ["MERGED", "Outputs", "merge", "outputs_of", "pictures_in"]

MERGED = Path("annotations.json")
"""Name of the COCO document of a whole folder; no picture's results are called so."""

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files of one picture.

    Parameters
    ----------
    source
        The picture.
    folder, stem
        Where the results lie and what their names begin with.
    info
        What made them: a picture is finished when its JSON says the same.
    """

    source: Path
    folder: Path
    stem: str
    info: Mapping[str, Any]

    @property
    def overlay(self) -> Path:
        """The picture with its masks drawn over it."""
        return self.folder / f"{self.stem}_overlay.png"

    @property
    def labels(self) -> Path:
        """The label image."""
        return self.folder / f"{self.stem}_labels.tif"

    @property
    def coco(self) -> Path:
        """The COCO document, written last."""
        return self.folder / f"{self.stem}.json"

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return self.overlay, self.labels, self.coco

    def complete(self) -> bool:
        """Whether all files are there, made from this picture by this model and settings."""
        if not all(path.is_file() for path in self.paths):
            return False
        try:
            document = json.loads(self.coco.read_text("utf-8"))
            return isinstance(document, dict) and document.get("info") == self._described()
        except (OSError, ValueError):
            return False

    def write(self, image: Image, records: Sequence[MaskRecord]) -> None:
        """Write all files, each whole or not at all."""
        size = (image.shape[0], image.shape[1])
        write_picture(self.overlay, render_overlay(image, crops_of_records(records)))
        write_label_image(self.labels, records_to_label_image(records, size))
        picture = CocoImage(file_name=self.source.name, size=size, records=tuple(records))
        write_coco(self.coco, [picture], self._described())

    def count(self) -> int:
        """Objects found."""
        return sum(len(picture.records) for picture in read_coco(self.coco))

    def _described(self) -> dict[str, Any]:
        state = self.source.stat()
        picture = {"name": self.source.name, "bytes": state.st_size, "modified": state.st_mtime_ns}
        return {**self.info, "picture": picture}


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by their endings, in order of name.

    Raises
    ------
    ImageError
        If there is none.
    """
    found = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _PICTURES and path.is_file() and not path.name.startswith(".")
    )
    if not found:
        raise ImageError(
            f"{folder} holds no picture; looked for files ending in {', '.join(_PICTURES)}."
        )
    return found


def outputs_of(pictures: Sequence[Path], folder: Path, info: Mapping[str, Any]) -> list[Outputs]:
    """Where the results of each picture go; ``a.png`` and ``a.jpg`` do not meet."""
    stems = Counter([MERGED.stem, *(path.stem for path in pictures)])
    return [
        Outputs(
            path, folder, path.stem if stems[path.stem] == 1 else path.name.replace(".", "_"), info
        )
        for path in pictures
    ]


def merge(done: Sequence[Outputs], path: Path, info: Mapping[str, Any]) -> None:
    """One COCO document of many pictures."""
    write_coco(path, [picture for outputs in done for picture in read_coco(outputs.coco)], info)
