"""What Pillow decodes: WebP, AVIF, PNM, TGA, JPEG 2000, QOI, PSD, pictures in memory, and the pixels of others.

Samples of 16 bits, which Pillow halves where there are several channels, come from OpenCV.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from bgkit.errors import ImageError
from bgkit.imagefile import _boxes
from bgkit.imagefile._formats import Format, load_plugin
from bgkit.imagefile._noise import heard
from bgkit.imagefile._stored import Array, Stored, Wanted, check_size, checked_floats, choose_page, dpi_of, unmultiplied
from bgkit.threads import Lock

__all__ = [
    "GRAY_16",
    "HEAD_OF_PNM",
    "apart",
    "check_head",
    "open_header",
    "orientation",
    "read",
    "read_memory",
    "split",
    "through_opencv",
    "warnings_of_libtiff",
]

HEAD_OF_PNM = 1 << 16  # bytes in which a header has to end
GRAY_16 = ("I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes of 16 bits, all of them gray


def read(data: bytes, form: Format, wanted: Wanted) -> Stored:
    """Decode a file of a format that needs nothing of its own."""
    if data[:2] == b"PF":
        return _float_color(data, wanted)
    picture = open_header(data, form)
    count = 1 if form.name in ("PSD", "JPEG 2000") else int(getattr(picture, "n_frames", 1))
    page = choose_page(wanted.page, count)
    if page > 1:
        picture.seek(page - 1)
    check_size(picture.size, wanted.max_pixels)
    color: Any
    alpha: Array | None
    notes: tuple[str, ...] = ()
    space: Any = picture.info.get("icc_profile") or None
    depth = 8
    if form.name == "PNM" and picture.mode in ("F", "I"):
        picture.load()
        color, alpha, depth = np.asarray(picture).astype(np.uint16), None, 16  # Pillow scales white to 65535
        if picture.mode == "F":
            (color, notes), depth = checked_floats(np.asarray(picture), False), 32
    elif form.name == "JPEG 2000" and _bits_of_jpeg2000(data) > 8:
        color, alpha, depth = *_jpeg2000(picture, data), 16
    else:
        picture.load()
        color, alpha = split(picture)
    if form.name == "PNM" and picture.mode == "RGB" and _maximum_of_pnm(data) > 255:
        color, depth = _wide_pnm(data), 16
    if form.name == "TGA" and alpha is not None and (not data[17] & 15 or not alpha.any()):
        alpha, notes = None, ("its fourth channel is not declared as alpha, or clear everywhere, and is left out",)
    if form.name == "PSD":
        color, alpha = _flat(data, color, alpha)
    if form.name in ("AVIF", "JPEG 2000"):
        space = space or _boxes.space_of(data)
    turn = orientation(picture)
    exif = picture.getexif() if form.name in ("WEBP", "AVIF") else None
    return Stored(
        color,
        alpha,
        depth,
        turn,
        space,
        dpi_of(picture.info) or _dpi_of_exif(exif),
        picture.info.get("exif") or exif,
        picture.info.get("xmp"),
        page=page,
        pages=count,
        notes=notes,
    )


def read_memory(picture: Any, wanted: Wanted) -> Stored:
    """Take a Pillow picture as it is."""
    check_size(picture.size, wanted.max_pixels)
    if picture.mode in ("F", "I"):
        kind = "floating-point" if picture.mode == "F" else "32-bit"
        raise ImageError(f"has {kind} samples without an agreed white; expected 8 or 16 bits, or give an array of 0..1")
    picture.load()
    turn = orientation(picture)
    color, alpha = split(picture)
    depth = 16 if picture.mode in GRAY_16 else 8
    info = picture.info
    exif = info.get("exif") or picture.getexif()
    return Stored(color, alpha, depth, turn, info.get("icc_profile") or None, dpi_of(info), exif, info.get("xmp"))


def open_header(data: bytes, form: Format) -> Any:
    """Return Pillow's picture of which only the header has been read."""
    check_head(data[:HEAD_OF_PNM], form)
    plugin = load_plugin(form)
    try:
        return plugin(io.BytesIO(data))
    except SyntaxError as error:
        if found := re.search(r"cannot handle (\d+)-bit layers", str(error)):
            raise ImageError(
                f"has {found[1]} bits per channel, which no JPEG decoder here reads; save it with 8"
            ) from error
        if "unknown pixel mode" in str(error) or isinstance(error.__cause__, KeyError):  # of a PSD of 16 bits: (3, 16)
            raise ImageError("has a layout that bgkit does not read; save it as PNG or TIFF") from error
        raise


