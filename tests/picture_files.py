"""Picture files, drawn: every kind that the tests of bgkit.imagefile read, made from arrays."""

from __future__ import annotations

import functools
import importlib.util
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def scene(rows: int = 24, cols: int = 40) -> np.ndarray:
    """A smooth uint8 RGB picture that looks different in each of the eight orientations."""
    row, col = np.mgrid[0:rows, 0:cols]
    red = 30 + 200 * row / rows
    green = 220 - 180 * col / cols
    blue = 40 + 80 * row / rows + 90 * (col / cols) ** 2
    return np.stack([red, green, blue], -1).round().astype(np.uint8)


def veil(rows: int = 24, cols: int = 40) -> np.ndarray:
    """A uint8 alpha from clear to opaque."""
    return np.broadcast_to(np.linspace(0, 255, cols).round().astype(np.uint8), (rows, cols)).copy()


def wide(channels: int, rows: int = 11, cols: int = 13) -> np.ndarray:
    """Random uint16 samples, so that a lost low byte shows."""
    return np.random.default_rng(7).integers(0, 65536, (rows, cols, channels), dtype=np.uint16)


def saved(array: np.ndarray | Image.Image, form: str, **options) -> bytes:
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    memory = io.BytesIO()
    picture.save(memory, form, **options)
    return memory.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(samples: np.ndarray, color_type: int, *extra: bytes, depth: int = 16) -> bytes:
    """A PNG written out by hand, rows unfiltered."""
    rows = samples.reshape(len(samples), -1).astype(">u2" if depth == 16 else "u1")
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, color_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), *extra, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def tiff(samples: np.ndarray, **options) -> bytes:
    import tifffile

    memory = io.BytesIO()
    tifffile.imwrite(memory, samples, metadata=None, **options)
    return memory.getvalue()


