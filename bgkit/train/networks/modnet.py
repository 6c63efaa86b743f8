"""MODNet: portrait matting as three tasks in one network (Ke, Sun, Li, Yan, Lau 2022).

Figure 2 of the paper, in words: the *low-resolution branch* asks where the person is. MobileNetV2 brings the picture
to stride 32, an efficient atrous pooling (e-ASPP) or, in the authors' released weights, a squeeze and excitation
weighs its channels, and two 5x5 convolutions climb to stride 16 and 8; supervised at stride 16. The *high-resolution
branch* asks how the edge runs. It works at stride 4 and 2 with 32 channels, on the picture shrunk, MobileNetV2's maps
at those strides and the low branch's answer, and is supervised at full size, near the edge only. The *fusion branch*
joins both at stride 2, then with the picture at full size, and answers with the matte. Every convolution but the last
of a branch is followed by IBNorm (half of the channels normalized over the batch, half over each picture) and ReLU.

The e-ASPP (section 3.2) is ASPP with three changes: each atrous convolution works channel by channel; the scales are
fused channel by channel first, and channels among each other after; all of it happens at a quarter of the channels. The
paper names no rates; those here are DeepLab's 6, 12, 18 at stride 16, halved for stride 32.

Training minimizes 10 L_s + 10 L_d + L_alpha (equations 1 to 4): the squared error of the shrunk, blurred matte at
stride 16, the absolute error of the detail inside a band around the edge, and the absolute error of the matte and of
the picture multiplied with it, five times as strong inside the band (as the authors' program has it).

References
----------
Z. Ke, J. Sun, K. Li, Q. Yan, R. W. H. Lau, "MODNet: real-time trimap-free portrait matting via objective
decomposition", AAAI 2022. J. Hu, L. Shen, G. Sun, "Squeeze-and-excitation networks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import initialize
from bgkit.train.networks.mobilenetv2 import MobileNetV2

__all__ = ["MODNet"]

BAND = 0.05  # width of the band around the edge, as a share of the picture's side


class MODNet(nn.Module):
    """Logits of a matte: where, how the edge runs, and both fused.

    Parameters
    ----------
    context : {"e-aspp", "se"}
        What weighs the deepest map: the paper's pooling, or what the authors' released weights have.
    width : int
        Channels of the high-resolution branch, 32 in the paper.
    multiplier : float
        Factor on MobileNetV2's widths, 1 in the paper.

    Notes
    -----
    ``forward`` maps (N, 3, H, W), H and W multiples of 32, to three in training: the matte and the detail
    (N, 1, H, W), and the semantics (N, 1, H/16, W/16); to the matte in evaluation.
    """

    def __init__(self, context: Literal["e-aspp", "se"] = "e-aspp", width: int = 32, multiplier: float = 1.0) -> None:
        super().__init__()
        self.base = MobileNetV2(last=True, multiplier=multiplier)
        at2, at4, at8, at16, deepest = self.base.channels
        self.context = _EfficientPooling(deepest) if context == "e-aspp" else _Excitation(deepest)
        self.low16, self.low8 = _conv(deepest, at16, 5), _conv(at16, at8, 5)
        self.semantics = nn.Conv2d(at8, 1, 3, 2, 1)

        self.enter2, self.shrink2 = _conv(at2, width, 1), _conv(width + 3, width, stride=2)
        self.enter4, self.join4 = _conv(at4, width, 1), _conv(2 * width, 2 * width)
        self.high4 = _convs(2 * width + at8 + 3, 2 * width, 2 * width, width)
        self.high2 = _convs(2 * width, 2 * width, width, width, width)
        self.detail = nn.Sequential(_conv(width + 3, width), nn.Conv2d(width, 1, 1))

        self.low4, self.join2 = _conv(at8, width, 5), _conv(2 * width, width)
        self.matte = nn.Sequential(_conv(width + 3, width // 2), nn.Conv2d(width // 2, 1, 1))
        for part in (self.context, self.low16, self.low8, self.semantics, self.enter2, self.shrink2, self.enter4):
            initialize(part)
        for part in (self.join4, self.high4, self.high2, self.detail, self.low4, self.join2, self.matte):
            initialize(part)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        maps = self.base(image)
        low = self.low8(_double(self.low16(_double(self.context(maps[4])))))

        half = F.interpolate(image, scale_factor=0.5, mode="bilinear", align_corners=False)
        quarter = F.interpolate(image, scale_factor=0.25, mode="bilinear", align_corners=False)
        at2 = self.enter2(maps[0])
        at4 = self.join4(torch.cat([self.shrink2(torch.cat([half, at2], 1)), self.enter4(maps[1])], 1))
        at4 = self.high4(torch.cat([at4, _double(low), quarter], 1))
        high = self.high2(torch.cat([_double(at4), at2], 1))

        fused = self.join2(torch.cat([_double(self.low4(_double(low))), high], 1))
        matte = self.matte(torch.cat([_double(fused), image], 1))
        if not self.training:
            return matte
        return [matte, self.detail(torch.cat([_double(high), image], 1)), self.semantics(low)]

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Equations 1 to 4, with the band found by dilating and eroding the true matte."""
        matte, detail, semantics = (torch.sigmoid(output.float()) for output in outputs)
        coarse = F.interpolate(truth, size=semantics.shape[2:], mode="bilinear", align_corners=False)
        where = F.mse_loss(semantics, _blur(coarse))

        reach = max(1, round(BAND * sum(truth.shape[2:]) / 4))
        side = 2 * reach + 1
        dilated, eroded = F.max_pool2d(truth, side, 1, reach), -F.max_pool2d(-truth, side, 1, reach)
        band = (dilated - eroded > 0.01).float()
        edge = (band * (detail - truth).abs()).mean()

        error = (1 + 4 * band) * (matte - truth).abs()
        fused = error.mean() + (error * image.float().abs()).mean()
        return 10 * where + 10 * edge + fused


