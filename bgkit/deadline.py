"""A deadline for the work on one picture: :func:`limited` sets it, long work calls :func:`check`.

The runner checks after each step, and before each call of a network; a network that is running is stopped between two
of its operators, also inside a loop. A stage in the middle of other work finishes it first. Who cannot wait for that
runs the picture in another process and ends it, as ``bgkit remove --timeout`` and ``bgkit serve`` do.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bgkit.errors import DeadlineError, ParamError

__all__ = ["check", "late", "limited", "stopping"]

_end: ContextVar[tuple[float, float]] = ContextVar("bgkit_deadline", default=(math.inf, math.inf))  # when, seconds


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Allow what is in the block so many seconds; of two deadlines the earlier one counts. None sets none.

    Raises
    ------
    ParamError
        If ``seconds`` is not above 0.
    """
    if seconds is None:
        yield
        return
    try:
        positive = seconds > 0 and not isinstance(seconds, bool)
    except TypeError:  # text, as of an environment's variable
        positive = False
    if not positive:
        raise ParamError(f"timeout: expected seconds above 0, got {seconds!r}")
    token = _end.set(min(_end.get(), (time.monotonic() + seconds, seconds)))
    try:
        yield
    finally:
        _end.reset(token)


def check() -> None:
    """Raise :class:`~bgkit.errors.DeadlineError` when the deadline is over."""
    end, seconds = _end.get()
    if time.monotonic() >= end:
        raise late(seconds)


def late(seconds: float) -> DeadlineError:
    """Return the error of work that took longer than ``seconds``."""
    return DeadlineError(f"stopped, because the picture took longer than {seconds:g} s")


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` from another thread when the deadline comes while the block runs, and raise at its end.

    What the block raises after that came of the stop, and is replaced by the deadline's error.
    """
    check()
    end = _end.get()[0]
    if end == math.inf:
        yield
        return
    timer = threading.Timer(end - time.monotonic(), stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        timer.cancel()
    check()
