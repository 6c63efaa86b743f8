"""Which results the findings of a pipeline flag, and the fit of ``trust`` that ``bgkit.findings`` holds.

    python benchmarks/findings.py --write

Runs ``auto`` over the studio shots (``test/studio``, every fourth), the hard ones (``test/studio-hard``), ECSSD and
the pictures that training held out, under ``BGKIT_DATA`` (by default ``../shared/data`` beside the checkout). A result
is good where the error is below a tenth of the subject's area, and a catastrophe above half of it. Studio shots are
halved. ``trust`` is fitted to tell catastrophes from all else and cross-validated: no shot is judged by a fit that has
seen its subject, no photograph by one that has seen its fold; its threshold is the highest at which the
cross-validated ``trust`` and the other findings together flag at most 5 % of the good results. Prints what each
finding flags at the threshold that ``auto`` has. ``--write`` puts fit, threshold and table where they are kept: do so
after ``benchmarks/evidence.py``, whenever the embedded network changed. ``--cache`` keeps what was measured; it is
measured anew when network, pipeline or the fit of ``evidence`` changed.

A second table counts results of pipelines that take a plain backdrop, a screen or a plate for granted, also on
photographs, which have none of these: what is flagged if somebody takes the wrong pipeline. "Unseen" is what is
flagged where the thresholds of ``backdrop`` and ``doubt`` are chosen without the subject or fold that they judge.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

import bgkit
from benchmarks.evidence import PHOTOGRAPHS, group_of, samples
from benchmarks.held_out import HeldOut
from benchmarks.pages import with_fit, write
from bgkit import evidence
from bgkit.evaluate.samples import Sample
from bgkit.files import digest_of
from bgkit.findings import FINDINGS, trust_signs
from bgkit.logistic import Logistic, auc, crossed, fit_logistic
from bgkit.models.store import resolve

ROOT = Path(__file__).resolve().parents[1]
PAGE, CODE = ROOT / "docs" / "reference" / "findings.md", ROOT / "bgkit" / "findings.py"
PIPELINES = ROOT / "bgkit" / "pipelines"
GOOD, CATASTROPHE = 0.1, 0.5  # error, in shares of the subject's area
KNOWN_GROUND: dict[str, Callable[[str], bool]] = {  # which studio shots a pipeline is for
    "studio-white": lambda name: "green" not in name,
    "classical": lambda name: "green" not in name,
    "green-screen": lambda name: "green" in name,
    "clean-plate": lambda name: True,
}
CHOICES = {"backdrop": (15, 20, 25, 30, 35, 40, 50, 60), "doubt": (5, 10, 15, 20, 30)}  # for those, in percent
ALLOWED = 0.05  # of the good results may be flagged


def _halved(dataset: str, picture: np.ndarray) -> np.ndarray:
    """Return a picture as float32, a studio shot at half its size."""
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    whole = np.float32(picture)
    return whole if dataset in PHOTOGRAPHS else cv2.resize(whole, size, interpolation=cv2.INTER_AREA)


def measure(dataset: str, sample: Sample | HeldOut) -> dict[str, Any]:
    image, truth = _halved(dataset, sample.read_image()), _halved(dataset, sample.read_truth())
    layers = bgkit.load_pipeline("auto").run(image)
    picture = layers.image
    values = {name: finding.measure(picture, layers) for name, finding in FINDINGS.items() if name != "trust"}
    return {
        "set": dataset,
        "picture": sample.name,
        "kind": dataset if dataset in PHOTOGRAPHS else sample.kind,
        "error": float(np.abs(layers.alpha - truth).sum() / max(float(truth.sum()), 1.0)),
        "values": values,
        "signs": trust_signs(picture, layers),
    }


def known_ground(every: int) -> str:
    """Return the table of what the pipelines for a known background flag."""
    lines = [
        "| pipeline | good flagged | between flagged | catastrophes flagged | good, unseen | catastrophes, unseen |"
    ]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for name, fits in KNOWN_GROUND.items():
        chain, rows = bgkit.load_pipeline(name), []
        for dataset, sample in samples()[::every]:
            plated = "plate" in chain.needs()
            if plated if dataset in PHOTOGRAPHS else not fits(sample.name):
                continue
            image, truth = _halved(dataset, sample.read_image()), _halved(dataset, sample.read_truth())
            brought = {"plate": _halved(dataset, sample.read_plate())} if plated else {}
            layers = chain.run(image, keep=("alpha",), **brought)
            error = float(np.abs(layers.alpha - truth).sum() / max(float(truth.sum()), 1.0))
            values = {check: FINDINGS[check].measure(layers.image, layers) for check in chain.checks}
            rows.append({"set": dataset, "picture": sample.name, "error": error, "values": values})
        hits = {"": _hits(rows, chain.checks), "unseen": _unseen_hits(rows, chain.checks)}
        error = np.array([row["error"] for row in rows])
        good, bad = error < GOOD, error > CATASTROPHE
        columns = [("", good), ("", ~good & ~bad), ("", bad), ("unseen", good), ("unseen", bad)]
        shares = [f"{np.count_nonzero(hits[which] & at)} of {np.count_nonzero(at)}" for which, at in columns]
        lines.append(f"| `{name}` | {' | '.join(shares)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _hits(rows: list[dict[str, Any]], checks: Mapping[str, float]) -> np.ndarray:
    def flagged(values: dict[str, float | None]) -> bool:
        known = ((name, values[name], limit) for name, limit in checks.items())
        return any(value is not None and FINDINGS[name].flags(value, limit) for name, value, limit in known)

    return np.array([flagged(row["values"]) for row in rows], bool)


def _unseen_hits(rows: list[dict[str, Any]], checks: Mapping[str, float]) -> np.ndarray:
    """Return what is flagged where each subject and fold is judged by thresholds chosen on all others.

    Chosen is what flags the most catastrophes while it flags at most a twentieth of the good results.
    """
    error, groups = np.array([row["error"] for row in rows]), np.array([group_of(row) for row in rows])
    grids = [CHOICES.get(name, (limit,)) for name, limit in checks.items()]
    choices = np.array([_hits(rows, dict(zip(checks, each, strict=True))) for each in itertools.product(*grids)])
    unseen = np.zeros(len(rows), bool)
    for group in set(groups):
        good, bad = (error < GOOD) & (groups != group), (error > CATASTROPHE) & (groups != group)
        wrong, right = choices[:, good].sum(axis=1), choices[:, bad].sum(axis=1)
        allowed = np.maximum(ALLOWED * np.count_nonzero(good), wrong.min())
        best = max(range(len(choices)), key=lambda at: (wrong[at] <= allowed, right[at], -wrong[at]))
        unseen[groups == group] = choices[best, groups == group]
    return unseen


def measured(cache: Path, every: int) -> list[dict[str, Any]]:
    chain = bgkit.load_pipeline("auto")
    chain = bgkit.Pipeline("auto", chain.steps)
    stamp = digest_of(f"{digest_of(resolve('coarse')[1])} {chain.digest()} {evidence.FIT}".encode())
    rows = [json.loads(line) for line in cache.read_text().splitlines()] if cache.exists() else []
    rows = [row for row in rows if row["stamp"] == stamp]
    have = {(row["set"], row["picture"]) for row in rows}
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("a") as file:
        for dataset, sample in samples()[::every]:
            if (dataset, sample.name) not in have:
                rows.append({**measure(dataset, sample), "stamp": stamp})
                file.write(json.dumps(rows[-1]) + "\n")
                file.flush()
    return rows


def _threshold(trust: np.ndarray, others: np.ndarray) -> float:
    """Return in percent below what `trust` may flag good results, of which ``others`` are flagged already."""
    left = int(ALLOWED * len(trust)) - np.count_nonzero(others)
    first_kept = np.sort(trust[~others])[max(left, 0)]
    return math.floor(1000 * first_kept) / 10


def calibrated(rows: list[dict[str, Any]]) -> tuple[dict[str, str], Logistic, float]:
    """Return the page's parts, the fit of ``trust`` and its threshold in percent."""
    error = np.array([row["error"] for row in rows])
    good, bad = error < GOOD, error > CATASTROPHE
    signs = [row["signs"] for row in rows]
    fitted = fit_logistic(signs, list(~bad), strength=1.0)
    unseen = np.array(crossed(signs, list(~bad), [group_of(row) for row in rows], strength=1.0))
    seen = np.array([fitted.chance(each) for each in signs])
    checks = dict(bgkit.load_pipeline("auto").checks)
    others = _hits(rows, {name: limit for name, limit in checks.items() if name != "trust"})
    threshold = checks["trust"] = _threshold(unseen[good], others[good])
    lines = ["| finding | threshold | good flagged | between flagged | catastrophes flagged |", "|---|---|---|---|---|"]
    hits = {}
    for name, limit in checks.items():
        if name == "trust":
            hits["trust"], hits["trust, cross-validated"] = 100 * seen < limit, 100 * unseen < limit
            continue
        values = [row["values"][name] for row in rows]
        hits[name] = np.array([value is not None and FINDINGS[name].flags(value, limit) for value in values])
    some = [each for name, each in hits.items() if name != "trust, cross-validated"]
    hits["any of these"] = np.any(some, axis=0)
    crossed_hits = [each for name, each in hits.items() if name not in ("trust", "any of these")]
    hits["any of these, cross-validated"] = np.any(crossed_hits, axis=0)
    for name, hit in hits.items():
        limit = f"{checks[name.partition(',')[0]]:g}" if name.partition(",")[0] in checks else ""
        shares = [f"{np.count_nonzero(hit & at)} of {np.count_nonzero(at)}" for at in (good, ~good & ~bad, bad)]
        lines.append(f"| {name} | {limit} | {' | '.join(shares)} |")
    missed = [row["picture"] for row, hit, at in zip(rows, hits["any of these"], bad, strict=True) if at and not hit]
    weights = ", ".join(f"`{name}` {weight:.2f}" for name, weight in fitted.weights.items())
    work = (
        f"{len(rows)} results of `auto`: {np.count_nonzero(good)} good, {np.count_nonzero(bad)} catastrophes. AUC of "
        f"`trust` for catastrophes {auc(list(seen), list(~bad)):.3f}, cross-validated "
        f"{auc(list(unseen), list(~bad)):.3f}. Its weights: start {fitted.start:.2f}, {weights}. "
        f"Catastrophes without a finding: {', '.join(missed) or 'none'}."
    )
    return {"work": work, "table": "\n".join(lines)}, fitted, threshold


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="one picture in so many, for a quick look")
    parser.add_argument("--write", action="store_true", help="put fit, threshold and table where they are kept")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "findings.jsonl")
    options = parser.parse_args()
    parts, fitted, threshold = calibrated(measured(options.cache, options.every))
    parts["known-ground"] = known_ground(options.every)
    print(*parts.values(), fitted.source("TRUST"), f"threshold: {threshold:g}", sep="\n\n")
    if options.write:
        write(PAGE, parts)
        code = with_fit(CODE.read_text(encoding="utf-8"), "TRUST", fitted)
        CODE.write_text(code, encoding="utf-8")
        for path in sorted(PIPELINES.glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"^  trust: .*$", f"  trust: {threshold:g}", text, flags=re.M), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
