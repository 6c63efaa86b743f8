"""How far a result can be trusted, from signs that need no truth.

``confidence`` is the chance, learned from results with known truth, that a result with such signs
has an intersection over union of at least 0.9. It is a logistic regression (:mod:`bgkit.logistic`) over
:mod:`bgkit.comparison.signs`; ``benchmarks/confidence.py`` fits it and measures how well it predicts, on
pictures it was not fitted to (``docs/explanation/confidence.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.logistic import Logistic

__all__ = ["GOOD", "confidence", "rank_correlation", "reasons", "risk_coverage"]

Array = NDArray[Any]

GOOD = 0.9  # the IoU from which a result counts as right


# Fitted by benchmarks/confidence.py; see docs/explanation/confidence.md for what it was fitted on.
FIT = Logistic(
    3.633,
    {
        "unsure": -7.634,
        "mask_unsure": -18.662,
        "moved": -0.604,
        "large": -13.778,
        "parts": -6.136,
        "key_differs": -1.761,
        "network_differs": -0.601,
        "network_unsure": -6.237,
    },
)


def confidence(signs: Mapping[str, float]) -> float:
    """Return the chance, 0..1, that a result with such signs has an IoU of at least 0.9."""
    return FIT.chance(signs)


def reasons(signs: Mapping[str, float], count: int = 2) -> list[str]:
    """Return the names of the signs that cost the most confidence, worst first; each halves the odds or worse."""
    costs = {name: weight * signs[name] for name, weight in FIT.weights.items()}
    worst = sorted((cost, name) for name, cost in costs.items() if cost < -1)
    return [name for _, name in worst[:count]]


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Spearman's rank correlation, ties averaged; NaN where one side is constant.

    >>> rank_correlation([1, 2, 3], [9, 5, 1])
    -1.0
    """
    from scipy.stats import rankdata

    first, second = rankdata(a), rankdata(b)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return round(float(np.corrcoef(first, second)[0, 1]), 12)


def risk_coverage(confidences: Sequence[float], errors: Sequence[float]) -> Array:
    """Return the mean error of the k most confident results, for k = 1..n; equals share their mean error.

    >>> risk_coverage([0.9, 0.1, 0.5], [0.0, 6.0, 3.0]).tolist()
    [0.0, 1.5, 3.0]
    """
    sure, error = np.asarray(confidences, np.float64), np.asarray(errors, np.float64)
    _, group = np.unique(-sure, return_inverse=True)
    mean = np.bincount(group, error) / np.bincount(group)
    ordered = mean[np.sort(group)]
    return np.asarray(np.cumsum(ordered) / np.arange(1, ordered.size + 1))
