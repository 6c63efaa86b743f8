"""Films through PyAV: frames are encoded in pieces, and pieces are joined with the sound, without encoding again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import VideoError
from bgkit.threads import threads
from bgkit.videofile._clip import Clip
from bgkit.videofile._read import pyav

__all__ = ["CREDIT", "FORMATS", "Encoder", "Form", "join"]


@dataclass(frozen=True)
class Form:
    """A kind of video file that is written: its container, and its codec with the layout of samples."""

    container: str
    title: str
    encoders: tuple[str, ...]  # the first that this FFmpeg has is taken
    layout: str  # of opaque frames
    options: Mapping[str, str]
    clear_layout: str = ""  # of frames with alpha; none: the container holds no transparency
    wide: bool = False  # more than 8 bits
    even: bool = False  # needs even numbers of rows and columns
    sound: str = "aac"  # what sound becomes that the container cannot hold


FORMATS: Mapping[str, Form] = MappingProxyType(
    {
        ".webm": Form(
            "webm",
            "VP9",
            ("libvpx-vp9",),
            "yuv420p",
            # Alternate references are frames without alpha, which FFmpeg's encoder refuses beside it.
            {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0"},
            "yuva420p",
            sound="libopus",
        ),
        ".mov": Form(
            "mov",
            "ProRes 4444",
            ("prores_ks",),
            "yuv444p10le",
            {"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
            "yuva444p10le",
            wide=True,
        ),
        ".mp4": Form(
            "mp4",
            "H.264",
            ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf"),
            "yuv420p",
            {"crf": "18", "preset": "medium"},
            even=True,
        ),
    }
)

CREDIT = ("title", "artist", "author", "composer", "copyright", "comment", "description", "date", "creation_time")
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # of H.273, by libswscale's numbers
_LIMITED, _FULL = 1, 2


class Encoder:
    """One piece of a film, encoded to a file.

    Parameters
    ----------
    path : Path
        Its ending says nothing; ``form`` does.
    form : Form
    clip : Clip
        The film that the frames come from: times, range, matrix and shape of pixels are kept.
    shape : (rows, cols, channels)
        Of the frames; four channels have alpha.
    start : int
        Ticks of the film at which the piece begins; within it they count from 0, since some containers keep the time of
        a first frame only to a millisecond.

    Raises
    ------
    VideoError
        If this FFmpeg has no encoder of that kind, or it refuses the size.
    """

    def __init__(self, path: Path, form: Form, clip: Clip, shape: Sequence[int], start: int = 0) -> None:
        self._av = pyav()
        self.form, self._start = form, start
        rows, cols, channels = shape
        self._clear = channels == 4
        self._pad = (rows % 2, cols % 2) if form.even else (0, 0)
        self._layout = form.clear_layout if self._clear else form.layout
        # A matrix that is not said is BT.709, and is said; ProRes has the limited range only.
        primaries, transfer, matrix = clip.codes
        self._matrix = matrix if matrix in _MATRICES else 1
        self._range = _FULL if clip.full and not form.wide else _LIMITED
        self._base = clip.time_base
        self._container = self._av.open(str(path), "w", format=form.container)
        name = next((each for each in form.encoders if _has(self._av, each)), None)
        if name is None:
            raise VideoError(f"{form.title}: this FFmpeg has no encoder for it (looked for {', '.join(form.encoders)})")
        options = dict(form.options) if name == form.encoders[0] else {}
        stream = self._container.add_stream(name, rate=clip.rate.limit_denominator(1001 * 240), options=options)
        stream.height, stream.width = rows + self._pad[0], cols + self._pad[1]
        stream.pix_fmt = self._layout
        context = stream.codec_context
        context.time_base = self._base
        context.thread_count = threads()
        context.colorspace, context.color_range = self._matrix, self._range
        context.color_primaries, context.color_trc = primaries, transfer
        if clip.pixel_aspect != 1:
            context.sample_aspect_ratio = clip.pixel_aspect
        if self._clear and form.container == "webm":
            stream.metadata["alpha_mode"] = "1"
        self._stream = stream
        self._reformat = self._av.video.reformatter.VideoReformatter()

    def write(self, picture: NDArray[np.float32], ticks: int, length: int = 0) -> None:
        """Encode a frame, float32 of shape (M, N, 3 or 4), 0..1, that is shown at ``ticks`` of the film's time base."""
        if any(self._pad):
            picture = np.pad(picture, ((0, self._pad[0]), (0, self._pad[1]), (0, 0)), mode="edge")
        kind, most = (np.uint16, 65535) if self.form.wide else (np.uint8, 255)
        array = np.rint(np.clip(picture, 0, 1) * np.float32(most)).astype(kind)
        names = {(3, False): "rgb24", (4, False): "rgba", (3, True): "rgb48le", (4, True): "rgba64le"}
        frame = self._av.VideoFrame.from_ndarray(array, names[array.shape[2], self.form.wide])
        frame = self._reformat.reformat(
            frame,
            format=self._layout,
            dst_colorspace=_MATRICES[self._matrix],
            src_color_range=_FULL,
            dst_color_range=self._range,
        )
        frame.pts, frame.time_base = ticks - self._start, self._base
        if length:
            frame.duration = length
        self._mux(frame)

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except self._av.error.FFmpegError as error:
            size = f"{self._stream.height} x {self._stream.width}"
            raise VideoError(f"{self.form.title}: cannot encode frames of {size} (rows x columns): {error}") from error

    def close(self) -> None:
        """Finish the file."""
        self._mux(None)
        self._container.close()

    def abandon(self) -> None:
        """Close the file as it is: it is not going to be used."""
        self._container.close()


