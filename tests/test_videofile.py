"""Video files: what is read is upright, in the right color, at its time; what is damaged is said."""

from __future__ import annotations

import shutil
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from film_files import COLS, EVEN, ROWS, TICK, draw_frame, write_film

from bgkit.errors import VideoError
from bgkit.videofile import open_video


def read(path, **options):
    """The clip, its frames as float in 0..1, and what was wrong."""
    with open_video(path, **options) as reader:
        frames = list(reader.frames())
        return reader.clip, frames, reader.problem


def as_share(frame) -> np.ndarray:
    most = 1 if frame.image.dtype.kind == "f" else np.iinfo(frame.image.dtype).max
    return frame.image.astype(np.float32) / most


def close(frame, number: int, rotated: int = 0) -> bool:
    """Whether a frame is the one that was drawn, but for compression."""
    return float(np.abs(as_share(frame) - np.rot90(draw_frame(number), rotated)).mean()) < 0.02


def test_frames_come_as_they_were_drawn(tmp_path):
    """H.264: all of them, in order, with their size and rate."""
    clip, frames, problem = read(write_film(tmp_path / "a.mp4"))
    assert (clip.rows, clip.cols, clip.count, clip.rate, clip.depth) == (ROWS, COLS, 10, 30, 8)
    assert all(close(frame, number) for number, frame in enumerate(frames)) and len(frames) == 10 and not problem


UNEVEN = [0, 512, 1536, 2048, 2100, 4000, 4512, 5024, 5600, 6000]


def test_variable_frame_rate_and_rotation_of_a_phone(tmp_path):
    """A film turned by 90 degrees clockwise comes upright, each frame at its own time."""
    clip, frames, _ = read(write_film(tmp_path / "a.mov", ticks=UNEVEN, rotation=-90))
    assert (clip.rows, clip.cols) == (COLS, ROWS)
    assert [frame.ticks * clip.time_base for frame in frames] == [tick * TICK for tick in UNEVEN]
    assert all(close(frame, number, rotated=-1) for number, frame in enumerate(frames))


@pytest.mark.parametrize(
    ("matrix", "full"), [(1, False), (1, True), (6, False)], ids=["BT.709", "full range", "BT.601"]
)
def test_matrix_and_range_are_followed(tmp_path, matrix, full):
    """Colors come back within a level of compression, whatever they were coded by."""
    clip, frames, _ = read(write_film(tmp_path / "a.mp4", matrix=matrix, full=full, layout="yuv444p"))
    assert clip.full == full and clip.codes[2] == matrix
    assert np.abs(as_share(frames[0])[2, 2] - [0.75, 0.8, 0.9]).max() < 2.5 / 255


def test_ten_bits_are_kept(tmp_path):
    """A ramp over two levels of 8 bits keeps more than three values."""
    ramp = np.repeat(np.linspace(0.5, 0.5 + 2 / 255, COLS, dtype=np.float32)[None, :, None], ROWS, 0).repeat(3, 2)
    film = write_film(tmp_path / "a.mp4", [ramp] * 3, layout="yuv420p10le", ticks=EVEN[:3], options={"crf": "0"})
    clip, frames, _ = read(film)
    assert clip.depth == 16 and frames[0].image.dtype == np.uint16
    assert len(np.unique(frames[0].image[..., 1])) > 5


def test_high_dynamic_range_becomes_srgb(tmp_path):
    """In PQ 58 % of the signal is reference white: it comes as white, and a note says so."""
    white = np.full((ROWS, COLS, 3), 0.5807, np.float32)
    film = write_film(tmp_path / "a.mp4", [white] * 2, layout="yuv420p10le", ticks=EVEN[:2], transfer=16, matrix=9)
    clip, frames, _ = read(film)
    assert frames[0].image.dtype == np.float32 and frames[0].image.min() > 0.97
    assert any("reference white" in note for note in clip.notes)


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "prores_ks", "mpeg4"])
def test_codecs_are_read(tmp_path, codec):
    """HEVC, VP9, ProRes and MPEG-4."""
    ending = {"libvpx-vp9": "webm", "prores_ks": "mov"}.get(codec, "mp4")
    options = {"libx265": {"crf": "10", "x265-params": "log-level=error"}}.get(codec, {})
    layout = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    _, frames, problem = read(write_film(tmp_path / f"a.{ending}", codec=codec, layout=layout, options=options))
    assert len(frames) == 10 and close(frames[7], 7) and not problem


