"""From an array to a file: format, depth, profile, and the change of old for new in one step."""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bgkit._ext.pointwise import to_bytes
from bgkit.errors import ImageError, LayerError, ParamError
from bgkit.files import OPAQUE, WRITABLE, replacing
from bgkit.imagefile import _metadata
from bgkit.imagefile._metadata import Blocks
from bgkit.imagefile._rows import Rows
from bgkit.imagefile._source import why
from bgkit.imagefile._stored import dpi_of
from bgkit.imagefile._tiff import EXIF, GPS, IPTC, SIZES, XMP

__all__ = ["as_pil", "write_picture"]

Array = NDArray[Any]

# Rows and columns that a format can hold: WebP's header has 14 bits for each, libjpeg stops at 65500.
LONGEST: Mapping[str, int] = MappingProxyType({".webp": 16383, ".jpg": 65500, ".jpeg": 65500, ".avif": 65536})
_WIDE = ("png", "tiff")  # formats that hold 16 bits
_OF_TIFF = (0x011A, 0x011B, 0x0128)  # tags of EXIF that a TIFF has by itself: resolution
_MARGIN = 8  # px of color kept around what is visible
_BAND = 1 << 18  # samples converted at once: 1 MB of float32 stays in the second-level cache


def write_picture(
    target: str | PathLike[str] | IO[bytes],
    array: Array | Rows,
    *,
    depth: int | None = None,
    like: Mapping[str, Any] | None = None,
    format: str | None = None,
    quality: int | None = None,
    metadata: str = "credit",
) -> None:
    """Write an array as a picture file, whole or not at all.

    Parameters
    ----------
    target : path or binary file
        The ending of a path chooses the format: png, webp, tif, jpg, bmp or avif.
    array : ndarray of shape (M, N), (M, N, 3) or (M, N, 4), or Rows
        float32, 0..1 (clipped), sRGB-encoded where it is color; or uint8, written as it is.
        The rows of :class:`Rows` are made as they are written.
    depth : {8, 16}, optional
        Bits per sample; by default as in ``like`` where the format can, else 8.
    like : mapping, optional
        ``Picture.like`` of the input: its depth, dpi and metadata carry over.
    format : str, optional
        Instead of the ending; a file object without it gets png.
    quality : int, optional
        1..100 for jpeg (92), webp (90; 100 is lossless) and avif (80); more is finer and larger.
    metadata : {"credit", "none", "all"}
        What of the EXIF, XMP and IPTC in ``like`` is written: artist, copyright, description and time of capture; or
        nothing; or all but thumbnail, sizes and the maker's notes, places (GPS) included. BMP holds none of it.

    Raises
    ------
    ImageError
        If the format cannot hold the array, or the file cannot be written.

    Notes
    -----
    Color under wholly clear pixels is kept within 8 px of visible ones and is black beyond: viewers
    that scale without regard to alpha mix a neighbor in, and black there would show as a dark
    rim; farther out nothing mixes, and a constant costs no bytes (12 MP, 56 %
    of it clear: 23.6 MB became 15.0 MB).
    """
    like = like or {}
    path = os.fspath(target) if isinstance(target, (str, PathLike)) else None
    place = path or "picture"
    try:
        form = _output_format(path, format)
        depth = _output_depth(form, array, depth, like.get("depth"))
        array = _check_output(form, array)
        if quality is not None and not 1 <= quality <= 100:
            raise ParamError(f"quality: expected 1..100, got {quality}")
        dpi = dpi_of(like)
        blocks = _metadata.choose(like.get("metadata") or {}, metadata, dpi, form in ("webp", "avif"))
        if isinstance(target, (str, PathLike)):
            with _beside(Path(target)) as file:
                _encode(file, array, form, depth=depth, dpi=dpi, quality=quality, blocks=blocks)
        else:
            memory = io.BytesIO()
            _encode(memory, array, form, depth=depth, dpi=dpi, quality=quality, blocks=blocks)
            target.write(memory.getvalue())
    except (ImageError, LayerError) as error:
        raise error.at(place) from error.__cause__
    except ParamError:
        raise
    except (OSError, ValueError, OverflowError, RuntimeError, struct.error) as error:
        raise ImageError(f"{place}: cannot be written: {why(error)}") from error


def as_pil(array: Array) -> Any:
    """Return an array as a PIL image of 8 bits, as a file of 8 bits would hold it.

    Raises
    ------
    LayerError
        If its shape or dtype is none that :func:`write_picture` takes.
    """
    from PIL import Image

    return Image.fromarray(np.concatenate(list(_bands(_check_output("png", array), 8))))


