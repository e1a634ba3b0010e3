"""More than a hundred damaged and hostile images: one sentence each, and bounded memory.

Run as a program, this file reads them all under a limit of address space and prints what happened.
"""

import io
import json
import logging
import resource
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam_plugins.errors import ImageError
from sam_plugins.images import Limits, load_image, page_count

SIZE = (24, 32)
ROOM = 600 * 2**20
PHOTO = np.random.default_rng(7).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
PHOTO[:12] = (200, 30, 60)


def encoded(kind, **options):
    file = io.BytesIO()
    image = Image.fromarray(PHOTO)
    (image.quantize(32) if kind == "GIF" else image).save(file, kind, **options)
    return file.getvalue()


def tiff(array=PHOTO, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **{"metadata": None, **options})
    return file.getvalue()


def whole_files():
    stack = np.stack([PHOTO[:, :, 0]] * 3)
    return {
        "png": encoded("PNG"),
        "jpeg": encoded("JPEG"),
        "progressive jpeg": encoded("JPEG", progressive=True),
        "webp": encoded("WEBP"),
        "lossless webp": encoded("WEBP", lossless=True),
        "bmp": encoded("BMP"),
        "gif": encoded("GIF"),
        "tiff": tiff(photometric="rgb"),
        "lzw tiff": tiff(photometric="rgb", compression="lzw", tile=(16, 16)),
        "deflate tiff": tiff(photometric="rgb", compression="zlib", predictor=True),
        "jpeg tiff": tiff(photometric="rgb", compression="jpeg"),
        "bigtiff": tiff(photometric="rgb", compression="packbits", bigtiff=True),
        "ome tiff": tiff(stack, ome=True, metadata={"axes": "ZYX"}),
        "imagej tiff": tiff(stack, imagej=True, metadata={"axes": "ZYX"}),
    }


def truncated():
    for name, data in whole_files().items():
        for part in (0.05, 0.4, 0.75, 0.98):
            yield f"{name} cut to {part:.0%}", data[: int(len(data) * part)], data


def flipped():
    rng = np.random.default_rng(11)
    for name, data in whole_files().items():
        header = 64 if "tiff" not in name else 220
        for number in range(6):
            damaged = bytearray(data)
            at = int(rng.integers(4, header))
            damaged[at : at + 1 + 3 * (number % 2)] = bytes([rng.integers(256)]) * (
                1 + 3 * (number % 2)
            )
            yield f"{name} with byte {at} changed, {number}", bytes(damaged)


def chunk(kind, body, *, wrong=0):
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)
    )


def png(width, height, rows, *, depth=8, colour=2, extra=b"", wrong=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header, wrong=wrong)
        + extra
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def broken_pngs():
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in PHOTO))
    height, width = SIZE
    yield "png of 2^31 squared", png(2**31 - 1, 2**31 - 1, rows)
    yield "png of 60000 squared", png(60_000, 60_000, rows)
    yield "png of 32768 squared", png(32_768, 32_768, rows)
    yield "png of 0 pixels", png(0, 0, rows)
    yield "png with wrong header checksum", png(width, height, rows, wrong=1)
    wrong = bytearray(png(width, height, rows))
    wrong[-17] ^= 1
    yield "png with wrong data checksum", bytes(wrong)
    yield "png with too few rows", png(width, height, zlib.compress(zlib.decompress(rows)[:-400]))
    yield "png without data", png(width, height, b"")
    yield "png of depth 7", png(width, height, rows, depth=7)
    yield "png palette without palette", png(width, height, rows, colour=3)
    blank = zlib.compressobj(9)
    squeezed = b"".join(blank.compress(bytes(2501)) for _ in range(20_000)) + blank.flush()
    yield "png bomb of 400 megapixels", png(20_000, 20_000, squeezed, depth=1, colour=0)
    bomb = zlib.compress(bytes(50_000_000), 9)
    yield "png with a text bomb", png(width, height, rows, extra=chunk(b"zTXt", b"a\0\0" + bomb))
    yield "png with a profile bomb", png(width, height, rows, extra=chunk(b"iCCP", b"a\0\0" + bomb))
    frames = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "png of 2^31 frames", png(width, height, rows, extra=frames)


def broken_jpegs():
    data = encoded("JPEG")
    at = data.index(b"\xff\xc0")
    for size in ((65_535, 65_535), (32_768, 32_768), (0, 32)):
        huge = data[: at + 5] + struct.pack(">HH", *size) + data[at + 9 :]
        yield f"jpeg of {size}", huge
    yield "jpeg of one marker", b"\xff\xd8\xff"
    yield "jpeg without pixels", data[: data.index(b"\xff\xda")] + b"\xff\xd9"
    yield "jpeg without end", data[:-2]
    yield "jpeg with a segment of length 0", data[:2] + b"\xff\xe0\0\0" + data[2:]


