"""The embedded coarse-mask network: a U-shaped residual network with atrous pooling.

An encoder of residual blocks (He et al. 2016) halves the picture five times; atrous spatial
pyramid pooling (Chen et al. 2017) looks at the whole frame from its deepest map; a decoder in
the manner of U-Net (Ronneberger et al. 2015) climbs back to half the input size, each step
concatenating the encoder's map of that size. Dense 3x3 convolutions throughout: on a CPU they
reach several times the arithmetic rate of depthwise ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["AtrousPooling", "CoarseNet"]


def _conv(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    """Two 3x3 convolutions around an identity (He et al. 2016, fig. 2)."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = _conv(channels, channels, dilation=dilation)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)), inplace=True)


class AtrousPooling(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al. 2017): parallel dilations and the frame's mean."""

    def __init__(self, channels: int, branch: int, rates: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_conv(channels, branch, dilation=rate) for rate in rates])
        # No batch normalization on the pooled branch: it has one value per picture and channel.
        self.pooled = nn.Sequential(nn.Conv2d(channels, branch, 1), nn.ReLU(inplace=True))
        self.join = _conv(branch * (len(rates) + 1), channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        frame = self.pooled(x.mean((2, 3), keepdim=True)).expand(-1, -1, x.shape[2], x.shape[3])
        return self.join(torch.cat([branch(x) for branch in self.branches] + [frame], 1))


class CoarseNet(nn.Module):
    """Foreground logits at half the input size, and coarser ones for deep supervision.

    Input: float tensor of shape (N, 3, H, W), H and W multiples of 32, ImageNet-normalized RGB.
    Output in training: logits of shape (N, 1, h, w) at 1/2, 1/4, 1/8, 1/16 and 1/32, finest first.
    Output in evaluation: the finest logits, upsampled to (N, 1, H, W).
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128, 128), blocks: tuple[int, ...] = (0, 1, 2, 3, 3)):
        super().__init__()
        self.down = nn.ModuleList()
        inputs = 3
        for width, count in zip(widths, blocks, strict=True):
            self.down.append(nn.Sequential(_conv(inputs, width, stride=2), *[_Residual(width) for _ in range(count)]))
            inputs = width
        self.context = AtrousPooling(widths[-1], widths[-1] // 2)
        self.up = nn.ModuleList()
        self.heads = nn.ModuleList([nn.Conv2d(widths[-1], 1, 3, padding=1)])
        for width in reversed(widths[:-1]):
            self.up.append(_conv(inputs + width, width))
            self.heads.append(nn.Conv2d(width, 1, 3, padding=1))
            inputs = width

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        skips = []
        x = image
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        x = self.context(skips.pop())
        logits = [self.heads[0](x)] if self.training else []
        for stage, head in zip(self.up, self.heads[1:], strict=True):
            skip = skips.pop()
            x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = stage(torch.cat([x, skip], 1))
            if self.training or not skips:
                logits.append(head(x))
        if self.training:
            return logits[::-1]
        return F.interpolate(logits[-1], size=image.shape[2:], mode="bilinear", align_corners=False)
