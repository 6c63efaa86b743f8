"""IndexNet matting: pooling and unpooling guided by learned indices (Lu, Dai, Shen, Xu 2019).

Figure 3 of the paper, in words: MobileNetV2 looks at picture and trimap together (four channels) with all its strides
taken out. Where a stride was (after the first convolution and after the stages of 24, 32, 64 and 160 channels) an
*index network* looks at the map and gives two numbers for each of its pixels. In the encoder they lie in 0..1 and sum
to one over each 2x2 square (a sigmoid, then a softmax over the four), weigh the map, and its squares are summed: a
pooling that chooses. In the decoder (the sigmoid alone) they weigh the map that comes from below, each value repeated
over its square: an unpooling that puts it back where it was taken from. Atrous pooling with depthwise convolutions
stands at the deepest map, at stride 32. Seven 5x5 convolutions climb back, each seeing what comes from below beside the
encoder's weighted map; a 5x5 convolution to one channel and another make the opacity, without an activation; where it
is used, it is clipped to 0..1.

Index networks (figures 4 to 6) halve the size with a 4x4 convolution of stride 2 to twice the channels ("context"),
then batch normalization, ReLU6 and a 1x1 convolution ("nonlinearity"), once for each of the four places in a square.
*Holistic* ones give one index for all channels; *depthwise* ones give each channel its own, seen from that channel
alone (one-to-one, "o2o") or from all (many-to-one, "m2o", which did best: SAD 45.8 on Composition-1k).

Training minimizes, over the unknown pixels, half the error of opacity and half that of the composition. The latter
needs the true colors on both sides, which pictures with mattes alone do not have: here it is the picture laid over the
mean color with either opacity.

References
----------
H. Lu, Y. Dai, C. Shen, S. Xu, "Indices matter: learning to index for deep image matting", ICCV 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import convolution, initialize
from bgkit.train.networks.mobilenetv2 import InvertedResidual

__all__ = ["IndexNet"]

# MobileNetV2 without strides, as (widening, channels, blocks), and whether an index network halves the size after it.
STAGES = (
    (1, 16, 1, False),
    (6, 24, 2, True),
    (6, 32, 3, True),
    (6, 64, 4, True),
    (6, 96, 3, False),
    (6, 160, 3, True),
)
DEEPEST = (6, 320, 1)
DECODER = (96, 64, 32, 24, 16, 32, 32)

Index = Literal["holistic", "o2o", "m2o"]


class IndexNet(nn.Module):
    """Opacity from picture and trimap.

    Parameters
    ----------
    index : {"m2o", "o2o", "holistic"}
        What an index is seen from, see above.
    expansion : int
        How many times its channels an index network has inside: 2 gives the published 8.15 M parameters; the program
        that the authors published has 1 in depthwise ones, and so 5.95 M.
    multiplier : float
        Factor on all widths, 1 in the paper.

    Notes
    -----
    ``forward`` maps a picture (N, 3, H, W) and a trimap (N, 1, H, W) of 0, 128/255, 1, H and W multiples of 32, to
    the opacity (N, 1, H, W), not clipped. In training it comes in a list with a second map of that shape, 1 where the
    trimap leaves the opacity open, 0 elsewhere: the loss looks there.
    """

    def __init__(self, index: Index = "m2o", *, expansion: int = 2, multiplier: float = 1.0) -> None:
        super().__init__()

        def width(channels: int) -> int:
            return max(1, round(channels * multiplier))

        channels = width(32)
        self.encoder = nn.ModuleList([convolution(4, channels, activation=nn.ReLU6)])
        self.indices = nn.ModuleList([IndexBlock(channels, index, expansion)])
        across = [channels]
        for expand, outputs, blocks, halves in STAGES:
            self.encoder.append(_stage(channels, width(outputs), expand, blocks))
            channels = width(outputs)
            self.indices.append(IndexBlock(channels, index, expansion) if halves else None)
            across.append(channels)
        expand, outputs, blocks = DEEPEST
        self.deepest = _stage(channels, width(outputs), expand, blocks)
        self.pooling = _AtrousPooling(width(outputs), width(256), channels)
        self.decoder = nn.ModuleList()
        for outputs, skip in zip(DECODER, reversed(across), strict=True):
            self.decoder.append(convolution(channels + skip, width(outputs), 5, activation=nn.ReLU6))
            channels = width(outputs)
        self.leave = nn.Sequential(
            convolution(channels, 1, 5, activation=nn.ReLU6), nn.Conv2d(1, 1, 5, padding=2, bias=False)
        )
        initialize(self)

    def forward(self, image: Tensor, trimap: Tensor) -> list[Tensor] | Tensor:
        x = torch.cat([image, trimap], 1)
        across = []
        for stage, block in zip(self.encoder, self.indices, strict=True):
            x, back = stage(x), None
            if block is not None:
                choose, back = block(x)
                x = choose * x
            across.append((x, back))
            if block is not None:
                x = 4 * F.avg_pool2d(x, 2)  # the sum of what was weighed
        x = self.pooling(self.deepest(x))
        for stage in self.decoder:
            skip, back = across.pop()
            if back is not None:
                x = back * F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = stage(torch.cat([x, skip], 1))
        alpha = self.leave(x)
        if not self.training:
            return alpha
        return [alpha, ((trimap > 0.25) & (trimap < 0.75)).to(alpha.dtype)]

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Half the error of opacity, half that of composition, over the unknown pixels of each picture."""
        alpha, unknown = (output.float() for output in outputs)
        difference = (alpha - truth) * unknown
        count = unknown.sum((1, 2, 3)).clamp_min(1)

        def error(x: Tensor) -> Tensor:  # the absolute value, smooth at zero
            return (torch.sqrt(x**2 + 1e-6**2).sum((1, 2, 3)) / count).mean()

        return 0.5 * error(difference) + 0.5 * error(difference * image.float())


