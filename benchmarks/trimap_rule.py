"""``make_trimap``'s rule, judged by the error of the alpha that follows.

    python benchmarks/trimap_rule.py [--quick]

On ``test/studio`` (the kind ``white``, masks and matting of ``studio-white``) and ``test/matting`` (masks and matting
of ``deep``) under ``BGKIT_DATA``, by default ``../shared/data`` beside the checkout. Every value is changed alone; mean
SAD/1000 over the frame, and the share of pixels that is left unknown. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import bgkit
from benchmarks.quality import data_folder
from bgkit.evaluate.datasets import open_dataset
from bgkit.stages import make_trimap

SETS = {"studio, white": ("studio", "test/studio", "studio-white"), "matting": ("alphamatting", "test/matting", "deep")}
VALUES: tuple[dict[str, float], ...] = (
    {},
    {"width": 2.5},
    {"width": 8},
    {"width": 12},
    {"spread": 0},
    {"spread": 0.5},
    {"spread": 1},
    {"margin": 0.05},
    {"margin": 0.2},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 pictures of each set")
    options = parser.parse_args()
    table: dict[str, list[str]] = {}
    for name, (layout, folder, pipeline) in SETS.items():
        chain = bgkit.load_pipeline(pipeline)
        place = next(index for index, step in enumerate(chain.steps) if step.name == "make_trimap")
        until, after = (
            bgkit.Pipeline(chain.name, chain.steps[part]) for part in (slice(0, place), slice(place + 1, place + 2))
        )
        samples = [each for each in open_dataset(layout, data_folder() / folder) if each.kind in ("", "white")]
        found = []
        for sample in samples[:3] if options.quick else samples:
            image, truth = sample.read_image(), sample.read_truth()
            mask = until.run(image).mask
            found.append([])
            for values in VALUES:
                trimap = make_trimap(mask, **values)
                alpha = after.run(image, trimap=trimap).alpha
                found[-1].append((np.abs(alpha - truth).sum(dtype=np.float64) / 1000, (trimap == 128).mean()))
        table[name] = [f"{sad:.2f} ({share:.0%})" for sad, share in np.mean(found, 0)]
    print("| changed | " + " | ".join(table) + " |\n|" + "---|" * (len(table) + 1))
    for index, values in enumerate(VALUES):
        label = ", ".join(f"{key} {value:g}" for key, value in values.items()) or "nothing"
        print(f"| {label} | " + " | ".join(rows[index] for rows in table.values()) + " |")


if __name__ == "__main__":
    main()
