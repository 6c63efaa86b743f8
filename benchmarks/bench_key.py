"""The color keys against OpenCV and scikit-image with NumPy: time, memory, agreement.

    python benchmarks/bench_key.py [--quick]

Both sides run in turn in one process; times are medians. Memory is what a call adds at its peak.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from benchmarks.__main__ import machine
from bgkit._ext import key
from bgkit.backdrop import Backdrop, estimate_backdrop
from bgkit.color import luv_from_srgb
from bgkit.stages import chroma_key, color_key, luv_threshold
from bgkit.threads import set_threads

BACKDROP, TOLERANCE, SOFTNESS = (0.86, 0.87, 0.85), 6.0, 30.0


def picture(rows: int, cols: int) -> np.ndarray:
    """A backdrop in uneven light with noise, and a subject in all colors on a third of it."""
    row, col = np.ogrid[:rows, :cols]
    light = 1 - 0.2 * ((row / rows - 0.4) ** 2 + (col / cols - 0.5) ** 2)
    image = (np.array(BACKDROP) * light[..., None]).astype(np.float32)
    rng = np.random.default_rng(0)
    part = np.s_[rows // 3 :, cols // 4 : 3 * cols // 4]
    image[part] = rng.random(image[part].shape, dtype=np.float32)
    return image + rng.random(image.shape, dtype=np.float32) * 0.01


def ours(image: np.ndarray, threads: int) -> np.ndarray:
    targets = np.zeros((1, 3, 6), np.float32)
    targets[0, :, 0] = luv_from_srgb(BACKDROP)
    mask = np.empty(image.shape[:2], np.float32)
    key.luv_key(image, targets, TOLERANCE, SOFTNESS, 0.0, mask, threads)
    return mask


def ours_surface(image: np.ndarray, coefficients: np.ndarray, threads: int) -> np.ndarray:
    mask = np.empty(image.shape[:2], np.float32)
    key.luv_key(image, coefficients, TOLERANCE, SOFTNESS, 0.1, mask, threads)
    return mask


def of_one_color(image: np.ndarray) -> np.ndarray:
    """The stage, asked for no more than :func:`by_opencv` does."""
    color = "#" + "".join(f"{round(255 * value):02x}" for value in BACKDROP)
    return luv_threshold.stage.function(image, key="color", colors=(color,), shadow=0.0)


def ramp(luv: np.ndarray) -> np.ndarray:
    distance = length(luv - luv_from_srgb(BACKDROP).astype(np.float32))
    return np.clip((distance - np.float32(TOLERANCE)) * np.float32(1 / SOFTNESS), 0, 1)


def by_opencv(image: np.ndarray) -> np.ndarray:
    return ramp(cv2.cvtColor(image, cv2.COLOR_RGB2Luv))


def by_scikit_image(image: np.ndarray) -> np.ndarray:
    from skimage.color import rgb2luv

    return ramp(rgb2luv(image))


def whole_by_opencv(image: np.ndarray, backdrop: Backdrop) -> np.ndarray:
    """What ``luv_threshold`` does by default, after the fit: smoothing, an uneven backdrop, shadows.

    Where shadow may be is asked of the stage's own function, which is OpenCV on a copy of 400 px.
    """
    noise = min(backdrop.noise, color_key.QUIET)
    if backdrop.noise > noise:
        image = cv2.GaussianBlur(image, (0, 0), max(backdrop.noise / noise / (2 * np.sqrt(np.pi)), 0.5))
    luv = cv2.cvtColor(image, cv2.COLOR_RGB2Luv)
    behind = backdrop.luv(image.shape).astype(np.float32)
    along = np.einsum("ijk,ijk->ij", luv, behind) / np.einsum("ijk,ijk->ij", behind, behind)
    lit, shaded, hue = (length(luv - np.clip(along, least, 1)[..., None] * behind) for least in (1, 0.9, 0))
    reach, size = float(np.hypot(6, 2 * noise)), tuple(400 * side // max(lit.shape) for side in lit.shape[::-1])
    far, off = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (lit, hue))
    allowed = cv2.GaussianBlur(cv2.resize(color_key._shadow(far, off, reach), lit.shape[::-1]), (0, 0), 1)
    return np.clip((lit - allowed * (lit - shaded) - np.float32(reach)) * np.float32(1 / SOFTNESS), 0, 1)


def length(apart: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ijk,ijk->ij", apart, apart))


PEERS = {"OpenCV + NumPy": by_opencv, "scikit-image + NumPy": by_scikit_image}


def in_turn(calls: dict[str, Callable[[], Any]], runs: int) -> dict[str, float]:
    """Return the median seconds of each call; one round of all of them after another."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(runs + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def peak_mb(call: Callable[[], Any]) -> float:
    """Return what NumPy holds at most during a call (OpenCV's outputs are NumPy arrays too), MB."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def measure(image: np.ndarray, threads: int, runs: int) -> list[tuple[str, str, float, float]]:
    """Return work, peer, seconds of ours, seconds of the peer."""
    set_threads(threads)
    cv2.setNumThreads(threads)
    backdrop = estimate_backdrop(image)
    surface = np.ascontiguousarray(backdrop.coefficients[None], np.float32)
    works: dict[str, Callable[[], Any]] = {
        "one color": lambda: ours(image, threads),
        "surface, shadow": lambda: ours_surface(image, surface, threads),
        "luv_threshold": lambda: luv_threshold.stage.function(image),
        "of one color": functools.partial(of_one_color, image),
        "chroma_key": lambda: chroma_key.stage.function(image),
        "estimate_backdrop": lambda: estimate_backdrop(image),
    }
    peers = {name: functools.partial(peer, image) for name, peer in PEERS.items()}
    peers["OpenCV + NumPy, all steps"] = functools.partial(whole_by_opencv, image, backdrop)
    seconds = in_turn({**works, **peers}, runs)
    pairs = [("one color", name) for name in PEERS] + [("luv_threshold", list(peers)[-1])]
    pairs += [(work, "OpenCV + NumPy") for work in list(works)[1:]]
    return [(work, peer, seconds[work], seconds[peer]) for work, peer in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1 megapixel, three rounds")
    quick = parser.parse_args().quick
    print(f"{machine()}, OpenCV {cv2.__version__}")
    row = "{:18} {:>4} {:>7} {:>9} {:>9}  {:25} {:>6} {:>10} {:>9} {:>10}".format
    print(row("work", "MP", "threads", "bgkit ms", "peer ms", "peer", "ratio", "bgkit MB", "peer MB", "agreement"))
    for shape in [(1000, 1000)] if quick else [(1000, 1000), (3000, 4000)]:
        image = picture(*shape)
        own, mask = peak_mb(functools.partial(ours, image, 1)), ours(image, 1)
        held = {name: peak_mb(functools.partial(peer, image)) for name, peer in PEERS.items()}
        apart = {name: float(np.abs(mask - peer(image)).max()) * SOFTNESS for name, peer in PEERS.items()}
        for threads in (1, 2):
            for work, peer, mine, theirs in measure(image, threads, 3 if quick else 7):
                figures = (f"{mine * 1e3:.1f}", f"{theirs * 1e3:.1f}", peer, f"{theirs / mine:.1f}")
                same = (
                    (f"{own:.0f}", f"{held[peer]:.0f}", f"{apart[peer]:.3f} dE") if work == "one color" else ("",) * 3
                )
                print(row(work, f"{mask.size / 1e6:g}", threads, *figures, *same))


if __name__ == "__main__":
    main()
