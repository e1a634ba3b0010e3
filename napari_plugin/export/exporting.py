"""`export`: one request, several files, in steps that can be stopped between."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from napari_plugin.export.kinds import KINDS
from napari_plugin.export.request import ExportRequest
from sam_plugins import Progress
from sam_plugins.errors import SamPluginsError

__all__ = ["export", "export_paths"]


def export_paths(request: ExportRequest) -> dict[str, Path]:
    """Kind -> the file that `export` writes.

    Raises
    ------
    SamPluginsError
        If a kind is unknown or none is asked for, or the name is no plain file name.
    """
    unknown = [kind for kind in request.kinds if kind not in KINDS]
    if unknown or not request.kinds:
        raise SamPluginsError(
            f"Choose what to export from {', '.join(KINDS)}, found "
            f"{', '.join(unknown) or 'nothing'}."
        )
    if not request.name or Path(request.name).name != request.name or request.name.startswith("."):
        raise SamPluginsError(
            f"The files need a plain name without folders in it, found {request.name!r}."
        )
    return {
        kind: Path(request.folder) / f"{request.name}{KINDS[kind].suffix}" for kind in request.kinds
    }


def export(request: ExportRequest) -> Iterator[Progress]:
    """Write the files of a request; nothing happens until it is iterated.

    Yields
    ------
    Progress over the planes of all files. Closing the generator stops after the plane being
    written: files that are complete stay, of the one in work nothing does.

    Raises
    ------
    SamPluginsError
        If a file is there already and may not be replaced, which is found before any is written;
        if something cannot be written as a kind of file.
    """
    paths, stack = export_paths(request), request.stack()
    there = [path.name for path in paths.values() if path.exists()]
    if there and not request.overwrite:
        raise SamPluginsError(
            f"{', '.join(there)} would have to be replaced in '{request.folder}': give another "
            "name or folder, or allow overwriting."
        )
    count, total = stack.plane_count, stack.plane_count * len(paths)
    try:
        Path(request.folder).mkdir(parents=True, exist_ok=True)
        for number, (kind, path) in enumerate(paths.items()):
            message = f"Writing {path.name}"
            yield Progress(number * count, total, message)
            writing: Any = KINDS[kind].write(path, stack, request)
            with closing(writing):
                for done in writing:
                    if done < count:
                        yield Progress(number * count + done, total, message)
    except OSError as error:
        raise SamPluginsError(
            f"'{request.folder}' cannot be written ({error.strerror or error}): choose another "
            "folder, or make room there."
        ) from error
    yield Progress(total, total, f"Wrote {len(paths)} files to {request.folder}")
