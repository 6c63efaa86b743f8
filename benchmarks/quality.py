"""Error and time of the shipped pipelines on pictures with known truth.

    python benchmarks/quality.py --pipelines auto,fast --sets ecssd,studio --limit 20 --workers 2

Sets (under ``BGKIT_DATA``, by default ``../shared/data`` beside the checkout; see its README):

- ``ecssd``: F max, F mean, MAE, IoU of alpha against the mask
- ``studio`` and ``studio-hard``: mean SAD/1000 of alpha over the frame, by kind of shot, and how many shots are
  ``lost``, with an error above half of the subject; Grad/1000, which shows fringes that SAD does not; ``stairs``, how
  much larger the steps of alpha are at the borders of the JPEG's blocks than elsewhere along soft edges (1: as large);
  root mean square error of the subject's color where the true alpha is above 0, in levels of 255
- ``matting``: mean SAD/1000 and Grad/1000 of alpha over the frame

A plate is handed only to pipelines that cannot do without (with ``--plates`` also to those that may
use one). Prints a Markdown table, and writes it where ``--output`` says after every line. Seconds are
medians; ``CPU s`` counts all threads and holds also on a busy machine. A pipeline that cannot run
gets a line that says why.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import bgkit
from benchmarks.pages import block, write
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import Score, score, summarize
from bgkit.evaluate.samples import Dataset, Sample

SETS = {
    "ecssd": ("ecssd", "test/ecssd"),
    "studio": ("studio", "test/studio"),
    "studio-hard": ("studio", "test/studio-hard"),
    "matting": ("alphamatting", "test/matting"),
}
PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "quality.md"
MEASURED = ("mae", "f_max", "f_mean", "iou", "sad", "grad", "foreground_mse")


@dataclass
class Run:
    """What came of one picture."""

    kind: str
    seconds: float
    cpu: float = 0.0
    score: Score | None = None
    error: str = ""
    lost: bool = False  # an error above half of the subject
    stairs: float = 1.0


def data_folder() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("BGKIT_DATA", default))


@functools.cache
def pipeline(name: str) -> bgkit.Pipeline:
    return bgkit.load_pipeline(name)


def wants_plate(name: str, optional: bool) -> bool:
    uses = any("plate" in step.stage.uses for step in pipeline(name).steps)
    return "plate" in pipeline(name).needs() or (optional and uses)


def measure(name: str, plates: bool, sample: Sample) -> Run:
    """Run one pipeline on one picture; loading and scoring are outside the timed part."""
    image, truth = sample.read_image(), sample.read_truth()
    brought = {"plate": sample.read_plate()} if wants_plate(name, plates) else {}
    started, busy = time.perf_counter(), time.process_time()
    try:
        layers = pipeline(name).run(image, **brought)
    except bgkit.BgkitError as error:
        return Run(sample.kind, time.perf_counter() - started, error=str(error))
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    color = sample.read_foreground()
    colors = None if color is None or layers.foreground is None else (layers.foreground, color)
    names = MEASURED if colors else MEASURED[:-1]
    found = score(layers.alpha, truth, names=names, colors=colors)
    lost = float(abs(layers.alpha - truth).sum()) > truth.sum() / 2
    return Run(sample.kind, seconds, busy, found, lost=lost, stairs=stairs(layers.alpha, truth))


def stairs(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean step of alpha across the borders of blocks of 8 pixels over that elsewhere, near soft edges."""
    soft = cv2.dilate(((truth > 0.02) & (truth < 0.98)).astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    steps: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for values, near in ((alpha, soft), (alpha.T, soft.T)):
        border = np.arange(1, len(values)) % 8 == 0
        taken = np.abs(np.diff(values, axis=0)), near[1:] & near[:-1]
        for on, found in steps.items():
            of_rows, where = (each[border == on] for each in taken)
            found.append(of_rows[where])
    at_borders, elsewhere = (np.concatenate(steps[on]) for on in (True, False))
    return float(at_borders.mean() / elsewhere.mean()) if at_borders.size and elsewhere.any() else 1.0


def prepare_worker(threads: int) -> None:
    bgkit.set_threads(threads)


def run_all(name: str, samples: Iterable[Sample], workers: int, plates: bool) -> list[Run]:
    one = functools.partial(measure, name, plates)
    if workers == 1:
        return [one(sample) for sample in samples]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(workers, prepare_worker, (max(1, cores // workers),)) as pool:
        return pool.map(one, samples, chunksize=1)


def row(name: str, dataset: str, runs: list[Run]) -> dict[str, str]:
    """Return the cells of one line."""
    done = [run for run in runs if run.score is not None]
    cells = {"set": dataset, "pipeline": name, "pictures": str(len(done))}
    if done:
        figures = summarize([run.score for run in done])
        if dataset == "ecssd":
            cells |= {
                title: f"{figures[key]:.4f}"
                for key, title in (("f_max", "F max"), ("f_mean", "F mean"), ("mae", "MAE"), ("iou", "IoU"))
            }
        else:
            cells["SAD"] = f"{figures['sad']:.2f}"
            for kind in dict.fromkeys(run.kind for run in done if run.kind):
                cells[kind] = f"{summarize([run.score for run in done if run.kind == kind])['sad']:.2f}"
            cells["Grad"] = f"{figures['grad'] / 1000:.2f}"
            cells["stairs"] = f"{statistics.mean(run.stairs for run in done):.2f}"
            cells["lost"] = str(sum(run.lost for run in done))
            if "foreground_mse" in figures:
                cells["color"] = f"{255 * figures['foreground_mse'] ** 0.5:.2f}"
        cells["s/picture"] = f"{statistics.median(run.seconds for run in done):.3f}"
        cells["CPU s"] = f"{statistics.median(run.cpu for run in done):.3f}"
    failed = [run for run in runs if run.score is None]
    if failed:
        lacking = re.search(r"needs the layer '(\w+)'", failed[0].error)
        cells["failed"] = f"{len(failed)}: {f'needs {lacking[1]}' if lacking else failed[0].error}"
    return cells


def markdown(rows: list[dict[str, str]]) -> str:
    columns = list(dict.fromkeys(name for cells in rows for name in cells))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += [
        "| " + " | ".join(cells.get(name, "").replace("|", "/").replace("\n", " ") for name in columns) + " |"
        for cells in rows
    ]
    return "\n".join(lines)


def read_table(text: str) -> list[dict[str, str]]:
    """Return the lines of a table that :func:`markdown` made, without their empty cells."""
    rows = (line.strip().removeprefix("|").removesuffix("|").split("|") for line in text.splitlines())
    lines = [[cell.strip() for cell in cells] for cells in rows]
    return [{title: cell for title, cell in zip(lines[0], cells, strict=True) if cell} for cells in lines[2:]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", help="names or YAML files, by comma; default: all shipped")
    parser.add_argument("--sets", default="ecssd,studio,studio-hard,matting")
    parser.add_argument("--limit", type=int, help="at most so many pictures of each set, spread over it")
    parser.add_argument("--workers", type=int, default=1, help="processes; times are meant for 1")
    parser.add_argument("--plates", action="store_true", help="hand the plate to every pipeline that takes one")
    parser.add_argument("--quick", action="store_true", help="4 pictures of each set")
    parser.add_argument("--output", type=Path, help="write the Markdown here too")
    parser.add_argument("--write", action="store_true", help=f"put these lines into the tables of {PAGE.name}")
    options = parser.parse_args()
    if options.write and (options.limit or options.quick):
        parser.error("--write wants all pictures of a set: leave out --limit and --quick")
    if options.pipelines:
        names = options.pipelines.split(",")
    else:
        from bgkit.pipelinefile import shipped

        names = shipped()
    limit = 4 if options.quick else options.limit
    head = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.workers} worker(s)"
    print(head, file=sys.stderr)
    tables: list[list[dict[str, str]]] = []

    def report() -> str:
        return f"{head}\n\n" + "\n\n".join(markdown(rows) for rows in tables if rows) + "\n"

    for kind in options.sets.split(","):
        layout, folder = SETS[kind]
        samples = spread(open_dataset(layout, data_folder() / folder), limit)
        tables.append([])
        for name in names:
            try:
                pipeline(name)
                tables[-1].append(row(name, kind, run_all(name, samples, options.workers, options.plates)))
            except bgkit.BgkitError as error:
                tables[-1].append({"set": kind, "pipeline": name, "failed": str(error)})
            print(tables[-1][-1], file=sys.stderr, flush=True)
            if options.output:
                options.output.write_text(report())
    print(report())
    if options.write:
        parts = {}
        for rows in tables:
            kept = read_table(block(PAGE.read_text("utf-8"), rows[0]["set"]))
            parts[rows[0]["set"]] = markdown(list({each["pipeline"]: each for each in (*kept, *rows)}.values()))
        write(PAGE, parts, some=options.pipelines is not None)
    return 0


def spread(dataset: Dataset, limit: int | None) -> list[Sample]:
    """Return at most ``limit`` samples, evenly over the set and over its kinds."""
    every = sorted(dataset, key=lambda sample: (sample.kind, sample.name))
    if limit is None or limit >= len(every):
        return every
    return [every[index * len(every) // limit] for index in range(limit)]


if __name__ == "__main__":
    sys.exit(main())
