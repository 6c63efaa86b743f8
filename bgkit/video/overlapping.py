"""Reading the next frame and encoding the last one while a frame is worked on: one thread for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.layers import Layers
from bgkit.video.outputs import Output
from bgkit.videofile import Frame

__all__ = ["Behind", "ahead"]

WAITING = 2  # frames that are to be written while the next one is done: memory for as many pictures


def ahead(frames: Iterator[Frame], *, may: bool = True) -> Generator[Frame, None, None]:
    """Yield the same frames, each read while the one before is worked on, if that ``may`` be; close it when done.

    An error comes in its frame's place.
    """
    if not may:
        yield from frames
        return
    with ThreadPoolExecutor(1, "bgkit-read") as pool:
        coming = pool.submit(next, frames, None)
        while (frame := coming.result()) is not None:
            coming = pool.submit(next, frames, None)
            yield frame


class Behind:
    """An output whose frames are written while the next one is worked on, in order.

    An error of writing is raised by the next call.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self._pool = ThreadPoolExecutor(1, "bgkit-write")
        self._waiting: deque[Future[None]] = deque()

    @property
    def note(self) -> str:
        return self.output.note

    def write(self, picture: NDArray[np.float32], ticks: int, length: int, last: Layers) -> None:
        self._wait(WAITING - 1)
        self._waiting.append(self._pool.submit(self.output.write, picture, ticks, length, last))

    def finish(self, **how: Any) -> None:
        try:
            self._wait(0)
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self.output.finish(**how)

    def _wait(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft().result()
