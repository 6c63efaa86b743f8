"""Every stage of the shipped pipelines at 12 megapixels, against moving its layers through memory once.

    python benchmarks/bench_stages.py [--quick] [--pipelines studio-white,auto,product] [--picture FILE] [--threads 1]

For each stage: processor seconds of the process (all its threads), the limit, and their ratio. The limit is the time to
read the layers that the stage needs and to write the one that it gives, at the speed of `np.multiply` of the picture
into an array that is there already, measured in the same process between the stages. Seconds are medians over the runs.
Processor time, not the clock's, because it says the same on a machine that does other things too; threads that wait
for one another do not count. `network`, `crf` and `solve` compute more than they move and are marked.

Without ``--picture`` the shot is the drawn one of ``bench_chain.py``.
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
from benchmarks.__main__ import kernels, processor
from benchmarks.bench_chain import LARGE, QUICK, shot
from bgkit.imagefile import read_picture
from bgkit.layers import Layers
from bgkit.pipeline import Step

COMPUTE = {"cnn_mask": "network", "dense_crf": "crf", "plate_matting": "solve", "closed_form_matting": "solve"}


def multiplying(picture: np.ndarray, target: np.ndarray) -> float:
    """Return processor seconds for each byte moved: of five multiplications the median."""
    taken = []
    for _ in range(5):
        started = time.process_time()
        np.multiply(picture, np.float32(0.9), out=target)
        taken.append(time.process_time() - started)
    return statistics.median(taken) / (picture.nbytes + target.nbytes)


def moved(step: Step, before: Layers, after: Layers) -> int:
    """Return the bytes of the layers that a step reads and of the one that it writes."""
    read = [getattr(before, name) for name in {*step.stage.needs, *step.stage.uses}]
    return sum(each.nbytes for each in read if each is not None) + getattr(after, step.stage.gives).nbytes


def measure(name: str, picture: np.ndarray, runs: int) -> list[tuple[str, float, float]]:
    """Return each step's name, median of processor seconds, and limit."""
    chain, target = bgkit.load_pipeline(name), np.zeros_like(picture)
    seconds: dict[int, list[float]] = {}
    limits: dict[int, float] = {}
    steps = chain.plan()
    for run in range(runs + 1):  # the first one loads
        layers = Layers.of(picture)
        for number, step in enumerate(steps):
            per_byte = multiplying(picture, target)
            before, started = layers, time.process_time()
            layers = step.apply(layers)
            if run:
                seconds.setdefault(number, []).append(time.process_time() - started)
            limits[number] = per_byte * moved(step, before, layers)
    return [(step.name, statistics.median(seconds[number]), limits[number]) for number, step in enumerate(steps)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 megapixels, one run")
    parser.add_argument("--pipelines", default="studio-white,auto,product")
    parser.add_argument("--picture", help="a file instead of the drawn shot")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    bgkit.set_threads(options.threads)
    cv2.setNumThreads(options.threads)
    picture = read_picture(options.picture).image if options.picture else shot(*(QUICK if options.quick else LARGE))
    size = picture.shape[0] * picture.shape[1] / 1e6
    print(f"{processor()}, kernels: {kernels()}, {options.threads} threads, {size:.1f} MP")
    print("| pipeline | stage | processor s | limit s | ratio | |")
    print("|---|---|---|---|---|---|")
    for name in options.pipelines.split(","):
        for stage, seconds, limit in measure(name, picture, 1 if options.quick else options.runs):
            figures = f"{seconds:.3f} | {limit:.3f} | {seconds / limit:.1f}"
            print(f"| {name} | `{stage}` | {figures} | {COMPUTE.get(stage, '')} |", flush=True)


if __name__ == "__main__":
    main()
