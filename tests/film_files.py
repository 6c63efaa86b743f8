"""Films for tests: a disk that moves before a plain ground, drawn and encoded here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

ROWS, COLS = 48, 64
EVEN = [512 * number for number in range(10)]  # ticks of 1/15360 s: 30 frames a second
TICK = Fraction(1, 15360)


def draw_frame(number: int, rows: int = ROWS, cols: int = COLS) -> np.ndarray:
    """A red disk that moves to the right by 2 px a frame on a pale blue ground, float32 (M, N, 3)."""
    row, col = np.mgrid[:rows, :cols]
    alpha = np.clip(0.5 - (np.hypot(row - 22, col - 20 - 2 * number) - 9), 0, 1)[..., None]
    image = alpha * [0.8, 0.1, 0.1] + (1 - alpha) * [0.75, 0.8, 0.9]
    return image.astype(np.float32)


def write_film(
    path: Path,
    frames: Sequence[np.ndarray] | None = None,
    *,
    codec: str = "libx264",
    layout: str = "yuv420p",
    ticks: Sequence[int] = EVEN,
    rotation: int = 0,
    sound: str = "",
    matrix: int = 1,
    full: bool = False,
    transfer: int = 1,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    chapters: Sequence[tuple[int, int, str]] = (),
    container: dict[str, str] | None = None,
) -> Path:
    """Write a film of frames (M, N, 3), 0..1, shown at ``ticks`` of 1/15360 s."""
    frames = [draw_frame(number) for number in range(len(ticks))] if frames is None else frames
    with av.open(str(path), "w", options=container or {}) as out:
        out.metadata.update(metadata or {})
        marks = [
            {"id": number, "start": first, "end": last, "time_base": TICK, "metadata": {"title": title}}
            for number, (first, last, title) in enumerate(chapters)
        ]
        out.set_chapters(marks)
        stream = out.add_stream(codec, rate=30, options={"crf": "10"} if options is None else options)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], layout
        stream.codec_context.time_base = TICK
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        stream.codec_context.color_primaries, stream.codec_context.color_trc = matrix, transfer
        if rotation:
            stream.set_display_rotation(rotation)
        track = out.add_stream(sound, rate=48000) if sound else None
        if track is not None:
            track.layout = "mono"
        form = av.video.reformatter.VideoReformatter()
        for tick, frame in zip(ticks, frames, strict=True):
            array = np.rint(frame * 65535).astype(np.uint16)
            made = av.VideoFrame.from_ndarray(array, "rgb48le")
            made = form.reformat(
                made, format=layout, dst_colorspace=matrix, src_color_range=2, dst_color_range=2 if full else 1
            )
            made.pts, made.time_base = tick, TICK
            out.mux(stream.encode(made))
        out.mux(stream.encode(None))
        if track is not None:
            _write_sound(out, track, float(ticks[-1] * TICK) + 1 / 30)
    return path


def _write_sound(out: Any, track: Any, seconds: float) -> None:
    """A tone of 440 Hz."""
    size = track.codec_context.frame_size or 960
    count = int(seconds * 48000) // size
    wave = np.sin(2 * np.pi * 440 / 48000 * np.arange(count * size)).astype(np.float32)
    for number in range(count):
        samples = wave[None, number * size : (number + 1) * size]
        form = track.codec_context.format.name
        array = samples if form.startswith("flt") else (samples * 30000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(array, form, "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, number * size, Fraction(1, 48000)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def read_film(path: Path) -> tuple[list[np.ndarray], list[Fraction]]:
    """Return a film's frames, RGB or RGBA of 16 bits as float in 0..1, and the times at which they are shown."""
    frames, times = [], []
    with av.open(str(path)) as read:
        stream = read.streams.video[0]
        tags = {key.lower(): value for key, value in stream.metadata.items()}
        decoder = av.CodecContext.create("libvpx-vp9", "r") if tags.get("alpha_mode") == "1" else stream.codec_context
        for packet in read.demux(stream):
            for frame in decoder.decode(packet if packet.size else None):
                clear = any(component.is_alpha for component in frame.format.components)
                array = frame.to_ndarray(format="rgba64le" if clear else "rgb48le", src_colorspace=1)
                frames.append(array.astype(np.float32) / 65535)
                times.append(frame.pts * Fraction(stream.time_base))
    return frames, times
