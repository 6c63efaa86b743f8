"""``guided_upsample`` on 12 megapixels: time, and how near the contour comes to the truth.

    python benchmarks/bench_upsampling.py [--quick]

The hairy ball of ``bench_matting.py``; its true alpha, reduced to 320 x 320 as a network would give it, is enlarged
bilinearly (the peer, ``cv2.resize``) and then moved to the picture's edges. Boundary IoU (Cheng 2021) of both against
the truth, in bands of 0.3 % and of 2 % of the diagonal. The enlarging is in both times.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from benchmarks.__main__ import machine
from benchmarks.bench_matting import picture
from bgkit.evaluate.boundary import boundary_iou
from bgkit.stages import guided_upsample
from bgkit.threads import set_threads

SIZES = {0.5: (600, 800), 12.0: (3000, 4000)}
RADII = (6.0, 12.0, 20.0)


def seconds_of(call: Callable[[], np.ndarray], runs: int) -> float:
    taken = []
    for _ in range(runs + 1):  # the first warms up
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half a megapixel, three runs")
    options = parser.parse_args()
    print(f"{machine()}, OpenCV {cv2.__version__}")
    row = "{:>5} {:>8} {:>20} {:>9} {:>12} {:>12}".format
    print(row("MP", "threads", "mask", "seconds", "B-IoU 0.3 %", "B-IoU 2 %"))
    size = 0.5 if options.quick else 12.0
    image, alpha, _ = picture(*SIZES[size])
    small = cv2.resize(alpha, (320, 320), interpolation=cv2.INTER_AREA)

    def enlarge() -> np.ndarray:
        return cv2.resize(small, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)

    calls: dict[str, Callable[[], np.ndarray]] = {"bilinear": enlarge}
    for radius in RADII:
        calls[f"guided, radius {radius:g}"] = lambda radius=radius: guided_upsample.stage.function(
            enlarge(), image, radius=radius
        )
    for threads in (1, 2):
        set_threads(threads)
        cv2.setNumThreads(threads)
        for name, call in calls.items():
            seconds = seconds_of(call, 3)
            mask, truth = call() >= 0.5, alpha >= 0.5
            scores = (
                [f"{boundary_iou(mask, truth, share=share):.3f}" for share in (0.003, 0.02)] if threads == 1 else "  "
            )
            print(row(size, threads, name, f"{seconds:.3f}", *scores), flush=True)


if __name__ == "__main__":
    main()
