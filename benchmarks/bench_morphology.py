"""Opening, holes and specks beside OpenCV, SciPy and scikit-image: milliseconds and agreement.

    python benchmarks/bench_morphology.py [--quick]

Both sides run in alternation in one process, on one thread; the table holds medians of processor time,
which other work on the machine disturbs least. Masks are soft blobs, and the same cut at one half.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from scipy import ndimage
from skimage import morphology as skimage

from bgkit import stages
from bgkit.threads import set_threads

Work = Callable[[], np.ndarray]


def blobs(side: int) -> np.ndarray:
    """Return a soft mask, a tenth of it neither 0 nor 1, with blobs of any size and specks."""
    rng = np.random.default_rng(0)
    noise = sum(
        cv2.resize(rng.standard_normal((n, n)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        for n in (6, 20, 60)
    )
    return np.clip(0.5 + 8 * noise, 0, 1)


def opening(mask: np.ndarray, pixels: int) -> np.ndarray:
    return stages.opening.stage.function(mask, radius=1000 * pixels / math.hypot(*mask.shape))


def opening_cv(mask: np.ndarray, pixels: int) -> np.ndarray:
    disk = skimage.disk(pixels)
    return cv2.dilate(cv2.erode(mask, disk), disk)


def opening_by_distance(mask: np.ndarray, pixels: int) -> np.ndarray:
    """The usual way without a disk: SciPy's exact distance transform, twice."""
    eroded = ndimage.distance_transform_edt(mask) > pixels
    return ndimage.distance_transform_edt(~eroded) <= pixels


def filling_cv(mask: np.ndarray) -> np.ndarray:
    """Fill from outside; what the flood does not reach is subject or hole."""
    padded = np.pad(mask, 1)
    cv2.floodFill(padded, None, (0, 0), 2, flags=4)
    return padded[1:-1, 1:-1] != 2


def removing_scipy(mask: np.ndarray) -> np.ndarray:
    """What scikit-image's remove_small_objects does, too."""
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    return mask & (np.bincount(labels.ravel()) >= 500)[labels]


def removing_cv(mask: np.ndarray) -> np.ndarray:
    """By OpenCV's statistics."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    stay = stats[:, cv2.CC_STAT_AREA] >= 500
    stay[0] = False
    return stay[labels]


def works(soft: np.ndarray, quick: bool) -> dict[str, tuple[Work, dict[str, Work]]]:
    """Return our call and the peers' for each work; every call of one work gives the same mask."""
    hard = (soft >= 0.5).astype(np.float32)
    byte = hard.astype(np.uint8)
    boolean = byte.astype(bool)
    share = 100 * 500 / soft.size
    fill, remove = stages.fill_holes.stage.function, stages.remove_small.stage.function
    table: dict[str, tuple[Work, dict[str, Work]]] = {}
    for pixels in (2, 5, 25) if quick else (2, 5, 10, 25, 60, 100):
        peers: dict[str, Work] = {"OpenCV uint8": lambda p=pixels: opening_cv(byte, p)} if pixels <= 60 else {}
        peers["SciPy distance"] = lambda p=pixels: opening_by_distance(boolean, p)
        table[f"opening, {pixels} px, hard"] = (lambda p=pixels: opening(hard, p), peers)
        soft_peers: dict[str, Work] = {"OpenCV float": lambda p=pixels: opening_cv(soft, p)} if pixels <= 25 else {}
        table[f"opening, {pixels} px, soft"] = (lambda p=pixels: opening(soft, p), soft_peers)
    table["all holes, hard"] = (
        lambda: fill(hard, max_area=100.0),
        {"SciPy": lambda: ndimage.binary_fill_holes(boolean), "OpenCV flood": lambda: filling_cv(byte)},
    )
    table["holes to 500 px, soft"] = (lambda: fill(soft, max_area=share), {})
    table["specks to 500 px, hard"] = (
        lambda: remove(hard, area=share),
        {"SciPy": lambda: removing_scipy(boolean), "OpenCV": lambda: removing_cv(byte)},
    )
    table["specks to 500 px, soft"] = (
        lambda: remove(soft, area=share),
        {"scikit-image": lambda: skimage.area_opening(soft, 500, connectivity=2)},
    )
    return table


def peak_mb(work: Work) -> float:
    """Return what NumPy holds at most during a call (OpenCV's outputs are NumPy arrays too), MB."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def milliseconds(work: Work) -> float:
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1 MP only, three runs")
    quick = parser.parse_args().quick
    set_threads(1)
    cv2.setNumThreads(1)
    head = f"{'work':26} {'MP':>4} {'bgkit ms':>9} {'MB':>5}  {'peer':15} {'ms':>9} {'ratio':>6} {'MB':>5}  same pixels"
    print(head)
    for side in (1000,) if quick else (1000, 3464):
        for name, (ours, peers) in works(blobs(side), quick).items():
            given = ours()
            agreement = {peer: float((given == work()).mean()) for peer, work in peers.items()}
            turns = [[milliseconds(work) for work in (ours, *peers.values())] for _ in range(3 if quick else 5)]
            mine, *theirs = (statistics.median(column) for column in zip(*turns, strict=True))
            start = f"{name:26} {side * side / 1e6:4.0f} {mine:9.2f} {peak_mb(ours):5.0f}"
            print(start if not peers else "", end="\n" if not peers else "")
            for peer, took in zip(peers, theirs, strict=True):
                same = f"{peak_mb(peers[peer]):5.0f}  {agreement[peer]:.4%}"
                print(f"{start}  {peer:15} {took:9.2f} {took / mine:6.1f} {same}", flush=True)


if __name__ == "__main__":
    main()
