"""How well confidence without truth predicts error, and the fit that ``bgkit.comparison.confidence`` holds.

    python benchmarks/confidence.py --limit 100 --workers 2 --write

Runs pipelines over pictures with truth (``BGKIT_DATA``, by default ``../shared/data`` beside the
checkout), reads the signs of each result, and fits by cross-validation: no picture's results are
predicted by a fit that has seen that picture. Prints rank correlations, the area under the curve of
telling good results from bad, and the risk-coverage curve; then the fit on all. ``--write`` puts the fit
into ``bgkit/comparison/confidence.py`` and the figures into ``docs/explanation/confidence.md``: do so whenever the
embedded network changed. ``--cache`` keeps the results, so that a stopped run goes on; results of
another network are measured anew.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import bgkit
from benchmarks.pages import with_fit, write
from bgkit.comparison.confidence import GOOD, rank_correlation, risk_coverage
from bgkit.comparison.signs import signs, witnesses
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import score
from bgkit.logistic import auc, crossed, fit_logistic
from bgkit.removal import read_layers

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"strength": 1.0, "least_spread": 0.05}  # of the fit
PAGE, CODE = ROOT / "docs" / "explanation" / "confidence.md", ROOT / "bgkit" / "comparison" / "confidence.py"
SETS = {"ecssd": "test/ecssd", "studio": "test/studio"}
FOLDS = 5


def data_folder() -> Path:
    return Path(os.environ.get("BGKIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def work_of(limit: int, quick: bool) -> list[tuple[str, str, Path, Path]]:
    """The pictures, evenly over each set; alternating, so that a stopped run is fair."""
    found = []
    for name, folder in SETS.items():
        samples = list(open_dataset(name, data_folder() / folder))
        count = min(len(samples), 6 if quick else limit)
        chosen = [samples[index * len(samples) // count] for index in range(count)]
        found += [
            (number / count, (name, sample.name, sample.image, sample.truth)) for number, sample in enumerate(chosen)
        ]
    return [work for _, work in sorted(found)]


def measure(job: tuple[str, str, Path, Path, list[str]]) -> list[dict]:
    """One picture through all pipelines."""
    dataset, name, image, truth, pipelines = job
    from bgkit.evaluate.mattes import read_matte

    layers, true = read_layers(image), read_matte(truth)
    seen = witnesses(layers.image)
    rows = []
    for pipeline in pipelines:
        made = bgkit.load_pipeline(pipeline).run(layers)
        if not np.isfinite(made.alpha).all():
            print(f"{name}: {pipeline}: the alpha is not finite, left out", file=sys.stderr)
            continue
        values = score(made.alpha, true, names=["mad", "iou"]).values
        found = {"set": dataset, "picture": name, "pipeline": pipeline, "network": network()}
        rows.append(found | {**values, "signs": signs(made, seen)})
    return rows


@functools.cache
def network() -> str:
    """The embedded network's checksum: its results are its own."""
    from bgkit.files import digest_of
    from bgkit.models.store import resolve

    return digest_of(resolve("coarse")[1])


def results(options: argparse.Namespace) -> list[dict]:
    cached = [json.loads(line) for line in options.cache.read_text().splitlines()] if options.cache.exists() else []
    cached = [row for row in cached if row.get("network") == network()]
    have = {(row["set"], row["picture"]) for row in cached}
    todo = [(*work, options.pipelines.split(",")) for work in work_of(options.limit, options.quick)]
    todo = [job for job in todo if job[:2] not in have]
    options.cache.parent.mkdir(parents=True, exist_ok=True)
    with options.cache.open("a") as file:
        for rows in _each(todo, options.workers):
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            cached += rows
    return cached


def _each(todo: list, workers: int) -> Iterator[list[dict]]:
    if workers == 1:
        yield from map(measure, todo)
        return
    with multiprocessing.get_context("spawn").Pool(workers, bgkit.set_threads, (1,)) as pool:
        yield from pool.imap_unordered(measure, todo)


def unseen(rows: list[dict]) -> np.ndarray:
    """The confidence of each result by a fit that has not seen its picture."""
    subjects = [row["picture"].rpartition("-")[0] if row["set"] == "studio" else row["picture"] for row in rows]
    folds = [str(zlib.crc32(subject.encode()) % FOLDS) for subject in subjects]
    good = [row["iou"] >= GOOD for row in rows]
    return np.array(crossed([row["signs"] for row in rows], good, folds, **SETTINGS))


