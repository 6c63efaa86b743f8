"""Strokes of a simulated user on finished results: what the stage ``retouch`` makes of them.

    python -m benchmarks.strokes [--write] [--quick]

On the 13 pictures of ``test/matting`` and, of 72 spread over ``test/ecssd``, the 24 on which ``auto`` errs most, since
people correct what is wrong; both under ``BGKIT_DATA``, by default ``../shared/data`` beside the checkout. The user
knows the truth and draws each stroke along the largest part that is wrong by more than one half; after every stroke
the alpha of ``auto`` is corrected anew by all strokes so far. ``--write`` puts the table into
``docs/how-to/strokes.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import bgkit
from benchmarks.pages import write
from benchmarks.quality import data_folder, spread
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.samples import Sample
from bgkit.stages import retouch

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "strokes.md"
# Of so many pictures of a set, so many on which ``auto`` errs most.
SETS = {"alphamatting.com": ("alphamatting", "test/matting", 13, 13), "ECSSD": ("ecssd", "test/ecssd", 72, 24)}
REACHES = (0, 50, 75, 100, 125, 150, 200, 300)  # 0 paints
DEFAULT = 200
COUNTS = (0, 1, 3)
HALF_WIDTH = 0.004  # of a stroke, of the picture's diagonal


def draw(alpha: np.ndarray, truth: np.ndarray, strokes: np.ndarray) -> None:
    """Draw one stroke along the largest part where alpha is wrong by more than one half; none where no part is."""
    best, value = np.zeros(alpha.shape, np.uint8), 0
    for sign, color in ((1, 255), (-1, 0)):
        wrong = (sign * (truth - alpha) > 0.5).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(wrong, connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        if len(areas) and areas.max() > best.sum():
            best, value = (labels == 1 + areas.argmax()).astype(np.uint8), color
    if not best.any():
        return
    # Along the longer side of the part, from deepest point to deepest point, where it is half as deep as anywhere.
    depth = cv2.distanceTransform(np.pad(best, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    rows, cols = best.any(1).sum(), best.any(0).sum()
    across = depth if rows >= cols else depth.T
    along = np.flatnonzero(across.max(1) >= depth.max() / 2)
    points = [(int(across[place].argmax()), int(place)) for place in along]
    line = np.zeros(across.shape, np.uint8)
    thickness = max(1, round(2 * HALF_WIDTH * np.hypot(*alpha.shape)))
    cv2.polylines(line, [np.array(points, np.int32)], False, 1, thickness)
    strokes[((line if rows >= cols else line.T) & best) > 0] = value


def error(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean error of alpha in percent."""
    return 100 * float(np.abs(alpha - truth).mean(dtype=np.float64))


def worst(samples: Sequence[Sample], count: int) -> list[tuple[Sample, np.ndarray]]:
    """Return the pictures on which ``auto`` errs most, each with the alpha that it found."""
    chain = bgkit.load_pipeline("auto")
    done = [(each, chain.run(each.read_image()).alpha) for each in samples]
    return sorted(done, key=lambda each: -error(each[1], each[0].read_truth()))[:count]


def errors(sample: Sample, start: np.ndarray) -> np.ndarray:
    """Return the mean error of alpha in percent, by reach and number of strokes."""
    image, truth = sample.read_image(), sample.read_truth()
    found = np.empty((len(REACHES), len(COUNTS)))
    for row, reach in enumerate(REACHES):
        alpha, strokes = start, np.full(truth.shape, 128, np.uint8)
        for count in range(max(COUNTS) + 1):
            if count:
                draw(alpha, truth, strokes)
                alpha = retouch(image, start, strokes, reach=reach)
            if count in COUNTS:
                found[row, COUNTS.index(count)] = error(alpha, truth)
    return found


def left_out(found: np.ndarray) -> float:
    """Return the mean error after the last stroke with the reach that is best on all other pictures, painting aside."""
    last = found[:, 1:, -1]
    others = last.sum(0) - last
    return float(np.take_along_axis(last, others.argmin(1)[:, None], 1).mean())


def table(found: dict[str, np.ndarray]) -> str:
    """Return the figures as Markdown."""
    head = ["no stroke", "1 stroke", "3 strokes"]
    lines = ["| pictures | `reach` | " + " | ".join(head) + " |", "|" + "---|" * (2 + len(head))]
    for name, figures in found.items():
        for row, reach in enumerate(REACHES):
            label = {0: "0: painted", DEFAULT: f"{DEFAULT}, the default"}.get(reach, f"{reach}")
            cells = [f"{each:.2f}" for each in figures.mean(0)[row]]
            lines.append(f"| {len(figures)} of {name} | {label} | " + " | ".join(cells) + " |")
    all_ = np.concatenate(list(found.values()))
    chosen = all_[:, REACHES.index(DEFAULT), -1].mean()
    lines += ["", f"All {len(all_)} pictures after {COUNTS[-1]} strokes: {chosen:.2f} with the default `reach`, "]
    lines[-1] += f"{left_out(all_):.2f} with the one that is best on the other pictures."
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    parser.add_argument("--quick", action="store_true", help="2 of 4 pictures of each set")
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write wants all pictures: leave out --quick")
    found = {}
    for name, (layout, folder, looked_at, kept) in SETS.items():
        samples = spread(open_dataset(layout, data_folder() / folder), 4 if options.quick else looked_at)
        found[name] = np.array([errors(*each) for each in worst(samples, 2 if options.quick else kept)])
    text = table(found)
    print(text)
    if options.write:
        write(PAGE, {"retouch": text})


if __name__ == "__main__":
    main()
