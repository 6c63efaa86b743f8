"""Weights of several runs as those of one network (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from bgkit.errors import ModelError

__all__ = ["likeness", "mean_weights"]

RELATED = 0.2  # least likeness: 0.84 after a run of 18 epochs, 0 between strangers, whose mean is no network


def mean_weights(paths: Sequence[Path], states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of several networks' weights, which have the same names and shapes and come from ``paths``.

    Raises
    ------
    ModelError
        If one of them has nothing to do with the first.
    """
    for path, state in zip(paths[1:], states[1:], strict=True):
        alike = likeness(states[0], state)
        if alike < RELATED:
            raise ModelError(
                f"{path}: expected a run that began with the weights of {paths[0]}, or the other way round, for a "
                f"mean of unrelated weights is no network; these have a correlation of {alike:.2f}"
            )
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
