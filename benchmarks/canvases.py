"""Studio shots on canvases of other shapes and sizes: the error of alpha beside that of the shot alone.

    python -m benchmarks.canvases [--shots GT02,GT25] [--kinds white,grey] [--pipelines auto] [--grounds even] [--write]

White and gray shots of five subjects of ``test/studio`` under ``BGKIT_DATA`` (by default ``../shared/data`` beside the
checkout) are put on six canvases. The canvas shows more of the same ground: ``even`` goes on as at the frame of the
shot, without its texture; ``mirrored`` is the shot's own ground, mirrored at its frame, with noise, shadows and JPEG.
Where the subject covers it, the ground is the plate in the shot's exposure. Or it is a margin as layout programs make
it: the median ``color`` of the shot's border, or its ``edge`` repeated. The plate goes on in the same manner. Figures
are SAD/1000 above that of the shot alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.pages import write
from bgkit import Pipeline, load_pipeline
from bgkit.backdrop.sampling import push_pull
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.samples import Sample

Array = NDArray[Any]
Canvas = tuple[float, float, float, float]
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "quality.md"
SHOTS = ("GT02", "GT13", "GT16", "GT18", "GT25")
PIPELINES = ("studio-white", "clean-plate", "auto")
KINDS = ("white", "grey")
GROUNDS = ("even", "mirrored")  # more of the same scene
MARGINS = ("color",)  # put around it
FADES = 60  # px beyond the frame over which a shadow that reaches it ends
# Rows and columns in sides of the shot, and where the shot lies: 0 at the top or left, 1 at the bottom or right.
CANVASES: dict[str, Canvas] = {
    "1:12": (12.0, 1.0, 0.5, 0.5),
    "12:1": (1.0, 12.0, 0.5, 0.5),
    "4 x 4": (4.0, 4.0, 0.5, 0.5),
    "2 x 2": (2.0, 2.0, 0.2, 0.7),
    "3 x 1": (1.0, 3.0, 0.5, 0.5),
    "4 x 4 above": (4.0, 4.0, 1.0, 0.5),
}


def light_of(image: Array, plate: Array, alpha: Array) -> tuple[Array, Array]:
    """Return the shot's exposure over the plate's, (3,), and its shadows, (M, N), 1 in full light."""
    free = cv2.erode((alpha == 0).view(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    ratio = (image / np.maximum(plate, 1 / 255)) * free[..., None]
    gain = np.array([np.percentile(ratio[..., channel][free > 0], 80) for channel in range(3)])
    ratio = (ratio / gain).mean(2).astype(np.float32)
    share = cv2.GaussianBlur(free, (0, 0), 2)
    smooth = cv2.GaussianBlur(ratio, (0, 0), 2) / np.maximum(share, 0.5)
    # Behind the subject it goes on as beside it.
    return gain, np.minimum(push_pull(smooth, (share > 0.5).astype(np.float32)), 1)


def sides(shape: tuple[int, ...], canvas: Canvas) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the rows above and below a shot on a canvas, and the columns left and right of it."""
    rows, cols = shape[:2]
    tall, wide, down, right = canvas
    above, left = round(rows * (tall - 1) * down) // 8 * 8, round(cols * (wide - 1) * right) // 8 * 8
    below = 0 if down == 1 else round(rows * tall) - rows - above
    return (above, below), (left, round(cols * wide) - cols - left)


def spread(plate: Array, canvas: Canvas, way: str) -> tuple[Array, tuple[slice, slice]]:
    """Return the plate as large as a canvas, and where the shot lies on it."""
    (rows, cols), around = plate.shape[:2], sides(plate.shape, canvas)
    if way == "even":
        plate = cv2.GaussianBlur(plate, (0, 0), 24)
    larger = np.pad(plate, (*around, (0, 0)), mode="symmetric" if way == "mirrored" else "edge")
    if way == "color":
        border = np.concatenate([plate[0], plate[-1], plate[:, 0], plate[:, -1]])
        larger[:] = np.rint(255 * np.median(border, axis=0)) / np.float32(255)
    (above, _), (left, _) = around
    return larger, (slice(above, above + rows), slice(left, left + cols))


def put(image: Array, plate: Array, alpha: Array, canvas: Canvas, way: str) -> tuple[Array, Array, tuple[slice, slice]]:
    """Return the canvas with the shot on it, the same empty, and where the shot lies."""
    if way not in GROUNDS:
        (shown, where), (ground, _) = (spread(each, canvas, way) for each in (image, plate))
        shown[where], ground[where] = image, plate
        return shown, ground, where
    gain, shadow = light_of(image, plate, alpha)
    ground, where = spread(plate, canvas, way)
    ground[where] = plate
    outside = np.ones(ground.shape[:2], np.uint8)
    outside[where] = 0
    depth = np.pad(1 - shadow, [(s.start, n - s.stop) for s, n in zip(where, outside.shape, strict=True)], mode="edge")
    away = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    soft = cv2.GaussianBlur(depth, (0, 0), FADES / 2)
    depth = (depth + (soft - depth) * np.minimum(away / FADES, 1)) * np.exp(-((away / FADES) ** 2))
    shown = np.clip(ground * gain * (1 - depth[..., None]), 0, 1).astype(np.float32)
    shown[where] = image
    return shown, ground, where


def error(
    pipeline: Pipeline, image: Array, plate: Array, truth: Array, where: tuple[slice, slice] | None = None
) -> float:
    brought = {"plate": plate} if "plate" in pipeline.needs() else {}
    alpha = pipeline.run(image, keep=("alpha",), **brought).alpha
    full = truth if where is None else np.zeros_like(alpha)
    if where is not None:
        full[where] = truth
    return float(np.abs(alpha - full).sum(dtype=np.float64)) / 1000


def measure(name: str, samples: list[Sample], ways: list[str]) -> list[dict[str, str]]:
    """Return a pipeline's rows: what the canvases add to each shot's error."""
    pipeline, rows = load_pipeline(name), []
    pipeline = Pipeline(
        pipeline.name, tuple(step for step in pipeline.steps if step.name not in ("composite", "frame"))
    )
    alone: dict[str, float] = {}
    for way in ways:
        for sample in samples:
            image, plate, truth = sample.read_image(), sample.read_plate(), sample.read_truth()
            assert plate is not None
            if sample.name not in alone:
                alone[sample.name] = error(pipeline, image, plate, truth)
            row = {
                "pipeline": name,
                "ground": way,
                "shot": f"{sample.name.split('-')[0]} {'gray' if sample.kind == 'grey' else sample.kind}",
                "alone": f"{alone[sample.name]:.2f}",
            }
            for title, canvas in CANVASES.items():
                shown, empty, where = put(image, plate, truth, canvas, way)
                row[title] = f"{error(pipeline, shown, empty, truth, where) - alone[sample.name]:+.2f}"
            rows.append(row)
            print(" | ".join(row.values()), flush=True)
    return rows


def markdown(rows: list[dict[str, str]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", default=",".join(SHOTS))
    parser.add_argument("--pipelines", default=",".join(PIPELINES))
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--grounds", default=",".join(GROUNDS + MARGINS))
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    data = Path(os.environ.get("BGKIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    wanted = options.shots.split(",")
    samples = sorted(
        (
            each
            for each in open_dataset("studio", data / "test" / "studio")
            if each.kind in options.kinds.split(",") and each.name[:4] in wanted
        ),
        key=lambda each: (KINDS.index(each.kind), each.name),
    )
    rows = [row for name in options.pipelines.split(",") for row in measure(name, samples, options.grounds.split(","))]
    if options.write:
        write(PAGE, {"canvases": markdown(rows)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