def broken_others():
    gif, bmp = encoded("GIF"), encoded("BMP")
    yield "gif of 65535 squared", gif[:6] + b"\xff" * 4 + gif[10:]
    frame = gif.index(b",", 13 + 96)
    yield "gif frame far outside", gif[: frame + 1] + b"\xf0\xff" * 2 + gif[frame + 5 :]
    yield "gif frame of 65535 squared", gif[: frame + 5] + b"\xff" * 4 + gif[frame + 9 :]
    yield "gif code of 255 bits", gif[: frame + 10] + b"\xff" + gif[frame + 11 :]
    yield "gif without frames", gif[:frame] + b";"
    yield "gif of 5000 frames", gif[:frame] + gif[frame:-1] * 5000 + b";"
    for side in (2**31 - 1, -(2**31), 0):
        yield f"bmp of side {side}", bmp[:18] + struct.pack("<ii", side, side) + bmp[26:]
    yield "bmp of 2^31 colours", bmp[:46] + struct.pack("<I", 2**31 - 1) + bmp[50:]
    yield "bmp with pixels at 2^31", bmp[:10] + struct.pack("<I", 2**31 - 1) + bmp[14:]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff" * 6
    yield "webp canvas of 2^24 squared", b"RIFF" + struct.pack("<I", len(body)) + body
    lossless = encoded("WEBP", lossless=True)
    yield "webp of 16384 squared", lossless[:21] + b"\xff\xff\xff\x0f" + lossless[25:]
    for signature in (b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0+", b"RIFF"):
        yield f"nothing but {signature!r}", signature
        yield f"{signature!r} and zeros", signature + bytes(300)
        yield f"{signature!r} and ones", signature + b"\xff" * 300
    yield "no bytes", b""
    yield "text", b"The quick brown fox jumps over the lazy dog"


def with_tag(data, code, value, *, count=None):
    """A little-endian classic TIFF in which one tag of the first page has another value."""
    data = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * tags, 12):
        found, kind, old = struct.unpack_from("<HHI", data, at)
        if found == code:
            kind = 4 if value > 65_535 else kind
            struct.pack_into("<HHI", data, at, found, kind, old if count is None else count)
            struct.pack_into("<H" if kind == 3 else "<I", data, at + 8, value)
            return bytes(data)
    raise LookupError(code)


def broken_tiffs():
    plain = tiff(photometric="rgb", rowsperstrip=8)
    lzw = tiff(photometric="rgb", compression="lzw", rowsperstrip=8)
    tiled = tiff(photometric="rgb", compression="zlib", tile=(16, 16))
    for name, data in (("plain", plain), ("lzw", lzw), ("tiled", tiled)):
        for value in (2**32 - 1, 60_000, 30_000, 0):
            yield f"{name} tiff of width {value}", with_tag(data, 256, value)
            yield f"{name} tiff of height {value}", with_tag(data, 257, value)
        huge = with_tag(with_tag(data, 256, 2**32 - 1), 257, 2**32 - 1)
        yield f"{name} tiff of 2^32 squared", huge
        yield f"{name} tiff of 65535 samples", with_tag(data, 277, 65_535)
        yield f"{name} tiff of unknown compression", with_tag(data, 259, 4711)
        yield f"{name} tiff of no sample format", with_tag(data, 262, 4711)
    yield "tiff of 2^31 strips", with_tag(with_tag(with_tag(lzw, 256, 1), 257, 2**30), 278, 1)
    yield "tiff of strips of no rows", with_tag(lzw, 278, 0)
    for code in (273, 279):
        yield f"tiff that lists 2^32 values of tag {code}", with_tag(lzw, code, 8, count=2**32 - 1)
        yield f"tiff that lists no values of tag {code}", with_tag(lzw, code, 8, count=0)
        yield f"tiff that lists one value of tag {code}", with_tag(lzw, code, 300, count=1)
    yield "tiff with tiles of 2^30 squared", with_tag(with_tag(tiled, 322, 2**30), 323, 2**30)
    yield "tiff with tiles of 65520 squared", with_tag(with_tag(tiled, 322, 65_520), 323, 65_520)
    yield "tiff with tiles of no width", with_tag(tiled, 322, 0)
    yield (
        "tiff whose first page is beyond its end",
        plain[:4] + struct.pack("<I", 2**31) + plain[8:],
    )
    (start,) = struct.unpack_from("<I", plain, 4)
    (tags,) = struct.unpack_from("<H", plain, start)
    link = start + 2 + 12 * tags
    yield "tiff whose page follows itself", plain[:link] + plain[4:8] + plain[link + 4 :]
    yield "tiff of 65535 tags", plain[:start] + b"\xff\xff" + plain[start + 2 :]
    yield "tiff whose next page is text", plain[:link] + struct.pack("<I", 3) + plain[link + 4 :]
    blank = np.zeros((3_000, 6_000), np.uint8)
    for codec in ("zlib", "lzw", "zstd", "lzma", "packbits"):
        bomb = tiff(blank, compression=codec, rowsperstrip=3_000)
        yield f"tiff with a {codec} bomb", with_tag(with_tag(bomb, 257, 8), 278, 8)
    jpeg = bytearray(tiff(photometric="rgb", compression="jpeg"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65_000, 65_000)
    yield "tiff with a jpeg bomb", bytes(jpeg)
    for shape in ("[1000000000000, 24, 32, 3]", "[-1, 24, 32, 3]", "[24, 32]", "[]", '"x"'):
        yield f"tifffile of shape {shape}", tiff(description=f'{{"shape": {shape}}}')


def false_metadata():
    """Descriptions that cannot be true, of pictures that are whole."""
    nested = io.BytesIO()
    with tifffile.TiffWriter(nested) as writer:
        writer.write(PHOTO, metadata=None, photometric="rgb", subifds=1)
        writer.write(PHOTO[::2], metadata=None, photometric="rgb", subfiletype=1)
    (start,) = struct.unpack_from("<I", nested.getvalue(), 4)
    yield "tiff whose inner page is itself", with_tag(nested.getvalue(), 330, start)
    laughs = '<!DOCTYPE a [<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)
    )
    yield (
        "ome with entities",
        tiff(description=f'<?xml version="1.0"?>{laughs}]><OME xmlns="x/OME/2016-06">&a11;</OME>'),
    )
    modulo = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><StructuredAnnotations>'
        '<XMLAnnotation ID="A" Namespace="openmicroscopy.org/omero/dimension/modulo"><Value>'
        '<Modulo><ModuloAlongZ Type="phase" Start="0" End="1e10" Step="0.1"/></Modulo></Value>'
        "</XMLAnnotation></StructuredAnnotations></OME>"
    )
    yield "ome with endless steps", tiff(description=modulo)
    yield (
        "imagej of 10^12 planes",
        tiff(description="ImageJ=1.53\nimages=1000000000000\nslices=1000000\nframes=1000000\n"),
    )


