"""Batches: what a second worker brings, and what a picture costs, for the sums of docs/how-to/scale.md.

    python benchmarks/bench_batch.py [--quick] [--write]

The command line over a folder of JPEGs (photographs that come with scikit-image, enlarged). Rates are of the time
between the first and the last picture, so start-up (a row of its own) is left out; all kinds of runs take turns,
and the ratio is that of the medians. Costs are processor seconds of one worker with one thread, which other work on
the machine disturbs least. ``--write`` puts the tables into docs/how-to/scale.md.
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
from collections.abc import Sequence
from pathlib import Path

import cv2
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bench_large import said
from benchmarks.pages import write
from benchmarks.quality import markdown

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-to" / "scale.md"
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


def rates(pictures: Path, count: int, rounds: int) -> str:
    """Return the table of crews."""
    found: dict[tuple[int, int], list[dict[str, float]]] = {crew: [] for crew in CREWS}
    for _ in range(rounds):
        for crew in CREWS:
            found[crew].append(run(pictures, "auto", *crew))
    one = statistics.median(each["rate"] for each in found[1, 1])
    rows = []
    for (workers, threads), runs in found.items():
        rate, start = (statistics.median(each[name] for each in runs) for name in ("rate", "start"))
        row = {"workers": workers, "threads of each": threads, "pictures a second": f"{rate:.2f}"}
        row |= {"against one worker of one thread": f"{rate / one:.2f}"}
        rows.append({title: str(cell) for title, cell in row.items()} | {"first after, s": f"{start:.1f}"})
    return f"{said()} `auto`, {count} pictures of 1 MP, medians of {rounds} runs in turn.\n\n{markdown(rows)}"


def costs(place: Path, kinds: Sequence[tuple[str, float]]) -> tuple[str, dict[tuple[str, float], dict[str, float]]]:
    """Return the table of what a picture costs, and its figures."""
    found: dict[tuple[str, float], dict[str, float]] = {}
    for number, (pipeline, megapixels) in enumerate(kinds):
        many, few = (Path(place, f"{number}-{name}") for name in ("many", "few"))
        read = draw(many, 12 if megapixels < 5 else 6, megapixels)
        draw(few, 4, megapixels)
        large, small = run(many, pipeline, 1, 1), run(few, pipeline, 1, 1)
        each = (large["processor"] - small["processor"]) / (large["count"] - small["count"])
        found[pipeline, megapixels] = {"s": each, "memory": large["memory"], "read": read, "written": large["written"]}
    rows = [
        {
            "pipeline": f"`{pipeline}`",
            "MP": f"{megapixels:g}",
            "processor seconds, one thread": f"{each['s']:.2f}",
            "memory of the process at most, MB": f"{each['memory'] / 1e6:.0f}",
            "read (JPEG), MB": f"{each['read'] / 1e6:.2f}",
            "written (PNG), MB": f"{each['written'] / 1e6:.2f}",
        }
        for (pipeline, megapixels), each in found.items()
    ]
    return f"{said()}\n\n{markdown(rows)}", found


def sums(cost: dict[str, float], count: int = 1_000_000, share: float = 0.7) -> str:
    """Return the table of formulas, with what they give for so many pictures a day."""
    seconds, memory = cost["s"], cost["memory"] / 1e9
    moved = (cost["read"] + cost["written"]) / 1e6
    cores, rate = count * seconds / (86_400 * share), count * moved / 86_400
    whole = -(-cores // 1)
    rows = [
        ("cores", "n · t / (86,400 · u)", f"10⁶ · {seconds:.2f} / (86,400 · {share}) = {cores:.1f}"),
        ("memory", "cores · memory of a process", f"{whole:.0f} · {memory:.2f} = {whole * memory:.1f} GB"),
        ("network, mean", "n · (r + w) / 86,400", f"10⁶ · {moved:.2f} MB / 86,400 = {rate:.1f} MB/s"),
        ("storage, a day", "n · w", f"{count * cost['written'] / 1e12:.2f} TB"),
    ]
    titles = "what", "formula", "a million with `auto`, 1 MP"
    return markdown([dict(zip(titles, row, strict=True)) for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pictures and runs")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    options = parser.parse_args()
    count, rounds = (12, 2) if options.quick else (40, 3)
    with tempfile.TemporaryDirectory() as place:
        pictures = Path(place, "1")
        draw(pictures, count, 1.0)
        parts = {"workers": rates(pictures, count, rounds)}
        parts["costs"], found = costs(Path(place), COSTS[:2] if options.quick else COSTS)
        parts["sums"] = sums(found["auto", 1.0])
    print("\n\n".join(parts.values()))
    if options.write:
        write(PAGE, parts)


if __name__ == "__main__":
    main()
