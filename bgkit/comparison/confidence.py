"""How far a result can be trusted, from signs that need no truth.

``confidence`` is the chance, learned from results with known truth, that a result with such signs
has an intersection over union of at least 0.9. It is a logistic regression over
:mod:`bgkit.comparison.signs`; ``benchmarks/confidence.py`` fits it and measures how well it predicts, on
pictures it was not fitted to (``docs/explanation/confidence.md``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["GOOD", "Fit", "confidence", "fit", "rank_correlation", "reasons", "risk_coverage"]

Array = NDArray[Any]

GOOD = 0.9  # the IoU from which a result counts as right


class Fit(NamedTuple):
    """A logistic regression: the chance is 1 / (1 + exp(-(start + sum of weight x sign)))."""

    start: float
    weights: Mapping[str, float]


# Fitted by benchmarks/confidence.py; see docs/explanation/confidence.md for what it was fitted on.
FIT = Fit(
    4.871,
    {
        "unsure": -5.642,
        "mask_unsure": -9.736,
        "moved": -0.779,
        "small": -0.607,
        "large": -6.985,
        "parts": -3.894,
        "rough": -2.533,
        "faint": -3.392,
        "key_differs": -0.989,
        "network_differs": -4.493,
        "witnesses_differ": -0.957,
        "network_unsure": -6.207,
    },
)


def confidence(signs: Mapping[str, float], fitted: Fit | None = None) -> float:
    """Return the chance, 0..1, that a result with such signs has an IoU of at least 0.9.

    >>> round(confidence({"holes": 0.0}, Fit(2.0, {"holes": -5.0})), 2)
    0.88
    """
    start, weights = fitted or FIT
    total = start + sum(weight * signs[name] for name, weight in weights.items())
    return float(1 / (1 + np.exp(-np.clip(total, -50, 50))))


def reasons(signs: Mapping[str, float], count: int = 2) -> list[str]:
    """Return the names of the signs that cost the most confidence, worst first; each halves the odds or worse."""
    costs = {name: weight * signs[name] for name, weight in FIT.weights.items()}
    worst = sorted((cost, name) for name, cost in costs.items() if cost < -1)
    return [name for _, name in worst[:count]]


def fit(rows: Sequence[Mapping[str, float]], good: Sequence[bool], strength: float = 1.0) -> Fit:
    """Fit the regression to results known to be good or not.

    A sign may only lower the confidence, so that no accident of the pictures at hand praises holes.
    ``strength`` pulls weights of signs, each taken in units of its own spread, to zero.
    """
    from scipy.optimize import minimize

    names = list(rows[0])
    signs = np.array([[row[name] for name in names] for row in rows])
    spread = signs.std(axis=0)
    spread[spread < 0.05] = np.inf  # a sign that hardly ever shows gets no weight: too few cases to learn from
    units = signs / spread
    side = np.where(np.asarray(good, bool), 1.0, -1.0)

    def loss(theta: Array) -> tuple[float, Array]:
        margin = side * (theta[0] + units @ theta[1:])
        pull = -side / (1 + np.exp(np.clip(margin, -50, 50)))
        value = np.logaddexp(0, -margin).sum() + strength / 2 * (theta[1:] ** 2).sum()
        slope = np.concatenate([[pull.sum()], units.T @ pull + strength * theta[1:]])
        return float(value), slope

    bounds = [(None, None), *[(None, 0.0)] * len(names)]
    found = minimize(loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
    weights = {name: float(w) for name, w in zip(names, found[1:] / spread, strict=True) if abs(w) > 1e-3}
    return Fit(float(found[0]), weights)


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
