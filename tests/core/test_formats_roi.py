"""ImageJ regions: read by a second reader, exact there and back, hostile files refused."""

import struct
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_stacks import label_stacks, run

from sam_plugins.errors import DatasetError, ImageError
from sam_plugins.formats import (
    ImageJRoi,
    LabelStack,
    PlaneIndex,
    decode_roi,
    encode_roi,
    fill_rings,
    read_roi_zip,
    roi_zip_to_labels,
    write_roi_zip,
)

SQUARE = np.array([(2, 1), (5, 1), (5, 4), (2, 4)], float)


def second_reader(data):
    """A region by the published layout, byte by byte: name, position, rings."""

    def short(at):
        return int.from_bytes(data[at : at + 2], "big", signed=True)

    def integer(at):
        return int.from_bytes(data[at : at + 4], "big", signed=True)

    assert data[:4] == b"Iout"
    assert short(4) >= 221
    top, left, second = short(8), short(10), integer(60)
    path_length = integer(36)
    rings = []
    if path_length:
        assert data[6] == 1, "a composite is a rectangle with a path"
        values = [struct.unpack_from(">f", data, 64 + 4 * i)[0] for i in range(path_length)]
        while values:
            step = values.pop(0)
            if step == 4:
                continue
            if step == 0:
                rings.append([])
            rings[-1].append((values.pop(0), values.pop(0)))
    else:
        count = short(16) & 0xFFFF
        assert data[6] == 0
        xs = [short(64 + 2 * i) + left for i in range(count)]
        rings = [[(x, short(64 + 2 * (count + i)) + top) for i, x in enumerate(xs)]]
    start, length = integer(second + 16), integer(second + 20)
    name = data[start : start + 2 * length].decode("utf-16-be")
    return name, integer(56), [integer(second + 4 * n) for n in (1, 2, 3)], rings


@given(label_stacks())
@settings(max_examples=80, deadline=None)
def test_labels_round_trip_exactly(tmp_path_factory, stack):
    path = tmp_path_factory.mktemp("roi") / "RoiSet.zip"
    assert run(write_roi_zip(path, stack)) == stack.plane_count
    back = roi_zip_to_labels(read_roi_zip(path), stack.labels.shape, stack.axes)
    np.testing.assert_array_equal(back.labels, stack.labels)
    assert [file.name for file in path.parent.iterdir()] == ["RoiSet.zip"]


def test_another_reader_sees_the_same_regions_with_names_and_positions(tmp_path):
    labels = np.zeros((2, 3, 6, 7), np.uint16)
    labels[1, 2, 1:5, 1:6] = 12
    labels[1, 2, 2, 3] = 0
    labels[0, 0, 0, 0] = 3
    run(write_roi_zip(tmp_path / "a.zip", LabelStack(labels, "TZYX")))
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.namelist() == ["3_t0001_z0001.roi", "12_t0002_z0003.roi"]
        first, second = (second_reader(file.read(name)) for name in file.namelist())
    assert first == ("3_t0001_z0001", 0, [1, 1, 1], [[(0, 0), (1, 0), (1, 1), (0, 1)]])
    name, position, place, rings = second
    assert (name, position, place) == ("12_t0002_z0003", 0, [1, 3, 2])
    np.testing.assert_array_equal(fill_rings(rings, (0, 0, 7, 6)), labels[1, 2] == 12)


def test_a_stack_of_one_axis_says_its_slice_and_a_picture_says_none(tmp_path):
    for labels, axes, position in ((np.ones((1, 1)), "YX", 0), (np.ones((2, 1, 1)), "ZYX", 2)):
        run(write_roi_zip(tmp_path / "a.zip", LabelStack(labels.astype(int), axes)))
        with zipfile.ZipFile(tmp_path / "a.zip") as file:
            assert second_reader(file.read(file.namelist()[-1]))[1] == position


def test_the_bytes_of_a_region_stay_as_they_are():
    roi = ImageJRoi(name="7", rings=(SQUARE,), plane=PlaneIndex(t=1, z=2))
    header = "496f7574 00e4 00 00 0001 0002 0004 0005 0004" + 16 * "00" + "0000 00000000"
    colours = 8 * "00" + "0000 0000 00 00 0000 00000003 00000050"
    corners = "0000 0003 0003 0000 0000 0000 0003 0003"
    second = "00000000 00000001 00000003 00000002 00000090 00000001" + 40 * "00"
    expected = bytes.fromhex(header + colours + corners + second + "0037")
    assert encode_roi(roi, position=3) == expected


def test_the_same_labels_give_the_same_bytes(tmp_path):
    for name in "ab":
        run(write_roi_zip(tmp_path / name, LabelStack(np.eye(4, dtype=int))))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("offset", [0, 30_000, 40_000, 1_000_000])
