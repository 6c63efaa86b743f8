"""U²-Net and its small twin: a U of Us (Qin, Zhang, Huang, Dehghan, Zaiane, Jagersand 2020).

Figure 5 of the paper, in words: eleven stages in the shape of a U, six down (halving the size between them by a 2x2
maximum) and five up (each sees the stage below, doubled bilinearly, beside the one across). Each stage is itself a
small U, the residual U-block (figure 2e): a convolution brings the input to the stage's width, a U of ``height``
levels looks at it over a wide neighborhood with few channels, and both are added. The outermost stages have seven
levels, then six, five and four; where the picture has become small (stages 5 and 6, and 5 on the way up), the U does
not halve but spaces its taps 1, 2, 4, 8 apart instead ("RSU-4F"). A 3x3 convolution makes a map of each of the six
stages on the way up; brought to the picture's size, they are fused by a 1x1 convolution into a seventh, the answer.

Training supervises all seven at full size by cross entropy, each with weight 1 (section 3.3).

References
----------
X. Qin, Z. Zhang, C. Huang, M. Dehghan, O. R. Zaiane, M. Jagersand, "U2-Net: going deeper with nested U-structure for
salient object detection", Pattern Recognition 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import convolution, initialize

__all__ = ["U2Net"]

# Table 1 of the paper: (levels, channels inside the U, channels out); 0 levels stand for RSU-4F.
DOWN = ((7, 32, 64), (6, 32, 128), (5, 64, 256), (4, 128, 512), (0, 256, 512), (0, 256, 512))
UP = ((0, 256, 512), (4, 128, 256), (5, 64, 128), (6, 32, 64), (7, 16, 64))
LITE_DOWN = tuple((levels, 16, 64) for levels, _, _ in DOWN)
LITE_UP = tuple((levels, 16, 64) for levels, _, _ in UP)


class U2Net(nn.Module):
    """Logits of the subject, from seven maps.

    Parameters
    ----------
    lite : bool
        U²-Net-P: 16 channels inside and 64 out in every stage.
    width : int
        Channels of the first stage, 64 in the paper; all others follow in proportion.

    Notes
    -----
    ``forward`` maps (N, 3, H, W), H and W multiples of 32, to seven (N, 1, H, W) in training (fused, then the six
    stages, finest first), to the fused one in evaluation.
    """

    def __init__(self, *, lite: bool = False, width: int = 64) -> None:
        super().__init__()
        inputs, self.down, self.up, self.sides = 3, nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        widths = []
        for levels, inside, outputs in _scaled(LITE_DOWN if lite else DOWN, width):
            self.down.append(_ResidualU(levels, inputs, inside, outputs))
            inputs = outputs
            widths.append(outputs)
        self.sides.append(nn.Conv2d(inputs, 1, 3, padding=1))
        for (levels, inside, outputs), across in zip(
            _scaled(LITE_UP if lite else UP, width), widths[-2::-1], strict=True
        ):
            self.up.append(_ResidualU(levels, inputs + across, inside, outputs))
            self.sides.append(nn.Conv2d(outputs, 1, 3, padding=1))
            inputs = outputs
        self.fuse = nn.Conv2d(len(self.sides), 1, 1)
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        across, x = [], image
        for stage in self.down:
            x = stage(x if stage is self.down[0] else _halve(x))
            across.append(x)
        maps = [_resize(self.sides[0](across.pop()), image)]
        for stage, side in zip(self.up, self.sides[1:], strict=True):
            skip = across.pop()
            x = stage(torch.cat([_resize(x, skip), skip], 1))
            maps.append(_resize(side(x), image))
        maps.reverse()
        fused = self.fuse(torch.cat(maps, 1))
        return [fused, *maps] if self.training else fused

    def loss(self, outputs: Sequence[Tensor], truth: Tensor, image: Tensor) -> Tensor:
        """Equations 1 and 2: the sum of the seven cross entropies."""
        del image
        return sum(F.binary_cross_entropy_with_logits(output.float(), truth) for output in outputs)


class _ResidualU(nn.Module):
    """A U of ``levels`` levels added to the convolution before it (fig. 2e); 0: four levels of growing spacing."""

    def __init__(self, levels: int, inputs: int, inside: int, outputs: int) -> None:
        super().__init__()
        self.halves = levels > 0
        spacings = [1] * (levels - 1) + [2] if self.halves else [1, 2, 4, 8]
        self.enter = convolution(inputs, outputs)
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for level, spacing in enumerate(spacings[:-1]):
            self.down.append(convolution(inside if level else outputs, inside, dilation=spacing))
            self.up.insert(0, convolution(2 * inside, inside if level else outputs, dilation=spacing))
        self.bottom = convolution(inside, inside, dilation=spacings[-1])

    def forward(self, x: Tensor) -> Tensor:
        entered = x = self.enter(x)
        across = []
        for level, step in enumerate(self.down):
            x = step(_halve(x) if level and self.halves else x)
            across.append(x)
        x = self.bottom(x)  # as large as the level above it
        for level, step in enumerate(self.up):
            skip = across.pop()
            x = step(torch.cat([_resize(x, skip) if level and self.halves else x, skip], 1))
        return entered + x


def _scaled(rows: Sequence[tuple[int, int, int]], width: int) -> list[tuple[int, int, int]]:
    return [(levels, inside * width // 64, outputs * width // 64) for levels, inside, outputs in rows]


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, ceil_mode=True)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