def _has(av: Any, name: str) -> bool:
    try:
        av.Codec(name, "w")
    except Exception:  # UnknownCodecError is a ValueError in one version and none in another
        return False
    return True


def join(
    pieces: Sequence[tuple[Path, Fraction]],
    target: Path,
    form: Form,
    *,
    sound: str | None = None,
    end: Fraction | None = None,
    metadata: Mapping[str, str] | None = None,
    chapters: Sequence[tuple[Fraction, Fraction, str]] = (),
) -> str:
    """Join pieces of a film to one file, in order, with the sound of another one; frames are copied as they are.

    Parameters
    ----------
    pieces : sequence of (Path, seconds)
        Files that :class:`Encoder` wrote, with the same settings, and when each begins.
    target : Path
        Written as ``form`` says; not whole before this returns.
    form : Form
    sound : str, optional
        A film whose sound goes along: copied where the container can hold it, else encoded as ``form.sound``.
    end : Fraction, optional
        Seconds at which the sound ends, with the pictures.
    metadata : mapping, optional
        Of the file.
    chapters : sequence of (from, to, title), optional
        In seconds; what lies behind ``end`` is left out.

    Returns
    -------
    str
        What the user should know: that the sound had to be encoded again, or could not be read; else nothing.
    """
    av = pyav()
    options = {"movflags": "faststart+use_metadata_tags"} if form.container in ("mp4", "mov") else {}
    with av.open(str(target), "w", format=form.container, options=options) as out:
        out.metadata.update(metadata or {})
        out.set_chapters(
            [
                {
                    "id": number,
                    "start": round(first * 1000),
                    "end": round((last if end is None else min(last, end)) * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title} if title else {},
                }
                for number, (first, last, title) in enumerate(chapters)
                if end is None or first < end
            ]
        )
        with av.open(str(pieces[0][0])) as first:
            stream = out.add_stream_from_template(first.streams.video[0])
            stream.time_base = first.streams.video[0].time_base
            tags = {key.lower(): value for key, value in first.streams.video[0].metadata.items()}
            if "alpha_mode" in tags:
                stream.metadata["alpha_mode"] = tags["alpha_mode"]
        track = _Sound(av, sound, out, form, end) if sound is not None else None
        for packet in _packets(av, pieces):
            if track is not None:
                track.until(packet.dts * packet.time_base)
            packet.stream = stream
            out.mux(packet)
        if track is not None:
            track.until(None)
    return track.note if track is not None else ""


def _packets(av: Any, pieces: Iterable[tuple[Path, Fraction]]) -> Iterator[Any]:
    """Yield the packets of all pieces; their decoding times, which each piece counts for itself, never go back."""
    last: Fraction | None = None
    for piece, start in pieces:
        with av.open(str(piece)) as read:
            for packet in read.demux(read.streams.video[0]):
                if packet.dts is None:  # the end
                    continue
                tick = Fraction(packet.time_base)
                shift = round(start / tick)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                if last is not None and packet.dts * tick <= last:
                    packet.dts = int(last / tick) + 1
                last = packet.dts * tick
                yield packet


class _Sound:
    """The sound of a film on its way into another file, up to a time asked for."""

    def __init__(self, av: Any, source: str, out: Any, form: Form, end: Fraction | None) -> None:
        self.av, self.out, self.end, self.note = av, out, end, ""
        self.read = av.open(source, metadata_errors="replace")
        self.origin = Fraction(self.read.start_time or 0, 1_000_000)
        self.ways: dict[int, tuple[Any, bool]] = {}  # stream -> where it goes, whether as it is
        for stream in self.read.streams.audio:
            if stream.codec_context is None:
                self.note = "a track of the sound is coded in a way that this FFmpeg does not know, and was left out"
                continue
            copied = stream.codec_context.codec.canonical_name in out.supported_codecs
            if copied:
                track = out.add_stream_from_template(stream)
            else:
                rate = 48000 if form.sound == "libopus" else stream.rate
                track = out.add_stream(form.sound, rate=rate)
                track.layout = stream.layout if stream.layout.nb_channels <= 2 else "stereo"
                self.note = f"the sound, {stream.codec_context.name}, was encoded again, as {form.sound}"
            if stream.language:
                track.metadata["language"] = stream.language
            self.ways[stream.index] = track, copied
        streams = [stream for stream in self.read.streams.audio if stream.index in self.ways]
        self.packets = self.read.demux(streams) if streams else iter(())
        self.next: Any = None
        self.over = not streams

    def until(self, time: Fraction | None) -> None:
        """Hand on all up to ``time`` in seconds; None: all that is left."""
        while not self.over:
            if self.next is None:
                self._fetch()
                continue
            when = (self.next.pts or 0) * Fraction(self.next.time_base) - self.origin
            if self.end is not None and when >= self.end:
                self._finish()
                return
            if time is not None and when > time:
                return
            self._pass(self.next)
            self.next = None

    def _fetch(self) -> None:
        try:
            packet = next(self.packets, None)
        except self.av.error.FFmpegError:
            self.note = "the sound is damaged, and ends early"
            packet = None
        if packet is None:
            self._finish()
        elif packet.dts is not None:
            self.next = packet

    def _pass(self, packet: Any) -> None:
        track, copied = self.ways[packet.stream.index]
        shift = round(self.origin / Fraction(packet.time_base))
        if copied:
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = track
            self.out.mux(packet)
            return
        try:
            frames = packet.decode()
        except self.av.error.FFmpegError:
            self.note = "a part of the sound is damaged, and was left out"
            return
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= shift
            self.out.mux(track.encode(frame))

    def _finish(self) -> None:
        self.over = True
        for track, copied in self.ways.values():
            if not copied:
                self.out.mux(track.encode(None))
        self.read.close()
