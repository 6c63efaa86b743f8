"""How much memory this process held at most, since it was last asked to forget."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["forget_peak", "peak"]

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the peak begin anew; only Linux can."""
    with suppress(OSError):
        RESET.write_text("5")


def peak() -> int | None:
    """Return the largest resident size in bytes, libraries included; None where the system does not tell."""
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
