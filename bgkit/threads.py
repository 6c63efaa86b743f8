"""How many threads the kernels, OpenCV and ONNX Runtime may use in this process.

One number for all of them, so that several worker processes never ask for more threads than the
machine has cores. It changes speed only: every kernel gives the same bits for any number.

A process that was forked (``os.fork``, ``multiprocessing`` under Linux's old default, gunicorn with preload) has none
of its parent's threads but still their bookkeeping: OpenMP would wait for them for ever. If the parent had used
several, the child computes with one. Processes that are to use more are started by the method ``spawn``.
Nor has it a thread that would open a lock which another thread of the parent held: :class:`Lock` is open there.
"""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType

from bgkit.errors import ParamError

__all__ = ["Lock", "limit_opencv", "set_threads", "threads"]

_chosen: int | None = None
_several = False  # whether this process, or the one it was forked from, has used more than one thread
_forked = False  # from a process with several


def threads() -> int:
    """Return the number of threads: as set, else ``BGKIT_THREADS``, else the cores this process may use."""
    global _several
    if _forked:
        return 1
    count = _wanted()
    _several = _several or count > 1
    return count


def _wanted() -> int:
    if _chosen is not None:
        return _chosen
    wish = os.environ.get("BGKIT_THREADS", "")
    if wish:
        if not wish.isdecimal() or len(wish) > 6 or int(wish) < 1:
            raise ParamError(f"BGKIT_THREADS: expected a whole number from 1 up, got {wish!r}")
        return int(wish)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(count: int) -> None:
    """Use ``count`` threads (1 or more) from now on.

    Raises
    ------
    ParamError
        If it is less than 1, or more than 1 in a process that was forked from one with several.
    """
    if count < 1:
        raise ParamError(f"threads: expected 1 or more, got {count}")
    if _forked and count > 1:
        raise ParamError(
            f"threads: expected 1 in a process that was forked from one that used several, got {count}; "
            "start it by multiprocessing.get_context('spawn')"
        )
    global _chosen
    _chosen = count


class Lock:
    """A lock of the whole process, for a module to keep; open at first in a process that was forked."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()


def limit_opencv() -> None:
    """Give OpenCV the same number."""
    import cv2

    cv2.setNumThreads(threads())


def _before_fork() -> None:
    # OpenCV's idle threads end here: a child that has their records only would wait for them at its end.
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)


def _after_in_parent() -> None:
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(_wanted())


def _after_in_child() -> None:
    global _forked
    _forked = _several


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
