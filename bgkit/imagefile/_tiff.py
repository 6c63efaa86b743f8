"""TIFF: which of its pictures counts, and every layout of samples that Pillow does not give exactly.

A TIFF is a chain of directories (TIFF 6.0, section 2), some of them reduced pictures, some hung below others
(SubIFDs). The pages of a file are its full pictures; a thumbnail is none, wherever it stands. Camera raw files are
TIFFs too, recognized by a color filter array or linear raw data in any directory.

Pillow decodes 1, 2, 4 and 8 bits. For other depths, floats, several extra samples, CIELAB and channels one after the
other it is asked for *bytes*: a directory is added to the file that calls the same strips or tiles a gray picture of
8 bits, as wide as a row has bytes. So libtiff undoes any compression it knows, and what the bytes mean (order, bits,
differences of section 14, planes) is settled here, without loss.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from bgkit.errors import ImageError
from bgkit.imagefile import _profile, _raw
from bgkit.imagefile._formats import Format
from bgkit.imagefile._noise import heard
from bgkit.imagefile._pillow import GRAY_16, open_header, split, warnings_of_libtiff
from bgkit.imagefile._signals import Space, of_chunks
from bgkit.imagefile._stored import Array, Stored, Wanted, check_size, checked_floats, choose_page, dpi_of, unmultiplied

__all__ = ["EXIF", "GPS", "SIZES", "Directory", "Tags", "full_pictures", "read", "size_of", "tags_of_block"]

# Tags of TIFF 6.0, its supplements, and DNG.
SUBFILE, OLD_SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
FILL_ORDER, STRIPS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 266, 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, PREDICTOR = 282, 283, 284, 296, 317
TILE_WIDTH, TILE_LENGTH, TILES, TILE_BYTES, SUB_IFDS, INK_SET, EXTRA, FORMAT = 322, 323, 324, 325, 330, 332, 338, 339
TRANSFER, WHITE_POINT, PRIMARIES, COLOR_MAP = 301, 318, 319, 320
XMP, IPTC, PROFILE, EXIF, GPS = 700, 33723, 34675, 34665, 34853
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _INKS, _CIELAB, _ICCLAB = 0, 1, 2, 5, 8, 9
_COLORS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _INKS: 4, _CIELAB: 3, _ICCLAB: 3}
_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_PHASE_ONE = (b"IIII", b"MMMM")
_BYTEWISE = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, deflate, PackBits, the old deflate, LZMA, Zstandard
_FAX = (2, 3, 4, 32771)
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MOST_PAGES, _MOST_BELOW, _MOST_ENTRIES = 10_000, 100, 4096
_UNITS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}  # bytes of what an order turns
_COMPRESSED = "is compressed by a method ({}) that bgkit does not read; save it with deflate, LZW or none"
_LONGEST_TAG = 1 << 16  # bytes of a value that is text or numbers about a picture, not part of it

# Of directory 0 (the first), EXIF and GPS: tag, type, and the values in little-endian order.
Tags = dict[int, dict[int, tuple[int, bytes]]]


class Directory(NamedTuple):
    """An image file directory: where it stands, and where the values of each tag are."""

    offset: int
    entries: dict[int, tuple[int, int, int]]  # tag: type, count, offset of the values

    def values(self, file: _File, tag: int, default: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        """Return the values of a tag, or ``default`` where it is absent or of a strange type."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        code = _CODES.get(kind)
        if code is None or at + count * SIZES[kind] > len(file.data):
            return default
        return struct.unpack_from(f"{file.order}{count}{code}", file.data, at) or default

    def number(self, file: _File, tag: int, default: int) -> int:
        found = self.values(file, tag)
        return int(found[0]) if found else default

    def content(self, file: _File, tag: int) -> bytes | None:
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        return bytes(file.data[at : at + count * SIZES.get(kind, 0)]) or None

    def ratios(self, file: _File, tag: int) -> tuple[float, ...]:
        """Return the fractions of a tag; none where it is absent, of a strange type, or divides by zero."""
        kind, count, at = self.entries.get(tag, (0, 0, 0))
        if kind not in (5, 10) or at + 8 * count > len(file.data):
            return ()
        numbers = struct.unpack_from(f"{file.order}{2 * count}I", file.data, at)
        return tuple(np.divide(numbers[::2], numbers[1::2]).tolist()) if all(numbers[1::2]) else ()


