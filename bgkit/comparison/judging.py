"""From the records of runs to what a report says: ranking, cost, agreement, confidence, problems.

Everything here is plain data (what JSON can hold), so that ``scores.json`` and the page are the same
thing twice.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.comparison.agreement import boundary_distance, consensus, overlap, votes
from bgkit.comparison.confidence import rank_correlation, reasons, risk_coverage
from bgkit.comparison.ranking import rank
from bgkit.evaluate.metrics import METRICS
from bgkit.threads import threads

__all__ = ["CONFIDENCE", "agree", "cost", "rankings", "rows_as_csv", "trust"]

CONFIDENCE = "confidence"  # ranked by where there is no truth
SIDE = 512  # px, at which agreement is measured

Record = Mapping[str, Any]


def rankings(variants: Sequence[str], records: Sequence[Record], metrics: Sequence[str]) -> dict[str, list[Any]]:
    """Return the standings by each metric, over the pictures that every variant has a value for."""
    by_variant: dict[str, dict[str, dict[str, float]]] = {variant: {} for variant in variants}
    for record in records:
        if record["status"] == "done":
            values = {**record["scores"], CONFIDENCE: record["confidence"]}
            by_variant[record["variant"]][record["picture"]] = values
    judged = {}
    for metric in (*metrics, CONFIDENCE):
        have = [
            {name for name, values in pictures.items() if values.get(metric) is not None}
            for pictures in by_variant.values()
        ]
        common = sorted(set.intersection(*have)) if have else []
        values = {variant: [pictures[name][metric] for name in common] for variant, pictures in by_variant.items()}
        better = METRICS[metric].better if metric in METRICS else "higher"
        judged[metric] = [asdict(standing) for standing in rank(values, better)]
    return judged


def cost(variants: Sequence[str], records: Sequence[Record]) -> dict[str, Any]:
    """Return each variant's median seconds, in all and by stage, its largest memory, and what went wrong."""
    judged = {}
    for variant in variants:
        mine = [record for record in records if record["variant"] == variant]
        done = [record for record in mine if record["status"] == "done"]
        stages: dict[str, list[float]] = {}
        for record in done:
            for stage, seconds in record["seconds"].items():
                if stage not in ("read", "write"):
                    stages.setdefault(stage, []).append(seconds)
        totals = [sum(s for name, s in record["seconds"].items() if name in stages) for record in done]
        memory = [record["memory"] for record in done if record["memory"]]
        judged[variant] = {
            "done": len(done),
            "failed": len(mine) - len(done),
            "seconds": statistics.median(totals) if totals else None,
            "stages": {name: statistics.median(seconds) for name, seconds in stages.items()},
            "memory": max(memory) if memory else None,
        }
    return judged


def agree(
    variants: Sequence[Mapping[str, Any]],
    pictures: Sequence[str],
    alpha_of: Callable[[str, str], Path],
    show: Callable[[str, str, NDArray[np.float32]], None],
) -> dict[str, Any]:
    """Compare the results of each picture with one another.

    Parameters
    ----------
    variants : sequence of mapping
        With ``id`` and ``base``.
    alpha_of : callable(variant, picture)
        Where an alpha lies; one that is not there is left out.
    show : callable(kind, picture, array)
        Takes the ``consensus`` mask (M, N) and the ``disagreement`` (M, N), 0..1, at full size.

    Returns
    -------
    dict
        ``pairs``: mean IoU and boundary distance (per mille of the diagonal) of each two variants.
        ``pictures``: for each picture the mean disagreement as a share of the consensus subject, and
        each variant's IoU with the consensus.
    """
    import cv2

    from bgkit.imagefile import read_gray

    def small(alpha: NDArray[np.float32]) -> NDArray[np.bool_]:
        scale = min(1.0, SIDE / max(alpha.shape))
        size = max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale))
        return np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) >= 0.5)

    def look(picture: str) -> tuple[dict[str, Any], dict[tuple[int, int], tuple[float, float]]] | None:
        here = [index for index, variant in enumerate(variants) if alpha_of(variant["id"], picture).exists()]
        if len(here) < 2:
            return None
        alphas = [read_gray(alpha_of(variants[index]["id"], picture)) for index in here]
        mean, spread = consensus(alphas, votes([variants[index]["base"] for index in here]))
        common = mean >= 0.5
        show("consensus", picture, common.astype(np.float32))
        show("disagreement", picture, spread)
        masks = [small(alpha) for alpha in alphas]
        pairs = {
            (here[a], here[b]): (overlap(masks[a], masks[b]), boundary_distance(masks[a], masks[b]))
            for a in range(len(here))
            for b in range(a + 1, len(here))
        }
        subject = max(float(common.mean()), float(mean.mean()), 0.01)
        judged = {
            "disagreement": float(spread.mean()) / subject,
            "consensus_iou": {
                variants[index]["id"]: overlap(alpha >= 0.5, common) for index, alpha in zip(here, alphas, strict=True)
            },
        }
        return judged, pairs

    of_pictures: dict[str, Any] = {}
    sums: dict[tuple[int, int], list[tuple[float, float]]] = {}
    with ThreadPoolExecutor(threads()) as pool:
        for picture, found in zip(pictures, pool.map(look, pictures), strict=True):
            if found is not None:
                of_pictures[picture], pairs = found
                for pair, values in pairs.items():
                    sums.setdefault(pair, []).append(values)
    pair_means = [
        {
            "a": variants[a]["id"],
            "b": variants[b]["id"],
            "iou": float(np.mean([iou for iou, _ in values])),
            "boundary": float(np.mean([distance for _, distance in values])),
            "pictures": len(values),
        }
        for (a, b), values in sums.items()
    ]
    return {"pairs": pair_means, "pictures": of_pictures}


def trust(records: Sequence[Record], metric: str) -> dict[str, Any] | None:
    """Return how well confidence predicted error on these very pictures; None without truth or variety."""
    known = [record for record in records if record["status"] == "done" and record["scores"].get(metric) is not None]
    if len(known) < 3:
        return None
    sign = 1.0 if METRICS[metric].better == "lower" else -1.0
    sure = [record["confidence"] for record in known]
    error = [sign * record["scores"][metric] for record in known]
    correlation = rank_correlation(sure, error)
    return {
        "metric": metric,
        "rank_correlation": None if np.isnan(correlation) else correlation,
        "curve": (sign * risk_coverage(sure, error)).tolist(),
        "ideal": (sign * risk_coverage([-one for one in error], error)).tolist(),
        "results": len(known),
    }


def rows_as_csv(names: Mapping[str, str], records: Sequence[Record], metrics: Sequence[str]) -> str:
    """Return a line per picture and variant: scores, confidence, cost, and what went wrong."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["pipeline", "picture", "status", *metrics, "confidence", "doubts", "seconds", "memory", "problem"])
    for record in records:
        scores = [record["scores"].get(metric) for metric in metrics]
        seconds = sum(s for name, s in record["seconds"].items() if name not in ("read", "write"))
        writer.writerow(
            [
                names[record["variant"]],
                record["picture"],
                record["status"],
                *("" if value is None else repr(float(value)) for value in scores),
                "" if record["confidence"] is None else f"{record['confidence']:.4f}",
                " ".join(reasons(record["signs"])) if record["signs"] else "",
                f"{seconds:.4f}" if record["status"] == "done" else "",
                record["memory"] or "",
                record["error"] or record["problem"],
            ]
        )
    return text.getvalue()
