"""A whole chain, 12 megapixels from JPEG to PNG: seconds and share of every stage, peak memory.

    python benchmarks/bench_chain.py [--quick] [--pipeline studio-white]

The shot is a drawn one: the hairy ball of ``bench_matting.py`` on a white ground whose light falls off, noise, JPEG.
Each number of threads gets a process of its own, which does a small picture first (loading and compiling stay outside)
and then the large one several times; seconds are medians. Memory is the peak of the whole process, Python, libraries,
picture and all (Linux only). What the file is read from and written to lies in memory's cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import bgkit
from benchmarks.__main__ import machine
from benchmarks.bench_matting import in_kb, picture
from bgkit.imagefile import read_picture, write_picture

LARGE, QUICK, SMALL = (3000, 4000), (1200, 1600), (300, 400)


def shot(rows: int, cols: int) -> np.ndarray:
    """The hairy ball before a white ground with falloff, float32."""
    image, alpha, _ = picture(rows, cols)
    row, col = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j]
    ground = (0.95 - 0.12 * np.float32(row**2 + col**2))[..., None] * np.float32([1, 0.995, 0.985])
    noise = np.random.default_rng(3).normal(0, 0.006, ground.shape).astype(np.float32)
    return np.clip(alpha[..., None] * image * 0.6 + (1 - alpha[..., None]) * ground + noise, 0, 1)


def run_once(name: str, source: Path, target: Path) -> dict[str, float]:
    """Return the seconds of reading, each stage, and writing."""
    seconds: dict[str, float] = {}
    chain = bgkit.load_pipeline(name)
    started = time.perf_counter()
    image = read_picture(source).image
    seconds["read"] = time.perf_counter() - started
    layers = chain.run(image, on_step=lambda step, _, taken: seconds.update({step.name: taken}))
    started = time.perf_counter()
    layers.save(target)
    seconds["write"] = time.perf_counter() - started
    return seconds


def measure(name: str, folder: Path, threads: int, runs: int) -> None:
    """Print medians and peak memory as JSON: what a fresh process is started for."""
    bgkit.set_threads(threads)
    cv2.setNumThreads(threads)
    target = folder / f"out-{threads}.png"
    run_once(name, folder / "small.jpg", target)
    found = [run_once(name, folder / "large.jpg", target) for _ in range(runs)]
    medians = {key: statistics.median(each[key] for each in found) for key in found[0]}
    peak = in_kb("VmHWM") / 1024 if Path("/proc/self/status").exists() else float("nan")
    print(json.dumps({"seconds": medians, "peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 megapixels, one run")
    parser.add_argument("--pipeline", default="studio-white")
    parser.add_argument("--measure", nargs=3, metavar=("FOLDER", "THREADS", "RUNS"), help="one process's part only")
    options = parser.parse_args()
    if options.measure:
        folder, threads, runs = options.measure
        measure(options.pipeline, Path(folder), int(threads), int(runs))
        return
    rows, cols = QUICK if options.quick else LARGE
    print(machine())
    print(f"{options.pipeline}, {rows * cols / 1e6:.1f} MP, JPEG to PNG")
    with tempfile.TemporaryDirectory() as folder:
        write_picture(Path(folder) / "large.jpg", shot(rows, cols))
        write_picture(Path(folder) / "small.jpg", shot(*SMALL))
        line = "{:18} {:>7} {:>9} {:>7}".format
        for threads in (1, 2):
            command = [sys.executable, __file__, "--pipeline", options.pipeline]
            command += ["--measure", folder, str(threads), "1" if options.quick else "3"]
            done = subprocess.run(command, capture_output=True, check=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            total = sum(found["seconds"].values())
            print(line("work", "threads", "seconds", "share"))
            for work, seconds in found["seconds"].items():
                print(line(work, threads, f"{seconds:.3f}", f"{seconds / total:.1%}"))
            print(line("all", threads, f"{total:.3f}", "100%") + f"   peak {found['peak']:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