def icc(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """An ICC profile of version 2 with the given tags (ICC.1:2001-04)."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)  # D50
    text = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"drawn\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white, **tags}
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"none", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def xyz_tag(values) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


# Adobe RGB (1998), section 4.3.5.3 and the D50 colorants that its profile carries.
ADOBE_GAMMA = 563 / 256
ADOBE_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
# Linear Adobe RGB to linear sRGB, both D65 (brucelindbloom.com, "RGB/XYZ matrices", multiplied out).
SRGB_FROM_ADOBE = np.array([[1.3983, -0.3983, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]])


def adobe_rgb() -> bytes:
    tags = {name: xyz_tag(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE_COLORANTS, strict=True)}
    return icc(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma_curve(ADOBE_GAMMA)))


def encode(linear) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_of_adobe(share: np.ndarray) -> np.ndarray:
    return encode(share**ADOBE_GAMMA @ SRGB_FROM_ADOBE.T)


def cmyk_profile() -> bytes:
    """A press that prints white paper, black for black, and for pure cyan a neutral gray of L* = 50."""
    lab = np.zeros((2, 2, 2, 2, 3), np.uint8)
    lab[...] = (0, 128, 128)
    lab[0, 0, 0, 0] = (255, 128, 128)
    lab[1, 0, 0, 0] = (128, 128, 128)
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + lab.tobytes() + ramp * 3
    return icc(b"CMYK", {b"A2B0": table}, connection=b"Lab ", kind=b"prtr")


@functools.cache
def samples_of_formats() -> dict[str, bytes]:
    """One sound file of each kind, small, for breaking."""
    rgba = np.dstack([scene(), veil()])
    noise = np.random.default_rng(3).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    files = {
        "jpeg": saved(noise, "JPEG", quality=80),
        "jpeg-progressive": saved(noise, "JPEG", quality=80, progressive=True),
        "jpeg-cmyk": saved(Image.fromarray(noise).convert("CMYK"), "JPEG"),
        "jpeg-gray": saved(noise[:, :, 0], "JPEG"),
        "png": saved(rgba, "PNG"),
        "png-palette": saved(Image.fromarray(scene()).quantize(64), "PNG"),
        "png-16": png(wide(3), 2),
        "webp": saved(rgba, "WEBP", quality=80),
        "webp-lossless": saved(rgba, "WEBP", lossless=True),
        "tiff": saved(rgba, "TIFF"),
        "tiff-lzw": saved(rgba, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": saved(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-16": tiff(wide(3), photometric="rgb"),
        "bmp": saved(noise, "BMP"),
        "gif": saved(Image.fromarray(scene()).quantize(64), "GIF"),
    }
    if features.check("avif"):
        files["avif"] = saved(noise, "AVIF")
    return files


@functools.cache
def samples_of_other_formats() -> dict[str, bytes]:
    """One sound file of each format that few send, and of those whose decoder is installed."""
    rgba = np.dstack([scene(), veil()])
    planes = np.moveaxis(scene(), -1, 0).tobytes()
    files = {
        "bmp-2": bmp_of_two_bits(scene()[:, :, 0] // 64, scene()[:4, 0]),
        "ico": saved(rgba, "ICO", sizes=[(16, 16), (24, 24)]),
        "ico-bmp": saved(rgba, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
        "jp2": saved(rgba, "JPEG2000"),
        "j2k": saved(scene(), "JPEG2000", no_jp2=True),
        "pnm": saved(scene(), "PPM"),
        "pnm-text": b"P3 2 1 255 # two\n1 2 3 250 251 252\n",
        "pnm-float": b"PF 2 1 -1.0\n" + np.float32([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).tobytes(),
        "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, *scene().shape[:2], 8, 3) + bytes(14) + planes,
        "qoi": saved(rgba, "QOI"),
        "tga": saved(rgba, "TGA"),
        "tga-rle": saved(scene(), "TGA", compression="tga_rle"),
    }
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        memory = io.BytesIO()
        pillow_heif.from_bytes("RGBA", (40, 24), rgba.tobytes()).save(memory, quality=80)
        files["heic"] = memory.getvalue()
    if importlib.util.find_spec("pillow_jxl"):
        import pillow_jxl  # noqa: F401 - tells Pillow how to save

        files["jxl"] = saved(rgba, "JXL", quality=80)
    return files


def bmp_of_two_bits(which: np.ndarray, colors: np.ndarray, top_down: bool = False) -> bytes:
    """A BMP of four colors, of which each pixel names one."""
    rows, cols = which.shape
    padded = np.pad(which, [(0, 0), (0, -cols % 16)]).astype(np.uint8).reshape(rows, -1, 4)
    packed = (padded << np.array([6, 4, 2, 0], np.uint8)).sum(2, dtype=np.uint8)
    palette = np.pad(colors[:, ::-1], [(0, 0), (0, 1)]).astype(np.uint8).tobytes()
    start = 54 + len(palette)
    head = struct.pack("<IiiHHIIiiII", 40, cols, -rows if top_down else rows, 1, 2, 0, 0, 0, 0, len(colors), 0)
    body = (packed if top_down else packed[::-1]).tobytes()
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + palette + body


KINDS = list(samples_of_formats())


def levels(image: np.ndarray) -> np.ndarray:
    """Float 0..1 as 0..255, unrounded."""
    return image.astype(np.float64) * 255


def stored_for(upright: np.ndarray, turn: int) -> np.ndarray:
    """What a camera stores so that a viewer obeying ``turn`` shows ``upright`` (EXIF 2.32, figure 5)."""
    return {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: np.rot90(a, 2),
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),  # shown after a quarter turn clockwise
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[turn](upright).copy()


def tiff_of(body: bytes, tags: dict[int, int | tuple[int, ...]], more: bytes = b"") -> bytes:
    """A TIFF written out by hand: the body, then one directory; an offset of 0 (tag 273) means the body's beginning."""
    entries, values = b"", b""
    behind = 8 + len(body) + len(body) % 2
    at = behind + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        numbers = tags[tag] if isinstance(tags[tag], tuple) else (tags[tag],)
        numbers = tuple(number + 8 for number in numbers) if tag in (273, 324) else numbers
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(packed) > 4:
            packed, values = struct.pack("<I", at + len(values)), values + packed
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    head = b"II*\0" + struct.pack("<I", behind)
    return head + body + bytes(len(body) % 2) + struct.pack("<H", len(tags)) + entries + bytes(4) + values + more


def tiff_by_hand(samples: np.ndarray, compression, predictor: bool, tile, planes: str) -> bytes:
    """A TIFF of 16 bits or floats in any layout; LZW is Pillow's own, of the bytes called a gray picture."""
    rows, cols, channels = samples.shape
    parts = [samples] if planes == "contig" else [samples[:, :, [k]] for k in range(channels)]
    high, across = tile or (8, cols)
    pieces = []
    for part in parts:
        for row in range(0, rows, high):
            for col in range(0, cols, across):
                block = part[row : row + high, col : col + across]
                if tile:
                    block = np.pad(block, [(0, high - block.shape[0]), (0, across - block.shape[1]), (0, 0)])
                pieces.append(_packed(block, compression, predictor and compression not in (None, "packbits")))
    offsets = tuple(np.cumsum([0] + [len(piece) for piece in pieces])[:-1].tolist())
    sizes = tuple(map(len, pieces))
    code = {None: 1, "zlib": 8, "lzw": 5, "lzma": 34925, "packbits": 32773}[compression]
    is_float = samples.dtype.kind == "f"
    tags = {256: cols, 257: rows, 258: (samples.dtype.itemsize * 8,) * channels, 259: code, 262: 2, 277: channels}
    tags |= {284: 1 if planes == "contig" else 2, 339: (3 if is_float else 1,) * channels}
    tags |= {317: 3 if is_float else 2} if predictor and compression not in (None, "packbits") else {}
    tags |= {322: across, 323: high, 324: offsets, 325: sizes} if tile else {273: offsets, 278: high, 279: sizes}
    return tiff_of(b"".join(pieces), tags)


def _packed(block: np.ndarray, compression, predictor: bool) -> bytes:
    import lzma

    little = block.astype(block.dtype.newbyteorder("<"))
    data = little.tobytes()
    if predictor and block.dtype.kind == "f":  # TIFF Technical Note 3
        planes = block.astype(block.dtype.newbyteorder(">")).view(np.uint8).reshape(*block.shape, block.dtype.itemsize)
        rows = np.moveaxis(planes, 3, 1).reshape(len(block), -1)
        step = block.shape[2]
        differences = rows.copy()
        differences[:, step:] -= rows[:, :-step]
        data = differences.tobytes()
    elif predictor:
        differences = little.copy()
        differences[:, 1:] -= little[:, :-1]
        data = differences.tobytes()
    if compression == "zlib":
        return zlib.compress(data)
    if compression == "lzma":
        return lzma.compress(data)
    if compression in ("lzw", "packbits"):
        rows = np.frombuffer(data, np.uint8).reshape(len(block), -1)
        form = {"lzw": "tiff_lzw", "packbits": "packbits"}[compression]
        whole = Image.open(io.BytesIO(saved(rows, "TIFF", compression=form, tiffinfo={278: len(rows)})))
        at, size = whole.tag_v2[273][0], whole.tag_v2[279][0]
        assert len(whole.tag_v2[273]) == 1
        return whole.fp.getvalue()[at : at + size]
    return data
