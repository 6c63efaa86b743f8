"""ENFNet: an edge-guided, non-local fully convolutional network (Tu, Ma, Li, Tang, Luo 2019).

The network in words: VGG-16's five groups of convolutions, and from the 2x2 maximum of each a *side output*, a 3x3
convolution to 128 channels with ReLU. An *edge guidance block* changes each side output where the picture has edges:
four convolutions make 64 channels of an edge map (the condition, at stride 2), from which each block makes two maps of
the side output's size, by convolutions whose strides bring them there, and gives scale * side output + shift. What is
*local* is a guided map beside its contrast, the map minus its 3x3 mean. From the deepest up, a 5x5 transposed
convolution doubles what a level has and what came from below, so that channels grow by 128 with each level; two 1x1
convolutions score the finest, at stride 2. What is *non-local* is one score for the whole picture, from three
convolutions without padding that shrink the deepest map, 11x11 at the paper's 352 pixels, to a single place. The answer
is the sum of both scores.

Trained by cross entropy and by the overlap of contours, each with weight 1 (:func:`bgkit.train.losses.boundary_iou`).

What differs. The authors hand in edge pictures that were made beforehand; here edges are the size of the Sobel gradient
of each channel, computed in the graph, so that the picture is all that the network needs. One logit takes the place of
two classes. In the loss, the authors add up the gradients of both classes, and round the truth's to 0 or 1; here one
map has a gradient, and the truth's stays soft. For other sides than 352 the deepest map is resized to 11x11 first.
Answers are doubled bilinearly. The weights begin random, not as ImageNet's.

References
----------
Z. Tu, Y. Ma, C. Li, J. Tang, B. Luo, "Edge-guided non-local fully convolutional network for salient object detection",
2019 (IEEE TCSVT 31, 2021); kernels, strides and widths as in the authors' repository. What it builds on: Z. Luo,
A. Mishra, A. Achkar, J. Eichel, S. Li, P.-M. Jodoin, "Non-local deep features for salient object detection", CVPR 2017.
X. Wang, K. Yu, C. Dong, C. C. Loy, "Recovering realistic texture in image super-resolution by deep spatial feature
transform", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.losses import deep_supervision, gradient
from bgkit.train.networks.blocks import initialize
from bgkit.train.networks.vgg import VGG16
from bgkit.train.recipe import Loss

__all__ = ["ENFNet"]

# Kernel and stride of a guidance block's two convolutions: from the condition, at stride 2, to stride 2, 4, 8, 16, 32.
GUIDANCE = (((3, 1), (3, 1)), ((3, 1), (3, 2)), ((3, 2), (3, 2)), ((3, 2), (5, 4)), ((5, 4), (5, 4)))
DEEPEST = 11  # rows and columns of the map that the global convolutions see


class ENFNet(nn.Module):
    """Logits of the subject at half the picture's size, enlarged in evaluation.

    Parameters
    ----------
    width : int
        Channels of VGG-16's first group, 64 in the paper; all others follow in proportion.

    Notes
    -----
    ``forward`` maps (N, 3, H, W), H and W multiples of 32, to one (N, 1, H/2, W/2) in training, for the paper
    supervises there only, and to (N, 1, H, W) in evaluation.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        side = 2 * width
        self.base = VGG16(width)
        self.condition = nn.Sequential()
        channels = 3
        for number, outputs in enumerate((width // 8, width // 4, width // 2, width)):
            self.condition.extend([nn.Conv2d(channels, outputs, 3, 2 if number == 3 else 1, 1), nn.ReLU()])
            channels = outputs
        self.sides = nn.ModuleList([nn.Conv2d(inputs, side, 3, padding=1) for inputs in self.base.channels])
        self.guidance = nn.ModuleList([_Guidance(width, side, *steps) for steps in GUIDANCE])
        self.enlarge = nn.ModuleList(  # from the deepest level up, each with what came from below
            [nn.ConvTranspose2d((2 + n) * side, (1 + n) * side, 5, 2, 2, output_padding=1) for n in range(4)]
        )
        self.local = nn.Sequential(nn.Conv2d(6 * side, 5 * side, 1), nn.Conv2d(5 * side, 1, 1))
        self.whole = nn.Sequential(
            nn.Conv2d(self.base.channels[-1], side, 5),
            nn.ReLU(),
            nn.Conv2d(side, side, 5),
            nn.ReLU(),
            nn.Conv2d(side, side, 3),
            nn.Conv2d(side, 1, 1),
        )
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        edges = self.condition(gradient(image))
        pools = [F.max_pool2d(each, 2) for each in self.base(image)]
        levels = []
        for pool, side, guide in zip(pools, self.sides, self.guidance, strict=True):
            x = guide(F.relu(side(pool)), edges)
            levels.append(torch.cat([x, x - _mean(x)], 1))
        x = levels[4]
        for enlarge, level in zip(self.enlarge, reversed(levels[:4]), strict=True):
            x = torch.cat([level, F.relu(enlarge(x))], 1)
        deepest = F.interpolate(pools[4], size=(DEEPEST, DEEPEST), mode="bilinear", align_corners=False)
        logits = self.local(x) + self.whole(deepest)
        if self.training:
            return [logits]
        return F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Cross entropy and the overlap of contours, each with weight 1."""
        del image
        return deep_supervision(outputs, truth, Loss(cross_entropy=1, iou=0, boundary=1))


class _Guidance(nn.Module):
    """An edge guidance block: scale a side output and shift it, each channel and place by what the edges say there."""

    def __init__(self, condition: int, side: int, first: tuple[int, int], second: tuple[int, int]) -> None:
        super().__init__()
        self.scale, self.shift = (
            nn.Sequential(
                _strided(condition, condition, *first), nn.ReLU(), _strided(condition, side, *second), nn.ReLU()
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        return self.scale(edges) * x + self.shift(edges)


def _strided(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def _mean(x: Tensor) -> Tensor:
    """Mean of 3x3 places; beyond the border lies what is at it."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
