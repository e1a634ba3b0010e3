"""Every kind of source under the one contract, what it reads for a window, and what it refuses."""

import gc

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images import Intensity, Limits, as_rgb, load_image
from sam_plugins.sources import open_source
from sam_plugins.sources.rgb import sample_regions
from sam_plugins.testing import SourceContract

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 256, (70, 90, 3), dtype=np.uint8)
DEEP = (RNG.normal(900, 200, (3, 70, 90)).clip(0) * np.linspace(0.5, 1.5, 90)).astype(np.uint16)
LIMITS = tuple(float(v) for v in np.percentile(DEEP.astype(float), (0.1, 99.9)))
SHOWN = np.stack([as_rgb(p, intensity=Intensity("limits", *LIMITS)) for p in DEEP])


class TestColourArray(SourceContract):
    def make_source(self):
        self.expected = COLOUR[None]
        return open_source(COLOUR)


class TestDeepStack(SourceContract):
    def make_source(self):
        self.expected = SHOWN
        return open_source(DEEP, axes="ZYX")


class TestChannelsFirst(SourceContract):
    def make_source(self):
        self.expected = COLOUR[None]
        return open_source(np.ascontiguousarray(COLOUR.transpose(2, 0, 1)))


class TestFramesOfFloats(SourceContract):
    def make_source(self):
        floats = np.stack([COLOUR, COLOUR[::-1]]) / np.float32(255)
        self.expected = np.stack([COLOUR, COLOUR[::-1]])
        return open_source(floats)


class TestManyChannels(SourceContract):
    def make_source(self):
        many = RNG.integers(0, 256, (2, 9, 50, 60), dtype=np.uint8)
        self.expected = np.moveaxis(many[:, [7, 0, 3]], 1, -1)
        return open_source(many, axes="TCYX", channels=(7, 0, 3))


class TestNpy(SourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.path = tmp_path / "a.npy"
        np.save(self.path, DEEP)

    def make_source(self):
        self.expected = SHOWN
        return open_source(self.path, axes="ZYX")


class TestPng(TestNpy):
    def make_source(self):
        self.expected = COLOUR[None]
        path = self.path.with_suffix(".png")
        PillowImage.fromarray(COLOUR).save(path)
        return open_source(path)


class TestDask(SourceContract):
    @pytest.fixture(autouse=True)
    def _dask(self, require):
        require("dask")

    def make_source(self):
        import dask.array as da

        self.expected = SHOWN
        return open_source(da.from_array(DEEP, chunks=(1, 32, 20)), axes="TYX")


class TestZarr3(SourceContract):
    zarr_format = 3

    @pytest.fixture(autouse=True)
    def _zarr(self, require, tmp_path):
        require("zarr")
        self.path = tmp_path / "a.zarr"

    def make_source(self):
        import zarr

        self.expected = SHOWN
        array = zarr.create_array(
            self.path,
            shape=DEEP.shape,
            chunks=(1, 32, 20),
            dtype=DEEP.dtype,
            zarr_format=self.zarr_format,
            overwrite=True,
        )
        array[:] = DEEP
        return open_source(self.path, axes="ZYX")


class TestZarr2(TestZarr3):
    zarr_format = 2


class TestOmeZarr(TestZarr3):
    def make_source(self):
        import zarr

        self.expected = SHOWN
        group = zarr.open_group(self.path, mode="w", zarr_format=2)
        for level, data in (("1", DEEP[:, ::2, ::2]), ("0", DEEP)):
            array = group.create_array(
                level, shape=(1, *data.shape), chunks=(1, 1, 32, 20), dtype=data.dtype
            )
            array[:] = data[None]
        group.attrs["multiscales"] = [
            {
                "axes": [{"name": name} for name in "czyx"],
                "datasets": [{"path": "1"}, {"path": "0"}],
            }
        ]
        return open_source(self.path)


TIFFS = {
    "mapped": {"photometric": "rgb"},
    "strips": {"photometric": "rgb", "compression": "lzw", "rowsperstrip": 7},
    "tiles": {"photometric": "rgb", "compression": "zlib", "tile": (32, 16)},
    "big, uncompressed tiles": {"photometric": "rgb", "tile": (16, 48), "bigtiff": True},
    "planes apart": {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 32)},
    "planes in strips": {
        "photometric": "rgb",
        "planarconfig": "separate",
        "compression": "zstd",
        "rowsperstrip": 20,
    },
    "swapped bytes": {"photometric": "rgb", "byteorder": ">", "compression": "lzw"},
}


