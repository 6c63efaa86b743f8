"""Places: where pictures come from and results go, be it a file system or a store that fsspec knows.

A path stays a :class:`pathlib.Path`, also one that was written ``file:///...``. Everything else with ``://`` is
a :class:`Url`, with the pathlib methods that planning needs. fsspec and its drivers load when the first
URL is met.

A store shows a result whole or not at all, as far as it can: object stores (S3, GCS, Azure) show an object
when its one upload is complete; elsewhere (SFTP, SMB, HDFS) a file is written under a temporary name and moved.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any

from bgkit.errors import BgkitError, MissingPartError, PlanError, cut, did_you_mean
from bgkit.files import local_path, part_name, write_whole

__all__ = [
    "Place",
    "Url",
    "common_parent",
    "delete",
    "exists",
    "identity",
    "inner_path",
    "is_folder",
    "list_files",
    "match",
    "opened",
    "place_of",
    "read_bytes",
    "size_of",
    "stat_of",
    "write_bytes",
]

Stamp = tuple[int, int]

# A single upload of these is there as a whole or not at all.
OBJECTS = ("memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2", "hf", "http", "https")
BROUGHT_BY = {"smbclient": "smbprotocol", "webdav4": "webdav4", "pyarrow": "pyarrow"}  # module -> what pip calls it
INDEX, CHUNK = 16 << 20, 1 << 20  # bytes of an index page at most, and read at a time
MARKS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "modified", "created", "md5Hash")


@dataclass(frozen=True)
class Url:
    """A file or folder in a store: ``s3://shop/shots/a.jpg``."""

    text: str
    stamp: Stamp | None = field(default=None, compare=False)  # bytes, and a number that changes with the content

    @property
    def parts(self) -> tuple[str, ...]:
        """Protocol and host or bucket, then the names below."""
        protocol, _, rest = self.text.partition("://")
        first, *names = rest.split("/")
        return f"{protocol}://{first}", *(name for name in names if name)

    @property
    def name(self) -> str:
        last = self.parts[-1] if len(self.parts) > 1 else ""
        return last.partition("?")[0] if self.protocol in ("http", "https") else last

    @property
    def protocol(self) -> str:
        return self.text.partition("://")[0]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> Url:
        return Url("/".join(self.parts[:-1]) if len(self.parts) > 1 else self.text)

    def __truediv__(self, inner: str | PurePath) -> Url:
        names = [name for name in PurePosixPath(inner).parts if name != "."]
        return Url("/".join([*self.parts, *names])) if names else self

    def with_name(self, name: str) -> Url:
        return self.parent / name

    def relative_to(self, folder: Url) -> PurePosixPath:
        """Return the path below ``folder``, which must be a parent or itself."""
        count = len(folder.parts)
        if self.parts[:count] != folder.parts:
            raise ValueError(f"{self} is not below {folder}")
        return PurePosixPath(*self.parts[count:])

    def __str__(self) -> str:
        return self.text


Place = Path | Url


def place_of(text: str | PurePath) -> Place:
    """Return the place that a text means.

    >>> place_of("s3://shop/shots/a.jpg").parent / "b.jpg"
    Url(text='s3://shop/shots/b.jpg', stamp=None)
    """
    try:
        path = local_path(str(text))
    except ValueError as error:
        raise PlanError(str(error)) from error
    if path != str(text):
        return Path(path)
    protocol, mark, rest = str(text).partition("://")
    if not mark or not protocol.replace("+", "").replace("-", "").isalnum():
        return Path(text)
    if "::" in str(text):
        raise PlanError(f"{text}: expected a plain URL; chained ones (::) are not read")
    if protocol == "local":  # fsspec's name for paths, which are not escaped
        return Path(rest)
    return Url(f"{protocol}://{rest}")


def identity(place: Place) -> str:
    """Return the same text for all names of one place: links are followed."""
    return "/".join(place.parts) if isinstance(place, Url) else os.path.realpath(place)


def _store(url: Url) -> tuple[Any, str]:
    """Return the file system of a URL and the path there."""
    import fsspec
    from fsspec.core import url_to_fs

    try:
        fs, path = url_to_fs(url.text)
    except ImportError as error:
        missing = getattr(error.__cause__ or error, "name", None) or url.protocol
        package = BROUGHT_BY.get(missing.partition(".")[0], missing.partition(".")[0])
        raise MissingPartError(f"{url}: {url.protocol}:// needs a driver: pip install {package}") from error
    except ValueError as error:
        near = did_you_mean(url.protocol, fsspec.available_protocols())
        raise PlanError(f"{url}: fsspec knows no store {url.protocol}://{near}") from error
    return fs, path


@contextmanager
def _with_reason(url: Url) -> Iterator[None]:
    """Turn what drivers raise, each its own, into an OSError with the reason."""
    try:
        yield
    except BgkitError:
        raise
    except FileNotFoundError as error:
        cause = error.__cause__  # fsspec says of HTTP that nothing is there, also where nobody answers
        if url.protocol not in ("http", "https") or cause is None or isinstance(cause, FileNotFoundError):
            raise
        why = getattr(getattr(cause, "os_error", None), "strerror", None) or type(cause).__name__
        raise OSError(0, f"cannot be reached ({cut(why, 200)})", str(url)) from error
    except Exception as error:
        text = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise OSError(0, cut(text, 400), str(url)) from error


def _stamp(info: Mapping[str, Any]) -> Stamp:
    """Return size and a mark of the content, or of the time it changed, from what a store says of a file."""
    mark = next((info[name] for name in MARKS if info.get(name)), "")
    return int(info.get("size") or 0), int.from_bytes(hashlib.sha256(str(mark).encode()).digest()[:6])


