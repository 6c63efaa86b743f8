"""VGG-16's convolutions (Simonyan, Zisserman 2015), the base that several of the field's networks begin with.

Five groups of 3x3 convolutions with ReLU, 2, 2, 3, 3, 3 of them, with 64, 128, 256, 512 and 512 channels; a 2x2 maximum
between groups. What follows the fifth group, each network has its own of.

References
----------
K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GROUPS", "VGG16"]

GROUPS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # width in units of 64, convolutions


class VGG16(nn.ModuleList):
    """The maps of VGG-16's five groups, each before its maximum: at strides 1, 2, 4, 8, 16.

    Parameters
    ----------
    width : int
        Channels of the first group, 64 in the paper; all groups follow.
    inputs : int
        Channels of the picture.
    """

    def __init__(self, width: int = 64, inputs: int = 3) -> None:
        super().__init__()
        for factor, count in GROUPS:
            group = nn.Sequential()
            for _ in range(count):
                group.extend([nn.Conv2d(inputs, factor * width, 3, padding=1), nn.ReLU(inplace=True)])
                inputs = factor * width
            self.append(group)
        self.channels = [factor * width for factor, _ in GROUPS]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = [self[0](image)]
        for group in list(self)[1:]:
            maps.append(group(F.max_pool2d(maps[-1], 2)))
        return maps
