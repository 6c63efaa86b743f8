"""Weights of several runs as those of one network (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["RELATED", "likeness", "mean_weights"]

RELATED = 0.2  # least likeness: 0.84 after a run of 18 epochs, 0 between strangers, whose mean is no network


def mean_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of several networks' weights, which have the same names and shapes."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }


def likeness(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Return the correlation of two networks' weights: about 0 unless one came from the other."""
    first, second = (
        torch.cat([weight.flatten() for weight in state.values() if weight.ndim > 1]).double() for state in (one, other)
    )
    return float(torch.corrcoef(torch.stack([first, second]))[0, 1])
