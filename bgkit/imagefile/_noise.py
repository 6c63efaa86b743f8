"""What libraries in C write to standard error while they decode: caught, and given to whoever decodes.

libtiff, libpng and OpenCV know no other way to say that a picture is damaged; Pillow and tifffile use Python's log.
The file descriptor is one for the process, so one thread listens at a time, and lines that are none of a decoder's go
where they would have gone.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["heard"]

_DECODERS = (
    "tiff",
    "_tiff",
    "tempfile.tif",
    "fax",
    "lzw",
    "zip",
    "jpeg",
    "jbig",
    "predictor",
    "packbits",
    "logluv",
    "lzma",
    "zstd",
    "lerc",
    "webp",
    "dumpmode",
    "thunder",
    "next",
    "pixarlog",
    "png",
    "opj",
    "unknown file",
)
_one_at_a_time = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child that began meanwhile would write its errors to the paper for ever
    os.register_at_fork(
        before=_one_at_a_time.acquire,
        after_in_parent=_one_at_a_time.release,
        after_in_child=_one_at_a_time.release,
    )
for _library in ("PIL", "tifffile"):  # Python prints what is logged where nobody listens
    logging.getLogger(_library).addHandler(logging.NullHandler())


@contextmanager
def heard() -> Iterator[list[str]]:
    """Give a list that holds, when the block has ended, what was said on standard error meanwhile, by lines."""
    said: list[str] = []
    with _one_at_a_time:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        try:
            before = os.dup(2)
        except OSError:  # closed, as in some services: nobody can be heard
            yield said
            return
        try:
            with tempfile.TemporaryFile() as paper:
                os.dup2(paper.fileno(), 2)
                try:
                    yield said
                finally:
                    os.dup2(before, 2)
                    paper.seek(0)
                    lines = paper.read(1 << 20).decode("utf-8", "replace").splitlines()
                    for line in lines:
                        known = any(
                            line.lower().startswith(name) or f"{name}decode" in line.lower() for name in _DECODERS
                        )
                        if known or "[ WARN" in line or "[ERROR" in line or "warning:" in line.lower():
                            said.append(line.strip())
                        elif line.strip():
                            os.write(2, line.encode() + b"\n")
        finally:
            os.close(before)