def _check_index(folder: Url) -> None:
    """Refuse an index page of HTTP that does not end: fsspec would read it whole, in search of links."""
    if folder.protocol in ("http", "https"):
        with opened(folder) as page:
            left = INDEX + 1
            while left > 0 and (part := page.read(min(left, CHUNK))):
                left -= len(part)
        if left <= 0:
            raise OSError(0, f"expected an index page of at most {INDEX >> 20} MiB", str(folder))


def list_files(folder: Url) -> dict[Url, Stamp]:
    """Return all files below a folder; none where it is not there."""
    fs, path = _store(folder)
    with _with_reason(folder):
        _check_index(folder)
        fs.invalidate_cache()
        found = fs.find(path, detail=True)
    return _urls(folder, path, found)


def match(pattern: Url, root: Url) -> dict[Url, Stamp]:
    """Return the files that fit a pattern; ``root`` is the part of it without wildcards."""
    fs, path = _store(pattern)
    with _with_reason(pattern):
        found = {name: info for name, info in fs.glob(path, detail=True).items() if info.get("type") != "directory"}
    return _urls(root, _store(root)[1], found)


def _urls(root: Url, path: str, found: Mapping[str, Mapping[str, Any]]) -> dict[Url, Stamp]:
    """Name what was found below ``path`` by URLs; a name that leads out of the folder again is no name."""
    urls = {}
    for name, info in found.items():
        inner = name.removeprefix(path.rstrip("/")).strip("/")
        if inner and not {"..", ""} & set(inner.split("/")):
            stamp = _stamp(info)
            urls[Url("/".join([*root.parts, inner]), stamp)] = stamp
    return urls


def is_folder(place: Place) -> bool:
    """Tell a folder that is there from a file, and from nothing; of HTTP an index page, whose address ends with ``/``.

    To ask fsspec of an address of HTTP is to read all that is there, in search of links: a picture, or without an end.
    """
    if isinstance(place, Path):
        return place.is_dir()
    if place.protocol in ("http", "https") and not place.text.partition("?")[0].endswith("/"):
        return False
    fs, path = _store(place)
    with _with_reason(place), suppress(FileNotFoundError):
        _check_index(place)
        return bool(fs.isdir(path))
    return False


def exists(place: Place) -> bool:
    """Tell whether there is a file or folder."""
    return size_of(place) is not None


def size_of(place: Place) -> int | None:
    """Return the size in bytes; None where nothing is."""
    stamp = stat_of(place)
    return stamp[0] if stamp else None


def stat_of(place: Place) -> Stamp | None:
    """Return size and time of change (or the store's mark of the content); None where nothing is."""
    if isinstance(place, Path):
        try:
            found = place.stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns
    fs, path = _store(place)
    try:
        with _with_reason(place):
            return _stamp(fs.info(path))
    except FileNotFoundError:
        return None


@contextmanager
def opened(url: Url) -> Iterator[IO[bytes]]:
    """Give a file of a store to read from its beginning: who reads may stop at any byte, so it need not have an end."""
    fs, path = _store(url)
    with _with_reason(url), fs.open(path, "rb") as file:
        yield file


def read_bytes(place: Place) -> bytes:
    """Return the content of a file of bgkit's own; what users bring may have no end (:func:`opened`)."""
    if isinstance(place, Path):
        return place.read_bytes()
    fs, path = _store(place)
    with _with_reason(place):
        return bytes(fs.cat_file(path))


def write_bytes(place: Place, data: bytes) -> None:
    """Write a file, whole or not at all where the store allows; folders above it are made."""
    if isinstance(place, Path):
        write_whole(place, data)
        return
    fs, path = _store(place)
    with _with_reason(place):
        if place.protocol in OBJECTS:
            fs.pipe_file(path, data)
            return
        part = _store(place.with_name(part_name()))[1]
        fs.makedirs(_store(place.parent)[1], exist_ok=True)
        try:
            fs.pipe_file(part, data)
            try:
                fs.mv(part, path)
            except Exception:
                if not fs.exists(path):
                    raise
                fs.rm_file(path)  # some servers (SMB, HDFS) do not rename onto a file
                fs.mv(part, path)
        except BaseException:
            with suppress(Exception):
                fs.rm_file(part)
            raise


def delete(place: Place) -> None:
    """Delete a file; one that is not there is no error."""
    if isinstance(place, Path):
        place.unlink(missing_ok=True)
        return
    fs, path = _store(place)
    with suppress(FileNotFoundError), _with_reason(place):
        fs.rm_file(path)


def common_parent(folders: Sequence[Place]) -> Place:
    """Return the deepest folder that holds all ``folders``.

    Raises
    ------
    PlanError
        If some are in other stores than others.
    """
    paths = [folder for folder in folders if isinstance(folder, Path)]
    if len(paths) == len(folders):
        return Path(os.path.commonpath([os.path.abspath(path) for path in paths]))  # noqa: PTH100
    parts = [folder.parts for folder in folders if isinstance(folder, Url)]
    count = 0
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        count += 1
    if paths or not count:
        raise PlanError(f"{folders[0]}, {folders[-1]}: are in different stores; do them apart, or give one folder")
    return Url("/".join(parts[0][:count]))


def inner_path(path: Place, folder: Place) -> PurePath:
    """Return where ``path`` stands below ``folder``; links are left as they are."""
    if isinstance(path, Url) and isinstance(folder, Url):
        return path.relative_to(folder)
    return Path(os.path.abspath(str(path))).relative_to(os.path.abspath(str(folder)))  # noqa: PTH100
