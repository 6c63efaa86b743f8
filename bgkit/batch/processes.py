"""What every process that does pictures needs: its share of the threads, and an end in good order."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["THREAD_NAMES", "environment", "for_children", "leave"]

# What libraries read, when they are loaded, for their number of threads.
THREAD_NAMES = (
    "BGKIT_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def environment(count: int) -> dict[str, str]:
    """Return what a process must find in its environment to use ``count`` threads."""
    return dict.fromkeys(THREAD_NAMES, str(count))


@contextmanager
def for_children(count: int) -> Iterator[None]:
    """Set what a child takes over when it starts: its threads, and that Ctrl-C is its parent's affair."""
    before = {name: os.environ.get(name) for name in THREAD_NAMES}
    os.environ.update(environment(count))
    main = threading.current_thread() is threading.main_thread()
    handler: Any = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def leave(number: int, frame: Any) -> None:
    """End this worker once: the group's signal and the caller's may both come, the second while it is leaving."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