class IndexBlock(nn.Module):
    """An index network: what to take of each 2x2 square, and where to put it back.

    Parameters
    ----------
    channels : int
        Of the map it looks at.
    index : {"m2o", "o2o", "holistic"}
        An index for each channel seen from all, from that channel alone, or one for all channels.
    expansion : int
        How many times its channels it has inside.

    Notes
    -----
    ``forward`` maps (N, C, H, W) to two maps (N, C or 1, H, W) of 0..1; those of the first sum to 1 over each square.
    """

    def __init__(self, channels: int, index: Index, expansion: int = 2) -> None:
        super().__init__()
        holistic = index == "holistic"
        groups = channels if index == "o2o" else 1
        inside = expansion * channels
        self.places = nn.ModuleList()  # of a square; a holistic one makes all four at once
        for _ in range(1 if holistic else 4):
            self.places.append(
                nn.Sequential(
                    nn.Conv2d(channels, inside, 4, 2, 1, groups=groups, bias=False),
                    nn.BatchNorm2d(inside),
                    nn.ReLU6(),
                    nn.Conv2d(inside, 4 if holistic else channels, 1, groups=groups, bias=False),
                )
            )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if len(self.places) == 1:
            scores = self.places[0](x)[:, None]
        else:
            scores = torch.stack([place(x) for place in self.places], 2)
        back = torch.sigmoid(scores)  # (N, C or 1, 4, H/2, W/2)
        choose = torch.softmax(back, 2)
        return F.pixel_shuffle(choose.flatten(1, 2), 2), F.pixel_shuffle(back.flatten(1, 2), 2)


class _AtrousPooling(nn.Module):
    """Atrous pooling with depthwise convolutions (Chen et al. 2018), spaced for stride 32, and the frame's mean."""

    def __init__(self, inputs: int, branch: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([convolution(inputs, branch, 1, activation=nn.ReLU6)])
        for rate in (2, 4, 8):
            self.branches.append(
                nn.Sequential(
                    convolution(inputs, inputs, dilation=rate, groups=inputs, activation=nn.ReLU6),
                    convolution(inputs, branch, 1, activation=nn.ReLU6),
                )
            )
        self.frame = convolution(inputs, branch, 1, activation=nn.ReLU6)
        self.join = nn.Sequential(convolution(5 * branch, outputs, 1, activation=nn.ReLU6), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        frame = self.frame(x.mean((2, 3), keepdim=True)).expand(-1, -1, x.shape[2], x.shape[3])
        return self.join(torch.cat([*(branch(x) for branch in self.branches), frame], 1))


def _stage(inputs: int, outputs: int, expand: int, blocks: int) -> nn.Sequential:
    widths = [inputs] + [outputs] * (blocks - 1)
    return nn.Sequential(*[InvertedResidual(width, outputs, expand=expand, stride=1, dilation=1) for width in widths])
