"""Raw frames from a pipe: RGB of 8 bits, row by row, without a header, as ``ffmpeg -f rawvideo -pix_fmt rgb24``."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from bgkit.errors import VideoError
from bgkit.videofile._clip import Clip, Frame, Reader

__all__ = ["RawReader"]


class RawReader(Reader):
    """Raw frames of a known size."""

    def __init__(self, file: BinaryIO, size: tuple[int, int], rate: Fraction) -> None:
        rows, cols = size
        self.file = file
        self.clip = Clip("stdin", rows, cols, rate, 1 / rate, again=False)
        self.problem = ""

    def frames(self, start: int = 0) -> Iterator[Frame]:
        rows, cols = self.clip.rows, self.clip.cols
        size = 3 * rows * cols
        number = 0
        while data := self._read(size):
            if len(data) < size:
                self.problem = (
                    f"stdin: ends within a frame: {len(data)} bytes after {number} frames of {size}; "
                    f"are the frames {rows} x {cols} (rows x columns), RGB of 8 bits?"
                )
                break
            if number >= start:
                yield Frame(number, number, 1, np.frombuffer(data, np.uint8).reshape(rows, cols, 3))
            number += 1
        if not number:
            raise VideoError(self.problem or "stdin: expected raw frames, got nothing")

    def _read(self, count: int) -> bytes:
        parts = []
        while count and (part := self.file.read(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Leave the pipe to its owner."""
