"""PNG, JPEG, WebP, BMP and GIF files, Pillow images and the ways to hand them over."""

import io
import struct
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sam_plugins.errors import ImageError, LimitError
from sam_plugins.images import Intensity, Limits, load_image, page_count

RNG = np.random.default_rng(0)
PHOTO = np.kron(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
PHOTO[:, :3] = (250, 10, 40)


def encoded(image, kind="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rotated_exif(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_all_eight_orientations_are_undone(orientation, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    options["tiffinfo" if kind == "TIFF" else "exif"] = (
        {274: orientation} if kind == "TIFF" else rotated_exif(orientation)
    )
    plain = load_image(
        encoded(PHOTO, kind, **{k: v for k, v in options.items() if k == "lossless"})
    )
    data = encoded(PHOTO, kind, **options)
    found = load_image(data)
    np.testing.assert_array_equal(found, UPRIGHT[orientation](plain))
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(load_image(Image.open(io.BytesIO(data))), found)


def test_the_orientation_of_a_png_counts_wherever_its_chunk_stands():
    data = encoded(PHOTO)
    exif = rotated_exif(6).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    late = data[:-12] + chunk + data[-12:]
    np.testing.assert_array_equal(load_image(late), np.rot90(PHOTO, -1))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(orientation):
    np.testing.assert_array_equal(load_image(encoded(PHOTO, exif=rotated_exif(orientation))), PHOTO)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("PNG", {"bits": 8})],
)
def test_lossless_files_give_their_pixels(kind, options):
    np.testing.assert_array_equal(load_image(encoded(PHOTO, kind, **options)), PHOTO)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_files_give_what_pillow_gives(kind):
    data = encoded(PHOTO, kind, quality=95)
    np.testing.assert_array_equal(load_image(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_pillow_images_of_every_mode_look_as_in_rgb(mode):
    image = Image.fromarray(PHOTO).convert("P" if mode == "PA" else mode).convert(mode)
    reference = image.convert("L") if mode == "LA" else image
    np.testing.assert_array_equal(load_image(image), np.asarray(reference.convert("RGB")))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_palettes_of_every_depth(kind, bits):
    image = Image.fromarray(PHOTO).quantize(2**bits)
    options = {"bits": bits} if kind == "PNG" else {}
    np.testing.assert_array_equal(
        load_image(encoded(image, kind, **options)), np.asarray(image.convert("RGB"))
    )


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_transparency_is_dropped_and_the_colours_stay(kind):
    image = Image.fromarray(PHOTO).quantize(16)
    options = {"transparency": 3} if kind != "WEBP" else {"lossless": True, "exact": True}
    truth = np.asarray(image.convert("RGB"))
    if kind == "WEBP":
        image = Image.fromarray(np.dstack([truth, truth[:, :, 0]]))
    np.testing.assert_array_equal(load_image(encoded(image, kind, **options)), truth)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha_is_grey_and_not_two_stains(kind):
    image = Image.fromarray(PHOTO).convert("LA")
    grey = np.asarray(image)[:, :, :1].repeat(3, 2)
    np.testing.assert_array_equal(load_image(encoded(image, kind)), grey)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_has_its_colours_not_their_negative(kind):
    found = load_image(encoded(Image.fromarray(PHOTO).convert("CMYK"), kind))
    assert np.abs(found[:, 0].astype(int) - (250, 10, 40)).max() < 30


def test_alpha_can_be_chosen_as_a_channel():
    rgba = np.dstack([PHOTO, PHOTO[:, :, 1]])
    found = load_image(encoded(rgba), channels=3)
    np.testing.assert_array_equal(found, PHOTO[:, :, [1, 1, 1]])


def png_of(array, colour_type):
    """A 16-bit PNG, which Pillow cannot write in colour."""

    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    height, width = array.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("colour_type", "count"), [(0, 1), (4, 2), (2, 3), (6, 4)])
def test_sixteen_bit_png_keeps_its_range(colour_type, count):
    deep = RNG.integers(0, 4096, (9, 11, count)).astype(np.uint16)
    found = load_image(png_of(deep, colour_type), intensity=Intensity("limits", 0, 4095))
    expected = np.rint(deep[:, :, : 1 if count < 3 else 3] / 4095 * 255)
    np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))
    assert load_image(png_of(deep, colour_type)).max() == 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_of_animations_are_pages(kind):
    frames = [Image.fromarray(np.roll(PHOTO, 5 * k, 0)).quantize(8) for k in range(3)]
    frames = [frame.convert("RGB") for frame in frames]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options
    )
    assert page_count(data) == 3
    for page, frame in enumerate(frames):
        np.testing.assert_array_equal(load_image(data, page=page), np.asarray(frame))
    for page in (3, -1):
        with pytest.raises(ImageError, match=f"pages 0 to 2, found page={page}"):
            load_image(data, page=page)
    with pytest.raises(LimitError, match="more than 2 pages"):
        load_image(data, limits=Limits(None, None, 2))


def test_paths_bytes_and_files_give_the_same(tmp_path):
    data = encoded(PHOTO)
    path = tmp_path / "photo without suffix"
    path.write_bytes(data)
    file = io.BytesIO(data)
    file.seek(99)
    sources = [path, str(path), data, bytearray(data), memoryview(data), file]
    for source in sources:
        np.testing.assert_array_equal(load_image(source), PHOTO)
        assert page_count(source) == 1
    with path.open("rb") as opened:
        np.testing.assert_array_equal(load_image(opened), PHOTO)
        assert not opened.closed


