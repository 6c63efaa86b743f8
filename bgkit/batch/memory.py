"""Memory: how much a picture took, how much there is, and so how many pictures may be at work at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

__all__ = ["USUAL", "Room", "forget_peak", "free", "limit", "peak"]

USUAL = 3 << 30  # bytes for one worker: a 24 MP picture with all its layers and a solver at work
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the peak begin anew; only Linux can."""
    with suppress(OSError):
        RESET.write_text("5")


def peak() -> int | None:
    """Return the largest resident size in bytes, libraries included; None where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


# The limit of a container, and what it holds already (cgroup v2, v1).
CONTAINERS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def limit() -> int | None:
    """Return the bytes that this machine or container has; None where that is unknown."""
    found = [int(text) for top, _ in CONTAINERS if (text := _read(top)).isdecimal()]
    with suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(found, default=None)


def free() -> int | None:
    """Return the bytes that may be taken now; None where that is unknown."""
    found = []
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    for top, now in CONTAINERS:
        most, held = _read(top), _read(now)
        if most.isdecimal() and held.isdecimal():
            found.append(max(0, int(most) - int(held)))
    return min(found, default=limit())


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


class Room:
    """How many pictures fit into memory at once: an estimate that learns from each picture done.

    Parameters
    ----------
    total : int, optional
        Bytes for all worker processes together; by default nine tenths of what is free now.
    """

    BASE = 250 << 20  # bytes of a process with its libraries and a network
    RATE = 128.0  # bytes for a pixel: its layers and a solver at work; `auto` at 24 MP, with a margin
    TELLING = 4_000_000  # pixels above which a picture says more of the rate than of the base

    def __init__(self, total: int | None = None) -> None:
        there = free()
        self.total = total if total is not None else None if there is None else there * 9 // 10
        self.rate, self.learned = self.RATE, False

    def need(self, pixels: int) -> int:
        """Return the bytes that a picture is likely to take."""
        return self.BASE + int(self.rate * pixels)

    def fits(self, pixels: int, at_work: Collection[int]) -> bool:
        """Tell whether a picture may be begun while others, by their pixels, are at work; alone, any may."""
        if self.total is None or not at_work:
            return True
        return self.need(pixels) + sum(map(self.need, at_work)) <= self.total

    def learn(self, pixels: int, held: int | None) -> None:
        """Take in what a picture took: the largest rate seen holds, with a tenth to spare."""
        if held is not None and pixels >= self.TELLING:
            seen = 1.1 * max(0, held - self.BASE) / pixels
            self.rate = max(seen, self.rate) if self.learned else seen
            self.learned = True