class _IBNorm(nn.Module):
    """Half of the channels normalized over the batch, the other half over each picture alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = [channels // 2, channels - channels // 2]
        self.batch = nn.BatchNorm2d(self.split[0])

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.split(x, self.split, 1)
        # Written out: the checks of torch's layer cannot be traced without warnings, and refuse maps of a single pixel.
        about = second.float() - second.float().mean((2, 3), keepdim=True)
        alone = about * torch.rsqrt(about.square().mean((2, 3), keepdim=True) + 1e-5)
        return torch.cat([self.batch(first), alone.to(first.dtype)], 1)


class _EfficientPooling(nn.Module):
    """e-ASPP: squeeze to a quarter, look at several distances per channel, fuse per channel, then among channels."""

    def __init__(self, channels: int, rates: tuple[int, ...] = (1, 3, 6, 9)) -> None:
        super().__init__()
        narrow = channels // 4
        self.squeeze = nn.Sequential(nn.Conv2d(channels, narrow, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU())
        self.scales = nn.ModuleList(
            [nn.Conv2d(narrow, narrow, 3, padding=rate, dilation=rate, groups=narrow, bias=False) for rate in rates]
        )
        self.fuse = nn.Conv2d(len(rates) * narrow, narrow, 1, groups=narrow, bias=False)
        self.norm = nn.Sequential(nn.BatchNorm2d(narrow), nn.ReLU())
        self.widen = nn.Sequential(nn.Conv2d(narrow, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        scales = torch.stack(
            [scale(x) for scale in self.scales], 2
        )  # (N, C, scales, h, w): one channel's stay together
        return self.widen(self.norm(self.fuse(scales.flatten(1, 2))))


class _Excitation(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): weigh each channel by what the whole frame shows."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        narrow = channels // reduction
        self.squeeze = nn.Conv2d(channels, narrow, 1, bias=False)
        self.excite = nn.Conv2d(narrow, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        frame = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(frame))))


def _conv(inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1) -> nn.Sequential:
    """Convolution, IBNorm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), _IBNorm(outputs), nn.ReLU())


def _convs(inputs: int, *widths: int) -> nn.Sequential:
    return nn.Sequential(*[_conv(i, o) for i, o in zip((inputs, *widths[:-1]), widths, strict=True)])


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _blur(x: Tensor) -> Tensor:
    """G of equation 1: a 3x3 Gaussian of deviation 0.8."""
    side = torch.exp(-(torch.arange(-1.0, 2.0, device=x.device) ** 2) / (2 * 0.8**2))
    kernel = side[:, None] * side / side.sum() ** 2
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel[None, None])
