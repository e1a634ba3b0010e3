"""Damaged and hostile files, read by window: an error that says something, or pixels."""

import io
import json
import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam_plugins.errors import ImageError, LimitError, SamPluginsError
from sam_plugins.images.limits import Limits
from sam_plugins.images.tiff_windows import TiffWindows
from sam_plugins.sources import open_source

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)


def written(**options):
    file = io.BytesIO()
    tifffile.imwrite(file, IMAGE, photometric="rgb", **options)
    return file.getvalue()


FILES = [
    written(),
    written(tile=(32, 16), compression="zlib"),
    written(rowsperstrip=9, compression="lzw", predictor=True),
    written(tile=(16, 16), compression="jpeg"),
    written(tile=(32, 32), bigtiff=True),
]


def outcome(data):
    """What the error says, or the two windows that were read."""
    regions = (0, 0, 9, 8), (30, 30, 70, 60)
    try:
        windows = TiffWindows(data, channel_axis=None, limits=Limits.strict())
        height, width = windows.size(0)
        if height < 60 or width < 70:
            return "smaller than it was, which nothing forbids"
        return [windows.read(0, region).planes for region in regions]
    except SamPluginsError as error:
        return str(error)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_changed_bytes_are_an_error_or_pixels(data):
    content = bytearray(data.draw(st.sampled_from(FILES)))
    # The header and the directory at its end matter most.
    ends = st.one_of(st.integers(0, 400), st.integers(-400, -1), st.integers(0, len(content) - 1))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(ends)
        if -len(content) <= at < len(content):
            content[at] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = outcome(bytes(content))
    if isinstance(found, str):
        assert len(found) > 20
    else:
        assert [planes.shape[:2] for planes in found] == [(8, 9), (30, 40)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FILES), st.floats(0, 0.99))
def test_a_cut_file_is_an_error(data, share):
    found = outcome(data[: int(len(data) * share)])
    assert isinstance(found, str)
    assert len(found) > 20


def test_a_page_in_one_giant_strip_is_refused():
    data = bytearray(written(rowsperstrip=60, compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        tags = tif.pages[0].tags
        for name in ("ImageLength", "ImageWidth", "RowsPerStrip"):
            tag = tags[name]
            size = 2 if tag.dtype == 3 else 4
            data[tag.valueoffset : tag.valueoffset + size] = (60_000).to_bytes(size, "little")
    windows = TiffWindows(bytes(data), channel_axis=None, limits=Limits(None, None, None))
    with pytest.raises(LimitError, match="one by one"):
        windows.read(0, (0, 0, 10, 10))


def zarr_with(tmp_path, **changes):
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    record = {
        "zarr_format": 2,
        "shape": [64, 64],
        "chunks": [32, 32],
        "dtype": "|u1",
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
    } | changes
    (folder / ".zarray").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"chunks": [2**40, 2**40], "shape": [2**41, 2**41]},
        {"shape": [2**30, 2**30], "chunks": [2**17, 2**17]},
        {"dtype": "|O"},
        {"dtype": "<c16"},
        {"shape": [64]},
        {"shape": "many"},
        {"compressor": {"id": "unheard of"}},
        {"dtype": "<M8[s]"},
    ],
    ids=str,
)
def test_a_zarr_folder_that_makes_no_sense_is_refused(require, tmp_path, changes):
    require("zarr")
    folder = zarr_with(tmp_path, **changes)
    with pytest.raises(ImageError) as raised:
        open_source(folder).read(0, (0, 0, 9, 9))
    assert len(str(raised.value)) > 20


def test_a_chunk_of_another_size_is_an_error(require, tmp_path):
    require("zarr")
    folder = zarr_with(tmp_path)
    (folder / "0.0").write_bytes(b"\1" * 32 * 31)
    source = open_source(folder)
    assert not source.read(0, (32, 32, 40, 40)).any()
    with pytest.raises(ImageError, match="damaged"):
        source.read(0, (0, 0, 9, 9))


@pytest.mark.parametrize(
    "attributes",
    [
        {"multiscales": []},
        {"multiscales": [{}]},
        {"multiscales": [{"datasets": [{"path": "../../etc"}]}]},
        {"multiscales": [{"datasets": [{"path": "nothing"}]}]},
        {"multiscales": "yes"},
    ],
    ids=str,
)
def test_ome_metadata_that_lead_nowhere_are_refused(require, tmp_path, attributes):
    require("zarr")
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(ImageError) as raised:
        open_source(folder)
    assert str(folder) in str(raised.value)


def test_an_npy_file_of_objects_is_not_unpickled(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([[{}, {}], [{}, {}]], object), allow_pickle=True)
    with pytest.raises(ImageError, match="npy"):
        open_source(path)
    path.write_bytes(b"\x93NUMPY\1\0")
    with pytest.raises(ImageError, match="npy"):
        open_source(path)
