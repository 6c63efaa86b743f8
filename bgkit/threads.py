"""How many threads the kernels, OpenCV and ONNX Runtime may use in this process.

One number for all of them, so that several worker processes never ask for more threads than the
machine has cores. It changes speed only: every kernel gives the same bits for any number.
"""

from __future__ import annotations

import os

from bgkit.errors import ParamError

__all__ = ["set_threads", "threads"]

_chosen: int | None = None


def threads() -> int:
    """Return the number of threads: as set, else ``BGKIT_THREADS``, else the cores this process may use."""
    if _chosen is not None:
        return _chosen
    wish = os.environ.get("BGKIT_THREADS", "")
    if wish:
        if not wish.isdecimal() or int(wish) < 1:
            raise ParamError(f"BGKIT_THREADS: expected a whole number from 1 up, got {wish!r}")
        return int(wish)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(count: int) -> None:
    """Use ``count`` threads (1 or more) from now on."""
    if count < 1:
        raise ParamError(f"threads: expected 1 or more, got {count}")
    global _chosen
    _chosen = count