def test_a_stream_that_cannot_be_rewound_is_read_within_the_limits():
    class Pipe:
        def __init__(self):
            self.taken = 0
            self.file = io.BytesIO(encoded(PHOTO))

        def read(self, count=-1):
            data = self.file.read(count)
            self.taken += len(data)
            return data

    np.testing.assert_array_equal(load_image(Pipe()), PHOTO)
    pipe = Pipe()
    with pytest.raises(LimitError, match="at most 50 are allowed"):
        load_image(pipe, limits=Limits(None, 50, None))
    assert pipe.taken == 51


def test_files_that_give_no_bytes_are_refused():
    class Raster:
        def read(self, *bands):
            return PHOTO

    closed = io.BytesIO(encoded(PHOTO))
    closed.close()
    for source, message in [(Raster(), "gives ndarray when read"), (closed, "closed file")]:
        with pytest.raises(ImageError, match=message):
            load_image(source)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_what_is_read_can_be_written_to(kind):
    assert load_image(encoded(PHOTO, kind)).flags.writeable


def test_what_is_no_image_file_gets_one_clear_sentence(tmp_path):
    empty, text = tmp_path / "empty.png", tmp_path / "notes.png"
    empty.write_bytes(b"")
    text.write_text("dear diary")
    cases = [
        (tmp_path / "missing.png", r"missing.png' does not exist"),
        (tmp_path, "is a folder"),
        (empty, r"empty.png' is empty \(0 bytes\)"),
        (text, r"starts with b'dear diary': PNG, JPEG, WebP, BMP, GIF and TIFF are"),
        (b"", "is empty"),
        (b"%PDF-1.7 ...", "%PDF"),
        ("nul\0byte", "cannot be opened"),
        (io.StringIO("text"), "binary mode"),
    ]
    for source, message in cases:
        for read in (load_image, page_count):
            with pytest.raises(ImageError, match=message):
                read(source)


def test_a_file_of_one_pixel_is_refused():
    with pytest.raises(ImageError, match="single pixel"):
        load_image(encoded(PHOTO[:1, :1]))
    assert load_image(encoded(PHOTO[:1, :2])).shape == (1, 2, 3)


def test_channel_axis_is_not_for_files_that_know_better():
    with pytest.raises(ImageError, match="A PNG file says itself"):
        load_image(encoded(PHOTO), channel_axis=0)


def test_limits_are_checked_before_decoding():
    pixels = PHOTO.shape[0] * PHOTO.shape[1]
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"):
        data = encoded(PHOTO, kind)
        assert load_image(data, limits=Limits(pixels, len(data) * 99, 1)).shape == PHOTO.shape
        for limits in (Limits(pixels - 1, None, None), Limits(None, len(data) - 1, None)):
            with pytest.raises(LimitError, match="allowed here"):
                load_image(data, limits=limits)
            assert page_count(data) == 1
    assert Limits.strict().max_pixels < Limits.local().max_pixels


def test_pillow_images_obey_the_limits():
    with pytest.raises(LimitError, match="768 pixels and at most 767"):
        load_image(Image.fromarray(PHOTO), limits=Limits(767, None, None))


def test_pillows_own_limit_neither_fires_nor_changes(monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "JPEG", "BMP", "TIFF"):
        assert load_image(encoded(PHOTO, kind)).shape == PHOTO.shape
    for kind in ("WEBP", "GIF"):
        with pytest.raises(LimitError, match=f"Pillow's {'WebP' if kind == 'WEBP' else kind}"):
            load_image(encoded(PHOTO, kind))
    assert Image.MAX_IMAGE_PIXELS == 100
    assert not recwarn.list


def test_truncated_files_are_refused_even_where_pillow_was_told_to_accept_them():
    code = """
        import io, sys
        import numpy as np
        from PIL import Image, ImageFile
        from sam_plugins.errors import ImageError
        from sam_plugins.images import load_image

        ImageFile.LOAD_TRUNCATED_IMAGES = True
        pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
        animated = dict(save_all=True, append_images=[image.rotate(180)])
        for kind, options, page in [
            ("PNG", {}, 0), ("JPEG", {}, 0), ("JPEG", {"progressive": True}, 0), ("BMP", {}, 0),
            ("GIF", {}, 0), ("WEBP", {}, 0), ("TIFF", {}, 0), ("TIFF", {"compression": "jpeg"}, 0),
            ("TIFF", {"compression": "tiff_lzw"}, 0), ("GIF", animated, 1), ("PNG", animated, 1),
            ("WEBP", animated, 1),
        ]:
            file = io.BytesIO()
            image.save(file, kind, **options)
            whole = load_image(file.getvalue(), page=page)
            for part in (0.2, 0.5, 0.8, 0.97):
                try:
                    load_image(file.getvalue()[: int(file.tell() * part)], page=page)
                except ImageError:
                    continue
                sys.exit(f"{kind} {options} cut to {part} was accepted")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)


def test_png_text_and_profiles_do_not_disturb():
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 500, zip=True)
    data = encoded(PHOTO, pnginfo=info, icc_profile=b"not a profile", dpi=(300, 300))
    np.testing.assert_array_equal(load_image(data), PHOTO)