def table(rows: list[dict], sure: np.ndarray) -> str:
    lines = [
        "| results | number | IoU ≥ 0.9 | mean confidence | AUC | rank corr. IoU | rank corr. error | "
        "error at 25 % | 50 % | 75 % | 100 % | 50 %, ideal |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups = {"all": lambda row: True}
    groups |= {
        f"set {name}": (lambda row, name=name: row["set"] == name) for name in dict.fromkeys(r["set"] for r in rows)
    }
    groups |= {
        f"pipeline {name}": (lambda row, name=name: row["pipeline"] == name)
        for name in dict.fromkeys(r["pipeline"] for r in rows)
    }
    for title, belongs in groups.items():
        at = np.array([belongs(row) for row in rows])
        error = np.array([row["mad"] for row in rows])[at]
        iou = np.array([row["iou"] for row in rows])[at]
        mine, good = sure[at], iou >= GOOD
        curve, ideal = risk_coverage(mine, error), risk_coverage(-error, error)
        cells = [f"{curve[max(0, round(share * len(error)) - 1)]:.4f}" for share in (0.25, 0.5, 0.75, 1)]
        lines.append(
            f"| {title} | {at.sum()} | {good.mean():.0%} | {mine.mean():.0%} | {auc(mine, good):.3f} | "
            f"{rank_correlation(mine, iou):+.3f} | {rank_correlation(mine, error):+.3f} | {' | '.join(cells)} | "
            f"{ideal[max(0, len(error) // 2 - 1)]:.4f} |"
        )
    return "\n".join(lines)


def reliability(rows: list[dict], sure: np.ndarray) -> str:
    good = np.array([row["iou"] >= GOOD for row in rows])
    lines = ["| confidence | results | of these IoU ≥ 0.9 |", "|---|---|---|"]
    for low in (0, 0.2, 0.4, 0.6, 0.8):
        at = (sure >= low) & (sure < low + 0.2 + (low == 0.8))
        lines.append(f"| {low:.1f} to {low + 0.2:.1f} | {at.sum()} | {f'{good[at].mean():.0%}' if at.any() else ''} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", default="auto,classical,deep,fast")
    parser.add_argument("--limit", type=int, default=100, help="pictures of each set")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="6 pictures of each set")
    parser.add_argument("--write", action="store_true", help="put fit and figures where they are kept")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "confidence.jsonl")
    options = parser.parse_args()
    rows = results(options)
    sure = unseen(rows)
    parts = {
        "work": work_done(rows),
        "table": table(rows, sure),
        "reliability": reliability(rows, sure),
        "alone": alone(rows),
    }
    fitted = fit_logistic([row["signs"] for row in rows], [row["iou"] >= GOOD for row in rows], **SETTINGS)
    print(*parts.values(), fitted.source("FIT"), sep="\n\n")
    if options.write:
        write(PAGE, parts)
        CODE.write_text(with_fit(CODE.read_text(encoding="utf-8"), "FIT", fitted), encoding="utf-8")
        print(f"written: {PAGE}, {CODE}", file=sys.stderr)
    return 0


def work_done(rows: list[dict]) -> str:
    names = [f"`{name}`" for name in dict.fromkeys(row["pipeline"] for row in rows)]
    counts = {name: len({row["picture"] for row in rows if row["set"] == name}) for name in SETS}
    return (
        f"Results of the pipelines {', '.join(names[:-1])} and {names[-1]} on {counts['ecssd']} pictures of ECSSD and "
        f"{counts['studio']} studio shots of the test data ({len(rows)} results)."
    )


def alone(rows: list[dict]) -> str:
    """How each sign alone goes along with the error."""
    error = [row["mad"] for row in rows]
    found = {name: rank_correlation([row["signs"][name] for row in rows], error) for name in rows[0]["signs"]}
    lines = ["| sign alone | rank corr. error |", "|---|---|"]
    ordered = sorted(found.items(), key=lambda pair: -abs(np.nan_to_num(pair[1])))
    lines += [f"| `{name}` | {'never shown' if np.isnan(value) else f'{value:+.3f}'} |" for name, value in ordered]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
