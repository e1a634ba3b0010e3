"""ImageJ's list of regions, ``RoiSet.zip``: one region for each object and plane."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sam_plugins.errors import DatasetError
from sam_plugins.formats.imagej_roi import ImageJRoi, decode_roi, encode_roi, outlines_to_roi
from sam_plugins.formats.label_stack import LabelStack, label_image_objects
from sam_plugins.formats.outlines import fill_rings, mask_outlines
from sam_plugins.formats.whole import whole_file

__all__ = ["read_roi_zip", "roi_zip_to_labels", "write_roi_zip"]

_MOST_ENTRIES = 1_000_000
_MOST_ENTRY_BYTES = 2**27
_MOST_BYTES = 2**31
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_MOST_LABEL = 2**32 - 1


def write_roi_zip(path: str | Path, stack: LabelStack) -> Iterator[int]:
    """Write all objects of a stack; nothing happens until it is iterated.

    A region is called by its object's label, with its plane where there are several:
    ``7``, ``7_t0002_z0003`` (counted from 1 as ImageJ does). The same labels give the same bytes.

    Yields
    ------
    How many planes are written. The file appears after the last.

    Raises
    ------
    ImageError
        If a value is no label, or a region is too large for ImageJ.
    OSError
        If the folder is missing or cannot be written.
    """
    several = [axis for axis in "tcz" if stack.length(axis.upper()) > 1]
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for done, (index, plane) in enumerate(stack.planes(), 1):
            where = "".join(f"_{axis}{getattr(index, axis) + 1:04d}" for axis in several)
            position = getattr(index, several[0]) + 1 if len(several) == 1 else 0
            for label, mask, box in label_image_objects(plane):
                outlines = mask_outlines(mask, (box[0], box[1]))
                roi = outlines_to_roi(f"{label}{where}", outlines, index if several else None)
                entry = zipfile.ZipInfo(f"{roi.name}.roi", _FIRST_DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(entry, encode_roi(roi, position=position))
            if done < stack.plane_count:
                yield done
    yield stack.plane_count


def read_roi_zip(path: str | Path) -> list[ImageJRoi]:
    """Read the regions of a zip file, in its order. Nothing is unpacked to the disk.

    Raises
    ------
    DatasetError
        If it is no zip file, damaged, claims more than 2 GiB, or holds a region that is no area.
    OSError
        If it cannot be opened.
    """
    rois, read = [], 0
    try:
        with zipfile.ZipFile(path) as file:
            entries = [entry for entry in file.infolist() if entry.filename.endswith(".roi")]
            claimed = sum(entry.file_size for entry in entries)
            if len(entries) > _MOST_ENTRIES or claimed > _MOST_BYTES:
                raise DatasetError(
                    f"'{path}' claims {len(entries)} regions of {claimed} bytes, at most "
                    f"{_MOST_ENTRIES} regions of {_MOST_BYTES} bytes are read."
                )
            for entry in entries:
                # What an entry claims may be a lie: no more is unpacked than may be there.
                with file.open(entry) as part:
                    data = part.read(_MOST_ENTRY_BYTES + 1)
                read += len(data)
                if len(data) > _MOST_ENTRY_BYTES or read > _MOST_BYTES:
                    raise DatasetError(f"'{path}': the region {entry.filename!r} is too large.")
                rois.append(decode_roi(data, entry.filename.rsplit("/")[-1].removesuffix(".roi")))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise DatasetError(f"'{path}' must be a zip file of ImageJ regions: {error}.") from error
    except DatasetError as error:
        message = str(error) if str(path) in str(error) else f"'{path}': {error}"
        raise DatasetError(message) from error
    return rois


def roi_zip_to_labels(
    rois: Sequence[ImageJRoi], shape: Sequence[int], axes: str = "YX"
) -> LabelStack:
    """Labels from regions.

    Parameters
    ----------
    rois
        Later ones lie on top; parts outside the picture are left out.
    shape, axes
        Of the labels. A region that is on every plane is painted on every plane.

    Returns
    -------
    A stack of uint32. A region's label is the number that its name begins with, as `write_roi_zip`
    names them; regions without get the next ones that no other has.

    Raises
    ------
    DatasetError
        If a region lies on a plane that `shape` does not have.
    """
    stack = LabelStack(np.zeros(tuple(int(n) for n in shape), np.uint32), axes)
    known = [_label(roi.name) for roi in rois]
    following = max((label for label in known if label), default=0)
    planes = dict(stack.planes())
    height, width = stack.size
    for roi, found in zip(rois, known, strict=True):
        following += found is None
        label = following if found is None else found
        if roi.plane is not None and roi.plane not in planes:
            raise DatasetError(
                f"Region {roi.name} lies on {roi.plane}, which labels of {tuple(shape)} do not "
                "have: give the shape of the picture that the regions were made on."
            )
        corners = np.concatenate(roi.rings)
        x0, y0 = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int).tolist()
        x1, y1 = np.minimum(np.ceil(corners.max(axis=0)), (width, height)).astype(int).tolist()
        if x0 < x1 and y0 < y1:
            inside = fill_rings(roi.rings, (x0, y0, x1, y1))
            for index in planes if roi.plane is None else [roi.plane]:
                planes[index][y0:y1, x0:x1][inside] = label
    return stack


def _label(name: str) -> int | None:
    """The label in a name of `write_roi_zip`; ImageJ's own names are 0012-0034-0056."""
    found = re.fullmatch(r"([0-9]{1,10})((_[tcz][0-9]+)*)", name)
    label = int(found[1]) if found else 0
    return label if 0 < label <= _MOST_LABEL else None
