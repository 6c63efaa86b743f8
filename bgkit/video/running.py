"""One film, frame by frame: decoded, done, written; a frame that fails is held, a stop ends between two frames."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.batch.jobs import Work, shown
from bgkit.errors import BgkitError, VideoError
from bgkit.files import JsonLines
from bgkit.layers import Layers
from bgkit.video.apart import Apart
from bgkit.video.outputs import Output
from bgkit.video.overlapping import Behind, ahead
from bgkit.video.record import Record
from bgkit.videofile import Clip, Frame, Reader, open_video

__all__ = ["Film", "Run"]

IMPATIENT = 3.0  # s after a request to stop in which another one says nothing new


@dataclass
class Film:
    """What became of a film."""

    frames: int = 0  # in the output
    resumed: int = 0  # of these, done by an earlier run
    skipped: bool = False  # the output was there
    stopped: bool = False  # by the user; the same call resumes
    held: list[str] = field(default_factory=list)  # frames that failed and show the alpha of the one before
    flagged: Counter[str] = field(default_factory=Counter)  # finding -> frames, by the pipeline's checks
    doubts: list[str] = field(default_factory=list)  # why the empty scene that was found may hold the subject
    problem: str = ""  # what was wrong with the input, of which all that could be read was used
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the whole film is there, and every frame was done by itself."""
        return not (self.stopped or self.held or self.problem)


