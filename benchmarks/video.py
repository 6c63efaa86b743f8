"""Moving pictures: how much a matte flickers frame by frame, and how much with ``steady``.

    python -m benchmarks.video [PIPELINE]

Sequences with known alpha: the true foregrounds of ``test/studio`` under ``BGKIT_DATA`` (by default ``../shared/data``
beside the checkout), moved by translation, rotation, scale and a slow wobble, over plates and over the parts of
photographs of ``test/ecssd`` that do not hold their subjects; then noise of 3 levels, and H.264 (x264, constant rate
factor 26), decoded again. Every frame is done by itself, and then the same alphas by ``steady``, which is all that
differs. SAD is the mean over frames of the sum of alpha's error / 1000, dtSSD that of Erofeev et al. (2015).
Flicker is dtSSD along the true motion, the error's change at the same point of the subject: what a filter in time can
take away. An error that moves with the subject counts in dtSSD and not in flicker. The last three columns are the
filter of ``steady`` with the true motion, believed everywhere: what no flow can better by much.

    python -m benchmarks.video --speed [PIPELINE ...]

Frames a second at 720p and 1080p of H.264 to VP9 with alpha (the plate given, where a pipeline takes one), and
processor seconds a frame: of reading, of the bare pipeline, of ``bgkit.remove_video`` in all, and the ratio of the
last two.

``--write`` before all else puts the table into the page on large pictures and films.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bench_large import put, said
from bgkit import load_pipeline, remove_video
from bgkit.evaluate.mattes import read_matte
from bgkit.evaluate.matting import dtssd, sad
from bgkit.imagefile import read_picture, write_picture
from bgkit.layers import Layers
from bgkit.pipeline import Pipeline
from bgkit.stages import steady
from bgkit.videofile import open_video

Array = NDArray[Any]
ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("BGKIT_DATA", ROOT.parent / "shared" / "data")) / "test"
ROWS, COLS, FRAMES = 360, 640, 24
TIMED = 6  # frames of which the speed is taken
NOISE = 3 / 255
QUALITY = 26  # x264's constant rate factor
SUBJECTS = ("GT02", "GT04", "GT06", "GT08", "GT10", "GT13", "GT16", "GT20", "GT25", "GT27")


@dataclass(frozen=True)
class Sequence:
    """Frames with known alpha, uint8 (F, M, N, 3) and float32 (F, M, N), and the plate where the ground is one.

    ``motions`` say where what is at a pixel was in the frame before: columns and rows, px, float32 (F, M, N, 2); of
    the first frame, where it is.
    """

    name: str
    subject: str
    frames: list[Array]
    alphas: list[Array]
    motions: list[Array]
    plate: Array | None


def draw_sequence(subject: str, ground: Path, *, plate: bool, seed: int, size: tuple[int, int] = (ROWS, COLS),
                  count: int = FRAMES, pace: float = 1.0) -> Sequence:  # fmt: skip
    """Draw a subject that moves before a ground, and send it through a camera's noise and compression."""
    rng = np.random.default_rng(seed)
    rows, cols = size
    part = _empty_part(ground)
    if part is None:
        raise ValueError(f"{ground}: its own subject fills it")
    behind = _cover(part, size)
    alpha = read_matte(DATA / "studio" / "alphas" / f"{subject}-white.png")
    color = read_picture(DATA / "studio" / "foregrounds" / f"{subject}.jpg").image
    top, left = (np.flatnonzero(alpha.max(axis))[[0, -1]] for axis in (1, 0))
    alpha, color = (each[top[0] : top[1] + 1, left[0] : left[1] + 1] for each in (alpha, color))
    # Drawn at twice the size and reduced by areas, so that no frame is sharper than another for where it falls.
    scale = 2 * 0.75 * min(rows / alpha.shape[0], cols / alpha.shape[1])
    cutout = np.dstack([color * alpha[..., None], alpha])
    if scale < 1:
        cutout = cv2.resize(cutout, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        scale = 1.0
    phase = rng.uniform(0, 2 * np.pi, 6)
    speed = rng.uniform(0.5, 1, 6)
    frames, alphas, bends = [], [], []
    for time_ in pace * np.arange(count) / 24:
        wave = np.sin(2 * np.pi * 0.7 * speed * time_ + phase) - np.sin(phase)
        high, wide = cutout.shape[:2]
        motion = cv2.getRotationMatrix2D((wide / 2, high / 2), 4 * wave[0], scale * (1 + 0.04 * wave[1]))
        motion[:, 2] += cols - wide / 2 + 0.12 * cols * wave[2], rows - high / 2 + 0.06 * rows * wave[3]
        row, col = np.mgrid[: 2 * rows, : 2 * cols].astype(np.float32)
        back = cv2.invertAffineTransform(motion).astype(np.float32)
        bend = float(0.012 * cols * wave[4])
        bends.append((motion, bend))
        col += np.float32(bend) * np.sin(row / rows * 2.5)
        moved = cv2.remap(
            cutout,
            back[0, 0] * col + back[0, 1] * row + back[0, 2],
            back[1, 0] * col + back[1, 1] * row + back[1, 2],
            cv2.INTER_LINEAR,
        )
        moved = np.clip(cv2.resize(moved, (cols, rows), interpolation=cv2.INTER_AREA), 0, 1)
        moved[..., :3] = np.minimum(moved[..., :3], moved[..., 3:])
        picture = moved[..., :3] + (1 - moved[..., 3:]) * behind
        picture = picture + rng.normal(0, NOISE, picture.shape)
        frames.append(np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8))
        alphas.append(np.ascontiguousarray(moved[..., 3]))
    motions = [_motion(*each, size) for each in zip(bends, bends[:1] + bends[:-1], alphas, strict=True)]
    name = f"{subject} on {ground.stem}"
    return Sequence(name, subject, list(compressed(frames)), alphas, motions, behind if plate else None)