class _File:
    """A TIFF's bytes, byte order and size of offsets (8 in BigTIFF)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self.big = data[2:4] in (b"+\0", b"\0+")
        self.first = 8 if self.big else 4  # where the first directory's offset stands

    def unpack(self, code: str, at: int) -> int:
        try:
            return int(struct.unpack_from(self.order + code, self.data, at)[0])
        except struct.error as error:
            raise ImageError("is truncated or damaged: a directory lies beyond its end") from error

    @property
    def wide(self) -> str:
        return "Q" if self.big else "I"

    def directory(self, at: int) -> tuple[Directory, int]:
        """Return the directory at an offset, and the offset of the next."""
        count = self.unpack("Q" if self.big else "H", at)
        head, size = (8, 20) if self.big else (2, 12)
        if count > _MOST_ENTRIES:
            raise ImageError(f"is damaged: a directory of {count} entries")
        entries = {}
        for start in range(at + head, at + head + count * size, size):
            tag, kind = self.unpack("H", start), self.unpack("H", start + 2)
            number = self.unpack(self.wide, start + 4)
            value = start + (12 if self.big else 8)
            if number * SIZES.get(kind, 1) > (8 if self.big else 4):
                value = self.unpack(self.wide, value)
            entries[tag] = kind, number, value
        return Directory(at, entries), self.unpack(self.wide, at + head + count * size)

    def chain(self) -> list[Directory]:
        found: list[Directory] = []
        seen: set[int] = set()
        at = self.unpack(self.wide, self.first)
        while at and at not in seen and len(found) < _MOST_PAGES:
            seen.add(at)
            try:
                directory, at = self.directory(at)
            except ImageError:
                if not found:
                    raise
                break  # what stands before it can be read
            found.append(directory)
        return found

    def below(self, directory: Directory) -> list[Directory]:
        """Return the directories that hang below another, those chained to them and those below these included."""
        found: list[Directory] = []
        seen = {directory.offset}
        waiting = list(map(int, directory.values(self, SUB_IFDS)))
        while waiting and len(found) < _MOST_BELOW:
            at = waiting.pop(0)
            if at in seen or not at:
                continue
            seen.add(at)
            try:
                each, following = self.directory(at)
            except ImageError:
                continue
            found.append(each)
            waiting += [following, *map(int, each.values(self, SUB_IFDS))]
        return found


def full_pictures(data: bytes) -> tuple[_File, list[Directory], bool]:
    """Return the file's full pictures in order, and whether it is a camera raw file.

    Reduced pictures and masks of others (TIFF 6.0, NewSubfileType) are none. Where a chain's first directory is
    reduced, the full one may be hung below it.

    Raises
    ------
    ImageError
        If every picture is reduced, and what hangs below cannot be read.
    """
    file = _File(data)
    chain = file.chain()
    every = [each for top in chain for each in (top, *file.below(top))]
    photometric = {each.number(file, PHOTOMETRIC, -1) for each in every}
    raw = bool(photometric & {_FILTER_ARRAY, _LINEAR_RAW}) or data[8:10] == b"CR"
    raw = raw or data[8:12] in _PHASE_ONE or _is_sony_or_pentax(file, every)
    full = [each for each in chain if _is_full(file, each)]
    full = full or [each for each in every if _is_full(file, each)]
    if not full and not raw and any(SUB_IFDS in each.entries for each in chain):
        raise ImageError("is truncated or damaged, or a camera raw file: it holds reduced pictures, and no full one")
    return file, full or _largest(file, every), raw


def _largest(file: _File, every: list[Directory]) -> list[Directory]:
    """Return, in a list, the largest of pictures that are all called reduced."""
    sizes = [each.number(file, WIDTH, 0) * each.number(file, LENGTH, 0) for each in every]
    return [every[sizes.index(max(sizes))]] if sizes else []


def size_of(data: bytes) -> tuple[int, int]:
    """Return rows and columns of the first full picture, upright."""
    file, pages, _ = full_pictures(data)
    rows, cols = pages[0].number(file, LENGTH, 0), pages[0].number(file, WIDTH, 0)
    return (cols, rows) if pages[0].number(file, ORIENTATION, 1) >= 5 else (rows, cols)


def _is_full(file: _File, directory: Directory) -> bool:
    kind, old = directory.number(file, SUBFILE, 0), directory.number(file, OLD_SUBFILE, 1)
    return WIDTH in directory.entries and not kind & 5 and old != 2


def _is_sony_or_pentax(file: _File, every: list[Directory]) -> bool:
    """Tell raw files by compressions that only cameras write: Nikon's, Sony's, Pentax's, Kodak's, Samsung's."""
    return bool({each.number(file, COMPRESSION, 1) for each in every} & {34713, 32767, 65535, 65000, 32770, 32772})


