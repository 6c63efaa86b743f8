"""What training minimizes: cross entropy and soft IoU, at every depth of the network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["deep_supervision"]


def deep_supervision(logits: Sequence[Tensor], truth: Tensor) -> Tensor:
    """Mean over the outputs of binary cross entropy plus soft IoU, the finest output counting most.

    The truth (N, 1, H, W) is averaged down to the size of each output. An output's weight halves
    with each step away from the finest.
    """
    total, weights = truth.new_zeros(()), 0.0
    for depth, logit in enumerate(logits):
        logit = logit.float()
        target = F.adaptive_avg_pool2d(truth, logit.shape[2:])
        weight = 0.5**depth
        total = total + weight * (F.binary_cross_entropy_with_logits(logit, target) + _soft_iou(logit, target))
        weights += weight
    return total / weights


def _soft_iou(logit: Tensor, target: Tensor) -> Tensor:
    """1 - intersection / union, per picture, counting probabilities (Rahman and Wang 2016).

    The constant keeps the gradient alive on empty pictures, where union is all false alarm.
    """
    probability = torch.sigmoid(logit)
    both = (probability * target).sum((1, 2, 3))
    either = (probability + target - probability * target).sum((1, 2, 3))
    slack = 0.002 * probability[0].numel()
    return (1 - (both + slack) / (either + slack)).mean()
