"""Every stage of the shipped pipelines at 12 megapixels, against moving its layers through memory once.

    python benchmarks/bench_stages.py [--quick] [--pipelines auto,product] [--picture FILE] [--threads 1] [--write]

For each stage: processor seconds of the process (all its threads), the limit, and their ratio. The limit is the time to
read the layers that the stage needs and to write the one that it gives, at the speed of `np.multiply` of the picture
into an array that is there already, measured in the same process between the stages. Layers count at the picture's own
size, though steps that lead to a trimap see a copy of 3 megapixels. Seconds are medians over the runs.
Processor time, not the clock's, because it says the same on a machine that does other things too; threads that wait
for one another do not count. Before each step memory is written to and freed: a virtual machine hands what lay free
for two seconds back to its host (free page reporting), and its next use costs ten times as much, whatever uses it.
Fresh pages are still cleared for each new layer, as in any process; that is in a step's time and not in the limit.
`network`, `crf` and `solve` compute more than they move and are marked.

Without ``--picture`` the shot is the drawn one of ``bench_chain.py``. ``--write`` puts the table into
docs/reference/speed.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import bgkit
from benchmarks.bench_chain import LARGE, QUICK, shot
from benchmarks.bench_large import put, said
from benchmarks.quality import markdown
from bgkit.imagefile import read_picture
from bgkit.layers import LAYERS, Layers
from bgkit.pipeline import Step

COMPUTE = {"cnn_mask": "network", "dense_crf": "crf", "plate_matting": "solve", "closed_form_matting": "solve"}


def touch(picture: np.ndarray) -> None:
    """Write to as much memory as a step may ask for, and free it."""
    held = [np.ones_like(picture) for _ in range(8)]
    del held


def multiplying(picture: np.ndarray, target: np.ndarray) -> float:
    """Return processor seconds for each byte moved: of five multiplications the median."""
    taken = []
    for _ in range(5):
        started = time.process_time()
        np.multiply(picture, np.float32(0.9), out=target)
        taken.append(time.process_time() - started)
    return statistics.median(taken) / (picture.nbytes + target.nbytes)


def moved(step: Step, layers: Layers, pixels: int) -> int:
    """Return the bytes of the layers that a step reads and of the one that it writes, for so many pixels."""
    names = [step.stage.gives, *{*step.stage.needs, *step.stage.uses}]
    there = [getattr(layers, name) for name in names if name in LAYERS and getattr(layers, name) is not None]
    return sum(each[0, 0].nbytes for each in there) * pixels


def measure(name: str, picture: np.ndarray, runs: int) -> list[tuple[str, float, float]]:
    """Return each step's name, median of processor seconds, and limit."""
    chain, target = bgkit.load_pipeline(name), np.zeros_like(picture)
    names: list[str] = []
    seconds: list[list[float]] = []
    limits: list[float] = []
    pixels = picture.shape[0] * picture.shape[1]

    for run in range(runs + 1):  # the first one loads
        touch(picture)
        started, number = time.process_time(), 0

        def after(step: Step, layers: Layers, _: float, *, first: bool = run == 0) -> None:
            nonlocal started, number
            taken = time.process_time() - started
            if first:
                names.append(step.name)
                seconds.append([])
                limits.append(multiplying(picture, target) * moved(step, layers, pixels))
            else:
                seconds[number].append(taken)
            number += 1
            touch(picture)
            started = time.process_time()

        chain.run(Layers.of(picture), on_step=after)
    return [(name, statistics.median(taken), limit) for name, taken, limit in zip(names, seconds, limits, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 megapixels, one run")
    parser.add_argument("--pipelines", default="studio-white,product")
    parser.add_argument("--picture", help="a file instead of the drawn shot")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/speed.md")
    options = parser.parse_args()
    bgkit.set_threads(options.threads)
    cv2.setNumThreads(options.threads)
    picture = read_picture(options.picture).image if options.picture else shot(*(QUICK if options.quick else LARGE))
    size = picture.shape[0] * picture.shape[1] / 1e6
    rows = []
    for name in options.pipelines.split(","):
        for stage, seconds, limit in measure(name, picture, 1 if options.quick else options.runs):
            times = {"processor s": f"{seconds:.3f}", "limit s": f"{limit:.3f}", "times": f"{seconds / limit:.1f}"}
            rows.append({"pipeline": name, "stage": f"`{stage}`", **times, "computes": COMPUTE.get(stage, "")})
    text = f"{said()} {options.threads} thread, {size:.1f} MP.\n\n{markdown(rows)}"
    print(text)
    if options.write:
        put({"stages": text})


if __name__ == "__main__":
    main()