def _motion(now: tuple[Array, float], before: tuple[Array, float], alpha: Array, size: tuple[int, int]) -> Array:
    """Return where pixels were: those of the subject and 8 px around it moved with it, the others stood still.

    Each place is an affine motion and a bend, drawn at twice the size.
    """
    rows, cols = size
    still = np.stack(np.meshgrid(np.arange(cols), np.arange(rows)), -1).astype(np.float32)
    col, row = (2 * still[..., axis].astype(np.float64) + 0.5 for axis in (0, 1))  # the center of four pixels
    col = col + now[1] * np.sin(row / rows * 2.5)
    to_before = np.vstack([before[0], [0, 0, 1]]) @ np.linalg.inv(np.vstack([now[0], [0, 0, 1]]))
    col, row = (to_before[axis, 0] * col + to_before[axis, 1] * row + to_before[axis, 2] for axis in (0, 1))
    col = col - before[1] * np.sin(row / rows * 2.5)
    moved = np.stack([(col - 0.5) / 2, (row - 0.5) / 2], -1).astype(np.float32)
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((17, 17), np.uint8))
    return np.where(near[..., None] > 0, moved, still)


def draw_all() -> Iterator[Sequence]:
    """Draw a sequence of each subject: every fifth over a plate, the others over photographs, at three paces."""
    photographs = sorted((DATA / "ecssd" / "images").iterdir())
    plates = sorted((DATA / "plates").glob("*_back.jpg"))
    for number, subject in enumerate(SUBJECTS):
        plate = number % 5 == 4
        grounds = plates[number % len(plates) :] if plate else photographs[17 * number + 3 :]
        ground = next(each for each in grounds if _empty_part(each) is not None)
        pace = (0.25, 0.5, 1.0)[number % 3]
        yield draw_sequence(subject, ground, plate=plate, seed=number, count=10, pace=pace)


def compressed(frames: list[Array]) -> Iterator[Array]:
    """Write frames as H.264 and read them again."""
    file = io.BytesIO()
    _write(file, frames)
    file.seek(0)
    with av.open(file) as read:
        for frame in read.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def _write(file: io.BytesIO | Path, frames: list[Array]) -> None:
    with av.open(file if isinstance(file, io.BytesIO) else str(file), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=24, options={"crf": str(QUALITY)})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for each in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(each, "rgb24")))
        out.mux(stream.encode(None))


def _empty_part(ground: Path) -> Array | None:
    """Return the largest part, at 16:9, in which a photograph does not show its own subject; of a plate, all of it.

    None where that is less than half as wide as the photograph.

    Where the ground held a subject of its own, the network would take that as well, and its error would be the figure.
    """
    picture = read_picture(ground).image
    truth = ground.parents[1] / "masks" / f"{ground.stem}.png"
    if not truth.is_file():
        return picture
    mask = read_matte(truth)
    wide = min(mask.shape[1], mask.shape[0] * 16 / 9)
    total = cv2.integral((mask > 0.1).astype(np.uint8))
    for share in np.arange(1, 0.45, -0.05):
        cols, rows = round(wide * share), round(wide * share * 9 / 16)
        inside = total[rows:, cols:] - total[:-rows, cols:] - total[rows:, :-cols] + total[:-rows, :-cols]
        free = np.argwhere(inside == 0)
        if len(free):
            row, col = free[0]
            return picture[row : row + rows, col : col + cols]
    return None


