"""A folder of files that programs stumble over, and what must become of each."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

DONE, FAILED, LEFT_OUT = "done", "failed", "left out"


def make(folder: Path) -> dict[str, str]:
    """Write the files into ``folder`` and return name to what must become of it."""
    folder.mkdir(parents=True, exist_ok=True)
    fates: dict[str, str] = {}

    def put(name: str, data: bytes, fate: str) -> None:
        (folder / name).write_bytes(data)
        fates[name] = fate

    photo = _photo()
    whole = {form: _encode(photo, form) for form in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")}
    for form, ending in zip(whole, ("jpg", "png", "webp", "tif", "gif", "bmp"), strict=True):
        put(f"cut-{ending}.{ending}", whole[form][: len(whole[form]) // 2], FAILED)
        put(f"head-{ending}.{ending}", whole[form][:20], FAILED)
    put("empty.jpg", b"", FAILED)
    put("text.png", b"GET / HTTP/1.1\r\n\r\n" * 50, FAILED)
    put("zeros.tif", bytes(5000), FAILED)
    put("png-called.jpg", whole["PNG"], DONE)
    put("jpeg-called.gif", whole["JPEG"], DONE)
    put("webp-called.tiff", whole["WEBP"], DONE)
    damaged = bytearray(whole["PNG"])
    damaged[len(damaged) // 2] ^= 0xFF
    put("flipped-bit.png", bytes(damaged), FAILED)
    put("bomb-header.png", _png(60_000, 60_000, 8, 2, b"\0" * 100), FAILED)
    put("bomb.png", _png(20_000, 20_000, 1, 0, bytes(2501 * 20_000)), FAILED)
    put("bomb-text.png", _text_bomb(whole["PNG"]), FAILED)
    put(
        "bomb.bmp",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 100_000, 100_000, 1, 24, *(6 * [0])),
        FAILED,
    )
    put("circle.tif", struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 256, 3, 1, 1) + struct.pack("<I", 8), FAILED)
    put("strip.png", _encode(Image.new("RGB", (65_500, 1), (250, 250, 250)), "PNG"), DONE)
    put("strip.jpg", _encode(Image.new("RGB", (65_500, 9), (250, 250, 250)), "JPEG"), DONE)
    put("tower.png", _encode(Image.new("L", (2, 65_500), 240), "PNG"), DONE)
    put("1x1.png", _encode(Image.new("RGB", (1, 1), (9, 9, 9)), "PNG"), DONE)
    put("1x1.gif", _encode(Image.new("P", (1, 1)), "GIF"), DONE)
    put("cmyk.jpg", _encode(photo.convert("CMYK"), "JPEG"), DONE)
    put("cmyk.tif", _encode(photo.convert("CMYK"), "TIFF"), DONE)
    put("palette.png", _encode(photo.convert("P"), "PNG"), DONE)
    put("bits.png", _encode(photo.convert("1"), "PNG"), DONE)
    deep = np.asarray(photo).astype(np.uint16) * 257
    put("gray16.png", _encode(Image.fromarray(deep[..., 0]), "PNG"), DONE)
    memory = io.BytesIO()
    tifffile.imwrite(memory, deep, photometric="rgb")
    put("rgb16.tif", memory.getvalue(), DONE)
    frames = [photo, photo.rotate(180), photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    for form, ending in (("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
        put(f"moving.{ending}", _encode(frames[0], form, save_all=True, append_images=frames[1:]), DONE)
    put("profile.jpg", _encode(photo, "JPEG", icc_profile=b"no profile at all" * 20), DONE)
    put("exif.jpg", _encode(photo, "JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 60), DONE)
    for name in (
        "Füße 靴.png",
        "слон.png",
        "صورة.png",
        "🦔.png",
        "a\nb.png",
        "a\tb.png",
        "-o.png",
        " .png",
        "%2e%2e.png",
    ):
        put(name, whole["PNG"], DONE)
    put("star*[1]?.png", whole["PNG"], DONE)
    put("quote\"'$(x).png", whole["PNG"], DONE)
    put("long" + "x" * 247 + ".png", whole["PNG"], DONE)
    put(os.fsdecode(b"\xff\xfe\x80.png"), whole["PNG"], DONE)
    put("README", b"no picture", LEFT_OUT)
    for name, target, fate in (
        ("loop.png", "loop.png", FAILED),
        ("loop-a.png", "loop-b.png", FAILED),
        ("loop-b.png", "loop-a.png", FAILED),
        ("nowhere.png", "gone.png", FAILED),
        ("up", "..", LEFT_OUT),
        ("self", ".", LEFT_OUT),
        ("zero.png", "/dev/zero", LEFT_OUT),
    ):
        (folder / name).symlink_to(target)
        fates[name] = fate
    os.mkfifo(folder / "pipe.png")
    fates["pipe.png"] = LEFT_OUT
    (folder / "folder.jpg").mkdir()
    (folder / "folder.jpg" / "inside.png").write_bytes(whole["PNG"])
    fates["folder.jpg/inside.png"] = DONE
    return fates


def _photo() -> Image.Image:
    rng = np.random.default_rng(1)
    picture = np.full((40, 56, 3), 240, np.uint8)
    picture[10:30, 16:40] = (150, 40, 30)
    return Image.fromarray((picture - rng.integers(0, 9, picture.shape)).astype(np.uint8))


def _encode(picture: Image.Image, form: str, **options) -> bytes:
    memory = io.BytesIO()
    picture.save(memory, form, **options)
    return memory.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    """A PNG whose rows are given, be they too few."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")


def _text_bomb(png: bytes) -> bytes:
    """A good PNG with a compressed comment of 200 MB."""
    packer = zlib.compressobj(9)
    text = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(200)), packer.flush()])
    return png[:33] + _chunk(b"zTXt", b"Comment\0\0" + text) + png[33:]
