"""Files as every part of bgkit treats them: written whole or not at all, checked by sums, locked, listed by ending.

A file that a user brings is a regular file: a device or a pipe may never end. A text is of reasonable size, too.

- :func:`replacing` is the one way to write a file that others may read: under a temporary name beside it, then renamed.
- :func:`read_text` and :func:`open_regular` read what users bring.
- :class:`JsonLines` is a file that is appended to, one JSON value a line; a last line that was cut off does no harm.
- :func:`digest_of` and :func:`mismatch` are checksums; a :class:`Lock` is held by one process at a time.
- ``READABLE`` and ``WRITABLE`` are the endings of picture files, :func:`home` is bgkit's own folder.
- :func:`local_path` is the path that a ``file:`` URL names.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

from bgkit.errors import BgkitError

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = [
    "CAMERA_RAW",
    "LEFT_BEHIND",
    "LINE_LIMIT",
    "METADATA",
    "OPAQUE",
    "READABLE",
    "WRITABLE",
    "JsonLines",
    "Lock",
    "digest_of",
    "files_allowed",
    "home",
    "local_path",
    "mismatch",
    "open_regular",
    "part_name",
    "passing_file",
    "read_json",
    "read_lines",
    "read_text",
    "reason_of",
    "replacing",
    "without_files",
    "write_whole",
]

# Endings of camera raw files.
CAMERA_RAW = (
    *(".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".raf", ".rw2", ".orf", ".pef", ".srw", ".3fr", ".iiq", ".erf"),
)

# Endings of picture files that are read. What a file really is, its first bytes say.
READABLE = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"),
    *(".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".psd"),
    *(".pnm", ".ppm", ".pgm", ".pbm", ".pfm", ".qoi", ".ico", ".tga", ".vda", ".icb", ".vst"),
    *CAMERA_RAW,
)

# Endings of picture files that are written, and the format that each means.
WRITABLE: Mapping[str, str] = MappingProxyType(
    {
        ".png": "png",
        ".webp": "webp",
        ".tif": "tiff",
        ".tiff": "tiff",
        ".jpg": "jpeg",
        ".jpeg": "jpeg",
        ".bmp": "bmp",
        ".avif": "avif",
    }
)

METADATA = ("none", "credit", "all")  # what of EXIF, XMP and IPTC goes along into a result
OPAQUE = ("jpeg", "bmp")  # formats that hold no transparency

LEFT_BEHIND = ".bgkit-*.part"  # every name that part_name() gives: what a killed process may leave behind


LINE_LIMIT = 1 << 24  # bytes of JSON
TEXT_LIMIT = 1 << 16  # bytes; the longest recipe with every value written out has 3,000

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def read_text(path: Path, what: str, error: type[BgkitError], most: int = TEXT_LIMIT) -> str:
    """Return a file's text; ``what`` it should be is said where it is something else.

    Raises
    ------
    error
        If the file is absent, no regular file, larger than ``most`` bytes, or no text.
    """
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise error(f"{path}: expected {what}, got a file of more than {most >> 10} KB")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise error(f"{path}: expected {what}, got a file that is not text") from None
    except (OSError, ValueError) as fault:
        if isinstance(fault, BgkitError):
            raise
        raise error(f"{path}: cannot be read: {reason_of(fault)}") from None


def read_json(path: Path, what: str, error: type[BgkitError], most: int = LINE_LIMIT) -> Any:
    """Return the value of a JSON file; ``what`` it should be is said where it is something else.

    Raises
    ------
    error
        As :func:`read_text`, or if it is no JSON, or nested too deep.
    """
    try:
        return json.loads(read_text(path, what, error, most))
    except RecursionError:
        raise error(f"{path}: expected {what}, got JSON that is nested too deep") from None
    except ValueError as fault:
        if isinstance(fault, BgkitError):
            raise
        raise error(f"{path}: expected {what}, got no JSON: {fault}"[:300]) from None


def open_regular(path: Path) -> BinaryIO:
    """Open a file that has an end; OSError for a folder, a device or a pipe, which may have none."""
    # A pipe that nobody writes to would hold open() itself.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        raise OSError(0, f"expected a file, got {_KINDS.get(stat.S_IFMT(kind), 'something else')}", str(path))
    return os.fdopen(descriptor, "rb")


def reason_of(fault: OSError | ValueError) -> str:
    """Return what the operating system says; ValueError: a name that no file can have."""
    return (fault.strerror if isinstance(fault, OSError) else None) or str(fault)


def local_path(text: str) -> str:
    """Return the path that a ``file:`` URL names (RFC 8089), percent escapes undone; other text as it is.

    Raises
    ------
    ValueError
        If the URL names a file of another host, or none.

    Examples
    --------
    >>> local_path("file:///shots/red%20cup.jpg")
    '/shots/red cup.jpg'
    """
    if text[:5].lower() != "file:" or not text[5:].startswith("/"):
        return text
    rest = text[5:]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            raise ValueError(f"{text}: names a file of the host {host!r}; expected file:/// and a path of this machine")
        rest = slash + path
    if rest in ("", "/"):
        raise ValueError(f"{text}: names no file; expected file:/// and a path of this machine")
    if os.name == "nt":
        from urllib.request import url2pathname  # loads an HTTP client

        return url2pathname(rest)
    return urllib.parse.unquote(rest, errors="surrogateescape")


_files: ContextVar[bool] = ContextVar("bgkit_files", default=True)


def files_allowed() -> bool:
    """Whether a value may name a file here; constraints that open files ask before they look."""
    return _files.get()


@contextmanager
def without_files() -> Iterator[None]:
    """Refuse, inside the block, values that name files: they come from someone who may not know what lies here."""
    token = _files.set(False)
    try:
        yield
    finally:
        _files.reset(token)


def part_name() -> str:
    """Return a new name for a file that is not whole yet."""
    return f".bgkit-{secrets.token_hex(6)}.part"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a new path beside ``path``; at the end the file written there takes the place of ``path``.

    If the block raises, that file is deleted and ``path`` stays as it was. A link stays a link: the file that it
    leads to is replaced. OSError is not caught.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(part_name())
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file, whole or not at all; text is UTF-8, with what it cannot hold escaped. OSError is not caught."""
    with _named(path), replacing(path) as part:
        part.write_bytes(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in an OSError that names none, as that of a full disk does when bytes are written."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


class JsonLines:
    """A file that values are appended to, each as one line of JSON, on the disk before the next one comes.

    What stands in the file stays. A last line without its end, from a process that was killed while it wrote, is
    closed first, so that the line after it is whole; :func:`read_lines` passes over the torn one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("ab+", buffering=0)
        self.torn = False
        if self.file.tell():
            self.file.seek(-1, os.SEEK_END)
            self.torn = self.file.read(1) != b"\n"

    def append(self, value: Any) -> None:
        """Write one line; OSError is not caught, also of a disk that took a part of the line only."""
        line = b"\n" * self.torn + json.dumps(value).encode() + b"\n"
        self.torn = True
        with _named(self.path):
            self.torn = self.file.write(line) != len(line)
        if self.torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_lines(path: Path) -> list[Any]:
    """Return the values of a file of JSON lines, what is none left out (torn lines); none where there is no file."""
    values = []
    with suppress(OSError), open_regular(path) as file:
        while line := file.readline(LINE_LIMIT):
            with suppress(ValueError, RecursionError):
                values.append(json.loads(line.decode()))  # of bytes, json would guess UTF-16 where a zero is among them
    return values


class Lock:
    """A lock on a folder's work that no two processes hold at once, until it is released or its process ends.

    ``state`` is ``held``; ``taken``, where another process has it; or ``unknown``, where this file system cannot lock,
    or does not allow a file there.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock, Timeout

        self._lock: BaseFileLock = FileLock(path, timeout=0)
        self.state: Literal["held", "taken", "unknown"] = "held"
        try:
            self._lock.acquire()
        except Timeout:
            self.state = "taken"
        except (OSError, NotImplementedError):
            self.state = "unknown"

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()


def digest_of(source: Path | bytes | BytesIO, kind: str = "sha256") -> str:
    """Return the checksum of a file or of content in hexadecimal digits; ``kind`` is sha256 or md5."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    content = source if isinstance(source, bytes) else source.getbuffer()
    return hashlib.new(kind, content, usedforsecurity=False).hexdigest()


def mismatch(path: Path, *, sha256: str, md5: str = "", size: int | None = None) -> str:
    """Return ``""`` if the file has the checksum (and size), else what was expected and what it has."""
    if size is not None and path.stat().st_size != size:
        return f"expected {size} bytes, got {path.stat().st_size}"
    for kind, expected in (("sha256", sha256), ("md5", md5)):
        if expected:
            actual = digest_of(path, kind)
            return "" if actual == expected else f"expected {kind} {expected}, got {actual}"
    return ""


def home() -> Path:
    """Return the folder of networks and journals: ``BGKIT_HOME``, else the system's place for such data."""
    wish = os.environ.get("BGKIT_HOME", "")
    if wish:
        return Path(wish).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "bgkit"


@contextmanager
def passing_file(content: bytes) -> Iterator[str]:
    """Yield the path of a file with a name of our own that holds ``content`` and goes at the end."""
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="bgkit-") as file:
        file.write(content)
        file.flush()
        yield file.name