def check_head(data: bytes, form: Format) -> None:
    """Refuse a PNM whose header does not end soon: Pillow reads it byte by byte, however long its comments are.

    Raises
    ------
    ImageError
        If its words (netpbm, pbm(5) and ppm(5)) are not among the first 64 KB.
    """
    if form.name != "PNM" or len(data) < HEAD_OF_PNM:
        return
    words = re.sub(rb"#[^\r\n]*", b"", data).split(None, 4)
    if len(words) < (3 if data[1:2] in b"14" else 4):
        raise ImageError(f"has a header of more than {HEAD_OF_PNM >> 10} KB")


def split(picture: Any) -> tuple[Any, Array | None]:
    """Return color and alpha apart: color as an array, or still Pillow's picture where it is CMYK or CIELAB."""
    key = picture.info.get("transparency")
    if picture.mode in GRAY_16:
        samples = np.asarray(picture).astype(np.uint16)
        return samples, None if key is None else np.where(samples == key, 0, 65535).astype(np.uint16)
    if picture.mode in ("CMYK", "LAB"):
        return picture, None
    if picture.mode in ("P", "PA"):
        clear = key is not None or picture.mode == "PA" or picture.palette.mode == "RGBA"
        picture = picture.convert("RGBA" if clear else "RGB")
    elif picture.mode in ("RGBa", "La"):
        picture = picture.convert(picture.mode.upper())
    elif key is not None and picture.mode in ("1", "L", "RGB"):
        picture = picture.convert("RGBA" if picture.mode == "RGB" else "LA")  # gray has a profile for gray
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode not in ("L", "LA", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    pixels = np.asarray(picture)
    if picture.mode == "LA":
        return pixels[:, :, 0], pixels[:, :, 1]
    if picture.mode == "RGBA":
        return pixels[:, :, :3], pixels[:, :, 3]
    return pixels, None


def orientation(picture: Any) -> int:
    """Return EXIF's orientation, 1..8; a broken entry counts as upright, as in viewers.

    Pillow takes the word of XMP where EXIF has none. Viewers do not, nor does the guideline of the Metadata Working
    Group: it is left behind by programs that turned the pixels.
    """
    try:
        turn, info = picture.getexif().get(0x0112, 1), picture.info
        if ("xmp" in info or "XML:com.adobe.xmp" in info) and "Raw profile type exif" not in info:
            from PIL import Image

            own = Image.Exif()
            own.load(info.get("exif") or b"")
            turn = own.get(0x0112, 1)
    except Exception:
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _dpi_of_exif(exif: Any) -> tuple[float, float] | None:
    """Return what EXIF says of the resolution, for formats that have no other place for it."""
    unit = {2: 1.0, 3: 2.54}.get(exif.get(0x0128, 2)) if exif else None
    if unit is None or 0x011A not in exif or 0x011B not in exif:
        return None
    found = dpi_of({"dpi": (exif[0x011A], exif[0x011B])})
    return None if found is None else (found[0] * unit, found[1] * unit)


def _maximum_of_pnm(data: bytes) -> int:
    """Return the value that means white: the header's fourth word, comments left out (netpbm, ppm(5))."""
    words: list[bytes] = []
    for line in data[:4096].split(b"\n"):
        words += line.partition(b"#")[0].split()
        if len(words) > 3:
            break
    return int(words[3]) if data[:2] in (b"P3", b"P6") and len(words) > 3 and words[3].isdigit() else 255


def _wide_pnm(data: bytes) -> Array:
    """Return color of 16 bits, scaled to 65535; OpenCV reads no text."""
    top = _maximum_of_pnm(data)
    color: Array
    if data[:2] == b"P3":
        words = re.sub(rb"#[^\r\n]*", b"", data).split()
        cols, rows = int(words[1]), int(words[2])
        color = np.array(words[4 : 4 + 3 * rows * cols], np.uint16).reshape(rows, cols, 3)
    else:
        samples = through_opencv(data)
        if samples is None or samples.dtype != np.uint16 or samples.ndim != 3:
            raise ImageError("has 16-bit samples that cannot be read; save it as PNG or TIFF")
        color = samples[:, :, ::-1]
    return color if top == 65535 else np.rint(color * (65535 / top)).clip(0, 65535).astype(np.uint16)


def _float_color(data: bytes, wanted: Wanted) -> Stored:
    """Read a portable float map of three channels, of which Pillow reads only gray ones: rows from the bottom up."""
    choose_page(wanted.page, 1)
    head = re.match(rb"PF\s+(\d{1,9})\s+(\d{1,9})\s+([-+.\deE]{1,20})\s", data)
    scale = float(head[3]) if head and re.fullmatch(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", head[3]) else 0.0
    if head is None or scale == 0:
        raise ImageError("has a header that is damaged; expected PF, width, height and scale")
    size = int(head[1]), int(head[2])
    check_size(size, wanted.max_pixels)
    wide = 12 * size[0] * size[1]
    if len(data) < head.end() + wide:
        raise ImageError("ends before its last row")
    samples = np.frombuffer(data, "<f4" if scale < 0 else ">f4", wide // 4, head.end())
    color, notes = checked_floats(samples.reshape(size[1], size[0], 3)[::-1], False)
    return Stored(color, None, 32, notes=notes)


def _bits_of_jpeg2000(data: bytes) -> int:
    """Return the bits of the first channel, by the marker SIZ (ISO/IEC 15444-1, A.5.1)."""
    at = data.find(b"\xff\x4f\xff\x51")
    return (data[at + 42] & 0x7F) + 1 if 0 <= at < len(data) - 42 else 8


def _jpeg2000(picture: Any, data: bytes) -> tuple[Array, Array | None]:
    """Return samples of more than 8 bits, scaled to 65535."""
    bits = _bits_of_jpeg2000(data)
    if picture.mode == "I;16":
        picture.load()
        samples = np.asarray(picture).astype(np.uint16)
    else:
        samples = through_opencv(data)
        if samples is None or samples.dtype != np.uint16 or samples.shape[1::-1] != picture.size:
            raise ImageError(f"has {bits} bits per channel in a layout that bgkit does not read; save it with 8")
    if bits < 16:
        samples = np.rint(samples * (65535 / (2**bits - 1))).clip(0, 65535).astype(np.uint16)
    if samples.ndim == 2:
        return samples, None
    color = samples[:, :, 2::-1]
    return color, samples[:, :, 3] if samples.shape[2] == 4 else None


def _flat(data: bytes, color: Any, alpha: Array | None) -> tuple[Any, Array | None]:
    """Return the flat picture of a PSD: whether there is one, what its fourth channel means, and without its white.

    A fourth channel is the transparency of the whole only where the count of layers is negative (Adobe Photoshop
    File Formats, "Layer info"); else it is a saved selection. Photoshop lays a transparent whole on white.
    """
    at = 26
    (size,) = struct.unpack_from(">I", data, at)
    at += 4 + size  # color mode data
    (size,) = struct.unpack_from(">I", data, at)
    resources, at = data[at + 4 : at + 4 + size], at + 4 + size
    mark = resources.find(b"8BIM\x04\x21")  # 1057, version info: version, then whether the flat picture is real
    if mark >= 0 and resources[mark + 16 : mark + 17] == b"\0":
        raise ImageError("has no flat picture; save it again with 'Maximize compatibility', or as TIFF")
    (size,) = struct.unpack_from(">I", data, at)
    layers = struct.unpack_from(">Ih", data, at + 4) if size >= 6 else (0, 0)
    if alpha is None or layers[0] == 0 or layers[1] >= 0 or not isinstance(color, np.ndarray):
        return color, None
    white = (255 - alpha)[:, :, None] if color.ndim == 3 else 255 - alpha
    return unmultiplied(np.where(color > white, color - white, 0).astype(np.uint8), alpha), alpha


def through_opencv(data: bytes) -> Any:
    """Decode as stored, without OpenCV's lines on stderr; channels come as BGR."""
    return _opencv(data, "SILENT")[0]


def warnings_of_libtiff(data: bytes) -> list[str]:
    """Return what libtiff says of a TIFF's first picture: Pillow leaves its warnings out, OpenCV logs them."""
    try:
        said = _opencv(data, "WARNING")[1]
    except Exception:  # a layout or a size that OpenCV does not take: nothing is said
        return []
    return [line.partition("TIFF_Warning ")[2] for line in said if "TIFF_Warning " in line]


def _opencv(data: bytes, level: str) -> tuple[Any, list[str]]:
    """Return what OpenCV decodes, and its lines of that level and above."""
    import cv2

    with _opencv_log:  # the log level is one for the process
        before = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(getattr(cv2.utils.logging, f"LOG_LEVEL_{level}"))
        try:
            with heard() as said:
                pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            return pixels, said
        finally:
            cv2.utils.logging.setLogLevel(before)


_opencv_log = Lock()
_apart = Lock()
_inside = 0
_undo: list[Any] = []


@contextmanager
def apart(limit: int) -> Iterator[None]:
    """Keep Pillow's warnings and its own size limit out while any thread reads.

    Both are global: the first thread in sets them, the last one out puts them back. Pillow's limit
    is only ever raised (its error stands at twice the number), so no other user of Pillow in this
    process is refused anything on our account.
    """
    global _inside
    from PIL import Image

    with _apart:
        if _inside == 0:
            quiet = warnings.catch_warnings()
            quiet.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\b")
            _undo[:] = [quiet, Image.MAX_IMAGE_PIXELS]
        if Image.MAX_IMAGE_PIXELS is not None:
            Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, (limit + 1) // 2)
        _inside += 1
    try:
        yield
    finally:
        with _apart:
            _inside -= 1
            if _inside == 0:
                quiet, Image.MAX_IMAGE_PIXELS = _undo
                quiet.__exit__(None, None, None)