def cases():
    """Name, bytes and, where a picture is allowed only if it is the right one, the whole file."""
    for source in (
        truncated,
        flipped,
        broken_pngs,
        broken_jpegs,
        broken_others,
        broken_tiffs,
        false_metadata,
    ):
        for name, data, *whole in source():
            yield name, data, whole[0] if whole else None


def outcome(data, whole, limits):
    try:
        page_count(data, limits=limits)
        image = load_image(data, limits=limits)
    except ImageError as error:
        return "error", str(error)
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    right = whole is None or np.array_equal(image, load_image(whole))
    return ("picture" if right else "wrong picture"), ""


def main():
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    everything = list(cases())
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
    report = []
    for label in ("strict", "local"):
        for name, data, whole in everything:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            kind, message = outcome(data, whole, getattr(Limits, label)())
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            report.append([f"{name} ({label})", kind, message, grown // 1024])
    json.dump(report, sys.stdout)


@pytest.fixture(scope="module")
def report():
    if not sys.platform.startswith("linux"):
        pytest.skip("address space is bounded and measured on Linux only")
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_there_are_more_than_a_hundred(report):
    assert len(report) > 2 * 150
    assert len({name for name, *_ in report}) == len(report)


def test_each_error_is_one_clear_sentence(report):
    errors = [(name, message) for name, kind, message, _ in report if kind == "error"]
    assert len(errors) > 2 * 120
    for name, message in errors:
        assert message.endswith("."), (name, message)
        assert message[0].isupper() or message[0] == "'", (name, message)
        assert "\n" not in message, (name, message)
        assert 40 < len(message) < 420, (name, message)


def test_no_truncated_file_gives_a_picture(report):
    kinds = {name: kind for name, kind, *_ in report if " cut to " in name}
    assert len(kinds) == 2 * 4 * len(whole_files())
    assert not [name for name, kind in kinds.items() if kind == "wrong picture"]
    assert sum(kind == "picture" for kind in kinds.values()) < 10


def test_memory_stays_bounded(report):
    # What is allowed to a user's own files is bounded by the address space of the program.
    grown = {name: megabytes for name, *_, megabytes in report if megabytes > 60}
    assert set(grown) <= {"png bomb of 400 megapixels (local)"}


@pytest.mark.parametrize(
    "name",
    [
        "png of 2^31 squared",
        "png bomb of 400 megapixels",
        "png with wrong header checksum",
        "png with wrong data checksum",
        "png with too few rows",
        "jpeg of (65535, 65535)",
        "jpeg without pixels",
        "gif frame of 65535 squared",
        "bmp of side 2147483647",
        "webp canvas of 2^24 squared",
        "tiff with a jpeg bomb",
        "tiff with tiles of 65520 squared",
        "tiff whose page follows itself",
        "lzw tiff of 2^32 squared",
        "tiff that lists one value of tag 273",
        "no bytes",
    ],
)
def test_these_are_never_accepted(report, name):
    found = [kind for case, kind, *_ in report if case.startswith(f"{name} (")]
    assert found == ["error", "error"]


def test_false_metadata_do_not_cost_the_picture():
    for name, data in false_metadata():
        np.testing.assert_array_equal(load_image(data), PHOTO, err_msg=name)


if __name__ == "__main__":
    main()
