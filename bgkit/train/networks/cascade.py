"""CascadePSP: mend a mask, given the picture (Cheng, Chung, Tai, Tang 2020).

Figure 3 of the paper, in words: one refinement module, PSPNet on ResNet-50 with stride 8, sees the picture and three
masks stacked (six channels). Pyramid pooling joins its deepest map with its means over 1, 2x2, 3x3 and 6x6 regions,
each through a 1x1 convolution; from there two 1x1 convolutions make a mask at stride 8, and residual steps up, each
seeing ResNet's map of that size, lead to one at stride 4 and, past the picture itself, to one at full size.

Figure 4, the cascade: the module runs three times with the same weights. First all three masks are the one to mend, and
the answer is the mask at stride 8. Then that answer takes the place of two of them, and the answer is the mask at
stride 4 (with a better one at stride 8). Last the input mask, the mask at stride 8 and that at stride 4 go in, and the
answer is the mask at full size. Masks lie in -1..1 on the way in; answers are logits, and pass through a hyperbolic
tangent before they go in again.

Training supervises all six masks that the three runs make, at full size (section 3.2): cross entropy at stride 8,
absolute plus squared error at full size, the mean of both at stride 4, and, at full size, five times the absolute error
of the smoothed mask's gradient.

The stage ``cascade_refine`` runs it on the whole picture, shrunk, and then tile by tile on its own answer. The authors
skip the first run on the tiles, handing in the mask at stride 4 from the whole instead; here all three run.

References
----------
H. K. Cheng, J. Chung, Y.-W. Tai, C.-K. Tang, "CascadePSP: toward class-agnostic and very high-resolution segmentation
via global and local refinement", CVPR 2020. H. Zhao, J. Shi, X. Qi, X. Wang, J. Jia, "Pyramid scene parsing network",
CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.resnet import ResNet

__all__ = ["CascadePSP"]


class CascadePSP(nn.Module):
    """Logits of a better mask.

    Parameters
    ----------
    width : int
        Channels of ResNet's first stage, 64 in the paper; all others follow in proportion.

    Notes
    -----
    ``forward`` maps a picture (N, 3, H, W) and a mask (N, 1, H, W), 0..1, H and W multiples of 8, to six (N, 1, H, W)
    in training: at full size, then those of stride 4 and stride 8, enlarged, of the third run before the earlier
    ones; to the first of them in evaluation.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.base = ResNet(50, 6, output_stride=8, width=width)
        at2, at4, _, _, deepest = self.base.channels
        wide = (16 * width, 8 * width, 4 * width, width // 2)
        self.pyramid = _PyramidPooling(deepest, wide[0])
        self.up4 = _ResidualStep(wide[0], at4, wide[1])
        self.up2 = _ResidualStep(wide[1], at2, wide[2])
        self.up1 = _ResidualStep(wide[2], 3, wide[3])
        self.head8, self.head4, self.head1 = (_head(inputs, width // 2) for inputs in (wide[0], wide[1], wide[3] + 3))

    def forward(self, image: Tensor, mask: Tensor) -> list[Tensor] | Tensor:
        given = 2 * mask - 1
        _, _, first8 = self._run(image, given, given, given)

        once = torch.tanh(first8)
        maps, x, second8 = self._run(image, given, once, once)
        first4 = _resize(self.head4(self.up4(x, maps[1])), image)

        maps, x, third8 = self._run(image, given, torch.tanh(second8), torch.tanh(first4))
        x = self.up4(x, maps[1])
        second4 = _resize(self.head4(x), image) if self.training else None
        x = self.up1(self.up2(x, maps[0]), image)
        answer = self.head1(torch.cat([x, image], 1))
        return [answer, second4, first4, third8, second8, first8] if self.training else answer

    def _run(self, image: Tensor, *masks: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return ResNet's maps, what pyramid pooling makes of the deepest, and the mask at stride 8, enlarged."""
        maps = self.base(torch.cat([image, *masks], 1))
        x = self.pyramid(maps[4])
        return maps, x, _resize(self.head8(x), image)

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Section 3.2: each stride has the loss that suits how exact it can be."""
        del image
        answer, *fours_and_eights = (output.float() for output in outputs)
        hard, total = (truth > 0.5).float(), truth.new_zeros(())
        for number, logits in enumerate(fours_and_eights):
            entropy = F.binary_cross_entropy_with_logits(logits, hard)
            total = total + (entropy if number >= 2 else 0.5 * entropy + 0.25 * _distance(logits, truth))
        found = torch.sigmoid(answer)
        return total + _distance(answer, truth) + 5 * F.l1_loss(_gradient(found), _gradient(truth))


class _PyramidPooling(nn.Module):
    """Means over 1, 4, 9 and 36 regions, each through a 1x1 convolution, beside the map itself (Zhao et al. 2017)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.regions = (1, 2, 3, 6)
        self.levels = nn.ModuleList([nn.Conv2d(inputs, inputs, 1, bias=False) for _ in self.regions])
        self.join = nn.Conv2d(5 * inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels = [_resize(level(_means(x, count)), x) for level, count in zip(self.levels, self.regions, strict=True)]
        return F.relu(self.join(torch.cat([*levels, x], 1)))


class _ResidualStep(nn.Module):
    """Double the size: two residual pairs of convolutions, normalized before, the first seeing the skip too."""

    def __init__(self, inputs: int, across: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*_norm_conv(inputs + across, outputs), *_norm_conv(outputs, outputs))
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.second = nn.Sequential(*_norm_conv(outputs, outputs), *_norm_conv(outputs, outputs))

    def forward(self, x: Tensor, across: Tensor) -> Tensor:
        x = _resize(x, across)
        x = self.shortcut(x) + self.first(torch.cat([x, across], 1))
        return x + self.second(x)


def _norm_conv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 3, padding=1)]


def _head(inputs: int, inside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, inside, 1), nn.ReLU(), nn.Conv2d(inside, 1, 1))


def _means(x: Tensor, count: int) -> Tensor:
    """Means over ``count`` x ``count`` regions: adaptive average pooling, which ONNX lacks for free sizes.

    Region i of s reaches from floor(i n / s) to ceil((i + 1) n / s) of n rows; as products, one for each side.
    """

    def shares(size: int) -> Tensor:
        place = torch.arange(size, device=x.device)
        region = torch.arange(count, device=x.device)[:, None]
        inside = ((place + 1) * count > region * size) & (place * count < (region + 1) * size)
        inside = inside.float()
        return (inside / inside.sum(1, keepdim=True)).to(x.dtype)

    return shares(x.shape[2]) @ x @ shares(x.shape[3]).T


def _distance(logits: Tensor, truth: Tensor) -> Tensor:
    probability = torch.sigmoid(logits)
    return F.l1_loss(probability, truth) + F.mse_loss(probability, truth)


def _gradient(x: Tensor) -> Tensor:
    """Sobel's gradient of the map averaged over 3x3, per pixel, whatever the direction."""
    down = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]], device=x.device) / 4
    both = F.conv2d(F.avg_pool2d(x, 3, 1, 1), torch.stack([down, down.T])[:, None], padding=1)
    return torch.sqrt(both.square().sum(1, keepdim=True) + 1e-4)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
