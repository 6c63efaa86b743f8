"""Optimizers by name, the learning rate's course, and Muon."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bgkit.train.recipe import Optimizer, Schedule

__all__ = ["Muon", "Optimizers", "make_optimizers", "rate"]


class Muon(torch.optim.Optimizer):
    """Steps whose matrix is orthogonal (Jordan et al. 2024), at the size of AdamW's (Liu et al. 2025).

    A convolution's weights count as a matrix of its outputs by everything else. The momentum's matrix is brought near
    the orthogonal one next to it by five steps of a Newton-Schulz iteration; its entries are then as large as AdamW's
    updates, so that learning rates and weight decay carry over.
    """

    def __init__(
        self, params: list[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "share": 1.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(state["momentum"], group["momentum"])  # Nesterov's look ahead
                update = orthogonal(ahead.reshape(len(ahead), -1))
                scale = 0.2 * math.sqrt(max(update.shape))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.reshape(weight.shape), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """Return a matrix of the same singular vectors whose singular values lie near 1 (0.7 to 1.2)."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):  # the coefficients push singular values of 0.01 up to 1 as fast as a quintic can
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * (gram @ gram)) @ x
    return x.T if tall else x


class Optimizers:
    """The optimizers of a network, as one."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self.parts = parts

    def set_rate(self, learning_rate: float) -> None:
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = learning_rate * group["share"]

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def state(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load(self, states: list[dict]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


def make_optimizers(network: nn.Module, wish: Optimizer, encoder: nn.Module | None = None) -> Optimizers:
    """Return what steps the weights of ``network``; biases and the like are never decayed.

    ``encoder`` is the part of it that was trained before: it moves at ``wish.encoder`` times the rate, by AdamW where
    the rest is stepped by Muon, whose steps of full rank would undo what the weights hold.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    before = set() if encoder is None else {id(weight) for weight in encoder.parameters()}
    turned = [
        weight
        for weight in weights
        if wish.kind == "muon"
        and id(weight) not in before
        and weight.ndim > 1
        and min(weight.shape[0], weight.shape[1] - 2) > 1
    ]
    others = {id(weight) for weight in weights} - {id(weight) for weight in turned}
    rest = [weight for weight in weights if id(weight) in others]
    groups = []
    for share, part in (
        (1.0, [weight for weight in rest if id(weight) not in before]),
        (wish.encoder, [weight for weight in rest if id(weight) in before]),
    ):
        groups.append({"params": [w for w in part if w.ndim > 1], "weight_decay": wish.weight_decay, "share": share})
        groups.append({"params": [w for w in part if w.ndim <= 1], "weight_decay": 0.0, "share": share})
    groups = [group for group in groups if group["params"]]
    rate, momentum = wish.learning_rate, wish.momentum
    if wish.kind == "rmsprop":
        return Optimizers([torch.optim.RMSprop(groups, lr=rate, momentum=momentum)])
    if wish.kind == "sgd":
        return Optimizers([torch.optim.SGD(groups, lr=rate, momentum=momentum)])
    parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate)]
    if turned:
        parts.append(Muon(turned, rate, wish.weight_decay, momentum))
    return Optimizers(parts)


def rate(wish: Schedule, step: int, steps: int, per_epoch: int) -> float:
    """Return the share of the learning rate at ``step`` of ``steps``, ``per_epoch`` making an epoch.

    The warmup takes no more than a tenth of the run, or a short one would never leave it.

    >>> [round(rate(Schedule(warmup=2), step, 100, 10), 2) for step in (0, 1, 50, 99)]
    [0.5, 1.0, 0.5, 0.0]
    """
    warmup = min(wish.warmup, steps // 10)
    risen = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if wish.kind == "exponential":
        return risen * wish.decay ** (step // per_epoch)
    return risen * 0.5 * (1 + math.cos(math.pi * step / steps))
