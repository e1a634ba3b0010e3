"""The folder of an export: files that are whole, not written twice, and never outside of it.

A record says what the folder is for, so that the same export continues in it and no other writes
there. A list, a line of JSON for each picture, says which sample each file came from; what an
earlier export into the folder has listed and this one does not is removed at the end.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from fiftyone_plugin.errors import ExchangeError, SampleError
from fiftyone_plugin.exchange.values import ExchangedPicture, ExportReport, Pictures
from sam_plugins.errors import SamPluginsError
from sam_plugins.formats import check_file_name, whole_file

__all__ = ["ExportFolder"]

_RECORD = "sam-plugins-export.json"
_LIST = "pictures.jsonl"
_BEGUN = "pictures.jsonl.begun"
_LONGEST_LINE = 1 << 16
_UNFINISHED = re.compile(r"\..+\.\d+\.part(\.\w+)?")


class ExportFolder:
    """Writes into one folder.

    Parameters
    ----------
    folder
        New, empty, or of the same export before.
    record
        What the export is: JSON values.
    report
        Counts files that were there already, and those removed.

    Raises
    ------
    ExchangeError
        If the folder holds something else, or cannot be written.
    """

    def __init__(self, folder: Path, record: dict[str, Any], report: ExportReport) -> None:
        self._folder = Path(folder).expanduser().absolute()
        self._report = report
        try:
            self._claim(record)
            self._former: dict[str, str | None] = {}
            for line in chain(self._lines(_LIST), self._lines(_BEGUN)):
                self._remember(line)
            self._written: set[str] = set()
            self._begun = (self._folder / _BEGUN).open("a", encoding="utf-8")
            self._begun.write("\n")  # a killed process may have left half a line
            self._begun.flush()
            self._start = self._begun.tell()
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> "ExportFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self._begun.close()

    def path(self, name: str) -> Path:
        """Where a file of the folder lies; its folder is made.

        Raises
        ------
        ExchangeError
            If a link leads out of the folder.
        """
        path = self._folder / check_file_name(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            inside = path.parent.resolve().is_relative_to(self._folder.resolve())
        except OSError as error:
            raise self._unwritable(error) from error
        if not inside:
            raise ExchangeError(
                f"Expected '{path.parent}' inside of the export's folder, found a link that leads "
                "out of it: remove the link."
            )
        return path

    def put(self, name: str, content: bytes) -> None:
        """Write a file, unless it is there with the same bytes."""
        path = self.path(name)
        self._written.add(name)
        try:
            if _same(path, content):
                self._report.unchanged += 1
                return
            with whole_file(path) as partial:
                partial.write_bytes(content)
        except OSError as error:
            raise self._unwritable(error) from error

    def put_picture(self, name: str, picture: ExchangedPicture, how: Pictures) -> None:
        """Copy or link a picture, unless that was done before.

        A copy has the time of its source: one of the same size and time is taken for the same. So
        does the picture of a frame have the time of its video, and all lists must name that video
        and that frame for it.

        Raises
        ------
        ExchangeError
            If it cannot be written.
        SampleError, ImageError
            If it is a frame that cannot be read.
        """
        if picture.still is not None:
            self._put_still(name, picture, picture.still)
            return
        source, path = picture.path, self.path(name)
        self._written.add(name)
        try:
            if how is Pictures.LINK:
                if not (path.is_symlink() and Path(os.readlink(path)) == source.absolute()):
                    with whole_file(path) as partial:
                        partial.symlink_to(source.absolute())
                    return
            elif path.is_symlink() or not _copied(path, source):
                with whole_file(path) as partial:
                    shutil.copy2(source, partial)
                return
        except OSError as error:
            raise self._unwritable(error) from error
        self._report.unchanged += 1

    def _put_still(self, name: str, picture: ExchangedPicture, still: Callable[[], bytes]) -> None:
        """Write the picture of a frame of a video, unless that was done before."""
        path, film = self.path(name), picture.path
        try:
            taken = film.stat().st_mtime_ns
        except OSError as error:
            raise SampleError(
                f"Expected a video file at {film}, found: {error.strerror or error}. Put it there, "
                "or export without pictures."
            ) from error
        self._written.add(name)
        listed = self._former.get(name) == _source(
            picture.sample_id, picture.frame_number, str(film)
        )
        try:
            there = path.is_file() and not path.is_symlink()
            if listed and there and path.stat().st_mtime_ns == taken:
                self._report.unchanged += 1
                return
            path.unlink(missing_ok=True)  # of something else; the list says it is of this frame
            with whole_file(path) as partial:
                partial.write_bytes(still())
                os.utime(partial, ns=(taken, taken))
        except OSError as error:
            raise self._unwritable(error) from error

    def note(self, picture: ExchangedPicture, *files: str) -> None:
        """List a picture and its files; before they are written, so that nothing is forgotten."""
        line = {
            "files": list(files),
            "file_name": picture.name,
            "sample_id": picture.sample_id,
            "filepath": str(picture.path),
            "height": picture.size[0],
            "width": picture.size[1],
            "objects": len(picture.objects),
            **({"frame_number": picture.frame_number} if picture.frame_number else {}),
        }
        try:
            self._begun.write(json.dumps(line) + "\n")
            self._begun.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def finish(self) -> None:
        """The export is complete: its list takes its place, and files nobody lists now go."""
        self._begun.close()
        try:
            with whole_file(self._folder / _LIST) as partial, partial.open("w") as stream:
                for line in self._lines(_BEGUN, self._start):
                    stream.write(json.dumps(line) + "\n")
            (self._folder / _BEGUN).unlink()
        except OSError as error:
            raise self._unwritable(error) from error
        for name in self._former.keys() - self._written:
            self._remove(name)
        for folder in {Path(name).parent for name in self._written}:
            self._remove_unfinished(self._folder / folder)

    def _remove(self, name: str) -> None:
        with suppress(OSError, SamPluginsError):
            self.path(name).unlink()
            self._report.removed += 1

    def _remove_unfinished(self, folder: Path) -> None:
        """Remove what killed processes left half written."""
        for each in os.scandir(folder):
            if _UNFINISHED.fullmatch(each.name) and each.is_file(follow_symlinks=False):
                with suppress(OSError):
                    os.unlink(each.path)

    def _claim(self, record: dict[str, Any]) -> None:
        path = self._folder / _RECORD
        if path.exists():
            if _record(path) != record:
                raise ExchangeError(
                    f"Expected a new folder, or one of the same export, found '{self._folder}', "
                    "which an export of other settings has written: name another folder."
                )
            return
        if self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir())):
            raise ExchangeError(
                f"Expected a new or an empty folder to export to, found '{self._folder}' with "
                "other things in it: name another folder."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            partial.write_text(json.dumps(record, indent=2), "utf-8")

    def _remember(self, line: Mapping[str, Any]) -> None:
        """Files of an earlier export; a file that two lines differ about is of either's source."""
        source = _source(*(line.get(each) for each in ("sample_id", "frame_number", "filepath")))
        for name in line["files"]:
            self._former[name] = source if self._former.get(name, source) == source else None

    def _lines(self, name: str, start: int = 0) -> Iterator[dict[str, Any]]:
        """Lines of a list that are whole, from a place in the file on."""
        path = self._folder / name
        if not path.is_file():
            return
        with path.open(encoding="utf-8", errors="replace") as stream:
            stream.seek(start)
            while text := stream.readline(_LONGEST_LINE):
                with suppress(ValueError):
                    line = json.loads(text)
                    files = line.get("files") if isinstance(line, dict) else None
                    if isinstance(files, list) and all(isinstance(each, str) for each in files):
                        yield line

    def _unwritable(self, error: OSError) -> ExchangeError:
        return ExchangeError(
            f"Expected to write into '{self._folder}', found: {error.strerror or error}. Make room "
            "or name another folder; into the same, the export goes on."
        )


def _source(*sample_frame_path: Any) -> str:
    """What files were made from, as text."""
    return json.dumps(sample_frame_path)


def _record(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError:
        return None


def _same(path: Path, content: bytes) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != len(content):
        return False
    return path.read_bytes() == content


def _copied(path: Path, source: Path) -> bool:
    if not path.is_file():
        return False
    there, wanted = path.stat(), source.stat()
    return there.st_size == wanted.st_size and there.st_mtime_ns == wanted.st_mtime_ns
