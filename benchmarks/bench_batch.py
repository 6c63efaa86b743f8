"""Batches: what a second worker brings, and what a picture costs, for the sums of docs/how-to/scale.md.

    python benchmarks/bench_batch.py [--quick]

The command line over a folder of JPEGs (photographs that come with scikit-image, enlarged). Rates are of the time
between the first and the last picture, so start-up (a row of its own) is left out; all kinds of runs take turns,
and the ratio is that of the medians. Costs are processor seconds of one worker with one thread, which other work on
the machine disturbs least.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.__main__ import machine

ROOT = Path(__file__).resolve().parents[1]
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
CREWS = ((1, 1), (2, 1), (1, 2), (2, 2))  # workers, threads of each
COSTS = (("fast", 1.0), ("auto", 1.0), ("product", 1.0), ("auto", 12.0))  # pipeline, megapixels


def draw(folder: Path, count: int, megapixels: float) -> int:
    """Write pictures and return the bytes of one, on average."""
    folder.mkdir()
    for number, name in zip(range(count), itertools.cycle(PHOTOGRAPHS), strict=False):
        photograph = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2BGR)
        scale = (megapixels * 1e6 / (photograph.shape[0] * photograph.shape[1])) ** 0.5
        large = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.jpg"), large, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return mean_size(folder)


def mean_size(folder: Path) -> int:
    sizes = [path.stat().st_size for path in folder.iterdir() if not path.name.startswith(".")]
    return round(statistics.fmean(sizes))


def run(pictures: Path, pipeline: str, workers: int, threads: int) -> dict[str, float]:
    """Do a folder and return rate, start-up, processor seconds and memory of a picture, and the bytes written."""
    with tempfile.TemporaryDirectory() as place:
        out, report = Path(place, "out"), Path(place, "r.jsonl")
        args = [pictures, "-o", out, "-p", pipeline, "--workers", str(workers), "--report", report, "-q"]
        cores = {"BGKIT_THREADS": str(workers * threads), "OMP_WAIT_POLICY": "passive"}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
        subprocess.run([sys.executable, "-m", "bgkit", "remove", *map(str, args)], cwd=ROOT, check=True,
                       env={**os.environ, **cores})  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        ends = [datetime.datetime.fromisoformat(line["time"]).timestamp() for line in lines]
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "rate": (len(ends) - workers) / (ends[-1] - ends[workers - 1]),
            "start": ends[0] - began,
            "processor": processor,
            "count": len(lines),
            "memory": max(line["memory"] for line in lines),
            "written": mean_size(out),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pictures and runs")
    quick = parser.parse_args().quick
    print(machine())
    count, rounds = (12, 2) if quick else (40, 5)
    with tempfile.TemporaryDirectory() as place:
        pictures = Path(place, "1")
        draw(pictures, count, 1.0)
        found: dict[tuple[int, int], list[dict[str, float]]] = {crew: [] for crew in CREWS}
        for _ in range(rounds):
            for crew in CREWS:
                found[crew].append(run(pictures, "auto", *crew))
        one = statistics.median(each["rate"] for each in found[1, 1])
        print(f"auto, 1 MP, {count} pictures, {rounds} runs in turn")
        print(f"{'workers':>8} {'threads of each':>16} {'pictures/s':>11} {'against 1 x 1':>14} {'first after':>12}")
        for (workers, threads), runs in found.items():
            rate = statistics.median(each["rate"] for each in runs)
            start = statistics.median(each["start"] for each in runs)
            print(f"{workers:>8} {threads:>16} {rate:>11.2f} {rate / one:>13.2f}x {start:>10.1f} s")
        print("\none worker, one thread; start-up left out")
        print(f"{'pipeline':>9} {'MP':>5} {'processor s':>12} {'MB read':>8} {'MB written':>11} {'memory, MB':>11}")
        for number, (pipeline, megapixels) in enumerate(COSTS[:2] if quick else COSTS):
            many, few = (Path(place, f"{number}-{name}") for name in ("many", "few"))
            read = draw(many, 12 if megapixels < 5 else 6, megapixels)
            draw(few, 4, megapixels)
            large, small = run(many, pipeline, 1, 1), run(few, pipeline, 1, 1)
            each = (large["processor"] - small["processor"]) / (large["count"] - small["count"])
            print(f"{pipeline:>9} {megapixels:>5g} {each:>12.2f} {read / 1e6:>8.2f} "
                  f"{large['written'] / 1e6:>11.2f} {large['memory'] / 1e6:>11.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