class Run:
    """What is done to each frame of a film, and what is kept from one to the next."""

    def __init__(
        self,
        work: Work,
        clip: Clip,
        scene: NDArray[np.float32] | None,
        behind: str | None,
        report: str | PathLike[str] | None,
        news: Callable[[str], None],
        on_done: Callable[[int, int | None], None] | None,
    ) -> None:
        self.work, self.clip, self.scene, self.news, self.on_done = work, clip, scene, news, on_done
        self.film = Film()
        self._stack = ExitStack()
        self._ground = self._stack.enter_context(_Ground(behind, clip)) if behind else None
        self._report = self._stack.enter_context(JsonLines(Path(report))) if report is not None else None
        self._apart = self._stack.enter_context(Apart(work)) if work.timeout is not None else None
        self._shape: tuple[int, ...] | None = None
        self._said: set[str] = set()

    def through(self, reader: Reader, output: Output, record: Record | None) -> Film:
        """Do the frames that are left, and finish the output."""
        film = self.film
        previous = record.previous if record is not None else None
        film.frames = film.resumed = record.frames if record is not None else 0
        writer = Behind(output)
        frames = ahead(reader.frames(film.frames), may=self.clip.again)  # a pipe's next frame may never come
        with _stop_requests() as stops:
            try:
                with closing(frames):
                    for frame in frames:
                        picture, previous = self._do(frame, previous)
                        writer.write(picture, frame.ticks, frame.length, previous)
                        film.frames = frame.number + 1
                        if self.on_done is not None:
                            self.on_done(film.frames, self.clip.count)
                        if stops:
                            film.stopped = self.clip.again  # a camera has no end of its own
                            self.news("stopping: putting together what is done")
                            break
            except BaseException:
                with suppress(BgkitError, OSError):
                    writer.finish(whole=False, short=True)
                raise
            film.problem = reader.problem
            writer.finish(whole=not film.stopped, short=film.stopped or bool(film.problem))
        if writer.note:
            film.notes.append(writer.note)
        return film

    def _do(self, frame: Frame, previous: Layers | None) -> tuple[NDArray[np.float32], Layers]:
        """Return what is written of a frame, and what the next one is told of it."""
        started = time.perf_counter()
        layers = replace(Layers.of(frame.image, opacity=frame.alpha), previous=previous)
        error = ""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                made = self._run(layers)
            except BgkitError as wrong:
                error = str(wrong)
                place = f"{shown(self.clip.name)}: frame {frame.number + 1} ({self._time(frame)})"
                if previous is None or previous.alpha is None:
                    raise wrong.at(place) from None
                self.film.held.append(f"{place}: {error}")
                made = self._run(layers.put("alpha", previous.alpha))
        for text in dict.fromkeys(str(each.message) for each in caught if each.category is UserWarning):
            self._say(text, frame)
        picture: NDArray[np.float32] = getattr(made, self.work.layer)
        if self._ground is not None and picture.ndim == 3 and picture.shape[2] == 4:
            clear = 1 - picture[..., 3:]
            picture = picture[..., :3] * picture[..., 3:] + self._ground.at(frame, picture.shape[:2]) * clear
        self._check_shape(picture, frame)
        flags = self._flags(made)
        if self._report is not None:
            about = {"frame": frame.number + 1, "time": float(frame.ticks * self.clip.time_base), "error": error}
            self._report.append({**about, "flags": flags, "seconds": round(time.perf_counter() - started, 4)})
        return picture, made.as_previous()

    def _run(self, layers: Layers) -> Layers:
        work = self.work
        chain, wanted = work.pipeline, (work.layer, "alpha", "image")
        plan = chain.plan(layers.given() if self.scene is None else (*layers.given(), "plate"))
        takes = {name for step in plan for name in (*step.stage.needs, *step.stage.uses)}
        brought: dict[str, Any] = {"plate": self.scene} if "plate" in takes else {}
        if "next" in takes and layers.previous is not None:  # a second frame, after this one or before it
            brought["next"] = layers.previous.image
        if self._apart is not None:
            return self._apart.run(layers, wanted, brought)
        return chain.run(layers, keep=wanted, **brought)

    def _flags(self, made: Layers) -> list[str]:
        from bgkit.findings import flagged

        flags = flagged(made.facts.get("findings", {}))
        self.film.flagged.update(flags)
        return flags

    def _say(self, text: str, frame: Frame) -> None:
        """Report a warning once, with the first frame that it came with."""
        if text not in self._said:
            self._said.add(text)
            self.news(f"frame {frame.number + 1} ({self._time(frame)}): {text}")

    def _check_shape(self, picture: NDArray[np.float32], frame: Frame) -> None:
        self._shape = self._shape or picture.shape
        if picture.shape != self._shape:
            expected, got = (" x ".join(map(str, shape)) for shape in (self._shape, picture.shape))
            raise VideoError(
                f"frame {frame.number + 1} ({self._time(frame)}): expected the first result's {expected}, got {got}; a "
                "film has one size: leave out the stage that sets the subject into a frame, or give frame.size"
            )

    def _time(self, frame: Frame) -> str:
        seconds = float(frame.ticks * self.clip.time_base)
        return f"{int(seconds // 60)}:{seconds % 60:05.2f}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class _Ground:
    """A film behind the subject, scaled to cover the frame, and repeated where it is shorter."""

    def __init__(self, name: str, clip: Clip) -> None:
        self.name, self.clip = name, clip
        self.reader = open_video(name)
        self.frames = self.reader.frames()
        self.start = Fraction(0)  # of the present repetition
        self.now: Frame | None = None
        self.next: Frame | None = next(self.frames, None)

    def at(self, frame: Frame, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return what is shown at the time of a frame, float32 (M, N, 3)."""
        time_ = frame.ticks * self.clip.time_base
        while self.now is None or (self.next is None) or self._shown(self.next) <= time_:
            if self.next is not None:
                self.now, self.next = self.next, next(self.frames, None)
                continue
            assert self.now is not None
            tick = self.reader.clip.time_base
            length = self.now.length * tick or 1 / self.reader.clip.rate
            over = self._shown(self.now) + length
            if over > time_:
                break
            self.reader.close()
            self.start = over
            self.reader = open_video(self.name)
            self.frames = self.reader.frames()
            self.next = next(self.frames, None)
        assert self.now is not None
        return _cover(self.now.image, shape)

    def _shown(self, frame: Frame) -> Fraction:
        return self.start + frame.ticks * self.reader.clip.time_base

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reader.close()


def _cover(picture: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Scale a picture so that it just covers (M, N), and cut the overhang evenly on both sides."""
    most = 1 if picture.dtype.kind == "f" else np.iinfo(picture.dtype).max
    scale = max(shape[0] / picture.shape[0], shape[1] / picture.shape[1])
    rows, cols = (max(shape[axis], round(picture.shape[axis] * scale)) for axis in (0, 1))
    scaled = cv2.resize(picture, (cols, rows), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (rows - shape[0]) // 2, (cols - shape[1]) // 2
    return scaled[top : top + shape[0], left : left + shape[1]].astype(np.float32) / np.float32(most)


@contextmanager
def _stop_requests() -> Iterator[list[float]]:
    """Yield a list that gets the time when the user or the system asks to stop.

    Asking again stops at once, but not within :data:`IMPATIENT`: several requests in a row mean the first.
    """
    stops: list[float] = []
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if not stops:
            stops.append(time.monotonic())
        elif time.monotonic() - stops[0] > IMPATIENT:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
