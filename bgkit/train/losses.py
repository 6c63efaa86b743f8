"""What training minimizes, at every depth of the network: cross entropy, soft IoU, dissimilarity, loss of contours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from bgkit.train.recipe import Loss

__all__ = ["boundary_iou", "deep_supervision", "gradient", "soft_iou", "ssim"]


def deep_supervision(logits: Sequence[Tensor] | Tensor, truth: Tensor, loss: Loss | None = None) -> Tensor:
    """Weighted mean over a network's outputs of the losses that ``loss`` asks for.

    The truth (N, 1, H, W) is averaged down to the size of each output (N, 1, h, w). With ``supervision`` halving, an
    output's weight halves with each step away from the first, which is the finest.
    """
    loss = loss or Loss()
    total, weights = truth.new_zeros(()), 0.0
    for depth, logit in enumerate([logits] if isinstance(logits, Tensor) else logits):
        logit = logit.float()
        target = F.adaptive_avg_pool2d(truth, logit.shape[2:])
        weight = 0.5**depth if loss.supervision == "halving" else 1.0
        weights += weight
        if loss.cross_entropy:
            total = total + weight * loss.cross_entropy * F.binary_cross_entropy_with_logits(logit, target)
        if loss.iou:
            total = total + weight * loss.iou * soft_iou(torch.sigmoid(logit), target)
        if loss.ssim:
            total = total + weight * loss.ssim * (1 - ssim(torch.sigmoid(logit), target))
        if loss.boundary:
            total = total + weight * loss.boundary * boundary_iou(torch.sigmoid(logit), target)
    return total / weights


def soft_iou(probability: Tensor, target: Tensor) -> Tensor:
    """1 - intersection / union, per picture, counting probabilities (Rahman and Wang 2016).

    The constant keeps the gradient alive on empty pictures, where union is all false alarm.
    """
    both = (probability * target).sum((1, 2, 3))
    either = (probability + target - probability * target).sum((1, 2, 3))
    slack = 0.002 * probability[0].numel()
    return (1 - (both + slack) / (either + slack)).mean()


def ssim(one: Tensor, other: Tensor, window: int = 11) -> Tensor:
    """Mean structural similarity of maps (N, 1, H, W) in 0..1 (Wang et al. 2004, equation 13).

    Windows are square and even rather than Gaussian, which costs a fifth and orders masks alike; at the border they
    hold what is inside.
    """

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, window, 1, window // 2, count_include_pad=False)

    mean_one, mean_other = mean(one), mean(other)
    variance_one = mean(one * one) - mean_one**2
    variance_other = mean(other * other) - mean_other**2
    covariance = mean(one * other) - mean_one * mean_other
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_one * mean_other + c1) * (2 * covariance + c2)
    return (likeness / ((mean_one**2 + mean_other**2 + c1) * (variance_one + variance_other + c2))).mean()


def boundary_iou(probability: Tensor, target: Tensor) -> Tensor:
    """1 - 2 |C and T| / (|C| + |T|), per picture, of the contours C of maps (N, 1, H, W) and T of their truth.

    As Luo et al. (2017) and Tu et al. (2019) have it: a contour is the size of the Sobel gradient under a hyperbolic
    tangent, and the size of a set the sum of its squares. The constant, a pixel, makes nothing of two maps without
    contours.
    """
    found, true = torch.tanh(gradient(probability)), torch.tanh(gradient(target))
    both = (found * true).sum((1, 2, 3))
    each = (found**2 + true**2).sum((1, 2, 3))
    return (1 - (2 * both + 1) / (each + 1)).mean()


def gradient(x: Tensor) -> Tensor:
    """Size of the Sobel gradient of each channel (N, C, H, W); beyond the border lies what is at it.

    Steps from 0 to 1 along a row or a column have 4. The root is smooth at zero.
    """
    smooth, step = torch.tensor([1.0, 2, 1], device=x.device), torch.tensor([-1.0, 0, 1], device=x.device)
    single = F.pad(x.float(), (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]  # each channel by itself
    across = F.conv2d(single, (smooth[:, None] * step)[None, None])
    down = F.conv2d(single, (step[:, None] * smooth)[None, None])
    return torch.sqrt(across**2 + down**2 + 1e-6).view_as(x)