def _output_format(path: str | None, format: str | None) -> str:
    if format is not None:
        form = WRITABLE.get("." + format.lower().lstrip("."))
        if form is None:
            raise ImageError(f"no format named {format!r}; expected one of png, webp, tif, jpg, bmp, avif")
        return form
    if path is None:
        return "png"
    form = WRITABLE.get(Path(path).suffix.lower())
    if form is None:
        raise ImageError(f"expected a name ending in {', '.join(WRITABLE)}")
    return form


def _output_depth(form: str, array: Array | Rows, depth: int | None, like: Any) -> int:
    if depth not in (None, 8, 16):
        raise ParamError(f"depth: expected 8 or 16, got {depth}")
    if depth == 16 and form not in _WIDE:
        raise ImageError(f"{form} holds 8 bits per sample, not 16; use png or tif")
    if array.dtype == np.uint8 or form not in _WIDE:
        return 8
    return depth or (16 if like == 16 else 8)


def _check_output(form: str, array: Array | Rows) -> Array | Rows:
    shape = array.shape
    if array.dtype not in (np.float32, np.uint8) or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))):
        raise LayerError(
            f"expected float32 or uint8 of shape (M, N), (M, N, 3) or (M, N, 4), got {array.dtype} of shape {shape}"
        )
    if 0 in shape:
        raise LayerError(f"expected at least one pixel, got shape {shape}")
    most = LONGEST.get(f".{form}")
    if most is not None and max(shape[:2]) > most:
        raise ImageError(f"{form} holds at most {most} rows and columns, got {shape[0]} x {shape[1]}; use png or tif")
    if form in OPAQUE and len(shape) == 3 and shape[2] == 4:
        opaque = 255 if array.dtype == np.uint8 else np.float32(1 - 0.5 / 255)
        if not (_opacity(array) >= opaque).all():
            raise ImageError(f"{form} holds no transparency; put it on a background, or use png")
        return array.subject if isinstance(array, Rows) else array[:, :, :3]
    return array


def _opacity(array: Array | Rows) -> Array:
    return array.alpha if isinstance(array, Rows) else array[:, :, 3]


