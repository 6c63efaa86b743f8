"""The keys' witnesses of opacity: their weights, fitted to pictures with known alpha, and clean-plate's error by kind.

    python benchmarks/plate_key.py fit                      # the weights, and how they move when a subject is left out
    python benchmarks/plate_key.py measure [--every N] [--pipeline studio-white] [--fitted]

On ``test/studio`` and ``test/studio-hard`` under ``BGKIT_DATA`` (by default ``../shared/data`` beside the checkout).

**fit** draws 1500 pixels that differ from the plate out of each shot and fits alpha by logistic regression. It prints
the table of ``bgkit.backdrop.sampling.WITNESSES``: each weight, and its range over the fits without one subject.

**measure** prints mean SAD/1000 by kind of shot. A shot is keyed with weights fitted without its subject (`left out`),
and with ``--fitted`` also with those of all; `lost` counts the shots whose error is above half of the subject's area,
`flagged` those of them that the finding `plate` flags or that have ``fits`` False.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bgkit import load_pipeline, set_threads
from bgkit.backdrop import sampling
from bgkit.backdrop.plate import match_plate
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.samples import Sample
from bgkit.stages.clean_plate_key import differences

Array = NDArray[Any]
DRAWN = 1500


def shots(folder: Path, every: int) -> list[Sample]:
    found = [shot for name in ("studio", "studio-hard") for shot in open_dataset("studio", folder / "test" / name)]
    return sorted(found, key=lambda shot: (shot.kind, shot.name))[::every]


def subject_of(shot: Sample) -> str:
    return shot.name.partition("-")[0]


def drawn(shot: Sample) -> tuple[Array, Array]:
    """Return witnesses, (1500, W), and alpha of pixels that differ from the plate."""
    image, plate = (np.ascontiguousarray(each, np.float32) for each in (shot.read_image(), shot.read_plate()))
    match = match_plate(image, plate)
    difference, unshaded, tolerance = differences(image, match.plate, 2.5, 0.15, match.misplaced)
    where = difference > tolerance
    count = np.count_nonzero(where)
    some = np.random.default_rng(0).choice(count, min(DRAWN, count), replace=False)
    seen = sampling.witnesses(difference, unshaded, tolerance, where)
    return np.stack([each[some] for each in seen], -1), shot.read_truth()[where][some]


def logistic(seen: Array, alpha: Array) -> Array:
    """Return the weights that make alpha likeliest, by Newton's method; slightly drawn to 0."""
    weights = np.zeros(seen.shape[1])
    for _ in range(8):
        expected = 1 / (1 + np.exp(-np.clip(seen @ weights, -30, 30)))
        curve = (seen * (expected * (1 - expected) + 1e-6)[:, None]).T @ seen / len(seen) + 1e-3 * np.eye(len(weights))
        weights += np.linalg.solve(curve, seen.T @ (alpha - expected) / len(seen) - 1e-3 * weights)
    return weights


def fits(samples: list[Sample], kept: Path | None) -> dict[str, Array]:
    """Return the weights fitted without each subject, and of all under an empty name."""
    if kept and kept.exists():
        seen = pickle.loads(kept.read_bytes())
    else:
        seen = [(subject_of(shot), *drawn(shot)) for shot in samples]
        if kept:
            kept.write_bytes(pickle.dumps(seen))
    weights = {}
    for subject in ("", *sorted({name for name, _, _ in seen})):
        rest = [each for each in seen if each[0] != subject]
        weights[subject] = logistic(*(np.concatenate([each[part] for each in rest]).astype(float) for part in (1, 2)))
    return weights


def use(weights: Array) -> None:
    for name, weight in zip(sampling.WITNESSES, weights, strict=True):
        sampling.WITNESSES[name] = float(weight)


def measured(shot: Sample, pipeline: str) -> tuple[float, bool, bool]:
    """Return SAD/1000, whether the shot is lost, and whether that is flagged."""
    chain, truth = load_pipeline(pipeline), shot.read_truth()
    brought = {"plate": shot.read_plate()} if "plate" in chain.needs() else {}
    layers = chain.run(shot.read_image(), **brought)
    error = float(np.abs(layers.alpha - truth).sum()) / 1000
    flagged = any(each["flagged"] for each in layers.facts.get("findings", {}).values())
    return error, error > truth.sum() / 2000, flagged or not layers.facts.get("clean_plate", {}).get("fits", True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("fit", "measure"))
    parser.add_argument("--every", type=int, default=1, help="only every so many shots")
    parser.add_argument("--kinds", help="only these kinds, by comma")
    parser.add_argument("--pipeline", default="clean-plate")
    parser.add_argument("--fitted", action="store_true", help="also with the weights of all subjects")
    parser.add_argument("--keep", type=Path, help="file that keeps the drawn pixels from run to run")
    options = parser.parse_args()
    folder = Path(os.environ.get("BGKIT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    set_threads(1)
    weights = fits(shots(folder, 1), options.keep)
    if options.what == "fit":
        others = np.array([each for name, each in weights.items() if name])
        for name, weight, least, most in zip(
            sampling.WITNESSES, weights[""], others.min(0), others.max(0), strict=True
        ):
            print(f'    "{name}": {weight:.2f},  # {least:.2f} to {most:.2f}')
        return 0
    found: dict[str, list[tuple[float, ...]]] = {}
    for shot in shots(folder, options.every):
        if options.kinds and shot.kind not in options.kinds.split(","):
            continue
        row: list[float] = []
        for subject in (subject_of(shot), "")[: 1 + options.fitted]:
            use(weights[subject])
            row += measured(shot, options.pipeline)
        print(shot.name, *(f"{each:.2f}" for each in row), file=sys.stderr, flush=True)
        found.setdefault(shot.kind, []).append(tuple(row))
    print("| kind | shots | left out | lost | flagged |" + (" fitted |" if options.fitted else ""))
    print("|---|---|---|---|---|" + ("---|" if options.fitted else ""))
    for kind, rows in found.items():
        figures = np.array(rows)
        cells = [kind, len(rows), f"{figures[:, 0].mean():.2f}", int(figures[:, 1].sum())]
        cells.append(int((figures[:, 1] * figures[:, 2]).sum()))
        cells += [f"{figures[:, 3].mean():.2f}"] if options.fitted else []
        print("| " + " | ".join(map(str, cells)) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