def test_places_beyond_sixteen_bits_are_exact(offset):
    roi = ImageJRoi(name="far", rings=(SQUARE + offset,), plane=PlaneIndex(z=4))
    back = decode_roi(encode_roi(roi))
    assert (back.name, back.plane) == ("far", PlaneIndex(z=4))
    assert back.rings[0].tolist() == (SQUARE + offset).tolist()


@pytest.mark.parametrize(
    ("rings", "words"),
    [((), "no area"), ((SQUARE / 4,), "whole numbers"), ((SQUARE + 2.0**25,), "GeoJSON")],
)
def test_what_imagej_cannot_hold_is_refused(rings, words):
    with pytest.raises(ImageError, match=words):
        encode_roi(ImageJRoi(name="a", rings=rings))


def header(kind=0, count=0, path=0, options=0, second=0, box=(1, 2, 4, 5)):
    front = struct.pack(
        ">4sHBxhhhhH16xhi8xhh", b"Iout", 227, kind, *box, count, 0, path, 0, options
    )
    return front + struct.pack(">4xii", 0, second)


def test_other_areas_of_imagej_are_read():
    assert decode_roi(header(kind=1), "r").rings[0].tolist() == [[2, 1], [5, 1], [5, 4], [2, 4]]
    corners = struct.pack(">6h", 0, 3, 3, 0, 0, 3)
    exact = struct.pack(">6f", 2.5, 5, 5, 1, 1, 4.25)
    assert decode_roi(header(8, 3) + corners).rings[0].tolist() == [[2, 1], [5, 1], [5, 4]]
    subpixel = decode_roi(header(7, 3, options=128) + corners + exact)
    assert subpixel.rings[0].tolist() == [[2.5, 1], [5, 1], [5, 4.25]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (b"Jout" + bytes(80), "Iout"),
        (header(kind=3), "type 3"),
        (header(kind=0, count=2) + bytes(8), "type 0"),
        (header(kind=0, count=500) + bytes(8), "damaged"),
        (header(kind=1, path=2**30), "corners"),
        (header(kind=1, path=-4), "corners"),
        (header(kind=1, path=3) + struct.pack(">3f", 9, 1, 1), "no step"),
        (header(kind=1, path=2) + struct.pack(">2f", 0, 1), "no step"),
        (header(kind=1, path=3) + struct.pack(">3f", 0, 1, 1), "encloses nothing"),
        (header(kind=1, path=7) + struct.pack(">7f", 3, 1, 1, 1, 1, 1, 1), "curves"),
        (header(kind=1, path=9) + struct.pack(">9f", 0, 1, 1, 1, 2, 2, 1, np.nan, 1), "damaged"),
    ],
)
def test_a_damaged_or_foreign_region_is_refused(data, words):
    with pytest.raises(DatasetError, match=words):
        decode_roi(data, "region 5")


@given(st.integers(0, 200), st.integers(0, 255), st.integers(0, 200))
@settings(max_examples=300)
def test_damage_is_a_sentence_or_harmless(at, value, end):
    data = bytearray(encode_roi(ImageJRoi(name="ab", rings=(SQUARE, SQUARE + 9))))
    data[at % len(data)] = value
    with suppress(DatasetError):
        decode_roi(bytes(data[: end or None]))


def test_hostile_zip_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.roi", bytes(2_000_000))
    monkeypatch.setattr("sam_plugins.formats.roi_zip._MOST_ENTRY_BYTES", 1_000_000)
    with pytest.raises(DatasetError, match="too large"):
        read_roi_zip(path)
    monkeypatch.setattr("sam_plugins.formats.roi_zip._MOST_BYTES", 1_000_000)
    with pytest.raises(DatasetError, match="at most"):
        read_roi_zip(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../7.roi", encode_roi(ImageJRoi(name="", rings=(SQUARE,))))
        file.writestr("readme.txt", "not a region")
    assert [roi.name for roi in read_roi_zip(path)] == ["7"]
    path.write_bytes(b"PK" + bytes(50))
    with pytest.raises(DatasetError, match=r"bomb\.zip"):
        read_roi_zip(path)


def test_regions_without_a_number_get_the_next_and_lie_on_every_plane():
    rois = [
        ImageJRoi(name="0012-0034-0056", rings=(SQUARE,)),
        ImageJRoi(name="5_z0002", rings=(SQUARE - 2,), plane=PlaneIndex(z=1)),
        ImageJRoi(name="away", rings=(SQUARE + 50,)),
    ]
    labels = roi_zip_to_labels(rois, (2, 6, 6), "ZYX").labels
    assert (labels == 6).sum() == 2 * 9 - 1
    assert (labels[1] == 5).sum() == 6
    with pytest.raises(DatasetError, match="z=1"):
        roi_zip_to_labels(rois, (6, 6))
