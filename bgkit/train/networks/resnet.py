"""Residual networks as bases of other networks (He, Zhang, Ren, Sun 2016), dense where asked (Chen et al. 2017).

Figure 5, right, and table 1 of the paper, in words: a 7x7 convolution of stride 2 and a 3x3 maximum of stride 2; then
four stages of bottlenecks, 3, 4, 6, 3 of them for 50 layers and 3, 4, 23, 3 for 101. A bottleneck squeezes by a 1x1
convolution, works by a 3x3 one, and widens fourfold by a 1x1 one; what came in is added before the last ReLU, through
a 1x1 convolution where its shape changes. Batch normalization follows every convolution. The first bottleneck of
each stage but the first halves the size.

Three things differ from the paper. The stride stands at the 3x3 convolution, not at the 1x1 before it, which throws
away three quarters of its input (as in all trained weights in circulation). Each bottleneck begins as its shortcut, the
last scale in it being zero (Goyal et al. 2017): otherwise rounding errors of random weights grow some 300 times on the
way through 101 layers, and so do gradients on the way back. The classifier is gone.

References
----------
K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016.
P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
L.-C. Chen, G. Papandreou, F. Schroff, H. Adam, "Rethinking atrous convolution for semantic image segmentation", 2017.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import convolution, initialize

__all__ = ["ResNet"]

BOTTLENECKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class _Bottleneck(nn.Module):
    """Squeeze by 1x1, work by 3x3, widen by 1x1, around an identity (fig. 5, right)."""

    def __init__(self, inputs: int, width: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        self.squeeze = convolution(inputs, width, 1)
        self.work = convolution(width, width, stride=stride, dilation=dilation)
        self.widen = convolution(width, 4 * width, 1, activation=None)
        nn.init.zeros_(self.widen[1].weight)
        same = stride == 1 and inputs == 4 * width
        self.shortcut = nn.Identity() if same else convolution(inputs, 4 * width, 1, stride=stride, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.widen(self.work(self.squeeze(x))))


class ResNet(nn.Module):
    """Feature maps of a residual network.

    Parameters
    ----------
    depth : int
        Layers: 50 or 101.
    inputs : int
        Channels of the picture: 3, or 6 with a plate.
    output_stride : int
        32; or 16 or 8, where the last one or two stages keep the size and space their 3x3 taps twice (four times)
        as far instead: a denser last map at several times the cost of that stage.
    grid : tuple of 3 int, optional
        Factors on the spacing in the last stage's three bottlenecks; (1, 2, 4) is DeepLabv3's "multi-grid", with
        spacings 2, 4, 8 at stride 16. Without it, the map at every second place is that of stride 32.
    width : int
        Channels of the first stage's bottlenecks, 64 in the paper; all others follow.

    Notes
    -----
    ``forward`` maps (N, inputs, H, W) to five maps at strides 2, 4, 8, 16, 32 (no more than ``output_stride``) with
    ``channels`` channels: 64, 256, 512, 1024, 2048.
    """

    def __init__(
        self,
        depth: int = 50,
        inputs: int = 3,
        output_stride: int = 32,
        *,
        grid: tuple[int, int, int] | None = None,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.stem = convolution(inputs, width, 7, stride=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.ModuleList()
        channels, reached, dilation = width, 4, 1
        for number, blocks in enumerate(BOTTLENECKS[depth]):
            narrow, stride, before = width << number, 1 if number == 0 else 2, dilation
            if stride == 2 and reached == output_stride:
                stride, dilation = 1, 2 * dilation
            reached *= stride
            # The convolution that loses its stride still reads the neighbors it read; only those after it read further.
            spacings = [before, *[dilation] * (blocks - 1)]
            if grid is not None and number == 3:
                spacings = [dilation * factor for factor in grid]
            stage = nn.Sequential()
            for block, spacing in enumerate(spacings):
                stage.append(_Bottleneck(channels, narrow, stride=stride if block == 0 else 1, dilation=spacing))
                channels = 4 * narrow
            self.stages.append(stage)
        self.channels = (width, *(4 * (width << number) for number in range(4)))
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = [self.stem(image)]
        x = self.pool(maps[0])
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
