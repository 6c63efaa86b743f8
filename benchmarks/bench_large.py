"""Whole commands on large pictures: seconds from JPEG to PNG, and memory at most, up to 50 megapixels.

    python benchmarks/bench_large.py [--quick] [--write]

Each run is ``bgkit remove`` as a shell starts it: the start of Python, the networks, reading and writing are counted.
Two studio shots with known alpha are enlarged, one of a smooth subject (GT16) and one with long hair (GT08); without
the data folder, and with ``--quick``, the drawn shot of ``bench_chain.py`` stands in for both. Seconds are the clock's,
medians of three runs in turn, so they want an idle machine; processor seconds stand beside them, which a busy one
raises less. ``--write`` puts the tables into docs/reference/speed.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from benchmarks.__main__ import machine
from benchmarks.bench_chain import QUICK, shot
from benchmarks.pages import write
from benchmarks.quality import data_folder, markdown

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "speed.md"
SUBJECTS = {"smooth": "GT16-white", "long hair": "GT08-white"}
GOALS = {  # seconds at 12 megapixels, smooth and long hair
    "studio-white": (2.0, 3.5),
    "auto": (2.2, 2.2),
    "product": (3.0, 3.0),
    "fast": (1.0, 1.0),
}
SIZES = (1, 4, 12, 24, 50)  # megapixels, of the smooth subject
QUALITY = 92  # of the JPEG


class Run(NamedTuple):
    """One command: the clock's seconds, the processor's, and GB at most."""

    seconds: float
    busy: float
    peak: float


def enlarged(subject: str, megapixels: float, folder: Path, quick: bool) -> Path:
    """Write a subject's shot at a size, once, and return the file."""
    file = folder / f"{subject.replace(' ', '-')}-{megapixels:g}.jpg"
    if not file.exists():
        found = sorted((data_folder() / "test" / "studio" / "images").glob(f"{SUBJECTS[subject]}.*"))
        if quick or not found:
            picture = np.round(255 * shot(*QUICK)[..., ::-1]).astype(np.uint8)
        else:
            picture = cv2.imread(str(found[0]))
        scale = (megapixels * 1e6 / (picture.shape[0] * picture.shape[1])) ** 0.5
        size = tuple(round(side * scale) for side in picture.shape[1::-1])
        cv2.imwrite(
            str(file),
            cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC),
            [cv2.IMWRITE_JPEG_QUALITY, QUALITY],
        )
    return file


def run(pipeline: str, file: Path) -> Run:
    """Run the command once."""
    command = [sys.executable, "-m", "bgkit", "remove", str(file), "-p", pipeline, "-q"]
    target = file.with_name(f"{file.stem}-{pipeline}.png")
    started = time.perf_counter()
    process = subprocess.Popen([*command, "-o", str(target), "--if-exists", "overwrite"])
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3):  # 3: a finding
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * resource_unit() / 1e9)


def resource_unit() -> int:
    """Return the bytes of a unit of ``ru_maxrss``: kilobytes, but on macOS."""
    return 1 if sys.platform == "darwin" else 1024


def middle(runs: list[Run]) -> Run:
    """Return the median of each figure."""
    return Run(*(statistics.median(values) for values in zip(*runs, strict=True)))


def in_turn(jobs: list[tuple[str, Path]], times: int) -> dict[tuple[str, Path], Run]:
    """Run each job some times, one after the other."""
    done: dict[tuple[str, Path], list[Run]] = {job: [] for job in jobs}
    for _ in range(times):
        for job in jobs:
            took = run(*job)
            print(f"{job[0]} {job[1].name}: {took.seconds:.2f} s, {took.peak:.2f} GB", file=sys.stderr, flush=True)
            done[job].append(took)
    return {job: middle(runs) for job, runs in done.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 megapixels, one pipeline, one run")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    options = parser.parse_args()
    most, pipelines, times = (2, ["studio-white"], 1) if options.quick else (12, list(GOALS), 3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {subject: enlarged(subject, most, folder, options.quick) for subject in SUBJECTS}
        done = in_turn([(pipeline, file) for pipeline in pipelines for file in files.values()], times)
        rows = []
        for pipeline in pipelines:
            for (subject, file), goal in zip(files.items(), GOALS[pipeline], strict=True):
                took = done[pipeline, file]
                rows.append(
                    {
                        "pipeline": pipeline,
                        "subject": subject,
                        "s": f"{took.seconds:.1f}",
                        "goal": f"{goal:.1f}",
                        "processor s": f"{took.busy:.1f}",
                        "GB": f"{took.peak:.2f}",
                    }
                )
        parts = {"bars": f"{said()}\n\n{markdown(rows)}"}
        small = enlarged("smooth", 0.25, folder, options.quick)
        parts["first"] = f"{said()}\n\n{markdown(first_pictures(pipelines, small, times))}"
        if not options.quick:
            sizes = {size: enlarged("smooth", size, folder, False) for size in SIZES}
            done = in_turn([(pipeline, file) for file in sizes.values() for pipeline in GOALS], 1)
            cells = [{"MP": f"{size:g}"} for size in sizes]
            for row, file in zip(cells, sizes.values(), strict=True):
                for pipeline in GOALS:
                    took = done[pipeline, file]
                    row[pipeline] = f"{took.seconds:.1f} s, {took.peak:.2f} GB"
            parts["growth"] = f"{said()}\n\n{markdown(cells)}"
    print("\n\n".join(parts.values()))
    if options.write:
        put(parts)


def first_pictures(pipelines: list[str], file: Path, times: int) -> list[dict[str, str]]:
    """Return what one small picture takes, with the machine's page cache emptied before it where that is allowed."""
    rows = []
    for pipeline in pipelines:
        cold = [run(pipeline, file) for _ in range(times) if emptied()]
        warm = middle([run(pipeline, file) for _ in range(times)])
        row = {"pipeline": pipeline, "s": f"{warm.seconds:.2f}", "processor s": f"{warm.busy:.2f}"}
        rows.append(row | {"cold, s": f"{middle(cold).seconds:.2f}" if cold else ""})
    return rows


def emptied() -> bool:
    """Let the machine forget what it has read of its disk; tell whether it may be asked to (as root, on Linux)."""
    try:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except (OSError, AttributeError):
        return False
    return True


def said() -> str:
    """Return what a table must say of where and when it was measured."""
    load = f", load {os.getloadavg()[0]:.0f} at the end" if hasattr(os, "getloadavg") else ""
    return f"Measured on {datetime.date.today():%Y-%m-%d}: {machine()}{load}."


def put(parts: dict[str, str]) -> None:
    """Write some of the page's blocks."""
    write(PAGE, parts)


if __name__ == "__main__":
    main()
