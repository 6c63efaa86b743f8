"""What surrounds the embedded network: the time of ``cnn_mask`` and the share of it spent in ONNX Runtime.

    python benchmarks/bench_network.py [--quick]

One process, one thread, medians of processor time, which other work on the machine disturbs least. The
peer is the usual script: OpenCV's INTER_AREA, NumPy normalization, the same session, INTER_LINEAR back.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from bgkit import stages
from bgkit.models.session import Network, network
from bgkit.threads import set_threads

ROOT = Path(__file__).resolve().parents[1]
FIRST_USE = """
import time; start = time.perf_counter()
import numpy as np, bgkit.stages.network; imported = time.perf_counter()
from bgkit.models.session import network; import onnxruntime; runtime = time.perf_counter()
network("coarse"); made = time.perf_counter()
bgkit.stages.network.cnn_mask(np.zeros((300, 400, 3), np.float32)); ran = time.perf_counter()
print(*(round(1000 * (b - a)) for a, b in zip((start, imported, runtime, made), (imported, runtime, made, ran))))
"""


def script(chosen: Network, image: np.ndarray) -> np.ndarray:
    """The usual way around the same network."""
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    small = (cv2.resize(image, chosen.card.input.fixed, interpolation=cv2.INTER_AREA) - mean) / deviation
    feed = np.ascontiguousarray(small.transpose(2, 0, 1)[None])
    both = chosen._call([np.concatenate([feed, feed[:, :, :, ::-1]])])[0][:, 0]
    both = 1 / (1 + np.exp(-both))
    return cv2.resize((both[0] + both[1][:, ::-1]) / 2, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and runs")
    quick = parser.parse_args().quick
    set_threads(1)
    cv2.setNumThreads(1)
    chosen = network("coarse")
    inside = [0.0]
    call = chosen._call

    def watched(feeds: list[np.ndarray]) -> list[np.ndarray]:
        start = time.process_time()
        try:
            return call(feeds)
        finally:
            inside[0] += 1000 * (time.process_time() - start)

    chosen._call = watched  # type: ignore[method-assign]
    print("MP     cnn_mask ms  network ms  share  script ms  ratio  agreement  peak MB")
    for rows, cols in [(1000, 1000), (3000, 4000)] if quick else [(500, 500), (1000, 1000), (3000, 4000), (4000, 6000)]:
        image = np.random.default_rng(0).random((rows, cols, 3), np.float32)
        ours: list[float] = []
        theirs: list[float] = []
        network_only: list[float] = []
        for _ in range(5 if quick else 15):
            inside[0] = 0.0
            ours.append(timed(lambda image=image: stages.cnn_mask.stage.function(image)))
            network_only.append(inside[0])
            theirs.append(timed(lambda image=image: script(chosen, image)))
        total, only, peer = (statistics.median(times) for times in (ours, network_only, theirs))
        worst = np.abs(stages.cnn_mask.stage.function(image) - script(chosen, image)).max()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{rows * cols / 1e6:5.2f}  {total:11.1f}  {only:10.1f}  {only / total:5.0%}  {peer:9.1f}  "
            f"{peer / total:5.2f}  {worst:9.1e}  {peak:7.0f}"
        )
    first = subprocess.check_output([sys.executable, "-c", FIRST_USE], cwd=ROOT, text=True).split()
    print(
        f"first use, wall ms: import the stage {first[0]}, ONNX Runtime {first[1]}, session {first[2]}, run {first[3]}"
    )


if __name__ == "__main__":
    main()
