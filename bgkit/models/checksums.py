"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["digest_of", "matches"]


def digest_of(path: Path, kind: str = "sha256") -> str:
    """Return the checksum of a file in hexadecimal digits; ``kind`` is sha256 or md5."""
    hasher = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as handle:
        while data := handle.read(1 << 20):
            hasher.update(data)
    return hasher.hexdigest()


def matches(path: Path, *, sha256: str, md5: str, size: int | None = None) -> str:
    """Return ``""`` if the file has the checksum (and size), else what was expected and found."""
    if size is not None and path.stat().st_size != size:
        return f"expected {size} bytes, got {path.stat().st_size}"
    for kind, expected in (("sha256", sha256), ("md5", md5)):
        if expected:
            found = digest_of(path, kind)
            return "" if found == expected else f"expected {kind} {expected}, got {found}"
    return ""
