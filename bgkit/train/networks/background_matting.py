"""BackgroundMattingV2: opacity from a picture and its empty plate (Lin, Ryabtsev, Sengupta, Curless, Seitz,
Kemelmacher-Shlizerman 2021).

Figure 3 of the paper, in words: two networks. The *base network* sees picture and plate stacked (six channels) at a
quarter of the size: ResNet-50 or MobileNetV2 to stride 16, DeepLabv3's atrous pooling with distances 3, 6, 9, and four
3x3 convolutions that climb back, each seeing what comes from below, doubled bilinearly, beside the base's map of that
size, the last beside picture and plate themselves. It answers at a quarter of the size with 37 channels: a coarse
opacity, a foreground *residual* (foreground minus picture, which needs no high resolution), an expected error of the
opacity, and 32 hidden channels.

The *refinement network* mends only the 4x4 patches of the full picture where the expected error is largest, at most
``pixels`` pixels of them (80,000 by the authors' default). For each it takes an 8x8 window of the coarse answers, the
hidden channels, picture and plate at half the size; two 3x3 convolutions without padding leave 4x4, doubled by
repetition to 8x8; beside the window of picture and plate at full size, two more leave the patch: opacity and residual.
Elsewhere, and where no error is expected at all, the coarse answers, enlarged, stand.

Both opacities are clipped to 0..1. Training minimizes, at both sizes, the absolute error of the opacity and of its
Sobel gradient and that of the foreground where there is any, and the squared error of the expected error. Pictures with
mattes alone show the true foreground only where it is opaque, so that it is held to the picture there.

References
----------
S. Lin, A. Ryabtsev, S. Sengupta, B. Curless, S. M. Seitz, I. Kemelmacher-Shlizerman, "Real-time high-resolution
background matting", CVPR 2021. L.-C. Chen, G. Papandreou, F. Schroff, H. Adam, "Rethinking atrous convolution for
semantic image segmentation", 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import convolution, initialize
from bgkit.train.networks.mobilenetv2 import MobileNetV2
from bgkit.train.networks.resnet import ResNet

__all__ = ["BackgroundMatting"]

HIDDEN = 32


class BackgroundMatting(nn.Module):
    """Opacity from picture and plate, coarse everywhere, refined where it is doubtful.

    Parameters
    ----------
    base : {"mobilenetv2", "resnet50"}
        The encoder.
    pixels : int
        How many pixels of the full picture are refined, at most; more costs time and mends more.
    width : float
        Factor on the widths of encoder, pooling and decoder, 1 in the paper.

    Notes
    -----
    ``forward`` maps picture and plate (N, 3, H, W), 0..1, H and W multiples of 4, to the opacity (N, 1, H, W), 0..1.
    In training it comes in a list: opacity, foreground (N, 3, H, W), and at a quarter of the size opacity,
    foreground and expected error.
    """

    def __init__(
        self, base: Literal["mobilenetv2", "resnet50"] = "mobilenetv2", pixels: int = 80_000, width: float = 1.0
    ) -> None:
        super().__init__()
        self.patches = pixels // 16
        if base == "mobilenetv2":
            self.base: nn.Module = MobileNetV2(6, output_stride=16, multiplier=width)
        else:
            self.base = ResNet(50, 6, output_stride=16, width=round(64 * width))
        at2, at4, at8, _, deepest = self.base.channels
        wide = [round(channels * width) for channels in (256, 128, 64, 48)]
        self.pooling = _AtrousPooling(deepest, wide[0])
        self.up = nn.ModuleList(
            [convolution(wide[step] + across, wide[step + 1]) for step, across in enumerate((at8, at4, at2))]
        )
        self.leave = nn.Conv2d(wide[3] + 6, 1 + 3 + 1 + HIDDEN, 3, padding=1)
        self.refine = _Refinement()
        initialize(self)

    def forward(self, image: Tensor, plate: Tensor) -> list[Tensor] | Tensor:
        both = torch.cat([image, plate], 1)
        alpha4, residual4, error4, hidden4 = self.coarse(_scaled(both, 0.25))
        alpha, residual = self.refine(both, alpha4, residual4, error4, hidden4, self.patches)
        alpha = alpha.clamp(0, 1)
        if not self.training:
            return alpha
        small = _scaled(image, 0.25)
        return [alpha, (image + residual).clamp(0, 1), alpha4, (small + residual4).clamp(0, 1), error4.clamp(0, 1)]

    def coarse(self, both: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return opacity (N, 1, h, w), foreground residual (3), expected error (1) and hidden channels (32).

        The error is not clipped yet: where it is 1 in many places, their order would be left to chance.
        """
        maps = self.base(both)
        x = self.pooling(maps[-1])
        for step, across in zip(self.up, (maps[2], maps[1], maps[0]), strict=True):
            x = step(torch.cat([_resize(x, across), across], 1))
        x = self.leave(torch.cat([_resize(x, both), both], 1))
        alpha, residual, error, hidden = torch.split(x, [1, 3, 1, HIDDEN], 1)
        return alpha.clamp(0, 1), residual, error, F.relu(hidden)

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Section 4.2: opacity, its gradient and foreground at both sizes, and the expected error."""
        alpha, foreground, alpha4, foreground4, error4 = (output.float() for output in outputs)
        total = truth.new_zeros(())
        for found, color, wanted, seen in (
            (alpha, foreground, truth, image.float()),
            (alpha4, foreground4, _resize(truth, alpha4), _resize(image.float(), alpha4)),
        ):
            opaque = (wanted > 0.99).float()
            total = total + F.l1_loss(found, wanted) + F.l1_loss(_gradient(found), _gradient(wanted))
            total = total + F.l1_loss(color * opaque, seen * opaque)
        wrong = (_resize(alpha4.detach(), truth) - truth).abs()
        return total + F.mse_loss(_resize(error4, truth), wrong)


class _AtrousPooling(nn.Module):
    """DeepLabv3's: a 1x1 convolution, three atrous ones and the frame's mean, side by side, joined by a 1x1 one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList([convolution(inputs, outputs, 1)])
        self.branches.extend([convolution(inputs, outputs, dilation=rate) for rate in (3, 6, 9)])
        self.frame = convolution(inputs, outputs, 1)
        self.join = nn.Sequential(convolution(5 * outputs, outputs, 1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        frame = self.frame(x.mean((2, 3), keepdim=True)).expand(-1, -1, x.shape[2], x.shape[3])
        return self.join(torch.cat([*(branch(x) for branch in self.branches), frame], 1))


class _Refinement(nn.Module):
    """Four 3x3 convolutions without padding, on the windows around the most doubtful 4x4 patches (fig. 3, right)."""

    def __init__(self) -> None:
        super().__init__()

        def step(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

        self.at_half = nn.Sequential(step(HIDDEN + 4 + 6, 24), step(24, 16))
        self.at_full = nn.Sequential(step(16 + 6, 12), nn.Conv2d(12, 4, 3))

    def forward(
        self, both: Tensor, alpha: Tensor, residual: Tensor, error: Tensor, hidden: Tensor, patches: int
    ) -> tuple[Tensor, Tensor]:
        where, doubtful = _most_doubtful(error, patches)
        answers = torch.cat([alpha, residual], 1)
        seen = torch.cat([hidden, answers], 1)
        half = _scaled(both, 0.5)
        cols = error.shape[3]
        x = self.at_half(_windows(torch.cat([_resize(seen, half), half], 1), where, cols, step=2, margin=3))
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.at_full(torch.cat([x, _windows(both, where, cols, step=4, margin=2)], 1))
        mended = _put(_resize(answers, both), where, doubtful, x)
        return mended[:, :1], mended[:, 1:]


def _most_doubtful(error: Tensor, patches: int) -> tuple[Tensor, Tensor]:
    """Number the places (N, k) of the largest expected errors, row by row, and say which of them expect one at all.

    k is ``patches``, or all there are.
    """
    places = error.detach().float().flatten(1)
    count = torch._shape_as_tensor(places)[1].clamp(max=patches)  # a tensor, so that an exported graph follows the size
    largest, where = torch.topk(places, count, 1)
    return where, largest > 0


def _windows(x: Tensor, where: Tensor, cols: int, *, step: int, margin: int) -> Tensor:
    """Cut the patches of ``step`` pixels at the places ``where`` out of ``x``, with a margin: (N k, C, side, side).

    Beyond the picture a margin holds zeros.
    """
    inside = torch.arange(step + 2 * margin, device=x.device) - margin
    row = (torch.div(where, cols, rounding_mode="floor") * step)[..., None, None] + inside[:, None]
    col = (where % cols * step)[..., None, None] + inside
    sizes = torch._shape_as_tensor(x).to(x.device)  # as tensors, so that an exported graph follows them
    rows, width = sizes[2], sizes[3]
    row_in, col_in = torch.minimum(row.clamp(min=0), rows - 1), torch.minimum(col.clamp(min=0), width - 1)
    known = ((row == row_in) & (col == col_in)).to(x.dtype)
    picture = torch.arange(x.shape[0], device=x.device)[:, None, None, None]
    pixels = x.permute(0, 2, 3, 1).flatten(0, 2)
    cut = pixels.index_select(0, ((picture * rows + row_in) * width + col_in).flatten())
    side = step + 2 * margin
    return (cut.view(-1, side, side, x.shape[1]) * known.view(-1, side, side, 1)).permute(0, 3, 1, 2)


def _put(x: Tensor, where: Tensor, doubtful: Tensor, patches: Tensor) -> Tensor:
    """Replace the 4x4 patches of ``x`` (N, C, H, W) at the places ``where`` (N, k) by ``patches`` (N k, C, 4, 4).

    Those that are not ``doubtful`` (N, k) stay as they are.
    """
    pictures, channels, rows, cols = x.shape
    size = 16 * channels
    cut = x.view(pictures, channels, rows // 4, 4, cols // 4, 4).permute(0, 2, 4, 1, 3, 5).reshape(pictures, -1, size)
    place = where[..., None].expand(-1, -1, size)
    new = torch.where(doubtful[..., None], patches.to(x.dtype).reshape(pictures, -1, size), cut.gather(1, place))
    cut = cut.scatter(1, place, new).view(pictures, rows // 4, cols // 4, channels, 4, 4)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(pictures, channels, rows, cols)


def _gradient(x: Tensor) -> Tensor:
    """Sobel's gradient: how fast it changes, per pixel, whatever the direction."""
    down = torch.tensor([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]], device=x.device) / 8
    both = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), torch.stack([down, down.T])[:, None])
    return torch.sqrt(both.square().sum(1, keepdim=True) + 1e-6)


def _scaled(x: Tensor, factor: float) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
