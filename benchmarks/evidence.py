"""Which of key and network to trust: the fit that ``bgkit.evidence`` holds, and how well it tells.

    python benchmarks/evidence.py --write

On the studio shots (``test/studio``, every fourth), the hard ones (``test/studio-hard``), ECSSD and the pictures that
training held out, under ``BGKIT_DATA`` (by default ``../shared/data`` beside the checkout), the two masks that
``merge: evidence`` of the pipeline ``auto`` would join are made and held against the truth. Studio shots are halved:
it changes no sign much and takes a fourth of the time. Prints how well each sign tells the better mask, the fit, and
its figures cross-validated: no shot is judged by a fit that has seen its subject, no photograph by one that has seen
its fold. There are six times as many photographs as shots, so each counts a quarter. ``--write`` puts the fit into
``bgkit/evidence.py`` and the tables into ``docs/explanation/evidence.md``: do so whenever the embedded network or the
key changed. ``--cache`` keeps what was measured, so that a stopped run goes on; results of another network are
measured anew, results of another key are not: remove the file.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import bgkit
from benchmarks.held_out import HeldOut, held_out
from benchmarks.pages import with_fit, write
from benchmarks.quality import data_folder
from bgkit.borders import at_edges
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.samples import Sample
from bgkit.evidence import SIGNS, chance_of_key, pool, read_signs
from bgkit.logistic import Logistic, auc, crossed, fit_logistic

ROOT = Path(__file__).resolve().parents[1]
PAGE, CODE = ROOT / "docs" / "explanation" / "evidence.md", ROOT / "bgkit" / "evidence.py"
SETS = {"studio": 4, "studio-hard": 1, "ecssd": 1}  # one picture in so many
PHOTOGRAPHS = ("ecssd", "held out")
FOLDS = 10  # of the photographs
LOST = 0.4  # error, in shares of the subject, from which on none is worse: chosen by what is cross-validated
MATTERS = 0.02  # how much a picture counts at least: the difference of both errors, 0..1 of the subject
STRENGTH = 0.1  # of the penalty on weights: a third and three times as much are worse cross-validated
SHARE = 0.25  # of which a photograph counts so much


def samples() -> list[tuple[str, Sample | HeldOut]]:
    found: list[tuple[str, Sample | HeldOut]] = []
    for name, every in SETS.items():
        kind = "ecssd" if name == "ecssd" else "studio"
        each = sorted(open_dataset(kind, data_folder() / "test" / name), key=lambda sample: sample.name)
        found += [(name, sample) for number, sample in enumerate(each) if (number + number // every) % every == 0]
    return [*found, *(("held out", sample) for sample in held_out())]


def measure(dataset: str, sample: Sample | HeldOut) -> dict[str, Any]:
    """Return the signs of a picture and what each mask, and both pooled, is wrong by: SAD / 1000 at full size."""
    image, truth = np.float32(sample.read_image()), np.float32(sample.read_truth())
    factor = 1 if dataset in PHOTOGRAPHS else 2
    if factor > 1:
        size = image.shape[1] // factor, image.shape[0] // factor
        image, truth = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (image, truth))
    image.setflags(write=False)
    steps = bgkit.load_pipeline("auto").steps
    merging = next(index for index, step in enumerate(steps) if step.values.get("merge") == "evidence")
    layers = bgkit.Layers.of(image)
    for step in steps[:merging]:
        layers = step.apply(layers)
    network = layers.mask
    values = {name: value for name, value in steps[merging].values.items() if name != "merge"}
    key = steps[merging].stage.function(image, **values)
    signs = read_signs(image, key, network, layers.facts["cnn_mask"]["sure"])
    key = at_edges(image, key, network)
    errors = [float(np.abs(mask - truth).sum()) * factor**2 / 1000 for mask in (key, network)]
    both = pool(key, network, chance_of_key(signs))
    return {
        "set": dataset,
        "picture": sample.name,
        "kind": dataset if dataset in PHOTOGRAPHS else sample.kind,
        "key": errors[0],
        "network": errors[1],
        "pooled": float(np.abs(both - truth).sum()) * factor**2 / 1000,
        "subject": float(truth.sum()) * factor**2 / 1000,
        "signs": signs,
    }


def measured(cache: Path, subset: int) -> list[dict[str, Any]]:
    from bgkit.files import digest_of
    from bgkit.models.store import resolve

    stamp = digest_of(resolve("coarse")[1])
    rows = [json.loads(line) for line in cache.read_text().splitlines()] if cache.exists() else []
    rows = [row for row in rows if row["stamp"] == stamp and set(row["signs"]) == set(SIGNS)]
    have = {(row["set"], row["picture"]) for row in rows}
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("a") as file:
        for dataset, sample in samples()[::subset]:
            if (dataset, sample.name) in have:
                continue
            rows.append({**measure(dataset, sample), "stamp": stamp})
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
    return rows


def group_of(row: dict[str, Any]) -> str:
    """Return what must not be seen by the fit that judges a picture: its subject, or its fold of the photographs."""
    if row["set"] in PHOTOGRAPHS:
        return f"fold {zlib.crc32(row['picture'].encode()) % FOLDS}"
    return str(row["picture"].partition("-")[0])


def _count(row: dict[str, Any]) -> float:
    """Return how much a picture counts; of two masks that are lost, none is worse."""
    key, network = (min(LOST, row[name] / max(row["subject"], 1e-3)) for name in ("key", "network"))
    return max(abs(key - network), MATTERS) * (SHARE if row["set"] in PHOTOGRAPHS else 1)


def tables(rows: list[dict[str, Any]]) -> tuple[dict[str, str], Logistic]:
    signs = [row["signs"] for row in rows]
    better = [row["key"] < row["network"] for row in rows]
    counts = [_count(row) for row in rows]
    fitted = fit_logistic(signs, better, counts, STRENGTH)
    seen = [fitted.chance(each) for each in signs]
    unseen = crossed(signs, better, [group_of(row) for row in rows], counts, STRENGTH)
    lines = ["| sign | weight | AUC alone | key better, median | network better, median |", "|---|---|---|---|---|"]
    for name in SIGNS:
        values = np.array([each[name] for each in signs])
        split = [float(np.median(values[np.array(better) == side])) for side in (True, False)]
        alone = auc(list(-values), better)
        lines.append(
            f"| `{name}` | {fitted.weights.get(name, 0):.2f} | {alone:.2f} | {split[0]:.2f} | {split[1]:.2f} |"
        )
    parts = {"signs": "\n".join([*lines, "", f"The sum starts at {fitted.start:.2f}."])}
    right = [np.mean([(p > 0.5) == b for p, b in zip(each, better, strict=True)]) for each in (seen, unseen)]
    far = [row["key"] > 2 * row["network"] or row["network"] > 2 * row["key"] for row in rows]
    clear = [
        np.mean([(p > 0.5) == b for p, b, f in zip(each, better, far, strict=True) if f]) for each in (seen, unseen)
    ]
    parts["work"] = (
        f"{len(rows)} pictures; AUC {auc(seen, better):.3f} fitted, {auc(unseen, better):.3f} cross-validated. "
        f"The better mask is named in {right[0]:.0%}, cross-validated {right[1]:.0%}; of the pictures where one error "
        f"is twice the other in {clear[0]:.0%}, cross-validated {clear[1]:.0%}."
    )
    lines = ["| kind | pictures | key | network | better of both | chosen, fitted | chosen, cross-validated |"]
    lines.append("|---|---|---|---|---|---|---|")
    for kind in dict.fromkeys(row["kind"] for row in rows):
        at = [index for index, row in enumerate(rows) if row["kind"] == kind]
        key, network = (np.array([rows[index][name] for index in at]) for name in ("key", "network"))
        chosen = [np.where(np.array(each)[at] > 0.5, key, network) for each in (seen, unseen)]
        cells = [key, network, np.minimum(key, network), *chosen]
        lines.append(f"| {kind} | {len(at)} | " + " | ".join(f"{cell.mean():.1f}" for cell in cells) + " |")
    parts["kinds"] = "\n".join(lines)
    return parts, fitted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="one picture in so many, for a quick look")
    parser.add_argument("--write", action="store_true", help="put fit and tables where they are kept")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "evidence.jsonl")
    options = parser.parse_args()
    parts, fitted = tables(measured(options.cache, options.every))
    print(*parts.values(), fitted.source("FIT"), sep="\n\n")
    if options.write:
        write(PAGE, parts)
        code = with_fit(CODE.read_text(encoding="utf-8"), "FIT", fitted)
        CODE.write_text(code, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
