"""Films through pipelines: what comes out, how a stop is resumed, what is said of what went wrong."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import minefield
import numpy as np
import pytest
from conftest import CHROMIUM
from film_files import COLS, EVEN, ROWS, TICK, draw_frame, read_film, write_film

import bgkit
from bgkit.cli import app
from bgkit.errors import LayerError, PlanError, VideoError
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.pipeline import build
from bgkit.pipelinefile import read_pipeline
from bgkit.stage import stage
from bgkit.video.outputs import FilmOutput
from bgkit.video.record import Record

KEY = build("key", [("luv_threshold", {}), ("composite", {"background": "none"})])
WHITE = build("white", [("luv_threshold", {}), ("composite", {"background": "white"})])
UNEVEN = [0, 512, 1536, 2048, 2100, 4000, 4512, 5024, 5600, 6000]


@pytest.fixture
def film(tmp_path):
    """A film of ten frames with sound, at uneven times."""
    about = {"title": "A disk", "location": "+48.2+16.4/"}
    return write_film(tmp_path / "film.mp4", ticks=UNEVEN, sound="aac", metadata=about)


def streams(path):
    with av.open(str(path)) as read:
        return [stream.codec_context.name for stream in read.streams]


def subject_at(number: int) -> np.ndarray:
    row, col = np.mgrid[:ROWS, :COLS]
    return np.hypot(row - 22, col - 20 - 2 * number) < 7


@pytest.mark.parametrize("ending", ["webm", "mov"])
def test_transparency_times_and_sound(film, tmp_path, ending):
    """VP9 and ProRes hold alpha; frames keep their times (WebM counts milliseconds), and the film its sound."""
    made = bgkit.remove_video(film, tmp_path / f"out.{ending}", KEY)
    frames, times = read_film(tmp_path / f"out.{ending}")
    assert made.ok and made.frames == 10 and frames[0].shape == (ROWS, COLS, 4)
    for number, frame in enumerate(frames):
        assert frame[subject_at(number), 3].min() > 0.9 and frame[:8, :, 3].max() < 0.1
    assert np.abs(np.array(times, float) - np.array([tick * TICK for tick in UNEVEN], float)).max() < 0.0006
    assert streams(tmp_path / f"out.{ending}") == [
        {"webm": "vp9", "mov": "prores"}[ending],
        {"webm": "opus", "mov": "aac"}[ending],
    ]


def test_a_film_on_white(film, tmp_path):
    """H.264: the ground is white, the disk red, the sound copied, the title kept and the place not."""
    bgkit.remove_video(film, tmp_path / "out.mp4", WHITE)
    frames, times = read_film(tmp_path / "out.mp4")
    assert frames[3][:8].min() > 0.97 and np.abs(frames[3][22, 26] - [0.8, 0.1, 0.1]).max() < 0.05
    assert times == [tick * TICK for tick in UNEVEN] and streams(tmp_path / "out.mp4") == ["h264", "aac"]
    with av.open(str(tmp_path / "out.mp4")) as read:
        assert read.metadata["title"] == "A disk" and "location" not in read.metadata


def test_a_film_before_a_film(film, tmp_path):
    """The ground film is scaled to cover, and repeated where it is shorter: frame 9 shows its first frame again."""
    colors = [np.full((30, 40, 3), level, np.float32) for level in (0.2, 0.8)]
    ground = write_film(tmp_path / "ground.mp4", colors, ticks=[0, 3072])  # 0.2 s and 0.033 s
    bgkit.remove_video(film, tmp_path / "out.mp4", KEY, background=str(ground))
    frames, times = read_film(tmp_path / "out.mp4")
    shown = [float(frame[2, 2].mean()) for frame in frames]
    late = [0.2 <= float(time) < 0.2 + 1 / 30 for time in times]
    assert np.abs(np.array(shown) - np.where(late, 0.8, 0.2)).max() < 0.03


def test_odd_sizes(tmp_path):
    """H.264 holds even sizes: the last row and column are doubled; VP9 holds any."""
    frames = [draw_frame(number, 47, 63) for number in range(2)]
    film = write_film(tmp_path / "a.mov", frames, codec="prores_ks", layout="yuv422p10le", ticks=EVEN[:2], options={})
    bgkit.remove_video(film, tmp_path / "out.mp4", WHITE)
    bgkit.remove_video(film, tmp_path / "out.webm", KEY)
    assert read_film(tmp_path / "out.mp4")[0][0].shape == (48, 64, 3)
    assert read_film(tmp_path / "out.webm")[0][0].shape == (47, 63, 4)


def test_numbered_pictures(film, tmp_path):
    """A folder gets PNG files; the layer alpha is gray."""
    bgkit.remove_video(film, tmp_path / "cut", KEY, layer="alpha")
    names = sorted(path.name for path in (tmp_path / "cut").iterdir())
    assert names == [f"{number:06d}.png" for number in range(1, 11)]
    picture = cv2.imread(str(tmp_path / "cut" / "000004.png"), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (ROWS, COLS) and picture[22, 26] == 255 and picture[2, 2] == 0


@pytest.mark.parametrize("source", ["shots", "shots/a%03d.png"])
def test_numbers_are_kept(source, tmp_path, monkeypatch):
    """Pictures 7, 8 and 9 become pictures 7, 8 and 9, so that results and truths have the same names."""
    monkeypatch.chdir(tmp_path)
    Path("shots").mkdir()
    for number in (7, 8, 9):
        write_picture(f"shots/a{number:03d}.png", draw_frame(number))
    bgkit.remove_video(source, "cut/b%03d.png", KEY, rate=24)
    assert sorted(path.name for path in Path("cut").glob("*.png")) == ["b007.png", "b008.png", "b009.png"]


def test_raw_frames_through_a_pipe(monkeypatch):
    """RGB in, RGBA out, and nothing else on standard output."""
    frames = [np.rint(draw_frame(number) * 255).astype(np.uint8) for number in range(3)]
    pipe = SimpleNamespace(buffer=io.BytesIO(b"".join(frame.tobytes() for frame in frames)))
    out = SimpleNamespace(buffer=io.BytesIO())
    monkeypatch.setattr(sys, "stdin", pipe)
    monkeypatch.setattr(sys, "stdout", out)
    made = bgkit.remove_video("-", "-", KEY, raw=(ROWS, COLS))
    result = np.frombuffer(out.buffer.getvalue(), np.uint8).reshape(3, ROWS, COLS, 4)
    assert (result[1, subject_at(1), 3] > 230).all() and made.notes == [f"raw frames: rgba, {COLS}x{ROWS}"]


def test_half_a_raw_frame_is_said(monkeypatch):
    """With the bytes that came and the size that was expected."""
    pipe = SimpleNamespace(buffer=io.BytesIO(bytes(3 * ROWS * COLS + 10)))
    monkeypatch.setattr(sys, "stdin", pipe)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=io.BytesIO()))
    made = bgkit.remove_video("-", "-", KEY, raw=(ROWS, COLS))
    assert "ends within a frame: 10 bytes after 1 frames" in made.problem and not made.ok


def test_a_cut_film_is_done_as_far_as_it_goes(tmp_path):
    """Its good frames are in the output, which plays, and the fault is said."""
    noise = list(np.random.default_rng(0).random((30, ROWS, COLS, 3)).astype(np.float32))
    path = write_film(
        tmp_path / "a.mp4", noise, ticks=[512 * n for n in range(30)], container={"movflags": "faststart"}
    )
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    made = bgkit.remove_video(path, tmp_path / "out.webm", KEY)
    assert "ends early" in made.problem and not made.ok
    assert len(read_film(tmp_path / "out.webm")[0]) == made.frames > 10


def test_no_transparency_in_mp4(film, tmp_path):
    """Refused before the first frame, with what to do."""
    with pytest.raises(PlanError, match=r"mp4 holds no transparency; choose a background, as in --background white"):
        bgkit.remove_video(film, tmp_path / "out.mp4", KEY)
    with pytest.raises(PlanError, match=r"expected a film \(.webm and .mov hold transparency"):
        bgkit.remove_video(film, tmp_path / "out.wmv", KEY)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def stop_after(count, times=1):
    """A listener that asks to stop after so many frames, as Ctrl-C does."""

    def done(number, total):
        if number == count:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return done


def test_a_stop_leaves_a_film_and_is_resumed(film, tmp_path):
    """Ctrl-C after four frames: they play, with their sound; the same call does the other six, and tidies up."""
    out = tmp_path / "out.mov"
    made = bgkit.remove_video(film, out, KEY, on_done=stop_after(4))
    assert made.stopped and made.frames == 4 and len(read_film(out)[0]) == 4 and streams(out) == ["prores", "aac"]
    made = bgkit.remove_video(film, out, KEY)
    assert made.ok and (made.resumed, made.frames) == (4, 10)
    bgkit.remove_video(film, tmp_path / "whole.mov", KEY)
    (resumed, times), (whole, _) = read_film(out), read_film(tmp_path / "whole.mov")
    assert max(np.abs(one - other).max() for one, other in zip(resumed, whole, strict=True)) < 0.01
    assert times == [tick * TICK for tick in UNEVEN]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("late", [False, True])
def test_ctrl_c_again_and_again_leaves_the_film(late, film, tmp_path, monkeypatch):
    """Requests in a row are one, also while the film is put together; a later one ends what hangs, not the film."""
    finish = FilmOutput.finish

    def disturbed(self, **options):
        if not late:
            os.kill(os.getpid(), signal.SIGINT)
        finish(self, **options)

    monkeypatch.setattr(FilmOutput, "finish", disturbed)
    if late:
        monkeypatch.setattr("bgkit.video.running.IMPATIENT", -1.0)
    with pytest.raises(KeyboardInterrupt) if late else nullcontext():
        assert bgkit.remove_video(film, tmp_path / "out.mov", KEY, on_done=stop_after(4, times=10)).stopped
    assert len(read_film(tmp_path / "out.mov")[0]) >= 3
    assert bgkit.remove_video(film, tmp_path / "out.mov", KEY).frames == 10


def test_other_settings_are_not_resumed(film, tmp_path):
    """A film of two pipelines would be silently wrong."""
    bgkit.remove_video(film, tmp_path / "out.webm", KEY, on_done=stop_after(4))
    made = bgkit.remove_video(film, tmp_path / "out.webm", KEY, values={"luv_threshold.tolerance": 25})
    assert made.resumed == 0 and made.frames == 10


@pytest.mark.parametrize("state", [b"", b"PK\3\4 no archive", "wrong shape"])
def test_a_last_frame_that_is_broken_begins_anew(state, tmp_path):
    """What the next frame is told of the last one is whole, or the film is done from its beginning."""
    frame = Layers(np.zeros((2, 3, 3), np.float32), alpha=np.zeros((2, 3), np.float32))
    record = Record(tmp_path / "film.webm", {"key": 1})
    record.add(5, 0, 50, None, frame)
    record.close(whole=False)
    again = Record(tmp_path / "film.webm", {"key": 1})
    assert (again.frames, again.end) == (5, 50)
    again.close(whole=False)
    path = tmp_path / ".film.webm.bgkit" / "5.npz"
    if isinstance(state, str):
        np.savez(path, image=frame.image, alpha=np.zeros((3, 2), np.float32))
    else:
        path.write_bytes(state)
    broken = Record(tmp_path / "film.webm", {"key": 1})
    assert (broken.frames, broken.end, broken.previous) == (0, 0, None)
    broken.close(whole=False)


def test_a_killed_run_loses_one_piece(film, tmp_path, monkeypatch):
    """What is whole after a piece is not done again, also where the process died."""
    monkeypatch.setattr("bgkit.video.outputs.PIECE", 3)

    def die(number, total):
        if number == 8:
            raise OSError(5, "the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(
            FilmOutput, "finish", lambda self, **options: (self.record.file.close(), self.record.lock.close())
        )
        with pytest.raises(OSError, match="the disk is gone"):
            bgkit.remove_video(film, tmp_path / "out.webm", KEY, on_done=die)
    made = bgkit.remove_video(film, tmp_path / "out.webm", KEY)
    assert (made.resumed, made.frames) == (6, 10) and len(read_film(tmp_path / "out.webm")[0]) == 10


KILLED = """
import os, signal, sys
import bgkit
from bgkit.video import outputs
outputs.PIECE = 3
chain = bgkit.load_pipeline(sys.argv[1])
def done(number, total):
    if number == 8:
        os.kill(os.getpid(), signal.SIGKILL)
