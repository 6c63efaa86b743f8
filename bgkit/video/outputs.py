"""Where the frames of a film go: a video file, numbered pictures, or a pipe."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bgkit.batch.jobs import shown
from bgkit.errors import PlanError
from bgkit.files import OPAQUE, WRITABLE, part_name, replacing
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.video.record import Record
from bgkit.videofile import FORMATS, Clip, Encoder, Form, join

__all__ = ["FilmOutput", "Output", "PictureOutput", "PipeOutput", "is_opaque", "kind_of", "numbered"]

PIECE = 120  # frames of a piece: what a killed run loses at most
NUMBER = re.compile(r"%0?\d*d")


class Output(Protocol):
    """Takes in frames one after the other; ``note`` is what the user should know in the end."""

    note: str

    def write(self, picture: NDArray[np.float32], ticks: int, length: int, last: Layers) -> None:
        """Take in a frame, (M, N) or (M, N, 3 or 4), 0..1, and what the next one is told of it."""

    def finish(self, *, whole: bool, short: bool) -> None:
        """Write what there is so that it plays.

        ``whole``: nothing is left to do; ``short``: the pictures end before the sound does, which then ends with them.
        """


def kind_of(out: str) -> str:
    """Return the ending of films or pictures that an output means: ``.webm``, ``.png``, or ``-`` for a pipe.

    Raises
    ------
    PlanError
        If it means neither.
    """
    if out == "-":
        return out
    ending = Path(out).suffix.lower()
    if NUMBER.search(Path(out).name):
        if ending not in WRITABLE:
            raise PlanError(
                f"{shown(out)}: expected numbered pictures ({', '.join(WRITABLE)}), got {ending or 'no ending'}"
            )
        return ending
    if ending in FORMATS:
        return ending
    if not ending or Path(out).is_dir():
        return ".png"
    raise PlanError(
        f"{shown(out)}: expected a film (.webm and .mov hold transparency, .mp4 does not), a folder for PNG pictures, "
        f"or numbered pictures (cut/%05d.png), got {ending}"
    )


def is_opaque(kind: str) -> bool:
    """Whether what is written holds no transparency."""
    return not FORMATS[kind].clear_layout if kind in FORMATS else WRITABLE.get(kind) in OPAQUE


def numbered(out: str) -> str:
    """Return the pattern of the pictures that a folder, or a pattern, means."""
    return out if NUMBER.search(Path(out).name) else str(Path(out) / "%06d.png")


class FilmOutput:
    """A video file, encoded piece by piece."""

    def __init__(
        self, path: Path, form: Form, clip: Clip, record: Record, metadata: Mapping[str, str], *, chapters: bool = True
    ) -> None:
        self.path, self.form, self.clip, self.record, self.metadata = path, form, clip, record, metadata
        self.chapters = clip.chapters if chapters else ()
        self.note = ""
        self._encoder: Encoder | None = None
        self._part = Path()
        self._shape: tuple[int, ...] | None = None
        self._count, self._start, self._end = 0, 0, 0
        self._last: Layers | None = None

    def write(self, picture: NDArray[np.float32], ticks: int, length: int, last: Layers) -> None:
        color = np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture
        if color.shape[2] == 4:
            color = _blank_where_clear(color)
        if self._encoder is None:
            self._part = self.record.folder / part_name()
            self._start = ticks
            self._encoder = Encoder(self._part, self.form, self.clip, color.shape, ticks)
        self._shape = self._shape or color.shape
        self._encoder.write(color, ticks, length)
        self._count += 1
        self._end = ticks + (length or max(1, round(1 / (self.clip.rate * self.clip.time_base))))
        self._last = last
        if self._count == PIECE:
            self._cut()

    def _cut(self) -> None:
        """Finish the piece at work."""
        if self._encoder is None or self._last is None:
            return
        self._encoder.close()
        self._encoder = None
        piece = self.record.folder / f"{self.record.frames:08d}.{self.form.container}"
        self._part.replace(piece)
        self.record.add(self._count, self._start, self._end, piece, self._last)
        self._count = 0

    def finish(self, *, whole: bool, short: bool) -> None:
        self._cut()
        if self.record.pieces:
            end = self.record.end * self.clip.time_base if short else None
            sound = self.clip.name if self.clip.sound else None
            with replacing(self.path) as part:
                pieces = [(path, start * self.clip.time_base) for path, start in self.record.pieces]
                self.note = join(
                    pieces, part, self.form, sound=sound, end=end, metadata=self.metadata, chapters=self.chapters
                )
        self.record.close(whole=whole)


class PictureOutput:
    """Numbered pictures, from the number of the first one that was read, or from 1; each is whole or not there."""

    def __init__(self, pattern: str, clip: Clip, record: Record) -> None:
        self.pattern, self.clip, self.record = pattern, clip, record
        self.note = ""
        self._count, self._end = 0, 0
        self._last: Layers | None = None

    def write(self, picture: NDArray[np.float32], ticks: int, length: int, last: Layers) -> None:
        number = self.clip.first + self.record.frames + self._count
        path = Path(NUMBER.sub(lambda form: form.group() % number, self.pattern))
        path.parent.mkdir(parents=True, exist_ok=True)
        depth = self.clip.depth if WRITABLE[path.suffix.lower()] in ("png", "tiff") else None
        write_picture(path, picture, depth=depth)
        self._count, self._end, self._last = self._count + 1, ticks + length, last
        if self._count == PIECE:
            self._cut()

    def _cut(self) -> None:
        if self._last is not None and self._count:
            self.record.add(self._count, 0, self._end, None, self._last)
            self._count = 0

    def finish(self, *, whole: bool, short: bool) -> None:
        self._cut()
        self.record.close(whole=whole)


class PipeOutput:
    """Raw frames to standard output: RGBA where there is transparency, RGB where not, gray of a mask; 8 bits."""

    def __init__(self) -> None:
        self.note = ""
        self._shape: tuple[int, ...] | None = None

    def write(self, picture: NDArray[np.float32], ticks: int, length: int, last: Layers) -> None:
        if self._shape is None:
            self._shape = picture.shape
            form = {2: "gray", 3: "rgb24", 4: "rgba"}[2 if picture.ndim == 2 else picture.shape[2]]
            self.note = f"raw frames: {form}, {picture.shape[1]}x{picture.shape[0]}"
        sys.stdout.buffer.write(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8).tobytes())

    def finish(self, *, whole: bool, short: bool) -> None:
        sys.stdout.buffer.flush()


def _blank_where_clear(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return color and alpha with black far from the subject: what nobody is to see shall neither be coded nor found.

    Eight pixels around it stay, since samples of color are coarser than those of alpha.
    """
    import cv2

    near = cv2.dilate((picture[..., 3] > 0).view(np.uint8), np.ones((17, 17), np.uint8))
    blank: NDArray[np.float32] = picture.copy()
    blank[near == 0] = 0
    return blank
