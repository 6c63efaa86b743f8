"""The aligned Xception of 65 or 71 layers, a base of DeepLabv3+ (Chollet 2017; Qi et al. 2017; Chen et al. 2018).

Figure 4 of Chen et al., in words. *Entry*: a 3x3 convolution of stride 2 to 32 channels and one to 64; three modules
of 128, 256 and 728 channels, each ending with stride 2. *Middle*: sixteen modules of 728 channels (Chollet has
eight). *Exit*: a module of 728, 1024, 1024 channels with stride 2; then separable convolutions to 1536, 1536, 2048. A
*module* is three separable 3x3 convolutions, a ReLU before each, and a shortcut around them: nothing in the middle
flow, a 1x1 convolution where size or width change. No maxima: the third convolution of a module takes the stride, so
that it can be spaced out instead. Batch normalization follows every convolution, and, the third change to Chollet's
network, batch normalization *and ReLU* every depthwise one. (The authors' code leaves that ReLU out except in the
exit's last three; here it stands where the figure's caption puts it.) With 71 layers, one more module of 256 and one
of 728 channels, without stride, stand in front of the striding ones of the same width.

References
----------
F. Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017.
H. Qi et al., "Deformable convolutional networks: COCO detection and segmentation challenge 2017 entry", ICCV workshops.
L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam, "Encoder-decoder with atrous separable convolution for semantic
image segmentation", ECCV 2018.
"""

from __future__ import annotations

from torch import Tensor, nn

from bgkit.train.networks.blocks import convolution, initialize, separable

__all__ = ["Xception"]

# Channels and stride of the entry's modules.
ENTRY = {65: ((128, 2), (256, 2), (728, 2)), 71: ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))}
MIDDLE = 16


class _Module(nn.Module):
    """Three separable convolutions, a ReLU before each, around a shortcut; the third may have a stride."""

    def __init__(self, inputs: int, widths: tuple[int, int, int], *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        pairs = zip((inputs, *widths), widths, strict=False)
        self.steps = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ReLU(),
                    convolution(before, before, stride=stride if i == 2 else 1, dilation=dilation, groups=before),
                    convolution(before, after, 1, activation=None),
                )
                for i, (before, after) in enumerate(pairs)
            ]
        )
        same = stride == 1 and inputs == widths[-1]
        if same:
            nn.init.zeros_(self.steps[2][2][1].weight)  # begins as the identity, see resnet.py
        self.shortcut = nn.Identity() if same else convolution(inputs, widths[-1], 1, stride=stride, activation=None)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the second step gives, at the size of the input, and what the module gives."""
        second = self.steps[1](self.steps[0](x))
        return second, self.steps[2](second) + self.shortcut(x)


class Xception(nn.Module):
    """Feature maps of the aligned Xception.

    Parameters
    ----------
    inputs : int
        Channels of the picture.
    output_stride : int
        32; or 16 or 8, where the strides beyond are left out and the depthwise convolutions after them space their
        taps twice (four times) as far.
    layers : int
        65 or 71.
    multiplier : float
        Factor on all widths, 1 in the paper.

    Notes
    -----
    ``forward`` maps (N, inputs, H, W) to five maps at strides 2, 4, 8, 16, 32 (no more than ``output_stride``) with
    ``channels`` channels: 64, 256, 728, 728, 2048. Those at 4 and 8 are the last ones made at that size, the second
    convolution's of the module that then strides; DeepLabv3+'s decoder takes the one at 4.
    """

    def __init__(self, inputs: int = 3, output_stride: int = 32, *, layers: int = 65, multiplier: float = 1.0) -> None:
        super().__init__()

        def wide(channels: int) -> int:
            return round(channels * multiplier)

        self.stem = nn.Sequential(convolution(inputs, wide(32), stride=2), convolution(wide(32), wide(64)))
        reached, dilation, channels = 2, 1, wide(64)

        def module(*widths: int, stride: int = 1) -> _Module:
            nonlocal reached, dilation, channels
            spacing = dilation
            if stride == 2 and reached == output_stride:
                # The convolution that loses its stride still reads neighbors; only those after it read further.
                stride, dilation = 1, 2 * dilation
            reached *= stride
            before, channels = channels, wide(widths[-1])
            return _Module(before, tuple(wide(width) for width in widths), stride=stride, dilation=spacing)

        self.entry = nn.ModuleList([module(width, width, width, stride=stride) for width, stride in ENTRY[layers]])
        self.strides = [stride for _, stride in ENTRY[layers]]
        self.middle = nn.ModuleList([module(728, 728, 728) for _ in range(MIDDLE)])
        self.exit = module(728, 1024, 1024, stride=2)
        self.last = nn.Sequential(
            separable(channels, wide(1536), dilation=dilation),
            separable(wide(1536), wide(1536), dilation=dilation),
            separable(wide(1536), wide(2048), dilation=dilation),
        )
        self.channels = tuple(wide(width) for width in (64, 256, 728, 728, 2048))
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image)
        maps = [x]
        for number, (entry, stride) in enumerate(zip(self.entry, self.strides, strict=True)):
            second, x = entry(x)
            if stride == 2 and number > 0:
                maps.append(second)
        for middle in self.middle:
            _, x = middle(x)
        maps.append(x)
        _, x = self.exit(x)
        return [*maps, self.last(x)]
