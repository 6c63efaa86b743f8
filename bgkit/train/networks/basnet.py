"""BASNet: predict, then refine the boundary (Qin, Zhang, Huang, Gao, Dehghan, Jagersand 2019).

Figure 2 of the paper, in words: two U-shaped networks in a row. The first predicts: a 3x3 convolution at full size
(not ResNet's 7x7 of stride 2: the first stage sees every pixel), ResNet-34's four stages at strides 1, 2, 4, 8, and two
more of three basic blocks each after 2x2 maxima, at 16 and 32; a bridge of three convolutions whose taps lie 2 apart;
then six stages of three convolutions on the way up, each seeing the stage below, doubled bilinearly, beside the one
across. The bridge and each of the six give a map through one 3x3 convolution. The second network refines the finest
map: four levels of one convolution with 64 channels, a bridge of one, four levels up, and what comes out is *added* to
the map (a residual, section 3.3).

Training supervises all eight maps at full size by the sum of cross entropy, 1 - SSIM and 1 - IoU (section 3.4), which
look at pixels, patches and the whole.

References
----------
X. Qin, Z. Zhang, C. Huang, C. Gao, M. Dehghan, M. Jagersand, "BASNet: boundary-aware salient object detection",
CVPR 2019. K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016.
Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to structural
similarity", 2004.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import convolution, initialize

__all__ = ["BASNet"]

# Channels as multiples of the first stage's 64. ResNet-34's stages 1-4 have 3, 4, 6, 3 blocks; two more have 3, 3.
ENCODER = ((1, 3), (2, 4), (4, 6), (8, 3), (8, 3), (8, 3))
# Channels inside and out of the six stages on the way up; the lowest keeps the bridge's spacing in its last two.
DECODER = ((8, 8), (8, 8), (8, 4), (4, 2), (2, 1), (1, 1))


class BASNet(nn.Module):
    """Logits of the subject: predicted, then refined.

    Parameters
    ----------
    width : int
        Channels of the first stage, 64 in the paper; all others follow in proportion.

    Notes
    -----
    ``forward`` maps (N, 3, H, W), H and W multiples of 32, to eight (N, 1, H, W) in training (refined, then the six
    stages finest first, then the bridge), to the refined one in evaluation.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.enter = convolution(3, width)
        self.encoder = nn.ModuleList()
        inputs = width
        for stage, (factor, blocks) in enumerate(ENCODER):
            outputs, stride = factor * width, 2 if 0 < stage < 4 else 1
            self.encoder.append(
                nn.Sequential(
                    *([nn.MaxPool2d(2, ceil_mode=True)] if stage >= 4 else []),
                    _Basic(inputs, outputs, stride),
                    *[_Basic(outputs, outputs) for _ in range(blocks - 1)],
                )
            )
            inputs = outputs
        self.bridge = nn.Sequential(*[convolution(inputs, inputs, dilation=2) for _ in range(3)])
        self.heads = nn.ModuleList([nn.Conv2d(inputs, 1, 3, padding=1)])
        self.decoder = nn.ModuleList()
        for stage, ((inside, last), (factor, _)) in enumerate(zip(DECODER, reversed(ENCODER), strict=True)):
            outputs, spacing = last * width, 1 if stage else 2
            self.decoder.append(
                nn.Sequential(
                    convolution(inputs + factor * width, inside * width),
                    convolution(inside * width, inside * width, dilation=spacing),
                    convolution(inside * width, outputs, dilation=spacing),
                )
            )
            self.heads.append(nn.Conv2d(outputs, 1, 3, padding=1))
            inputs = outputs
        self.refine = _Refinement(width)
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        across, x = [], self.enter(image)
        for stage in self.encoder:
            x = stage(x)
            across.append(x)
        x = self.bridge(x)
        maps = [_resize(self.heads[0](x), image)]
        for number, (stage, head) in enumerate(zip(self.decoder, self.heads[1:], strict=True)):
            skip = across.pop()
            x = stage(torch.cat([_resize(x, skip) if number else x, skip], 1))
            maps.append(_resize(head(x), image) if across else head(x))
        refined = self.refine(maps[-1])
        return [refined, *reversed(maps)] if self.training else refined

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Equations 3 to 6: for each map cross entropy, 1 - SSIM and 1 - IoU, all with weight 1."""
        del image
        total = truth.new_zeros(())
        for output in outputs:
            logits = output.float()
            probability = torch.sigmoid(logits)
            entropy = F.binary_cross_entropy_with_logits(logits, truth)
            total = total + entropy + 1 - _similarity(probability, truth) + 1 - _overlap(probability, truth)
        return total


class _Basic(nn.Module):
    """ResNet-34's block: two 3x3 convolutions around an identity (He et al., fig. 5, left)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = convolution(inputs, outputs, stride=stride)
        self.second = convolution(outputs, outputs, activation=None)
        nn.init.zeros_(self.second[1].weight)  # begins as its shortcut, see resnet.py
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride=stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.second(self.first(x)))


class _Refinement(nn.Module):
    """The residual refinement module (fig. 4c): a U of four levels, whose answer is added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        self.down = nn.ModuleList([convolution(width, width) for _ in range(4)])
        self.bridge = convolution(width, width)
        self.up = nn.ModuleList([convolution(2 * width, width) for _ in range(4)])
        self.leave = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, coarse: Tensor) -> Tensor:
        across, x = [], self.enter(coarse)
        for step in self.down:
            across.append(step(x))
            x = F.max_pool2d(across[-1], 2, ceil_mode=True)
        x = self.bridge(x)
        for step in self.up:
            skip = across.pop()
            x = step(torch.cat([_resize(x, skip), skip], 1))
        return coarse + self.leave(x)


def _similarity(probability: Tensor, truth: Tensor) -> Tensor:
    """Mean SSIM over windows of 11x11 weighted by a Gaussian of deviation 1.5, as Wang et al. (2004) have it."""
    distance = torch.arange(-5.0, 6.0, device=truth.device)
    gaussian = torch.exp(-(distance**2) / (2 * 1.5**2))
    kernel = (gaussian[:, None] * gaussian / gaussian.sum() ** 2)[None, None]

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(x, kernel, padding=5)

    p, t = mean(probability), mean(truth)
    variance_p, variance_t = mean(probability**2) - p**2, mean(truth**2) - t**2
    covariance = mean(probability * truth) - p * t
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * p * t + c1) * (2 * covariance + c2) / ((p**2 + t**2 + c1) * (variance_p + variance_t + c2))).mean()


def _overlap(probability: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of each picture, counting probabilities; their mean."""
    both = (probability * truth).sum((1, 2, 3))
    either = (probability + truth - probability * truth).sum((1, 2, 3))
    return (both / either.clamp_min(1e-6)).mean()


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
