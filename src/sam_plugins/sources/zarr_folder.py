"""Which array of a zarr folder is the picture: the array itself, or OME-Zarr's full resolution."""

from pathlib import Path
from typing import Any

from sam_plugins.errors import ImageError, MissingExtraError

__all__ = ["zarr_array"]


def zarr_array(path: Path) -> tuple[Any, str | None]:
    """Open a zarr folder for reading.

    Parameters
    ----------
    path
        A zarr array (format 2 or 3), an OME-Zarr picture, or a group with one array.

    Returns
    -------
    array, axes
        The zarr array and a letter for each of its axes, or None where nothing names them.

    Raises
    ------
    ImageError
        If it is not there or no zarr folder, or several arrays could be meant.
    MissingExtraError
        If zarr is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError(
            "Reading zarr needs the package zarr, which is not installed: pip install "
            "'sam-plugins[large]'."
        ) from error
    if not path.exists():
        raise ImageError(f"'{path}' does not exist: check the path of the image.")
    try:
        node: Any = zarr.open(str(path), mode="r")
        if hasattr(node, "dtype"):
            return node, None
        attributes = dict(node.attrs)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(
            f"'{path}' is a folder that cannot be opened as zarr ({reason.rstrip('.')}): give a "
            "picture file, or the .zarr folder itself."
        ) from error
    described = attributes.get("ome", attributes)
    scales = described.get("multiscales") if isinstance(described, dict) else None
    if scales:
        return _full_resolution(path, node, scales)
    arrays = [name for name, child in node.members() if hasattr(child, "dtype")]
    if len(arrays) != 1:
        raise ImageError(
            f"'{path}' is a zarr group of {len(arrays)} arrays ({', '.join(sorted(arrays)[:5])}) "
            "without OME metadata: give the folder of one array in it."
        )
    return node[arrays[0]], None


def _full_resolution(path: Path, node: Any, scales: Any) -> tuple[Any, str | None]:
    """The largest array that the first multiscale picture of OME-Zarr lists."""
    try:
        picture = scales[0]
        arrays = [node[str(dataset["path"])] for dataset in picture["datasets"]]
        array = max(arrays, key=lambda found: found.size)
        axes = picture.get("axes")
        if axes is None:
            # Version 0.1 has always five axes, 0.2 too.
            return array, "TCZYX" if array.ndim == 5 else None
        letters = "".join(
            str(axis["name"] if isinstance(axis, dict) else axis)[:1].upper() for axis in axes
        )
    except Exception as error:
        raise ImageError(
            f"'{path}' has OME metadata that do not describe its arrays ({error!r}): give the "
            "folder of one array in it."
        ) from error
    return array, letters
