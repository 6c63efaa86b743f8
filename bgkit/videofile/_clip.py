"""What is known of a film before its first frame, and what a frame is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

__all__ = ["VIDEOS", "Clip", "Frame", "Reader"]

# Endings of video files. What a file really is, its content says.
VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".mxf", ".wmv"),
    *(".flv", ".3gp", ".ogv", ".gif", ".y4m"),
)


@dataclass(frozen=True)
class Clip:
    """What a film says of itself. Times are in ticks of ``time_base`` seconds, from the film's start.

    ``codes`` are the code points of ITU-T H.273: primaries, transfer and matrix, 2 where nothing is said; ``full``
    whether samples use the full range. ``pixel_aspect`` is width by height of a pixel, upright.
    """

    name: str
    rows: int
    cols: int
    rate: Fraction  # frames a second, in the mean
    time_base: Fraction
    count: int | None = None  # of frames, as far as it is known
    depth: int = 8  # bits, 8 or 16
    codes: tuple[int, int, int] = (2, 2, 2)
    full: bool = False
    pixel_aspect: Fraction = Fraction(1)
    metadata: Mapping[str, str] = field(default_factory=dict)
    chapters: tuple[tuple[Fraction, Fraction, str], ...] = ()  # from, to, in seconds, and title
    sound: bool = False
    notes: tuple[str, ...] = ()
    again: bool = True  # whether it can be read a second time; a pipe and a camera cannot
    first: int = 1  # number of the first of numbered pictures


@dataclass(frozen=True)
class Frame:
    """One frame: RGB of shape (M, N, 3), uint8, uint16 or float32, upright, and its opacity (M, N) where it has one."""

    number: int  # from 0
    ticks: int  # when it is shown
    length: int  # for how long; 0 where nothing says
    image: NDArray[Any]
    alpha: NDArray[Any] | None = None


class Reader(ABC):
    """A film that is open. ``problem`` is what was wrong with it, once its frames have been read."""

    clip: Clip
    problem: str

    @abstractmethod
    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the frames from number ``start`` on."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