def _cover(picture: Array, size: tuple[int, int]) -> Array:
    scale = max(size[0] / picture.shape[0], size[1] / picture.shape[1])
    picture = cv2.resize(
        picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    top, left = ((picture.shape[axis] - size[axis]) // 2 for axis in (0, 1))
    return np.clip(picture[top : top + size[0], left : left + size[1]], 0, 1)


def speed(names: list[str]) -> Iterator[str]:
    """Yield a row for each size and pipeline; the first frame, which loads what is needed, is not timed."""
    yield "| size | pipeline | frames/s | processor s a frame: reading | pipeline | in all | ratio |"
    yield "|---|---|" + "--:|" * 5
    plate = sorted((DATA / "plates").glob("*_back.jpg"))[0]
    for size in ((720, 1280), (1080, 1920)):
        drawn = draw_sequence("GT02", plate, plate=True, seed=1, size=size, count=TIMED + 1)
        with tempfile.TemporaryDirectory() as folder:
            film, empty = Path(folder) / "film.mp4", Path(folder) / "plate.png"
            _write(film, drawn.frames)
            write_picture(empty, drawn.plate)
            for name in names:
                yield f"| {size[1]} x {size[0]} | {name} | {_speed_row(load_pipeline(name), film, empty)} |"


def _speed_row(chain: Pipeline, film: Path, empty: Path) -> str:
    plated = "plate" in chain.needs()
    scene = {"plate": read_picture(empty).image} if plated else {}
    started = time.process_time()
    with open_video(film) as reader:
        frames = [frame.image for frame in reader.frames()]
    reading = (time.process_time() - started) / len(frames)
    chain.run(frames[0], keep=("result",), **scene)
    started = time.process_time()
    for frame in frames[1:]:
        chain.run(frame, keep=("result",), **scene)
    bare = (time.process_time() - started) / TIMED
    moments = []

    def done(number: int, total: int | None) -> None:
        moments.append((time.process_time(), time.perf_counter()))

    remove_video(film, film.with_suffix(".webm"), chain, plate=empty if plated else None, on_done=done)
    moments.append((time.process_time(), time.perf_counter()))  # with what the encoder held back
    film.with_suffix(".webm").unlink()
    processor, wall = (moments[-1][axis] - moments[0][axis] for axis in (0, 1))
    whole = processor / TIMED
    return f"{TIMED / wall:.2f} | {reading:.3f} | {bare:.2f} | {whole:.2f} | {whole / bare:.2f}"


def flicker(name: str) -> Iterator[str]:
    """Yield the lines of a row for each sequence; figures behind the first three are shares of those frame by frame."""
    chain = load_pipeline(name)
    yield "| sequence | SAD | dtSSD | flicker | SAD, steady | dtSSD | flicker | SAD, true motion | dtSSD | flicker |"
    yield "|---|" + "--:|" * 9
    shares = []
    for drawn in draw_all():
        alone, steadied, previous = [], [], None
        for frame in drawn.frames:
            layers = chain.run(frame, keep=("alpha",))
            alpha = steady.stage.function(layers.image, layers.alpha, previous)
            alone.append(layers.alpha)
            steadied.append(alpha)
            previous = Layers(layers.image, alpha=alpha)
        plain, *others = (_figures(each, drawn) for each in (alone, steadied, _by_true_motion(alone, drawn)))
        shares.append([figure / before for each in others for figure, before in zip(each, plain, strict=True)])
        row = " | ".join(f"{figure:.2f}" for figure in (*plain, *shares[-1]))
        yield f"| {drawn.name} | {row} |"
    yield "| mean | | | | " + " | ".join(f"{figure:.2f}" for figure in np.mean(shares, axis=0)) + " |"


def _figures(alphas: list[Array], drawn: Sequence) -> tuple[float, float, float]:
    errors = [alpha - truth for alpha, truth in zip(alphas, drawn.alphas, strict=True)]
    changes = [
        now - _moved(last, motion) for last, now, motion in zip(errors[:-1], errors[1:], drawn.motions[1:], strict=True)
    ]
    flicker = 100 * float(np.mean([np.sqrt(np.mean(each**2)) for each in changes]))
    return _sad(alphas, drawn.alphas), _dtssd(alphas, drawn.alphas), flicker


def _by_true_motion(alphas: list[Array], drawn: Sequence) -> list[Array]:
    """Return alphas steadied as the stage does it, but with the motion known and believed everywhere."""
    made = [alphas[0]]
    for alpha, motion in zip(alphas[1:], drawn.motions[1:], strict=True):
        made.append(np.clip(alpha + 0.85 * (_moved(made[-1], motion) - alpha), 0, 1))
    return made


def _moved(last: Array, motion: Array) -> Array:
    return cv2.remap(last, motion[..., 0], motion[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _sad(alphas: list[Array], truths: list[Array]) -> float:
    return float(np.mean([sad(alpha, truth) for alpha, truth in zip(alphas, truths, strict=True)]))


def _dtssd(alphas: list[Array], truths: list[Array]) -> float:
    pairs = list(zip(alphas, truths, strict=True))
    return float(np.mean([dtssd(*now, before=last) for last, now in itertools.pairwise(pairs)]))


def main() -> None:
    """Print a table, and put it into its page where asked."""
    parser = argparse.ArgumentParser(description="Flicker of films, or how fast they are done.")
    parser.add_argument("pipelines", nargs="*", metavar="PIPELINE")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.speed:
        lines = speed(options.pipelines or ["fast", "clean-plate", "auto"])
    else:
        lines = flicker(*(options.pipelines or ["deep"]))
    table = []
    for line in lines:
        print(line, flush=True)
        table.append(line)
    if options.write:
        about = f"{said()} {TIMED} frames." if options.speed else said()
        put({"films" if options.speed else "flicker": "\n".join([about, "", *table])})


if __name__ == "__main__":
    main()