def read(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode a TIFF, or hand a camera raw file on."""
    file, pages, raw = full_pictures(data)
    if raw:
        every = [each for top in file.chain() for each in (top, *file.below(top))]
        mosaic = any(each.number(file, PHOTOMETRIC, -1) == _FILTER_ARRAY for each in every)
        return _raw.read(data, form, wanted, mosaic)
    if not pages:
        raise ImageError("is damaged: it holds no picture")
    page = choose_page(wanted.page, len(pages))
    directory = pages[page - 1]
    check_size((directory.number(file, WIDTH, 0), directory.number(file, LENGTH, 0)), wanted.max_pixels)
    stored = _by_samples(file, directory) if _wants_samples(file, directory) else _by_pillow(file, directory, form)
    return stored._replace(
        page=page,
        pages=len(pages),
        space=stored.space or directory.content(file, PROFILE) or _space(file, directory),
        exif=_exif(file, directory),
        tags=_tags_of(file, directory),
        dpi=_dpi(file, directory),
        xmp=directory.content(file, XMP),
        iptc=directory.content(file, IPTC),
    )


def _space(file: _File, directory: Directory) -> Space | None:
    """Return what WhitePoint, PrimaryChromaticities and TransferFunction say of color (TIFF 6.0, section 20)."""
    if directory.number(file, PHOTOMETRIC, -1) not in (_BLACK_IS_ZERO, _RGB):
        return None
    levels = 1 << min(16, directory.number(file, BITS, 1))
    light = np.array(directory.values(file, TRANSFER), np.float64)
    curves = light.reshape(-1, levels) / 65535 if len(light) in (levels, 3 * levels) else None
    ends = directory.ratios(file, WHITE_POINT) + directory.ratios(file, PRIMARIES)
    return of_chunks(None, ends if len(ends) == 8 else None, "TIFF", curves)


def _exif(file: _File, directory: Directory) -> Any:
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load_from_fp(io.BytesIO(file.data), directory.offset)
    except Exception:  # a broken block costs itself alone
        return None
    return exif


def tags_of_block(block: bytes) -> Tags:
    """Return the tags of EXIF, which is built as a TIFF; none where it cannot be read."""
    file = _File(block)
    try:
        return _tags_of(file, file.directory(file.unpack("I", 4))[0]) if block[:2] in (b"II", b"MM") else {}
    except ImageError:
        return {}


def _tags_of(file: _File, directory: Directory) -> Tags:
    found = {0: directory}
    for pointer in (EXIF, GPS):
        at = directory.number(file, pointer, 0)
        try:
            found |= {pointer: file.directory(at)[0]} if at else {}
        except ImageError:
            continue  # a broken directory costs itself alone
    return {name: dict(_values_of(file, each)) for name, each in found.items()}


def _values_of(file: _File, directory: Directory) -> Iterator[tuple[int, tuple[int, bytes]]]:
    for tag, (kind, count, at) in directory.entries.items():
        size = count * SIZES.get(kind, 0)
        content = bytes(file.data[at : at + size])
        if kind > 12 or not 0 < size <= _LONGEST_TAG or len(content) != size:
            continue
        unit = _UNITS.get(kind, 1)
        if file.order == ">" and unit > 1:
            content = np.frombuffer(content, f">u{unit}").astype(f"<u{unit}").tobytes()
        yield tag, (kind, content)


def _dpi(file: _File, directory: Directory) -> tuple[float, float] | None:
    across, down = (next(iter(directory.ratios(file, tag)), None) for tag in (X_RESOLUTION, Y_RESOLUTION))
    unit = {2: 1.0, 3: 2.54}.get(directory.number(file, RESOLUTION_UNIT, 2))
    if across is None or down is None or unit is None:
        return None
    return dpi_of({"dpi": (across * unit, down * unit)})


def _beginning_at(file: _File, offset: int, more: bytes = b"") -> io.BytesIO:
    """Return the file with another directory as its first, and ``more`` behind it."""
    first = struct.pack(file.order + file.wide, offset)
    return io.BytesIO(b"".join([file.data[: file.first], first, file.data[file.first + len(first) :], more]))


def _by_pillow(file: _File, directory: Directory, form: Format) -> Stored:
    """Decode bits, bytes, palettes, faxes, JPEG in TIFF: all that Pillow gives as stored."""
    from PIL.TiffImagePlugin import COMPRESSION_INFO

    compression = directory.number(file, COMPRESSION, 1)
    if file.big and file.order == ">":
        raise ImageError(
            "is a big-endian BigTIFF with a palette or JPEG in it, which bgkit does not read; save it as PNG"
        )
    changed = (
        _beginning_at(file, directory.offset).getvalue() if directory.offset != file.chain()[0].offset else file.data
    )
    if compression not in COMPRESSION_INFO:
        raise ImageError(_COMPRESSED.format(compression))
    picture = open_header(changed, form)
    _mend_palette(file, directory, picture)
    # A wrong code of a fax makes a row too long or too short, of which libtiff only warns.
    wrong = [line for line in warnings_of_libtiff(changed) if line.startswith("Fax")] if compression in _FAX else []
    if not wrong:
        said = _load(picture)  # Pillow turns it upright by itself
        wrong = [line for line in said if "warning" not in line.lower() or compression in (*_FAX, 6, 7)]
    if wrong:
        raise _damaged(wrong[0])
    color, alpha = split(picture)
    depth = 8
    if picture.mode in GRAY_16:
        bits = directory.number(file, BITS, 16)
        color, depth = np.rint(color * (65535 / (2**bits - 1))).clip(0, 65535).astype(np.uint16), 16
        if directory.number(file, PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
            color = 65535 - color
    return Stored(color, alpha, depth)


def _mend_palette(file: _File, directory: Directory, picture: Any) -> None:
    """Take a palette of 0..255 as one of 8 bits, as libtiff does: old writers did not spread it to 0..65535."""
    from PIL import ImagePalette

    colors = directory.values(file, COLOR_MAP)
    if picture.mode == "P" and colors and max(colors) < 256:
        picture.palette = ImagePalette.raw("RGB;L", bytes(colors))


def _damaged(said: str) -> ImageError:
    """Return the error of what libtiff said, without the name that it has for bytes in memory."""
    return ImageError(f"is damaged ({said.removeprefix('tempfile.tif: ')})")


def _load(picture: Any) -> list[str]:
    """Have Pillow decode, and return what libtiff says meanwhile."""
    try:
        with heard() as said:
            picture.load()
    except OSError as error:  # "decoder error -2"; libtiff has said what is wrong
        if said and "support is not configured" in said[0]:
            raise ImageError(_COMPRESSED.format(said[0].partition(": ")[2].partition(" ")[0])) from error
        if said:
            raise _damaged(said[0]) from error
        raise
    return said


def _layout(file: _File, directory: Directory) -> tuple[tuple[int, ...], int, int, int, int]:
    """Return bits, photometric interpretation, samples of a pixel, their format, and compression."""
    samples = directory.number(file, SAMPLES, 1)
    if any(tag in directory.entries and not directory.values(file, tag) for tag in (BITS, FORMAT)):
        raise ImageError("is truncated or damaged: what it says of its samples lies beyond its end")
    bits = directory.values(file, BITS, (1,))
    return (
        bits * samples if len(bits) == 1 else bits,
        directory.number(file, PHOTOMETRIC, _BLACK_IS_ZERO if samples < 3 else _RGB),
        samples,
        directory.number(file, FORMAT, 1),
        directory.number(file, COMPRESSION, 1),
    )


def _wants_samples(file: _File, directory: Directory) -> bool:
    """Tell the layouts that Pillow halves, mixes up or refuses."""
    bits, photometric, samples, kind, compression = _layout(file, directory)
    if compression not in _BYTEWISE or photometric not in _COLORS or len(set(bits)) != 1:
        if max(bits, default=0) > 8 and photometric not in (_BLACK_IS_ZERO, _WHITE_IS_ZERO):
            raise ImageError(
                f"has {max(bits)} bits per channel in a layout that bgkit does not read "
                f"(compression {compression}, photometric {photometric}); save it as PNG, or with 8 bits"
            )
        return False
    plain = _COLORS[photometric]
    odd = kind != 1 or bits[0] > 8 or (bits[0] < 8 and not (bits[0] in (1, 2, 4) and samples == 1))
    odd = odd or (file.big and file.order == ">")  # which Pillow does not read
    more = samples - plain
    odd = odd or (more != 0 and (photometric in (_INKS, _WHITE_IS_ZERO) or directory.number(file, PLANAR, 1) == 2))
    odd = odd or more > 1
    return odd or photometric in (_CIELAB, _ICCLAB)


def _by_samples(file: _File, directory: Directory) -> Stored:
    """Decode to samples, and give them their meaning."""
    bits, photometric, samples, kind, _ = _layout(file, directory)
    count = _COLORS[photometric]
    what = {1: "unsigned", 2: "signed", 3: "floating-point"}.get(kind, "undefined")
    packed = kind == 1 and bits[0] < 16 and bits[0] != 8  # samples that are no whole bytes
    if not packed and (kind, bits[0]) not in ((1, 8), (1, 16), (3, 16), (3, 32), (3, 64)):
        raise ImageError(f"has {what} samples of {bits[0]} bits, which have no agreed white; save it with 8 or 16")
    if samples < count:
        raise ImageError(f"is damaged: {samples} channels, where its colors need {count}")
    if photometric == _INKS and directory.number(file, INK_SET, 1) != 1:
        raise ImageError("has other inks than cyan, magenta, yellow and black; save it as RGB")
    if packed and photometric in (_CIELAB, _ICCLAB):
        raise ImageError(f"has CIELAB of {bits[0]} bits, which bgkit does not read; save it with 8 or 16")
    if packed:
        pixels = _packed_pixels(file, directory, samples, bits[0])
    else:
        pixels = _pixels(file, directory, samples, np.dtype(f"{file.order}{'uf'[kind == 3]}{bits[0] // 8}"))
    extra = directory.values(file, EXTRA)
    color: Array = pixels[:, :, :count]
    alpha = next((pixels[:, :, count + k] for k, each in enumerate(extra[: samples - count]) if each in (1, 2)), None)
    notes: tuple[str, ...] = ()
    if kind == 3:
        color, notes = checked_floats(color, PROFILE in directory.entries)
        alpha = None if alpha is None else checked_floats(alpha, False)[0]
    if photometric == _WHITE_IS_ZERO:
        color = (1 if kind == 3 else np.iinfo(color.dtype).max) - color
    if alpha is not None and 1 in extra:
        color = unmultiplied(color, alpha)
    depth = min(bits[0], 32)
    turn = directory.number(file, ORIENTATION, 1)
    turn = turn if 1 <= turn <= 8 else 1
    if photometric in (_CIELAB, _ICCLAB):
        return Stored(_from_lab(color, photometric), alpha, depth, turn, Space("CIELAB"))
    if photometric == _INKS:
        from PIL import Image

        if color.dtype == np.uint16:
            color, depth = (color >> 8).astype(np.uint8), 8
        if color.dtype.kind == "f":
            color, depth = np.rint(color * 255).astype(np.uint8), 8
        height, width = color.shape[:2]
        inks = Image.frombytes("CMYK", (width, height), np.ascontiguousarray(color).tobytes())
        return Stored(inks, alpha, depth, turn)
    return Stored(color[:, :, 0] if count == 1 else color, alpha, depth, turn, notes=notes)


def _from_lab(color: Array, photometric: int) -> Array:
    """Return sRGB of CIELAB: L* over the whole range; a* and b* signed (8), or from a middle of 128 (9)."""
    top = np.float32(np.iinfo(color.dtype).max) if color.dtype.kind == "u" else np.float32(1)
    lab = np.empty(color.shape, np.float32)
    lab[:, :, 0] = color[:, :, 0] / top * 100
    if photometric == _CIELAB:
        signed = np.ascontiguousarray(color[:, :, 1:]).view(color.dtype.str.replace("u", "i"))
        lab[:, :, 1:] = signed / np.float32(1 if color.dtype == np.uint8 else 256)
    else:
        lab[:, :, 1:] = color[:, :, 1:] / np.float32(1 if color.dtype == np.uint8 else 256) - 128
    return _profile.of_lab(lab)


def _planes(file: _File, directory: Directory, samples: int) -> tuple[bool, int, int, int, int]:
    """Return whether channels lie apart, planes, channels in each, columns of a tile, and columns with its padding."""
    cols = directory.number(file, WIDTH, 0)
    apart = directory.number(file, PLANAR, 1) == 2 and samples > 1
    planes, together = (samples, 1) if apart else (1, samples)
    tile = directory.number(file, TILE_WIDTH, 0)
    return apart, planes, together, tile or cols, -(-cols // tile) * tile if tile else cols


def _packed_pixels(file: _File, directory: Directory, samples: int, bits: int) -> Array:
    """Return samples of less than 16 bits that lie bit by bit, spread over 8 or 16 (TIFF 6.0, BitsPerSample).

    Each row of a tile or a strip begins with a byte of its own, the highest bit first.
    """
    if directory.number(file, PREDICTOR, 1) != 1 and directory.number(file, COMPRESSION, 1) not in (1, 32773):
        raise ImageError(f"has a predictor for samples of {bits} bits, which bgkit does not read; save it without")
    rows, cols = directory.number(file, LENGTH, 0), directory.number(file, WIDTH, 0)
    apart, planes, together, tile, across = _planes(file, directory, samples)
    stride = -(-tile * together * bits // 8)  # bytes of a row of a tile
    depth: type[np.unsignedinteger[Any]] = np.uint16 if bits > 8 else np.uint8
    spread = np.rint(np.arange(2**bits) * (np.iinfo(depth).max / (2**bits - 1))).astype(depth)
    weights = 1 << np.arange(bits - 1, -1, -1)
    out = np.empty((rows, cols, samples), depth)
    for plane in range(planes):
        packed = _bytes_of(file, directory, plane if apart else None, across // tile * stride)
        for row, line in enumerate(packed):  # row by row: each bit takes a byte meanwhile
            each = np.unpackbits(line.reshape(-1, stride), axis=1)[:, : tile * together * bits]
            values = spread[each.reshape(-1, bits) @ weights].reshape(across, together)
            out[row, :, plane * together : (plane + 1) * together] = values[:cols]
    return out


def _pixels(file: _File, directory: Directory, samples: int, dtype: np.dtype[Any]) -> Array:
    """Return all samples as (M, N, samples) in this machine's byte order."""
    rows, cols = directory.number(file, LENGTH, 0), directory.number(file, WIDTH, 0)
    apart, planes, together, tile, across = _planes(file, directory, samples)
    predictor = directory.number(file, PREDICTOR, 1)
    if directory.number(file, COMPRESSION, 1) in (1, 32773):
        predictor = 1  # differences belong to LZW and its successors alone
    out = np.empty((rows, cols, samples), dtype.newbyteorder("="))
    for plane in range(planes):
        packed = _bytes_of(file, directory, plane if apart else None, across * together * dtype.itemsize)
        stored = _without_differences(packed, predictor, tile, together, dtype)
        out[:, :, plane * together : (plane + 1) * together] = stored.reshape(rows, across, together)[:, :cols]
    return out


def _without_differences(packed: Array, predictor: int, tile: int, together: int, dtype: np.dtype[Any]) -> Array:
    """Undo differences between neighbors, row by row of each tile (TIFF 6.0, section 14; TechNote 3 for floats)."""
    rows = len(packed)
    if predictor == 3 and dtype.kind == "f":
        # A row of a tile: the highest bytes of all samples, then the next, each byte as a difference to the one before.
        steps = packed.reshape(rows, -1, tile * dtype.itemsize, together)
        halves = np.cumsum(steps, axis=2, dtype=np.uint8).reshape(rows, -1, dtype.itemsize, tile * together)
        return np.ascontiguousarray(np.moveaxis(halves, 2, 3)).view(dtype.newbyteorder(">"))
    values = packed.view(dtype)
    if predictor == 2 and dtype.kind == "u":
        steps = values.reshape(rows, -1, tile, together)
        return np.cumsum(steps, axis=2, dtype=dtype.newbyteorder("="))
    if predictor != 1:
        raise ImageError(f"has a predictor ({predictor}) that bgkit does not read; save it without")
    return values


def _bytes_of(file: _File, directory: Directory, plane: int | None, width: int) -> Array:
    """Return the decompressed bytes of all rows, (M, width), of one plane where channels are stored apart."""
    from PIL import TiffImagePlugin

    offsets, counts = (TILES, TILE_BYTES) if TILES in directory.entries else (STRIPS, STRIP_BYTES)
    where, sizes = directory.values(file, offsets), directory.values(file, counts)
    if not where:
        raise ImageError("is damaged: nothing says where its pixels are")
    if not sizes:
        raise ImageError("is damaged: nothing says how many bytes its pixels take")
    if max(where) >= len(file.data) or any(at + size > len(file.data) for at, size in zip(where, sizes, strict=False)):
        raise ImageError("is truncated: some of its pixels lie beyond its end")
    if plane is not None:
        each = len(where) // directory.number(file, SAMPLES, 1)
        where, sizes = where[plane * each : (plane + 1) * each], sizes[plane * each : (plane + 1) * each]
    tags = {
        WIDTH: (width,),
        LENGTH: directory.values(file, LENGTH),
        BITS: (8,),
        COMPRESSION: (directory.number(file, COMPRESSION, 1),),
        PHOTOMETRIC: (_BLACK_IS_ZERO,),
        FILL_ORDER: (directory.number(file, FILL_ORDER, 1),),
        SAMPLES: (1,),
        offsets: where,
        counts: sizes,
    }
    if offsets == TILES:
        bytes_of_pixel = width // (-(-directory.number(file, WIDTH, 1) // directory.number(file, TILE_WIDTH, 1)))
        tags[TILE_WIDTH] = (bytes_of_pixel,)  # of a row of a tile, rather
        tags[TILE_LENGTH] = directory.values(file, TILE_LENGTH)
    else:
        tags[ROWS_PER_STRIP] = (min(directory.number(file, ROWS_PER_STRIP, 2**31 - 1), tags[LENGTH][0]),)
    if file.big and file.order == ">":  # Pillow reads no BigTIFF in this order
        file = _File(b"MM\0*" + bytes(4) + file.data[8:])
    end = len(file.data) + len(file.data) % 2
    gap = bytes(end - len(file.data))
    picture = TiffImagePlugin.TiffImageFile(_beginning_at(file, end, gap + _written(file, tags, end)))
    wrong = [line for line in _load(picture) if "warning" not in line.lower()]
    if wrong:
        raise _damaged(wrong[0])
    return np.asarray(picture)


def _written(file: _File, tags: dict[int, tuple[Any, ...]], at: int) -> bytes:
    """Return a directory that stands at ``at``, its values behind it, all of type LONG (LONG8 in BigTIFF)."""
    kind, size, code = (16, 8, "Q") if file.big else (4, 4, "I")
    head = 8 if file.big else 2
    entries, values = b"", b""
    behind = at + head + len(tags) * (20 if file.big else 12) + size
    for tag in sorted(tags):
        packed = struct.pack(f"{file.order}{len(tags[tag])}{code}", *tags[tag])
        if len(packed) > size:
            value = struct.pack(file.order + code, behind + len(values))
            values += packed
        else:
            value = packed
        entries += struct.pack(f"{file.order}HH{code}", tag, kind, len(tags[tag])) + value
    count = struct.pack(file.order + ("Q" if file.big else "H"), len(tags))
    return count + entries + bytes(size) + values
