"""Fully convolutional networks: FCN-32s, FCN-16s, FCN-8s (Long, Shelhamer, Darrell 2015).

Figure 3 of the paper, in words: VGG16's five groups of 3x3 convolutions (2, 2, 3, 3, 3 of them; 64, 128, 256, 512,
512 channels), each closed by a 2x2 maximum, "pool1" to "pool5"; VGG's two large layers become convolutions, "fc6" of
7x7 and "fc7" of 1x1 with 4096 channels each; a 1x1 convolution scores the classes at stride 32. FCN-32s enlarges
these scores 32 times at once. FCN-16s enlarges them twice, adds scores made from pool4 by a 1x1 convolution, and
enlarges the sum 16 times. FCN-8s enlarges that sum twice, adds scores from pool3, and enlarges 8 times. Enlarging is
a transposed convolution: the last one is fixed to bilinear interpolation, the ones before begin as it and learn.
Dropout of one half follows fc6 and fc7; scoring layers begin at zero. No batch normalization.

What differs. The authors pad the picture by 100 pixels, which makes it 422 wide instead of 224 and 3.5 times as
costly, let fc6 shrink the map by 6, and crop the answer; they say of it that it "guarantees that the network output
can be aligned to the input for any input size", and that exact offsets do as well. Here fc6 is padded by 3, so that
with sides of multiples of 32 each score lies over its 32x32 pixels without any crop. (Either way the scores fade
within half a cell of the border, there to 0.6 of their value, here to 0.5.) The weights begin random, not as
ImageNet's. All strides are trained at once; the authors begin each with the weights of the coarser one.

References
----------
J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015. The padding is
explained in the README of the authors' repository.
K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.vgg import VGG16

__all__ = ["FCN"]


class FCN(nn.Module):
    """Logits at the picture's size, from scores at stride 32, 16 or 8.

    Parameters
    ----------
    stride : int
        32, 16 or 8: how fine the scores are before the last enlarging. Finer keeps thinner things.
    classes : int
        Channels of the answer; the paper's table has 21.
    width : int
        Channels of the first group, 64 in VGG16; all groups follow.
    hidden : int
        Channels of fc6 and fc7, 4096 in VGG16. Nine tenths of all parameters hang on it.

    Notes
    -----
    In training the answer is a list of one map, for the paper supervises at full size only.
    """

    def __init__(self, stride: int = 8, *, classes: int = 1, width: int = 64, hidden: int = 4096) -> None:
        super().__init__()
        self.groups = VGG16(width)
        channels = self.groups.channels[-1]
        self.fully = nn.Sequential(
            nn.Conv2d(channels, hidden, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
        )
        for module in self.fully:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        fused = {32: (), 16: (8,), 8: (8, 4)}[stride]  # widths of pool4 and pool3
        self.score = _score(hidden, classes)
        self.fused_scores = nn.ModuleList([_score(factor * width, classes) for factor in fused])
        self.twice = nn.ModuleList([_enlarge(classes, 2) for _ in fused])
        self.enlarge = _enlarge(classes, stride).requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        pools = [F.max_pool2d(each, 2) for each in self.groups(image)]
        scores = self.score(self.fully(pools[4]))
        for twice, score, pool in zip(self.twice, self.fused_scores, (pools[3], pools[2]), strict=False):
            scores = twice(scores) + score(pool)
        logits = self.enlarge(scores)
        return [logits] if self.training else logits


def _score(channels: int, classes: int) -> nn.Conv2d:
    """A 1x1 convolution that begins at zero, so that each added stride begins with the coarser answer."""
    layer = nn.Conv2d(channels, classes, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _enlarge(classes: int, factor: int) -> nn.ConvTranspose2d:
    """A transposed convolution that begins as bilinear interpolation, each class by itself."""
    layer = nn.ConvTranspose2d(classes, classes, 2 * factor, factor, padding=factor // 2, bias=False)
    line = 1 - (torch.arange(2 * factor) - (2 * factor - 1) / 2).abs() / factor
    with torch.no_grad():
        layer.weight.zero_()
        for number in range(classes):
            layer.weight[number, number] = torch.outer(line, line)
    return layer
