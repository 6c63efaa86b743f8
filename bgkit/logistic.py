"""Logistic regression over named signs: a chance that people can check by hand.

Each sign may only lower the chance, so that no accident of the pictures at hand praises a fault. Used for what
has to be judged without truth: which of two masks to trust, whether a result needs a look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Logistic", "auc", "crossed", "fit_logistic"]

Floats = NDArray[Any]


class Logistic(NamedTuple):
    """The chance is 1 / (1 + exp(-(start + sum of weight x sign)))."""

    start: float
    weights: Mapping[str, float]

    def chance(self, signs: Mapping[str, float]) -> float:
        """Return the chance, 0..1, for such signs."""
        total = self.start + sum(weight * signs[name] for name, weight in self.weights.items())
        return float(1 / (1 + np.exp(-np.clip(total, -50, 50))))

    def source(self, name: str) -> str:
        """Return the fit as it stands in a source file."""
        lines = [f'        "{sign}": {round(weight, 3)},' for sign, weight in self.weights.items()]
        return "\n".join([f"{name} = Logistic(", f"    {self.start:.3f},", "    {", *lines, "    },", ")"])


def fit_logistic(
    rows: Sequence[Mapping[str, float]],
    true: Sequence[bool],
    counts: Sequence[float] | None = None,
    strength: float = 0.3,
    least_spread: float = 0.0,
) -> Logistic:
    """Fit the regression to cases known to be true or not.

    Parameters
    ----------
    rows : sequence of mappings
        The signs of each case, all with the same names.
    true : sequence of bool
        What each case is.
    counts : sequence of float, optional
        How much each case matters; by default all the same.
    strength : float
        Pulls the weights, each sign taken in units of its own spread, to zero.
    least_spread : float
        A sign with a smaller standard deviation hardly ever shows, so there are too few cases to learn from: it gets no
        weight.
    """
    from scipy.optimize import minimize

    names = list(rows[0])
    signs = np.array([[row[name] for name in names] for row in rows])
    middle, spread = signs.mean(axis=0), signs.std(axis=0) + 1e-9
    spread[spread < least_spread] = np.inf
    units = (signs - middle) / spread
    side = np.where(np.asarray(true, bool), 1.0, -1.0)
    count = np.ones(len(side)) if counts is None else np.asarray(counts, np.float64) / np.mean(counts)

    def loss(theta: Floats) -> tuple[float, Floats]:
        margin = side * (theta[0] + units @ theta[1:])
        pull = -count * side / (1 + np.exp(np.clip(margin, -50, 50)))
        value = (count * np.logaddexp(0, -margin)).sum() + strength / 2 * (theta[1:] ** 2).sum()
        return float(value), np.concatenate([[pull.sum()], units.T @ pull + strength * theta[1:]])

    bounds = [(None, None), *[(None, 0.0)] * len(names)]
    found = minimize(loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
    weights = found[1:] / spread
    start = float(found[0] - weights @ middle)
    return Logistic(start, {name: float(w) for name, w in zip(names, weights, strict=True) if abs(w) > 1e-3})


def crossed(
    rows: Sequence[Mapping[str, float]],
    true: Sequence[bool],
    groups: Sequence[str],
    counts: Sequence[float] | None = None,
    strength: float = 0.3,
    least_spread: float = 0.0,
) -> list[float]:
    """Return the chance of each case by a fit that has seen no case of its group."""
    found = np.zeros(len(rows))
    for group in dict.fromkeys(groups):
        seen = [index for index, other in enumerate(groups) if other != group]
        weight = None if counts is None else [counts[index] for index in seen]
        cases, outcome = [rows[index] for index in seen], [true[index] for index in seen]
        fitted = fit_logistic(cases, outcome, weight, strength, least_spread)
        for index, other in enumerate(groups):
            if other == group:
                found[index] = fitted.chance(rows[index])
    return [float(one) for one in found]


def auc(values: Sequence[float], true: Sequence[bool]) -> float:
    """Return how often a true case has the larger value of the two when it meets one that is not; ties count half.

    >>> auc([0.9, 0.2, 0.5], [True, False, False])
    1.0
    """
    value, is_true = np.asarray(values, np.float64), np.asarray(true, bool)
    more = value[is_true][:, None] - value[~is_true][None]
    return float(((more > 0) + 0.5 * (more == 0)).mean()) if more.size else float("nan")