@pytest.mark.parametrize("options", TIFFS.values(), ids=TIFFS)
class TestTiff(SourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path, options):
        self.path, self.options = tmp_path / "a.tif", options

    def make_source(self):
        self.expected = COLOUR[None]
        separate = self.options.get("planarconfig") == "separate"
        data = COLOUR.transpose(2, 0, 1) if separate else COLOUR
        tifffile.imwrite(self.path, data, **self.options)
        return open_source(self.path)


STACKS = {
    "tifffile": {"photometric": "minisblack"},
    "plain": {"photometric": "minisblack", "metadata": None},
    "plain tiles": {
        "photometric": "minisblack",
        "metadata": None,
        "compression": "lzw",
        "tile": (32, 32),
    },
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "ome": {"ome": True, "metadata": {"axes": "TYX"}, "compression": "zlib", "predictor": True},
    "swapped": {"photometric": "minisblack", "byteorder": ">"},
}


@pytest.mark.parametrize("options", STACKS.values(), ids=STACKS)
class TestTiffStack(SourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path, options):
        self.path, self.options = tmp_path / "a.tif", options

    def make_source(self):
        self.expected = SHOWN
        tifffile.imwrite(self.path, DEEP, **self.options)
        return open_source(self.path)


class TestTiffJpeg(SourceContract):
    """Chroma is halved, so that only `load_image` can say what is expected."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.path = tmp_path / "a.tif"

    def make_source(self):
        smooth = np.kron(COLOUR[::8, ::8], np.ones((8, 8, 1), np.uint8))
        tifffile.imwrite(self.path, smooth, photometric="rgb", compression="jpeg", tile=(32, 32))
        self.expected = load_image(self.path)[None]
        return open_source(self.path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("tile", [None, (32, 16)])
def test_a_turned_tiff_is_shown_upright_as_load_image_does(tmp_path, orientation, tile):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, COLOUR, photometric="rgb", tile=tile, extratags=[(274, 3, 1, orientation)]
    )
    whole, source = load_image(path), open_source(path)
    assert source.shape[1:] == whole.shape[:2]
    np.testing.assert_array_equal(source.read(0, (5, 8, 41, 60)), whole[8:60, 5:41])


@pytest.mark.parametrize("photometric", ["miniswhite", "palette"])
def test_grey_turned_over_and_palettes_are_shown_as_load_image_does(tmp_path, photometric):
    path = tmp_path / "a.tif"
    options = {}
    if photometric == "palette":
        options["colormap"] = RNG.integers(0, 2**16, (3, 256), dtype=np.uint16)
    tifffile.imwrite(path, COLOUR[..., 0], photometric=photometric, tile=(16, 16), **options)
    window = open_source(path).read(0, (5, 8, 41, 60))
    np.testing.assert_array_equal(window, load_image(path)[8:60, 5:41])


def test_channels_of_a_tiff_are_those_it_names_or_those_asked_for(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, DEEP[:2], ome=True, metadata={"axes": "CYX"}, tile=(32, 32))
    source = open_source(path)
    assert source.shape == (1, 70, 90)
    np.testing.assert_array_equal(source.read(0, (5, 8, 41, 60)), load_image(path)[8:60, 5:41])
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, DEEP, photometric="minisblack", metadata=None, compression="lzw")
    source = open_source(path, axes="CYX", channels=(2, 0))
    assert source.shape == (1, 70, 90)
    expected = load_image(path, channel_axis=0, channels=(2, 0))
    np.testing.assert_array_equal(source.read(0, (5, 8, 41, 60)), expected[8:60, 5:41])
    with pytest.raises(ImageError, match="3 channels"):
        open_source(path, axes="CYX", channels=3).read(0)


def test_small_pictures_get_the_limits_that_load_image_decides(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP[0], tile=(32, 32), compression="lzw")
    window = open_source(path).read(0, (5, 8, 41, 60))
    np.testing.assert_array_equal(window, load_image(path)[8:60, 5:41])


def test_smaller_copies_and_thumbnails_are_no_frames(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 2, 4):
            writer.write(COLOUR[::step, ::step], photometric="rgb", metadata=None)
    assert open_source(path).shape == (1, 70, 90)


class Watched:
    """A large array that is never there: computes windows and notes how much was asked for."""

    def __init__(self, shape, dtype=np.uint16, chunks=None):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.chunks = chunks
        self.asked = 0

    def __getitem__(self, where):
        rows, columns = where
        assert isinstance(rows, slice)
        assert isinstance(columns, slice)
        y = np.arange(rows.start, rows.stop)[:, None]
        x = np.arange(columns.start, columns.stop)[None]
        self.asked += y.size * x.size
        return ((x // 7 + y // 3) % 4000).astype(self.dtype)


def test_a_window_of_a_huge_array_reads_that_window_and_a_bounded_sample_once():
    array = Watched((200_000, 300_000))
    source = open_source(array)
    assert array.asked == 0
    source.read(0, (100_000, 100_000, 100_200, 100_100))
    assert array.asked <= 200 * 100 + 64 * 128 * 128
    before = array.asked
    source.read(0, (0, 0, 200, 100))
    assert array.asked - before == 200 * 100


def test_given_limits_and_uint8_need_no_sample():
    for dtype, intensity in ((np.uint8, None), (np.uint16, Intensity("limits", 0, 4000))):
        array = Watched((200_000, 300_000), dtype)
        open_source(array, intensity=intensity).read(0, (0, 0, 200, 100))
        assert array.asked == 200 * 100


def test_the_sample_estimates_the_percentiles_of_the_whole():
    source = open_source(Watched((20_000, 20_000)))
    ((low, high),) = set(source.intensity_limits)
    assert 0 <= low < 100
    assert 3900 < high < 4000


def test_each_channel_may_have_its_own_limits():
    image = np.stack([DEEP[0], DEEP[0] // 4], axis=-1)
    intensity = Intensity("minmax", per_channel=True)
    source = open_source(image, intensity=intensity)
    np.testing.assert_array_equal(source.read(0), as_rgb(image, intensity=intensity))
    red, green = source.intensity_limits
    assert red[1] > 3 * green[1]


def test_only_the_tiles_that_a_window_meets_are_decoded(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.tile(COLOUR, (8, 8, 1)), tile=(64, 64), compression="zlib")
    source = open_source(path)
    source.read(0, (10, 10, 60, 60))
    decoded = source._raw.segments_decoded
    assert decoded == 1
    source.read(0, (60, 10, 70, 60))
    assert source._raw.segments_decoded == 2


def test_tiles_that_are_not_stored_are_black(tmp_path):
    path = tmp_path / "a.tif"
    tiles = (COLOUR[:64, :64] if n == 0 else None for n in range(4))
    tifffile.imwrite(path, tiles, shape=(128, 128, 3), dtype="u1", tile=(64, 64), photometric="rgb")
    source = open_source(path)
    np.testing.assert_array_equal(source.read(0), load_image(path))
    assert source.read(0, (0, 0, 64, 64)).any()
    assert not source.read(0, (64, 0, 128, 64)).any()


def test_an_open_file_and_its_bytes_are_read_by_window_too(tmp_path):
    from sam_plugins.images.limits import Limits
    from sam_plugins.images.tiff_windows import TiffWindows

    path = tmp_path / "a.tif"
    for options in TIFFS.values():
        separate = options.get("planarconfig") == "separate"
        tifffile.imwrite(path, COLOUR.transpose(2, 0, 1) if separate else COLOUR, **options)
        with path.open("rb") as file:
            for source in (file, path.read_bytes()):
                windows = TiffWindows(source, channel_axis=None, limits=Limits.strict())
                found = windows.read(0, (5, 8, 41, 60)).planes
                np.testing.assert_array_equal(found, COLOUR[8:60, 5:41])


def test_only_the_chunks_that_a_window_meets_are_computed(require):
    require("dask")
    import dask.array as da

    computed = []

    def block(block_info=None):
        computed.append(block_info[None]["chunk-location"])
        return np.zeros((50, 50), np.uint8)

    array = da.map_blocks(block, chunks=((50,) * 20, (50,) * 20), dtype=np.uint8)
    source = open_source(array)
    computed.clear()
    source.read(0, (60, 110, 140, 140))
    assert sorted(set(computed)) == [(2, 1), (2, 2)]


def test_a_tiff_cut_off_fails_with_a_sentence_and_reads_no_garbage(tmp_path):
    path = tmp_path / "a.tif"
    for options in TIFFS.values():
        separate = options.get("planarconfig") == "separate"
        tifffile.imwrite(path, COLOUR.transpose(2, 0, 1) if separate else COLOUR, **options)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        with pytest.raises(ImageError, match=r"truncated|damaged|beyond the end"):
            open_source(path).read(0, (80, 60, 90, 70))


def test_a_tiff_that_is_cut_while_open_fails_at_the_read(tmp_path):
    path = tmp_path / "a.tif"
    for options in ({}, {"compression": "zlib", "tile": (16, 16)}):
        tifffile.imwrite(path, COLOUR, photometric="rgb", **options)
        source = open_source(path)
        source.read(0, (0, 0, 5, 5))
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(ImageError, match=r"truncated|damaged"):
            source.read(0, (0, 60, 90, 70))


def test_a_damaged_chunk_fails_at_the_read(require, tmp_path):
    require("zarr")
    import zarr

    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=(64, 64), chunks=(32, 32), dtype="u1", zarr_format=2)
    array[:] = COLOUR[:64, :64, 0]
    (path / "1.1").write_bytes(b"no chunk")
    source = open_source(path)
    source.read(0, (0, 0, 32, 32))
    with pytest.raises(ImageError, match="missing or damaged"):
        source.read(0, (30, 30, 40, 40))


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((2, 5, 60, 70)), {}, "say which with axes"),
        (np.zeros((5, 6, 7)), {"axes": "YX"}, "must be 3 letters"),
        (np.zeros((5, 6, 7)), {"axes": "YYX"}, "one Y"),
        (np.zeros((9, 5, 6)), {"axes": "CYX"}, "9 channels and three"),
        (np.zeros((5, 6)), {"channels": 3}, "numbers from 0 to 0"),
        (np.zeros((0, 6)), {}, "is empty"),
        (np.zeros(6), {}, "rows and columns"),
        ("words", {}, "does not exist"),
        (7, {}, "found int"),
    ],
)
def test_what_cannot_be_a_picture_is_refused_at_once(array, options, message):
    with pytest.raises(ImageError, match=message):
        open_source(array, **options)


def test_not_a_number_is_refused_where_it_is_read():
    image = np.zeros((3000, 40), np.float32)
    image[2, 2] = np.nan
    source = open_source(image, intensity=Intensity("limits", 0, 1))
    source.read(0, (0, 100, 40, 200))
    with pytest.raises(ImageError, match="NaN"):
        source.read(0, (0, 0, 5, 5))


def test_a_source_that_nobody_holds_is_closed(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", tile=(16, 16))
    source = open_source(path)
    source.read(0)
    file = source._raw._windows._reader._file
    assert not file.closed
    del source
    gc.collect()
    assert file.closed


def test_limits_and_giant_chunks_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb")
    for source in (path, COLOUR):
        with pytest.raises(LimitError, match="70 x 90"):
            open_source(source, limits=Limits(100, None, None))
    with pytest.raises(LimitError, match="rechunk"):
        open_source(Watched((10**6, 10**6), chunks=(10**6, 10**6)))


@pytest.mark.parametrize("shape", [(1, 20_000, 20_000), (7, 100, 50_000), (2, 50, 60), (900, 9, 9)])
def test_the_sample_is_bounded_and_lies_inside(shape):
    regions = list(sample_regions(shape))
    assert len({index for index, _ in regions}) == min(shape[0], 4)
    assert sum((x1 - x0) * (y1 - y0) for _, (x0, y0, x1, y1) in regions) <= 4 * 1024**2
    for index, (x0, y0, x1, y1) in regions:
        assert 0 <= index < shape[0]
        assert 0 <= x0 < x1 <= shape[2]
        assert 0 <= y0 < y1 <= shape[1]
