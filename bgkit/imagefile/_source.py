"""From a path, bytes or a binary file to bytes, judged by the first of them before the rest is read.

What has no end (a device, a pipe that nobody closes) is refused or read up to a limit.
"""

from __future__ import annotations

import os
import stat
from os import PathLike
from pathlib import Path
from typing import IO, Any

from bgkit.errors import ImageError, ParamError
from bgkit.files import local_path
from bgkit.imagefile._formats import HEAD, format_of

__all__ = ["MAX_PIXELS", "Source", "pixel_limit", "read_bytes", "take", "why"]

Source = str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Any
MAX_PIXELS = 200_000_000  # 2.4 GB as float32 RGB; BGKIT_MAX_PIXELS changes it
_BYTES_OF_A_PIXEL = 16  # float32 RGBA without compression; whatever is larger holds something else
_OVERHEAD = 64 << 20  # profiles, thumbnails and other attachments
_PIECE = 1 << 22


def pixel_limit(max_pixels: int | None = None) -> int:
    """Return above how many pixels a picture is refused: what is asked for, else what the environment says."""
    if max_pixels is not None:
        return max_pixels
    wish = os.environ.get("BGKIT_MAX_PIXELS", "")
    if not wish:
        return MAX_PIXELS
    if not wish.isdecimal() or int(wish) < 1:
        raise ParamError(f"BGKIT_MAX_PIXELS: expected a whole number from 1 up, got {wish!r}")
    return int(wish)


def take(source: Source, max_pixels: int) -> tuple[bytes | None, str | None]:
    """Return a picture file's content and its name; no content for a Pillow picture.

    Raises
    ------
    ImageError
        If it cannot be read, does not begin as a picture, or is larger than ``max_pixels`` can be.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), None
    if isinstance(source, (str, PathLike)):
        return _from_path(os.fspath(source), max_pixels)
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        path = name if isinstance(name, str) else None
        return read_bytes(source, path, max_pixels), path
    from PIL import Image

    if isinstance(source, Image.Image):
        return None, getattr(source, "filename", None) or None
    raise ImageError(f"expected a path, bytes, a binary file or a PIL image, got {type(source).__name__}")


def _from_path(path: str, max_pixels: int) -> tuple[bytes, str]:
    try:
        path = local_path(path)
    except ValueError as error:  # it begins with the URL
        raise ImageError(str(error)) from None
    try:
        kind = Path(path).stat()
        if not stat.S_ISREG(kind.st_mode) and not stat.S_ISDIR(kind.st_mode):
            raise ImageError(f"{path}: is a device or a pipe, expected a file; give - to read from standard input")
        _check_bytes(kind.st_size, max_pixels, path)  # also of a file with holes, which is read as zeros
        with Path(path).open("rb") as file:
            return read_bytes(file, path, max_pixels), path
    except (OSError, ValueError, MemoryError) as error:
        raise ImageError(f"{path}: {why(error)}") from error


def _check_bytes(count: int, max_pixels: int, place: str = "") -> None:
    most = max_pixels * _BYTES_OF_A_PIXEL + _OVERHEAD
    if count > most:
        reason = f"is longer than {most / 1e9:.1f} GB, more than {max_pixels / 1e6:g} million pixels take"
        raise ImageError(f"{place}: {reason}" if place else reason)


def read_bytes(file: IO[bytes], path: str | None = None, max_pixels: int | None = None) -> bytes:
    """Return what is left in a binary file, such as standard input or an object in a store, if it begins as a picture.

    Raises
    ------
    ImageError
        If it does not, cannot be read, or is longer than what a picture of ``max_pixels`` can take.
    """
    place = path or "picture"
    limit = pixel_limit(max_pixels)
    try:
        head = b""
        while len(head) < HEAD and (piece := file.read(HEAD - len(head))):
            if not isinstance(piece, bytes):
                raise ImageError("expected a file opened as binary, got text")
            head += piece
        format_of(head, path)
        pieces, count = [head], len(head)
        while piece := file.read(_PIECE):
            pieces.append(piece)
            count += len(piece)
            _check_bytes(count, limit)
        return b"".join(pieces)
    except ImageError as error:
        raise error.at(place) from None
    except (OSError, ValueError, MemoryError) as error:
        raise ImageError(f"{place}: {why(error)}") from error


def why(error: BaseException) -> str:
    """Return what the operating system says, in the words of the other messages."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a folder, expected a picture file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
