"""TIFF: compressions, layouts, axes, colours and pages."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images import Intensity, Limits, as_rgb, load_image, page_count

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (24, 36, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 4000, (5, 24, 36)).astype(np.uint16)
RANGE = Intensity("limits", 0, 4000)


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd", "lzma", "packbits"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"tile": (16, 16)},
        {"rowsperstrip": 7},
        {"bigtiff": True, "byteorder": ">"},
        {"planarconfig": "separate", "tile": (16, 32)},
    ],
    ids=str,
)
def test_compressions_and_layouts(compression, layout):
    image = PHOTO.transpose(2, 0, 1) if "planarconfig" in layout else PHOTO
    data = tiff(image, photometric="rgb", compression=compression, **layout)
    np.testing.assert_array_equal(load_image(data), PHOTO)


@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}], ids=str)
@pytest.mark.parametrize("photometric", ["rgb", "ycbcr"])
def test_jpeg_in_tiff(layout, photometric):
    smooth = np.kron(PHOTO[::8, ::8], np.ones((8, 8, 1), np.uint8))[:24, :36]
    options = {"compressionargs": {"level": 98}, **layout}
    if photometric == "rgb":
        options["compressionargs"]["outcolorspace"] = "rgb"
    data = tiff(smooth, photometric="rgb", compression="jpeg", **options)
    # Chroma may be halved, which colours the edges.
    assert np.abs(load_image(data).astype(int) - smooth).mean() < 8


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("dtype", ["u2", "i2", "f4", "f8", "u4"])
def test_wide_numbers_are_stretched_like_arrays(dtype, predictor):
    page = DEEP[0].astype(dtype)
    data = tiff(page, compression="zlib", predictor=predictor)
    np.testing.assert_array_equal(load_image(data), as_rgb(page))
    np.testing.assert_array_equal(load_image(data, intensity=RANGE), as_rgb(page, intensity=RANGE))


STACKS = {
    "tifffile": {"photometric": "minisblack"},
    "plain": {"photometric": "minisblack", "metadata": None},
    "plain strips": {"photometric": "minisblack", "metadata": None, "compression": "lzw"},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "imagej strips": {"imagej": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
    "ome": {"ome": True, "metadata": {"axes": "ZYX"}, "photometric": "minisblack"},
}


@pytest.mark.parametrize("options", STACKS.values(), ids=STACKS)
def test_planes_of_a_stack_are_pages_or_by_request_channels(options):
    data = tiff(DEEP, **options)
    assert page_count(data) == 5
    for page, plane in enumerate(DEEP):
        np.testing.assert_array_equal(
            load_image(data, page=page, intensity=RANGE), as_rgb(plane, intensity=RANGE)
        )
    for page in (5, -1):
        with pytest.raises(ImageError, match=f"pages 0 to 4, found page={page}"):
            load_image(data, page=page)
    assert page_count(data, channel_axis=0) == 1
    np.testing.assert_array_equal(
        load_image(data, channel_axis=0, channels=(4, 0, 2)),
        as_rgb(DEEP, channel_axis=0, channels=(4, 0, 2)),
    )
    with pytest.raises(ImageError, match="5 channels and three can be shown"):
        load_image(data, channel_axis=0)
    with pytest.raises(ImageError, match="channel_axis=1 is none of them"):
        load_image(data, channel_axis=1)


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "minisblack"},
        {"imagej": True},
        {"ome": True, "photometric": "minisblack"},
        {"ome": True, "photometric": "minisblack", "compression": "lzw", "tile": (16, 16)},
    ],
    ids=str,
)
def test_the_channel_axis_of_the_metadata_is_taken(options):
    volume = RNG.integers(0, 256, (2, 4, 3, 24, 36), dtype=np.uint8)
    data = tiff(volume, metadata={"axes": "TZCYX"}, **options)
    assert page_count(data) == 8
    for page in range(8):
        expected = volume[page // 4, page % 4].transpose(1, 2, 0)
        np.testing.assert_array_equal(load_image(data, page=page), expected)
    np.testing.assert_array_equal(load_image(data, channels=1), as_rgb(volume[0, 0, 1]))


def test_four_stains_are_not_taken_for_rgba():
    stains = RNG.integers(0, 256, (4, 24, 36), dtype=np.uint8)
    data = tiff(stains, imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(ImageError, match="4 channels and three can be shown"):
        load_image(data)
    np.testing.assert_array_equal(
        load_image(data, channels=(3, 1, 0)), stains[[3, 1, 0]].transpose(1, 2, 0)
    )


def test_an_imagej_stack_with_one_directory_is_read_page_by_page():
    data = tiff(DEEP, metadata={"axes": "ZYX", "truncated": True}, truncate=True)
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        assert len(tif.pages) == 1
    assert page_count(data) == 5
    np.testing.assert_array_equal(
        load_image(data, page=3, intensity=RANGE), as_rgb(DEEP[3], intensity=RANGE)
    )
    with pytest.raises(ImageError, match=r"truncated|damaged"):
        load_image(data[:-2000], page=4)


def test_plain_pages_of_different_sizes_keep_their_order():
    file = io.BytesIO()
    pages = [PHOTO[:, :, 0], PHOTO[:9, :8, 1], PHOTO[:, :, 2], PHOTO[:20]]
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, metadata=None, photometric="rgb" if page.ndim == 3 else "minisblack")
    assert page_count(file.getvalue()) == 4
    for number, page in enumerate(pages):
        np.testing.assert_array_equal(load_image(file.getvalue(), page=number), as_rgb(page))


def test_one_odd_page_among_many_is_read_as_what_it_is():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number in range(12):
            height = 11 if number == 4 else 24
            writer.write(PHOTO[:height, :, 0] // (number + 1), metadata=None)
    np.testing.assert_array_equal(
        load_image(file.getvalue(), page=4)[:, :, 0], PHOTO[:11, :, 0] // 5
    )


@pytest.mark.parametrize("bits", [1, 4, 12])
def test_packed_bits_span_the_whole_range(bits):
    values = RNG.integers(0, 2**bits, (24, 36)).astype(np.uint16 if bits > 8 else np.uint8)
    values[0, :2] = 0, 2**bits - 1
    data = tiff(values, bitspersample=bits, photometric="minisblack")
    found = load_image(data, intensity=Intensity("limits", 0, 4095) if bits > 8 else None)
    np.testing.assert_array_equal(found[:, :, 0], np.rint(values / (2**bits - 1) * 255))


def test_white_is_zero_is_inverted():
    data = tiff(PHOTO[:, :, 0], photometric="miniswhite")
    np.testing.assert_array_equal(load_image(data), as_rgb(255 - PHOTO[:, :, 0]))
    bilevel = io.BytesIO()
    mask = PHOTO[:, :, 0] > 90
    Image.fromarray(mask).save(bilevel, "TIFF", compression="group4")
    np.testing.assert_array_equal(load_image(bilevel.getvalue()), as_rgb(mask))


def test_palettes_are_applied():
    image = Image.fromarray(PHOTO).quantize(20)
    file = io.BytesIO()
    image.save(file, "TIFF", compression="tiff_lzw")
    np.testing.assert_array_equal(load_image(file.getvalue()), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kinds", [["unassalpha"], ["assocalpha"], ["unspecified"]])
def test_what_follows_red_green_and_blue_is_dropped(kinds):
    image = np.dstack([PHOTO, PHOTO[:, :, 0]])
    data = tiff(image, photometric="rgb", extrasamples=kinds)
    np.testing.assert_array_equal(load_image(data), PHOTO)
    np.testing.assert_array_equal(load_image(data, channels=3), as_rgb(PHOTO[:, :, 0]))


def test_bands_without_colours_ask_for_channels():
    bands = RNG.integers(0, 3000, (24, 36, 6)).astype(np.uint16)
    data = tiff(bands, photometric="minisblack", planarconfig="contig", metadata=None)
    with pytest.raises(ImageError, match="6 channels"):
        load_image(data)
    np.testing.assert_array_equal(
        load_image(data, channels=(4, 2, 1)), as_rgb(bands[:, :, [4, 2, 1]])
    )


def test_nan_complex_and_foreign_codecs_get_one_clear_sentence():
    holes = PHOTO[:, :, 0].astype(np.float32)
    holes[3, 4:6] = np.nan
    cases = [
        (tiff(holes), r"NaN or infinite values \(2 of 864\)"),
        (tiff(holes.astype(np.complex64)), "complex64"),
        (tiff(PHOTO, compression="png"), "with PNG compression, which is not read"),
        (tiff(PHOTO[:1, :1, 0]), "single pixel"),
    ]
    for data, message in cases:
        with pytest.raises(ImageError, match=message):
            load_image(data)


def test_limits_hold_for_pages_bytes_and_pixels():
    data = tiff(DEEP, metadata=None, photometric="minisblack")
    assert page_count(data, limits=Limits(None, None, 5)) == 5
    for limits, message in [
        (Limits(None, None, 4), "more than 4 pages"),
        (Limits(24 * 36 - 1, None, None), "864 pixels and at most 863"),
    ]:
        with pytest.raises(LimitError, match=message):
            load_image(data, limits=limits)
    packed = tiff(np.zeros((1, 900, 900), np.float64), compression="zlib")
    assert len(packed) < 20_000
    with pytest.raises(LimitError, match="6,480,000 bytes and at most 20,000"):
        load_image(packed, limits=Limits(None, 20_000, None))


def test_a_stack_spread_over_files_reads_its_own_file_only(tmp_path):
    outside = tmp_path / "outside.tif"
    tifffile.imwrite(outside, DEEP[:1])
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="Image:0"><Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="36" SizeY="24" '
        'SizeZ="2" SizeC="1" SizeT="1" ID="Pixels:0">'
        '<TiffData FirstZ="0" IFD="0"><UUID FileName="inside.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstZ="1" IFD="0"><UUID FileName="outside.tif">urn:uuid:2</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    inside = tmp_path / "inside.ome.tif"
    tifffile.imwrite(inside, DEEP[1], description=xml, metadata=None)
    assert page_count(inside) == 1
    np.testing.assert_array_equal(load_image(inside), as_rgb(DEEP[1]))


@pytest.mark.parametrize(
    "metadata",
    [
        'SizeZ="1000000" SizeC="1000" SizeT="1000"',
        'SizeZ="1" SizeC="1" SizeT="1"><TiffData PlaneCount="2000000000"/',
    ],
)
def test_metadata_that_cannot_be_true_are_ignored(metadata):
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels DimensionOrder="XYZCT" Type="uint16" SizeX="36" SizeY="24" ID="Pixels:0" '
        f"{metadata}></Pixels></Image></OME>"
    )
    data = tiff(DEEP[0], description=xml, metadata=None)
    assert page_count(data) == 1
    np.testing.assert_array_equal(load_image(data), as_rgb(DEEP[0]))


def test_pages_in_a_circle_are_noticed_however_long_it_is():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for _ in range(150):
            writer.write(PHOTO[:2, :2, 0], metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        last, earlier = tif.pages[149], tif.pages[120].offset
        tags = struct.unpack_from("<H", data, last.offset)[0]
    struct.pack_into("<I", data, last.offset + 2 + 12 * tags, earlier)
    for read in (load_image, page_count):
        with pytest.raises(ImageError, match="endless loop"):
            read(bytes(data))
