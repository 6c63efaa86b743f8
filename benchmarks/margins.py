"""Studio shots within a margin, as shops and layout programs save them: the error of alpha beside the shot's own.

    python -m benchmarks.margins [--shots GT02,GT25] [--pipelines auto] [--workers 2] [--write]

White and gray shots of all subjects of ``test/studio`` under ``BGKIT_DATA`` (by default ``../shared/data`` beside the
checkout) lie anywhere on a canvas of white, black, mid gray, or the median color of their border, which is then a JPEG
of quality 75, 85, 92 or 95, or stays as it is (PNG); or there is a line around them, as people draw it. Beside them:
what the same part of the canvas gives alone.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.canvases import markdown
from benchmarks.pages import write
from bgkit import load_pipeline
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.samples import Sample

Array = NDArray[Any]
Part = tuple[slice, slice]
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "quality.md"
PIPELINES = ("auto", "studio-white")
COLORS = {"white": 1.0, "black": 0.0, "mid gray": 128 / 255, "the border's median": None}
LINES = {"black line, 1 px": (1, 0.0), "black line, 3 px": (3, 0.0), "white line, 3 px": (3, 1.0)}
KINDS = ("white", "grey")
QUALITIES = (75, 85, 92, 95)
SIZES = ((2.0, 2.0), (1.0, 1.6), (1.5, 1.0))  # rows and columns of the canvas, in those of the shot
WORSE, KEPT = 0.2, 50.0  # SAD/1000 more than alone; then the ground is kept


def padded(
    image: Array, value: float | None, size: tuple[float, float], random: np.random.Generator
) -> tuple[Array, Part]:
    """Return a canvas with the shot anywhere on it, and where."""
    rows, cols = image.shape[:2]
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    canvas = np.empty((round(rows * size[0]), round(cols * size[1]), 3), np.float32)
    canvas[:] = np.rint(255 * (np.median(border, axis=0) if value is None else np.full(3, value))) / 255
    top, left = (
        int(random.integers(8, max(9, free - 8))) if free else 0 for free in np.subtract(canvas.shape[:2], (rows, cols))
    )
    where = slice(top, top + rows), slice(left, left + cols)
    canvas[where] = image
    return canvas, where


def lined(image: Array, width: int, value: float) -> tuple[Array, Part]:
    """Return the shot with a line around it, and where it is."""
    canvas = cv2.copyMakeBorder(image, *[width] * 4, cv2.BORDER_CONSTANT, value=(value,) * 3)
    return canvas, (slice(width, width + image.shape[0]), slice(width, width + image.shape[1]))


def as_jpeg(image: Array, quality: int) -> Array:
    levels = np.rint(255 * image).astype(np.uint8)[..., ::-1]
    data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / np.float32(255)


def measure(samples: list[Sample], name: str, around: str, saved: str) -> dict[str, str]:
    """Return the line of one pipeline, of what is around the shots, and of how they are saved."""
    pipeline, random = load_pipeline(name), np.random.default_rng(0)
    errors, aside, kept, told = [], 0, 0, 0
    for index, sample in enumerate(samples):
        image, truth = sample.read_image(), sample.read_truth()
        if around in LINES:
            canvas, where = lined(image, *LINES[around])
        else:
            canvas, where = padded(image, COLORS[around], SIZES[index % len(SIZES)], random)
        quality = QUALITIES[index % len(QUALITIES)]
        canvas = canvas if saved == "PNG" else as_jpeg(canvas, quality)
        full = np.zeros(canvas.shape[:2], np.float32)
        full[where] = truth
        alone = pipeline.run(np.ascontiguousarray(canvas[where]), keep=("alpha",)).alpha
        found = pipeline.run(canvas, keep=("alpha",))
        more = float(np.abs(found.alpha - full).sum() - np.abs(alone - truth).sum()) / 1000
        errors.append(more)
        aside += "margin" in found.facts
        if more > KEPT:
            kept += 1
            told += any(each["flagged"] for each in found.facts["findings"].values())
        if more > WORSE:
            print(f"{name}, {around}, {saved} {quality}, {sample.name}: {more:+.2f}", flush=True)
    return {
        "pipeline": name,
        "margin": around,
        "saved as": saved,
        "left aside": f"{aside} of {len(errors)}",
        f"not worse by more than {WORSE:g}": f"{sum(each <= WORSE for each in errors)} of {len(errors)}",
        f"worse by more than {KEPT:g}": str(kept),
        "of these flagged": str(told),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", help="by default all")
    parser.add_argument("--pipelines", default=",".join(PIPELINES))
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    data = Path(os.environ.get("BGKIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    samples = [each for each in open_dataset("studio", data / "test" / "studio") if each.kind in KINDS]
    if options.shots:
        samples = [each for each in samples if each.name[:4] in options.shots.split(",")]
    lines = list(itertools.product([samples], options.pipelines.split(","), (*COLORS, *LINES), ("PNG", "JPEG")))
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        rows = pool.starmap(measure, lines, chunksize=1)
    print(markdown(rows))
    if options.write:
        write(PAGE, {"margins": markdown(rows)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
