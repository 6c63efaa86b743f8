"""MobileNetV2 as a base of other networks (Sandler, Howard, Zhu, Zhmoginov, Chen 2018).

Figure 4d and table 2 of the paper, in words: a 3x3 convolution of stride 2, then 17 inverted residuals. Each widens
its narrow input by a 1x1 convolution (sixfold, but the first not at all), works on each channel alone by a 3x3
depthwise convolution, and narrows again by a 1x1 one with no activation after it (a "linear bottleneck": a ReLU there
would lose what the few channels hold). Where size and width stay, what came in is added. Batch normalization follows
every convolution; activations are clipped at 6. The 17 blocks, as (widening, channels, how many, stride of the first):
(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1).

References
----------
M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: inverted residuals and linear bottlenecks",
CVPR 2018.
"""

from __future__ import annotations

from torch import Tensor, nn

from bgkit.train.networks.blocks import convolution, initialize

__all__ = ["InvertedResidual", "MobileNetV2"]

# Grouped by the stride at which they end: 2, 4, 8, 16, 32.
STAGES = (
    ((1, 16, 1, 1),),
    ((6, 24, 2, 2),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)


class InvertedResidual(nn.Module):
    """Widen by 1x1, work channel by channel by 3x3, narrow by 1x1 without activation (fig. 4d)."""

    def __init__(self, inputs: int, outputs: int, *, expand: int, stride: int, dilation: int) -> None:
        super().__init__()
        wide = expand * inputs
        self.branch = nn.Sequential(
            *([convolution(inputs, wide, 1, activation=nn.ReLU6)] if expand > 1 else []),
            convolution(wide, wide, stride=stride, dilation=dilation, groups=wide, activation=nn.ReLU6),
            convolution(wide, outputs, 1, activation=None),
        )
        self.same = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x) if self.same else self.branch(x)


class MobileNetV2(nn.Module):
    """Feature maps of MobileNetV2.

    Parameters
    ----------
    inputs : int
        Channels of the picture: 3, or 6 with a plate.
    output_stride : int
        32; or 16 or 8, where the strides beyond are left out and the depthwise convolutions after them space their
        taps twice (four times) as far: a denser last map at four times the cost of its blocks.
    last : bool
        End with table 2's 1x1 convolution to 1280 channels, which MODNet keeps and DeepLab does without.
    multiplier : float
        Factor on all widths, 1 in the paper's table; widths are rounded to multiples of 8.

    Notes
    -----
    ``forward`` maps (N, inputs, H, W) to five maps at strides 2, 4, 8, 16, 32 (no more than ``output_stride``) with
    ``channels`` channels: 16, 24, 32, 96, 320 (or 1280).
    """

    def __init__(
        self, inputs: int = 3, output_stride: int = 32, *, last: bool = False, multiplier: float = 1.0
    ) -> None:
        super().__init__()
        channels = _width(32, multiplier)
        stem = convolution(inputs, channels, stride=2, activation=nn.ReLU6)
        self.stages = nn.ModuleList()
        widths = []
        reached, dilation = 2, 1
        for rows in STAGES:
            stage = nn.Sequential() if self.stages else nn.Sequential(stem)
            for expand, width, count, stride in rows:
                outputs = _width(width, multiplier)
                for block in range(count):
                    step, spacing = (stride if block == 0 else 1), dilation
                    if step == 2 and reached == output_stride:
                        # The convolution that loses its stride still reads neighbors; only those after it read further.
                        step, dilation = 1, 2 * dilation
                    reached *= step
                    stage.append(InvertedResidual(channels, outputs, expand=expand, stride=step, dilation=spacing))
                    channels = outputs
            self.stages.append(stage)
            widths.append(channels)
        if last:
            widths[-1] = _width(1280, max(1.0, multiplier))
            self.stages[-1].append(convolution(channels, widths[-1], 1, activation=nn.ReLU6))
        self.channels = tuple(widths)
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        maps, x = [], image
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def _width(channels: int, multiplier: float) -> int:
    """The nearest multiple of 8, at least 8, and not below nine tenths of what was asked for (the authors' rule)."""
    wanted = channels * multiplier
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