def test_the_alpha_of_prores_is_read(tmp_path):
    """Four channels."""
    film = write_film(tmp_path / "a.mov", codec="prores_ks", layout="yuva444p10le", options={"profile": "4444"})
    _, frames, _ = read(film)
    assert frames[0].alpha.shape == (ROWS, COLS) and frames[0].alpha.min() > 65000


def test_a_film_cut_off_keeps_its_good_frames(tmp_path):
    """And says how many of how many."""
    noise = np.random.default_rng(0).random((30, ROWS, COLS, 3)).astype(np.float32)
    film = write_film(
        tmp_path / "a.mp4", list(noise), ticks=[512 * n for n in range(30)], container={"movflags": "faststart"}
    )
    film.write_bytes(film.read_bytes()[: int(film.stat().st_size * 0.6)])
    _, frames, problem = read(film)
    assert 10 < len(frames) < 25
    assert f"ends early: {len(frames)} frames of 30 could be read" in problem


def refused(path, **options) -> str:
    with pytest.raises(VideoError) as caught:
        read(path, **options)
    return str(caught.value)


def test_a_film_without_its_index_says_so(tmp_path):
    """MP4 writes its index last: a recording that was cut off has none."""
    film = write_film(tmp_path / "a.mp4")
    film.write_bytes(film.read_bytes()[:-400])
    assert "its index is missing" in refused(film) and "copy it again" in refused(film)


def test_what_is_no_film_is_refused(tmp_path):
    """Each with its reason."""
    (tmp_path / "text.mp4").write_text("no film " * 100)
    (tmp_path / "empty.mp4").touch()
    assert "is no film that FFmpeg can read" in refused(tmp_path / "text.mp4")
    assert "is empty" in refused(tmp_path / "empty.mp4")
    assert "no such file" in refused(tmp_path / "none.mp4")


def test_sound_alone_is_refused(tmp_path):
    """The message says what the file holds."""
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        track = out.add_stream("aac", rate=48000)
        track.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    assert "a file without frames (it holds: audio)" in refused(path)


def test_a_film_without_frames_is_refused(tmp_path):
    """Its header promises pictures."""
    path = tmp_path / "a.avi"  # the only container that FFmpeg finishes without a frame and finds its stream again
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = ROWS, COLS, "yuv420p"
        out.start_encoding()
    assert "holds no frame that can be decoded" in refused(path)


def test_an_unknown_codec_is_refused(tmp_path):
    """The message says what to do."""
    film = write_film(tmp_path / "a.mp4")
    film.write_bytes(film.read_bytes().replace(b"avc1", b"zzzz"))
    assert "convert it to H.264 first" in refused(film)


def test_frames_are_read_from_any_number_on(tmp_path):
    """With the times that they have in the whole film."""
    film = write_film(tmp_path / "a.mp4")
    with open_video(film) as reader:
        frames = list(reader.frames(7))
    assert [frame.number for frame in frames] == [7, 8, 9] and frames[0].ticks == 7 * 512 and close(frames[0], 7)


def test_pictures_in_the_order_of_their_numbers(tmp_path):
    """A folder and a pattern: 10 comes after 9."""
    for number in range(8, 12):
        cv2.imwrite(str(tmp_path / f"shot{number}.png"), np.full((4, 6, 3), number, np.uint8))
    for name in (tmp_path, tmp_path / "shot%d.png"):
        clip, frames, _ = read(name, rate=Fraction(24))
        assert [round(float(frame.image[0, 0, 0]) * 255) for frame in frames] == [8, 9, 10, 11]
        assert clip.rate == 24 and frames[2].ticks * clip.time_base == Fraction(2, 24)
    shutil.copy(tmp_path / "shot8.png", tmp_path / "a.png")
    cv2.imwrite(str(tmp_path / "shot12.png"), np.zeros((5, 6, 3), np.uint8))
    assert "expected the first picture's 4 x 6 (rows x columns), got 5 x 6" in refused(tmp_path)
    assert "expected pictures" in refused(tmp_path / "x%d.png")


def test_a_rate_is_for_what_says_none(tmp_path):
    """A film says its own; raw frames come from a pipe."""
    film = write_film(tmp_path / "a.mp4")
    assert "says its own frame rate" in refused(film, rate=Fraction(24))
    assert "raw frames come from a pipe only" in refused(film, raw=(4, 4))
    assert "--raw 1280x720" in refused("-")
