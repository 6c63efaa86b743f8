"""Dense CRF against pydensecrf: time, memory and agreement.

    python benchmarks/bench_crf.py [--quick] [--cpu]

Both sides run in alternation in one process; a row shows the medians. Memory is how far a process of its own
rises above what it held before the call. ``--cpu`` counts processor seconds in place of the clock's, one thread
only, for a machine that has other work to do.
"""

import argparse
import ctypes
import functools
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from skimage import data

import bgkit
from benchmarks.__main__ import machine
from bgkit.stages.crf import dense_crf

SETTINGS = {"spatial_std": 3, "spatial_weight": 3, "position_std": 80, "color_std": 13, "bilateral_weight": 10}
ITERATIONS = 5


def scene(name, megapixels):
    """Return a photograph of scikit-image in that size, uint8, and a mask that follows its light, float32."""
    picture = getattr(data, name)()
    scale = (megapixels * 1e6 / (picture.shape[0] * picture.shape[1])) ** 0.5
    way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=way)
    light = cv2.GaussianBlur(picture.astype(np.float32).mean(2) / 255, (0, 0), 12 * scale)
    return picture, (1 / (1 + np.exp(-12 * (light - light.mean())))).astype(np.float32)


def ours(picture, mask, **settings):
    return dense_crf.stage.function(picture, mask, iterations=ITERATIONS, tolerance=0, **SETTINGS, **settings)


def peer(picture, mask):
    from pydensecrf.densecrf import DenseCRF2D
    from pydensecrf.utils import unary_from_softmax

    crf = DenseCRF2D(mask.shape[1], mask.shape[0], 2)
    crf.setUnaryEnergy(unary_from_softmax(np.stack([1 - mask, mask])))
    crf.addPairwiseGaussian(sxy=SETTINGS["spatial_std"], compat=SETTINGS["spatial_weight"])
    crf.addPairwiseBilateral(
        sxy=SETTINGS["position_std"], srgb=SETTINGS["color_std"], rgbim=picture, compat=SETTINGS["bilateral_weight"]
    )
    return np.array(crf.inference(ITERATIONS), copy=False)[1].reshape(mask.shape)


def peak_memory(side, name, megapixels, threads=1, resolution=0):
    """Return how far a process's memory rises above what it held before the call, in MB, or NaN off Linux."""
    command = [sys.executable, __file__, "--memory-of", side, name, str(megapixels), str(resolution)]
    env = {**os.environ, "BGKIT_THREADS": str(threads)}
    run = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return float(run.stdout) if run.returncode == 0 else float("nan")


def _print_peak(side, name, megapixels, resolution):
    picture, mask = scene(name, float(megapixels))
    call = peer
    if side == "ours":
        call = functools.partial(ours, resolution=int(resolution))
        picture = picture.astype(np.float32) / 255
    call(np.ascontiguousarray(picture[:64, :64]), np.ascontiguousarray(mask[:64, :64]))  # imports
    ctypes.CDLL(None).malloc_trim(0)  # what was freed and kept would hide what is needed
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    call(picture, mask)
    print((_status("VmHWM") - before) / 1024)


def _status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field))


def measure(megapixels, name, threads, runs, clock):
    picture, mask = scene(name, megapixels)
    share = picture.astype(np.float32) / 255
    bgkit.set_threads(threads)
    mine, theirs = [], []
    for _ in range(runs):
        for call, image, times in ((ours, share, mine), (peer, picture, theirs)):
            start = clock()
            result = call(image, mask)
            times.append(clock() - start)
            if call is ours:
                first = result
    equal = ((first > 0.5) == (result > 0.5)).mean()
    return statistics.median(mine), statistics.median(theirs), equal, np.abs(first - result).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and runs")
    parser.add_argument("--cpu", action="store_true", help="processor seconds, one thread")
    parser.add_argument("--memory-of", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        _print_peak(*arguments.memory_of)
        return
    clock = time.process_time if arguments.cpu else time.perf_counter
    sizes = (0.25, 1) if arguments.quick else (0.25, 1, 4)
    names = ("astronaut",) if arguments.quick else ("astronaut", "coffee")
    print(machine())
    print(
        f"{'dense CRF, 5 iterations':<24}{'MP':>6}{'threads':>8}{'bgkit ms':>10}{'peer ms':>9}{'ratio':>7}"
        f"{'MB':>7}{'peer MB':>8}{'equal labels':>14}{'mean |dQ|':>11}"
    )
    for name in names:
        for megapixels in sizes:
            memory = peak_memory("ours", name, megapixels), peak_memory("peer", name, megapixels)
            for threads in (1,) if arguments.cpu else (1, 2):
                mine, theirs, equal, moved = measure(megapixels, name, threads, 3 if arguments.quick else 7, clock)
                print(
                    f"{name:<24}{megapixels:>6}{threads:>8}{mine * 1e3:>10.1f}{theirs * 1e3:>9.1f}{theirs / mine:>7.1f}"
                    f"{memory[0]:>7.0f}{memory[1]:>8.0f}{equal:>14.4%}{moved:>11.1e}",
                    flush=True,
                )
    _large(clock, arguments)


def _large(clock, arguments):
    """Print time and memory at 12 and 24 MP, at full size and reduced, and what reducing changes."""
    threads = 1 if arguments.cpu else 2
    bgkit.set_threads(threads)
    for megapixels in (12,) if arguments.quick else (12, 24):
        picture, mask = scene("coffee", megapixels)
        picture = picture.astype(np.float32) / 255
        full = None
        for resolution in (0, 1000) if arguments.quick else (0, 2000, 1000, 500):
            start = clock()
            result = ours(picture, mask, resolution=resolution)
            took = clock() - start
            full = result if full is None else full
            changed = ((full > 0.5) != (result > 0.5)).mean()
            memory = peak_memory("ours", "coffee", megapixels, threads, resolution)
            side = str(resolution) if resolution else "full"
            print(
                f"{'longest side ' + side:<24}{megapixels:>6}{threads:>8}{took * 1e3:>10.1f}{'':16}{memory:>7.0f}"
                f"    labels other than at full size: {changed:.3%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