bgkit.remove_video(sys.argv[2], sys.argv[3], chain, on_done=done)
"""


def test_a_process_that_is_killed_is_resumed_as_if_it_had_run_through(film, tmp_path, monkeypatch):
    """SIGKILL after eight frames: the pieces are whole, and the film is the unbroken one, frame by frame."""
    (tmp_path / "key.yaml").write_text(KEY.dump())
    chain = bgkit.load_pipeline(tmp_path / "key.yaml")
    args = [sys.executable, "-c", KILLED, str(tmp_path / "key.yaml"), str(film), str(tmp_path / "out.webm")]
    assert subprocess.run(args, timeout=300, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "out.webm").exists()
    monkeypatch.setattr("bgkit.video.outputs.PIECE", 3)
    made = bgkit.remove_video(film, tmp_path / "out.webm", chain)
    assert (made.resumed, made.frames) == (6, 10)
    bgkit.remove_video(film, tmp_path / "whole.webm", chain)
    (resumed, times), (whole, others) = read_film(tmp_path / "out.webm"), read_film(tmp_path / "whole.webm")
    assert times == others and all((one == other).all() for one, other in zip(resumed, whole, strict=True))
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_film_as_a_phone_writes_it(tmp_path):
    """HEVC of 10 bits, uneven times, turned, with sound: upright, at its times, and the sound begins with it."""
    film = write_film(
        tmp_path / "a.mov", codec="libx265", layout="yuv420p10le", ticks=UNEVEN, rotation=90, sound="aac",
        options={"crf": "10", "x265-params": "log-level=none"},
    )  # fmt: skip
    for name in ("out.mov", "out.webm"):
        bgkit.remove_video(film, tmp_path / name, KEY)
        frames, times = read_film(tmp_path / name)
        assert frames[0].shape == (COLS, ROWS, 4), name
        assert np.abs(np.array(times, float) - np.array([tick * TICK for tick in UNEVEN], float)).max() < 0.0006
        with av.open(str(film)) as before, av.open(str(tmp_path / name)) as after:
            first, last = (next(read.demux(audio=0)) for read in (before, after))
            heard = [float(packet.pts * packet.time_base) for packet in (first, last)]
            assert abs(heard[0] - heard[1]) < 0.03, name  # of Opus the first packet lies before 0, to be left out


def test_chapters_go_along(tmp_path):
    """In seconds; a stopped film ends the chapter that it stops in, and of --metadata none none is left."""
    film = write_film(tmp_path / "a.mp4", ticks=EVEN, chapters=[(0, 1536, "one"), (1536, 5120, "two")])
    for ending in ("webm", "mov"):
        out = tmp_path / f"out.{ending}"
        bgkit.remove_video(film, out, KEY)
        with av.open(str(out)) as read:
            found = [(float(each["start"] * each["time_base"]), each["metadata"]["title"]) for each in read.chapters()]
        assert found == [(0.0, "one"), (0.1, "two")], ending
    bgkit.remove_video(film, tmp_path / "none.mov", KEY, metadata="none")
    with av.open(str(tmp_path / "none.mov")) as read:
        assert read.chapters() == []


def test_subtitles_are_said_to_be_left_out(tmp_path):
    """Nothing is lost without a word."""
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:00,200\nHello\n")
    parts = [av.open(str(path)) for path in (write_film(tmp_path / "a.mp4"), tmp_path / "a.srt")]
    film = tmp_path / "a.mkv"
    with av.open(str(film), "w") as out:
        ways = {part: out.add_stream_from_template(part.streams[0]) for part in parts}
        for part, stream in ways.items():
            for packet in part.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
            part.close()
    news = []
    bgkit.remove_video(film, tmp_path / "out.mov", KEY, on_news=news.append)
    assert news == [f"{film}: 1 track of subtitles, which the output does not get"]


def test_existing_outputs(film, tmp_path):
    """Kept or refused where asked; the input is never overwritten."""
    out = tmp_path / "out.webm"
    out.write_bytes(b"mine")
    assert bgkit.remove_video(film, out, KEY, if_exists="skip").skipped and out.read_bytes() == b"mine"
    with pytest.raises(PlanError, match="exists"):
        bgkit.remove_video(film, out, KEY, if_exists="fail")
    with pytest.raises(PlanError, match="is the input"):
        bgkit.remove_video(film, film, WHITE)


@stage(gives="mask")
def fails_in_the_middle(image):
    """Mark red, but not when the disk is in the middle.

    Returns
    -------
    array
    """
    mask = (image[..., 1] < 0.4).astype(np.float32)
    if abs(float(np.argwhere(mask)[:, 1].mean()) - 30) < 2.5:
        raise LayerError("no answer here")
    return np.ascontiguousarray(mask)


@pytest.fixture
def failing(monkeypatch):
    """A pipeline that fails on frames 5, 6 and 7 (at columns 28, 30 and 32)."""
    monkeypatch.setattr("bgkit.stage._registered", {})
    bgkit.stages.register(fails_in_the_middle)
    return build("failing", [("fails_in_the_middle", {}), ("composite", {"background": "none"})])


def test_a_frame_that_fails_is_held_and_named(film, tmp_path, failing):
    """It shows the alpha of the frame before; the others are right."""
    made = bgkit.remove_video(film, tmp_path / "out.mov", failing, steady=False, report=tmp_path / "r.jsonl")
    assert len(made.held) == 3 and not made.ok
    assert "film.mp4: frame 5 (0:00.14): fails_in_the_middle: no answer here" in made.held[0]
    frames, _ = read_film(tmp_path / "out.mov")
    assert np.abs(frames[4][..., 3] - frames[3][..., 3]).max() < 0.01
    assert np.abs(frames[7][..., 3] - frames[3][..., 3]).max() > 0.5
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [bool(line["error"]) for line in lines] == [number in (4, 5, 6) for number in range(10)]


def test_a_first_frame_that_fails_ends_the_run(tmp_path, failing):
    """There is nothing to hold; the error has its place."""
    film = write_film(tmp_path / "a.mp4", [draw_frame(5)] * 2, ticks=EVEN[:2])
    with pytest.raises(LayerError, match=r"a\.mp4: frame 1 \(0:00\.00\): fails_in_the_middle: no answer here"):
        bgkit.remove_video(film, tmp_path / "out.webm", failing)


@pytest.fixture
def through_mines(tmp_path, monkeypatch):
    """Films of frames that each do something to the stage that sees it, removed with a time limit."""
    minefield.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setattr("bgkit.stage._registered", {})
    chain = read_pipeline(minefield.PIPELINE, name="minefield")

    def run(colors, timeout):
        for number, color in enumerate(colors):
            minefield.draw(tmp_path / "shots" / f"{number}.png", color)
        return bgkit.remove_video(tmp_path / "shots", tmp_path / "cut", chain, timeout=timeout, steady=False)

    return run


def test_a_stage_that_hangs_is_ended(tmp_path, through_mines):
    """The third frame sleeps for a minute: with a time limit it is held and named, and the others are done."""
    made = through_mines([minefield.HARMLESS, minefield.HARMLESS, minefield.SLEEPS, minefield.HARMLESS], 0.5)
    assert made.frames == 4 and len(made.held) == 1
    assert "frame 3 (0:00.08): minefield: stopped, because the picture took longer than 0.5 s" in made.held[0]
    alphas = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 3] for path in sorted((tmp_path / "cut").glob("*.png"))]
    assert np.abs(alphas[2].astype(int) - alphas[1]).max() == 0


def test_a_process_that_dies_costs_its_frame(through_mines):
    """As when memory runs out: the frame is held, and the next one has a new process."""
    made = through_mines([minefield.HARMLESS, minefield.DIES, minefield.REFUSES, minefield.HARMLESS], 60)
    assert [text.split(": ", 2)[2] for text in made.held] == [
        "the process that does the frames died (exit status 9); perhaps out of memory",
        "minefield: does not like red",
    ]


PLATE = build("plate", [("clean_plate", {}), ("composite", {"background": "none"})])


def write_still_camera(path, shift=0.0, moving=True):
    """A textured scene that a disk crosses; ``shift`` px a frame is how the camera moves."""
    scene = cv2.GaussianBlur(np.random.default_rng(0).random((96, 256, 3)).astype(np.float32), (0, 0), 2)
    scene = np.clip((scene - 0.5) * 4 + 0.5, 0, 1)
    row, col = np.mgrid[:96, :128]
    frames = []
    for number in range(10):
        alpha = np.clip(0.5 - (np.hypot(row - 48, col - (14 + 11 * number if moving else 60)) - 12), 0, 1)[..., None]
        start = round(shift * number)
        frames.append((alpha * [0.9, 0.1, 0.1] + (1 - alpha) * scene[:, start : start + 128]).astype(np.float32))
    return write_film(path, frames)


def test_the_empty_scene_of_a_still_camera(tmp_path):
    """clean-plate without a plate: the median of the frames shows what the disk covers."""
    film = write_still_camera(tmp_path / "a.mp4")
    news = []
    bgkit.remove_video(film, tmp_path / "out.mov", PLATE, on_news=news.append)
    frames, _ = read_film(tmp_path / "out.mov")
    row, col = np.mgrid[:96, :128]
    for number, frame in enumerate(frames):
        disk = np.hypot(row - 48, col - 14 - 11 * number)
        assert frame[disk < 9, 3].mean() > 0.9 and frame[disk > 18, 3].mean() < 0.05
    assert news == ["the empty scene was found in the film itself: the median of its frames"]


def test_a_moving_camera_has_no_empty_scene(tmp_path):
    """Measured, and refused with what to do."""
    film = write_still_camera(tmp_path / "a.mp4", shift=9)
    with pytest.raises(VideoError, match=r"the camera does not stand still .*give the empty scene, as in --plate"):
        bgkit.remove_video(film, tmp_path / "out.mov", PLATE)


def sitting(tmp_path, there: int) -> bgkit.video.removal.Film:
    """Send 12 frames through a pipeline: a disk sits there in so many of them, a small one passes."""
    scene = cv2.GaussianBlur(np.random.default_rng(0).random((96, 128, 3)).astype(np.float32), (0, 0), 4) * 0.2 + 0.5
    row, col = np.mgrid[:96, :128]
    frames = []
    for number in range(12):
        alpha = np.clip(0.5 - (np.hypot(row - 60, col - 64) - 24), 0, 1)[..., None] * (number < there)
        passing = np.clip(0.5 - (np.hypot(row - 12, col - 10 * number) - 8), 0, 1)[..., None]
        frame = alpha * [0.9, 0.1, 0.1] + (1 - alpha) * scene
        frames.append((passing * [0.1, 0.2, 0.8] + (1 - passing) * frame).astype(np.float32))
    film = write_film(tmp_path / "a.mp4", frames, ticks=[512 * number for number in range(12)])
    return bgkit.remove_video(film, tmp_path / "out.mov", PLATE)


def test_a_subject_that_comes_and_sits_is_reported(tmp_path):
    """In 7 of 12 frames it is in the median, in 5 it is not: nothing tells which is scene, so both are reported."""
    for there in (7, 5):
        (tmp_path / str(there)).mkdir()
        doubts = sitting(tmp_path / str(there), there).doubts
        assert "the empty scene is in doubt in" in doubts[0] and "in the middle" in doubts[0], there


def test_a_subject_that_sits_all_the_time_is_reported(tmp_path):
    """Every frame agrees with the median there; the network sees a disk in it."""
    (doubt,) = sitting(tmp_path, 12).doubts
    assert "the network sees a subject in the empty scene" in doubt and "--plate" in doubt


def test_a_subject_that_passes_leaves_no_doubt(tmp_path):
    """The disk that sits is not there: nothing is reported."""
    assert sitting(tmp_path, 0).doubts == []


def test_nothing_that_moves_is_no_subject(tmp_path):
    """A subject that stands still would be scene."""
    film = write_still_camera(tmp_path / "a.mp4", moving=False)
    with pytest.raises(VideoError, match="nothing moves in it"):
        bgkit.remove_video(film, tmp_path / "out.mov", PLATE)


def test_steady_stands_behind_the_last_alpha():
    """Or the last mask; a pipeline that has it stays as it is, and --set reaches it."""
    assert [step.name for step in KEY.steadied().steps] == ["luv_threshold", "steady", "composite"]
    auto = bgkit.load_pipeline("auto").steadied()
    names = [step.name for step in auto.steps]
    assert names[names.index("steady") - 1] == "retouch" and auto.steadied() == auto
    assert auto.with_values({"steady.strength": "0.5"}).steps[names.index("steady")].values["strength"] == 0.5


@stage(gives="mask")
def marks_what_moved(image, next=None):
    """Mark what differs from a second frame.

    Returns
    -------
    array
    """
    if next is None:
        return np.zeros(image.shape[:2], np.float32)
    return (np.abs(image - next).max(-1) > 0.2).astype(np.float32)


def test_stages_that_see_a_second_frame_get_the_last_one(film, tmp_path, monkeypatch):
    """The layer ``next`` is the frame before, where there is one."""
    monkeypatch.setattr("bgkit.stage._registered", {})
    bgkit.stages.register(marks_what_moved)
    chain = build("moved", [("marks_what_moved", {}), ("composite", {"background": "none"})])
    bgkit.remove_video(film, tmp_path / "out.mov", chain, steady=False)
    frames, _ = read_film(tmp_path / "out.mov")
    assert frames[0][..., 3].max() < 0.01 and frames[1][22, 30, 3] > 0.9 and frames[1][22, 20, 3] < 0.01


def test_memory_does_not_grow_with_the_film(tmp_path, monkeypatch):
    """No more than a few frames are alive at a time."""
    alive = []
    from bgkit.video import running

    class Counted(running.Layers):
        @classmethod
        def of(cls, *args, **options):
            import weakref

            made = Layers.of(*args, **options)
            alive.append(weakref.ref(made.image.base if made.image.base is not None else made.image))
            counts.append(sum(each() is not None for each in alive))
            return made

    counts = []
    monkeypatch.setattr(running, "Layers", Counted)
    film = write_film(tmp_path / "a.mp4", [draw_frame(0)] * 30, ticks=[512 * n for n in range(30)])
    bgkit.remove_video(film, tmp_path / "out.mp4", WHITE)
    assert len(counts) == 30 and max(counts) <= 4


def run(*args):
    return app.main([str(arg) for arg in args], standalone_mode=False)


def test_the_command(film, tmp_path, monkeypatch, capsys):
    """A pipeline file, values, a background, the exit status; one line for what came of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.yaml").write_text(KEY.dump())
    assert (
        run(
            "video",
            "film.mp4",
            "-o",
            "out.mp4",
            "-p",
            "key.yaml",
            "--background",
            "white",
            "--set",
            "steady.strength=0.3",
        )
        == 0
    )
    assert "film.mp4 -> out.mp4  10 frames" in capsys.readouterr().err
    assert run("video", "film.mp4", "-o", "out.mp4", "-p", "key.yaml", "--if-exists", "skip") == 2
    assert "mp4 holds no transparency" in capsys.readouterr().err
    assert run("video", "none.mp4", "-o", "out.webm", "-p", "key.yaml") == 1
    assert "none.mp4: no such file" in capsys.readouterr().err
    assert run("video", "film.mp4", "-o", "out.webm", "--raw", "64") == 2
    assert "--raw: expected WIDTHxHEIGHT in px" in capsys.readouterr().err


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_alpha_plays_in_chromium(film, tmp_path):
    """Drawn on a canvas over green, the ground is green and the disk is red."""
    from playwright.sync_api import sync_playwright

    bgkit.remove_video(film, tmp_path / "out.webm", KEY)
    page_text = """<canvas width=64 height=48></canvas><video src=out.webm muted></video><script>
    const video = document.querySelector("video"), canvas = document.querySelector("canvas").getContext("2d");
    window.pixels = new Promise((done, failed) => {
      video.onerror = () => failed(video.error.message);
      video.onseeked = () => {
        canvas.fillStyle = "rgb(0,255,0)"; canvas.fillRect(0, 0, 64, 48); canvas.drawImage(video, 0, 0);
        done([[2, 2], [22, 21]].map(([row, col]) => [...canvas.getImageData(col, row, 1, 1).data]));
      };
      video.onloadeddata = () => { video.currentTime = 0.001; };
    });</script>"""
    (tmp_path / "page.html").write_text(page_text)
    from conftest import CHROMIUM_FLAGS

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, "--allow-file-access-from-files"]
        )
        page = browser.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        ground, disk = page.evaluate("window.pixels")
        browser.close()
    assert ground[1] > 240 and max(ground[0], ground[2]) < 15
    assert disk[0] > 180 and disk[1] < 60


def test_pictures_are_not_written_over(tmp_path, monkeypatch):
    """Results among the pictures that are read would replace them."""
    monkeypatch.chdir(tmp_path)
    Path("shots").mkdir()
    write_picture("shots/001.png", draw_frame(0))
    before = Path("shots/001.png").read_bytes()
    for source, out in (("shots", "shots/%03d.png"), ("shots/%03d.png", "shots")):
        with pytest.raises(PlanError, match="name another folder"):
            bgkit.remove_video(source, out, KEY, rate=24)
    assert Path("shots/001.png").read_bytes() == before
