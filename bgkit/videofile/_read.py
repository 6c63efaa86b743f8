"""Films through PyAV, picture sequences, raw frames from a pipe and cameras: all become frames."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import MissingPartError, VideoError
from bgkit.imagefile._signals import of_code_points
from bgkit.videofile._clip import Clip, Frame, Reader
from bgkit.videofile._pictures import PictureReader, is_sequence
from bgkit.videofile._raw import RawReader

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["VideoReader", "open_video", "pyav"]

# Of matrix coefficients (H.273) what libswscale calls them; 2, not said, is BT.601 below 720 rows, as players have it.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_HIGH_RANGE = (16, 18)  # transfers of high dynamic range: PQ, HLG
_CAMERA = re.compile(r"/dev/video\d+")
_SHORT = Fraction(3, 2)  # frames that may lack at the end of a whole film: containers round


def pyav() -> Any:
    """Return the module ``av``, quiet, or say which part of bgkit is missing."""
    try:
        import av
    except ImportError as error:
        raise MissingPartError.of("video", "a film") from error
    return av


def open_video(
    source: str | PathLike[str], *, raw: tuple[int, int] | None = None, rate: Fraction | None = None
) -> Reader:
    """Open a film.

    Parameters
    ----------
    source : path or str
        A video file; a folder of pictures, or a pattern of their names as ``shots/%04d.png``; ``-`` for raw frames
        from standard input; a camera of Linux, as ``/dev/video0``.
    raw : (rows, cols), optional
        The size of raw frames, RGB of 8 bits without any header.
    rate : Fraction, optional
        Frames a second of what does not say it: pictures, raw frames (25), and the wish to a camera.

    Raises
    ------
    VideoError
        If there is no such film, it cannot be read, holds no video, or is coded as this FFmpeg does not know.
    """
    name = fspath(source)
    if name == "-":
        if raw is None:
            raise VideoError(
                "-: expected raw frames from a pipe, whose size nothing says; give it, as in --raw 1280x720"
            )
        return RawReader(sys.stdin.buffer, raw, rate or Fraction(25))
    if raw is not None:
        raise VideoError(f"{name}: raw frames come from a pipe only; give - as the input")
    if is_sequence(name):
        return PictureReader(name, rate or Fraction(25))
    if rate is not None and not _CAMERA.fullmatch(name):
        raise VideoError(f"{name}: says its own frame rate; a rate is for pictures, raw frames and cameras")
    return VideoReader(name, rate)


class VideoReader(Reader):
    """A video file, or a camera."""

    def __init__(self, name: str, rate: Fraction | None = None) -> None:
        self._av = pyav()
        self.name = name
        self.problem = ""
        self._damaged = 0
        self._last = 0
        self._container, self._stream = self._open(rate)
        self.clip = self._about()

    def _open(self, rate: Fraction | None) -> tuple[InputContainer, VideoStream]:
        camera = _CAMERA.fullmatch(self.name)
        options: dict[str, Any] = {}
        if camera:
            options = {"format": "v4l2", "options": {"framerate": str(rate)} if rate else {}}
        try:
            container = self._av.open(self.name, "r", metadata_errors="replace", **options)
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{self.name}: {_why_not(self.name, error)}") from error
        pictures = self._av.stream.Disposition.attached_pic
        videos = [stream for stream in container.streams.video if not stream.disposition & pictures]
        if not videos:
            others = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            container.close()
            raise VideoError(f"{self.name}: expected a film, got a file without frames (it holds: {others})")
        stream = videos[0]
        if stream.codec_context is None:
            container.close()
            raise VideoError(
                f"{self.name}: its frames are coded in a way that this FFmpeg does not know; convert it to H.264 first"
            )
        stream.thread_type = "AUTO"
        return container, stream

    def _about(self) -> Clip:
        frame = self._peek()  # opens the file again
        stream, context = self._stream, self._stream.codec_context
        turned = frame.rotation % 180 != 0
        rows, cols = (frame.width, frame.height) if turned else (frame.height, frame.width)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        codes = tuple(int(each) for each in (frame.color_primaries, frame.color_trc, frame.colorspace))
        notes = ["interlaced; lines of two times are in each frame, and edges may show it"] * frame.interlaced_frame
        if codes[1] in _HIGH_RANGE:
            notes.append("high dynamic range was brought to sRGB; what is brighter than reference white is clipped")
        if texts := len(self._container.streams.subtitles):
            notes.append(f"{texts} track{'s' * (texts > 1)} of subtitles, which the output does not get")
        rate = stream.average_rate or stream.guessed_rate or context.framerate or Fraction(25)
        camera = _CAMERA.fullmatch(self.name) is not None
        count = stream.frames or None
        if count is None and (length := self._length()) is not None:
            count = max(1, round(length * rate))
        return Clip(
            self.name,
            rows,
            cols,
            Fraction(rate),
            Fraction(stream.time_base or 1),
            None if camera else count,
            16 if self._depth(frame) > 8 or codes[1] in _HIGH_RANGE else 8,
            (1, 13, 1) if codes[1] in _HIGH_RANGE else (codes[0], codes[1], codes[2]),
            frame.color_range == 2,
            1 / aspect if turned else aspect,
            dict(self._container.metadata),
            self._chapters(),
            bool(self._container.streams.audio) and not camera,
            tuple(notes),
            not camera,
        )

    def _peek(self) -> av.VideoFrame:
        """Return the first frame, and go back to the start."""
        for frame in self._decoded():
            if not _CAMERA.fullmatch(self.name):
                self._container.close()
                self._container, self._stream = self._open(None)
            return frame
        self.close()
        raise VideoError(f"{self.name}: expected a film, got a file that holds no frame that can be decoded")

    def _chapters(self) -> tuple[tuple[Fraction, Fraction, str], ...]:
        origin = Fraction(self._container.start_time or 0, 1_000_000)
        found = []
        for each in self._container.chapters():
            base = each["time_base"] or Fraction(1)
            found.append(
                (each["start"] * base - origin, each["end"] * base - origin, each["metadata"].get("title", ""))
            )
        return tuple(found)

    def _length(self) -> Fraction | None:
        """Return how long the film says it is, in seconds."""
        if self._stream.duration:
            return self._stream.duration * Fraction(self._stream.time_base or 1)
        if text := self._stream.metadata.get("DURATION", ""):  # Matroska's, as FFmpeg writes it
            with suppress(ValueError):
                hours, minutes, seconds = text.split(":")
                return Fraction(hours) * 3600 + Fraction(minutes) * 60 + Fraction(seconds)
        return Fraction(self._container.duration, 1_000_000) if self._container.duration else None

    def _depth(self, frame: av.VideoFrame) -> int:
        return max(component.bits for component in frame.format.components)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Yield what can be decoded; what is damaged is counted and left out."""
        decoder = self._decoder()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except self._av.error.FFmpegError:
                self._damaged += 1
                return
            if packet is None:
                return
            try:
                frames = decoder.decode(packet if packet.size else None)
            except self._av.error.EOFError:
                continue
            except self._av.error.FFmpegError:
                self._damaged += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._damaged += 1
                else:
                    yield frame

    def _decoder(self) -> Any:
        """Return what decodes the stream: of VP8 and VP9 with alpha, which FFmpeg's own leave out, libvpx."""
        context = self._stream.codec_context
        tags = {key.lower(): value for key, value in self._stream.metadata.items()}
        if tags.get("alpha_mode") == "1" and context.name in ("vp8", "vp9"):
            names = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
            with suppress(self._av.error.FFmpegError, ValueError):
                decoder = self._av.CodecContext.create(names[context.name], "r")
                decoder.extradata = context.extradata
                return decoder
        return context

    def frames(self, start: int = 0) -> Iterator[Frame]:
        base = Fraction(self._stream.time_base or 1)
        origin: int | None = None
        number = -1
        end = 0
        for number, frame in enumerate(self._decoded()):
            pts = frame.pts if frame.pts is not None else (end if origin is None else origin + end)
            if origin is None:
                origin = _origin(pts, base, self._container.start_time)
            ticks = pts - origin
            length = int(getattr(frame, "duration", 0) or 0)
            end = ticks + (length or round(1 / (self.clip.rate * base)))
            if number >= start:
                yield Frame(number, ticks, length, *self._converted(frame))
        self.problem = self._shortage(number + 1, end * base)

    def _converted(self, frame: av.VideoFrame) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return RGB and alpha of a frame, upright."""
        with_alpha = any(component.is_alpha for component in frame.format.components)
        wide = self.clip.depth > 8
        form = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}
        matrix = _MATRICES.get(int(frame.colorspace), 1 if frame.height >= 720 else 5)
        options: dict[str, Any] = {} if frame.format.is_rgb else {"src_colorspace": matrix}
        array: NDArray[Any] = frame.to_ndarray(format=form[wide, with_alpha], interpolation="BICUBIC", **options)
        array = np.ascontiguousarray(np.rot90(array, frame.rotation // 90 % 4))
        if array.shape[:2] != (self.clip.rows, self.clip.cols):
            expected, got = f"{self.clip.rows} x {self.clip.cols}", f"{array.shape[0]} x {array.shape[1]}"
            raise VideoError(
                f"{self.name}: the frames change their size on the way, from {expected} to {got} (rows x columns); "
                "cut the film there, or scale it to one size first"
            )
        color: NDArray[Any] = array[..., :3]
        if int(frame.color_trc) in _HIGH_RANGE:
            space = of_code_points(int(frame.color_primaries), int(frame.color_trc))
            if space is not None and space.curves is not None:
                color = space.curves.to_srgb(color)
        return np.ascontiguousarray(color), np.ascontiguousarray(array[..., 3]) if with_alpha else None

    def _shortage(self, count: int, end: Fraction) -> str:
        """Return what is missing of the film, or nothing."""
        expected, length = self._stream.frames, self._length()
        left = (length - end) * self.clip.rate if length is not None else Fraction(0)
        if self._damaged or (left > _SHORT and (not expected or expected - count > 1)):
            span = (
                f" of {expected}" if expected else f", {float(end):.1f} s of {float(length):.1f} s," if length else ""
            )
            verb = "is damaged" if left <= _SHORT else "ends early"
            return f"{self.name}: {verb}: {count} frames{span} could be read, and these were used"
        return ""

    def close(self) -> None:
        self._container.close()


def _origin(pts: int, base: Fraction, start: int | None) -> int:
    """Return the tick at which the film starts: that of its first frame, but where the sound starts before it."""
    if start is None:
        return pts
    early = pts - round(Fraction(start, 1_000_000) / base)
    return pts - early if early * base > Fraction(1, 1000) else pts


def _why_not(name: str, error: Exception) -> str:
    """Return why a file could not be opened, and what to do."""
    if isinstance(error, OSError) and error.strerror and not _is_file(name):
        return "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
    with suppress(OSError), Path(name).open("rb") as file:
        head = file.read(12)
        if not head:
            return "is empty"
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
            return (
                "its index is missing, so no frame can be found: the recording, or the copy of the file, was cut off "
                "before its end; copy it again, or repair it with a film that the same camera finished"
            )
    return "is no film that FFmpeg can read"


def _is_file(name: str) -> bool:
    with suppress(OSError):
        return Path(name).is_file()
    return False