@contextmanager
def _beside(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file in the same folder; at the end it takes the place of ``path``, or goes."""
    path = Path(os.path.realpath(path))  # a link stays a link
    if path.is_dir():
        raise ImageError("cannot be written: it is a folder")
    if path.exists() and not path.is_file():
        raise ImageError("cannot be written: it is a device or a pipe; give - to write to standard output")
    if not path.parent.is_dir():
        raise ImageError("cannot be written: its folder does not exist")
    with replacing(path) as part, part.open("x+b") as file:
        yield file


def _encode(
    file: IO[bytes],
    array: Array | Rows,
    form: str,
    *,
    depth: int,
    dpi: tuple[float, float] | None,
    quality: int | None,
    blocks: Blocks,
) -> None:
    from bgkit.imagefile import _png, _profile

    profile = _profile.srgb_profile() if array.ndim == 3 else None
    if form == "png":
        bands = _bands(array, depth)
        exif, xmp = blocks.exif, blocks.xmp
        _png.write_png(file, array.shape, bands, depth=depth, profile=profile, dpi=dpi, exif=exif, xmp=xmp)
        return
    if form == "tiff":
        _write_tiff(file, array, depth, profile, dpi, blocks)
        return
    from PIL import Image, features

    if form in ("avif", "webp") and not features.check(form):
        raise ImageError(f"this Pillow was built without {form}; use png")
    picture = Image.fromarray(np.concatenate(list(_bands(array, 8))))
    options: dict[str, Any] = {"dpi": dpi} if dpi and form in ("jpeg", "bmp") else {}
    if form != "bmp":
        blocks = _metadata.fitting(blocks) if form == "jpeg" else blocks
        options |= {"exif": b"Exif\0\0" + blocks.exif} if blocks.exif else {}
        options |= {"xmp": blocks.xmp} if blocks.xmp else {}
    if form == "jpeg" and blocks.iptc:
        options["extra"] = _metadata.app13(blocks.iptc)
    if profile is not None and form != "bmp":
        options["icc_profile"] = profile
    if form == "jpeg":
        # 4:4:4, because halved color bleeds across the edge of a subject on a plain background.
        options |= {"quality": quality or 92, "subsampling": 0}
    elif form == "webp":
        options |= {"quality": quality or 90, "method": 2, "lossless": quality == 100}
    elif form == "avif":
        options |= {"quality": quality or 80, "speed": 8}
    picture.save(file, form.upper(), **options)


def _bands(array: Array | Rows, depth: int) -> Iterator[Array]:
    """Yield the rows as uint8 or uint16, rounded to nearest, a band of rows at a time."""
    rows = _rows_of_a_band(array)
    near = _near_visible(array, depth) if array.ndim == 3 and array.shape[2] == 4 else None
    kind = np.uint8 if depth == 8 else np.uint16
    for row in range(0, len(array), rows):
        part = slice(row, min(row + rows, len(array)))
        if near is not None and isinstance(array, Rows) and not near[part].any():  # they need not be made
            yield np.zeros((part.stop - row, *array.shape[1:]), kind)
            continue
        band = array[part]
        samples = np.ascontiguousarray(band) if band.dtype == np.uint8 else _rounded(band, kind)
        if near is not None:  # a whole pixel at a time
            samples = (samples.view(f"u{4 * samples.itemsize}") * near[part, :, None]).view(samples.dtype)
        yield samples


def _rounded(band: Array, kind: type[np.unsignedinteger[Any]]) -> Array:
    """Return values of 0..1 rounded to nearest, in 8 or 16 bits."""
    samples = np.empty(band.shape, kind)
    if kind is np.uint8:
        nan = to_bytes(np.ascontiguousarray(band).reshape(len(band), -1), samples.reshape(len(band), -1))
    else:
        scaled = np.multiply(band, np.float32(65535), order="C")
        nan = math.isnan(float(scaled.max()))
        scaled += np.float32(0.5)
        np.clip(scaled, 0, 65535, out=scaled)
        if not nan:
            samples[:] = scaled
    if nan:
        raise LayerError("expected values in 0..1, got NaN")
    return samples


def _rows_of_a_band(array: Array | Rows) -> int:
    """Return a power of two, so that whole bands, or whole parts of one, are made of the tiles of a foreground."""
    rows = max(1, _BAND // math.prod(array.shape[1:]))
    return 1 << rows.bit_length() - 1


def _near_visible(array: Array | Rows, depth: int) -> NDArray[np.uint8]:
    """Return 1 where a pixel with any alpha lies within the margin, else 0."""
    import cv2

    least = 1 if array.dtype == np.uint8 else np.float32(0.5 / (2**depth - 1))
    visible = (_opacity(array) >= least).astype(np.uint8)
    return np.asarray(cv2.dilate(visible, np.ones((2 * _MARGIN + 1,) * 2, np.uint8)), np.uint8)


def _write_tiff(
    file: IO[bytes],
    array: Array | Rows,
    depth: int,
    profile: bytes | None,
    dpi: tuple[float, float] | None,
    blocks: Blocks,
) -> None:
    """Write strips deflated by ISA-L after horizontal differences (TIFF 6.0, section 14)."""
    import tifffile
    from isal import isal_zlib

    rows = _rows_of_a_band(array)

    def strips() -> Iterator[bytes]:
        for band in _bands(array, depth):
            steps = band.copy()
            steps[:, 1:] -= band[:, :-1]
            yield isal_zlib.compress(steps.astype(steps.dtype.newbyteorder("<"), copy=False), 1)

    alpha = array.ndim == 3 and array.shape[2] == 4
    below = [pointer for pointer in (EXIF, GPS) if blocks.tags.get(pointer)]
    plain = {tag: value for tag, value in blocks.tags.get(0, {}).items() if tag not in {*_OF_TIFF, EXIF, GPS}}
    plain |= {XMP: (1, blocks.xmp)} if blocks.xmp else {}
    plain |= {IPTC: (7, blocks.iptc)} if blocks.iptc else {}
    plain |= {pointer - 1: (4, bytes(4)) for pointer in below}  # tifffile drops the tags themselves, aloud
    extra = [(tag, kind, len(content) // SIZES[kind], content, True) for tag, (kind, content) in plain.items()]
    with tifffile.TiffWriter(file, byteorder="<") as writer:
        writer.write(
            strips(),
            shape=array.shape,
            dtype=np.uint16 if depth == 16 else np.uint8,
            photometric="rgb" if array.ndim == 3 else "minisblack",
            extrasamples=["unassalpha"] if alpha else None,
            compression="adobe_deflate",
            predictor=2,
            rowsperstrip=min(rows, len(array)),
            resolution=dpi,
            resolutionunit="INCH" if dpi else None,
            iccprofile=profile,
            software=False,
            metadata=None,
            extratags=extra,
        )
    for pointer in below:
        _hang_below(file, pointer, blocks.tags[pointer])


def _hang_below(file: IO[bytes], pointer: int, entries: Mapping[int, tuple[int, bytes]]) -> None:
    """Append a directory to a little-endian TIFF, and name it in the first one, where ``pointer - 1`` keeps room."""
    end = file.seek(0, os.SEEK_END)
    file.write(bytes(end % 2) + _metadata.directory(entries, end + end % 2))
    file.seek(4)
    (first,) = struct.unpack("<I", file.read(4))
    file.seek(first)
    (count,) = struct.unpack("<H", file.read(2))
    for at in range(first + 2, first + 2 + 12 * count, 12):
        file.seek(at)
        if struct.unpack("<H", file.read(2))[0] == pointer - 1:
            file.seek(at)
            file.write(struct.pack("<H", pointer))
            file.seek(at + 8)
            file.write(struct.pack("<I", end + end % 2))
