"""FC-DenseNet, "the one hundred layers tiramisu": 56, 67 and 103 layers (Jégou et al. 2017).

Figure 1 and tables 1 and 2 of the paper, in words. A *layer* is batch normalization, ReLU, a 3x3 convolution to k
channels, dropout 0.2. A *dense block* of L layers gives each layer all that went in and all that the layers before it
made. Down: a 3x3 convolution to 48 channels, then five times a dense block, whose input is put beside what it made
(this is the skip), and a *transition down*: batch normalization, ReLU, 1x1 convolution of equal width, dropout 0.2,
2x2 maximum. At the bottom one more dense block. Up, five times: a *transition up*, a transposed 3x3 convolution of
stride 2 that takes only the L k maps the last dense block made, not what went into it, for their number would grow
without bound; the skip beside them; a dense block. The classes come by a 1x1 convolution from all of the last block,
input included.

With 103 layers, k = 16 and L = 4, 5, 7, 10, 12 | 15 | 12, 10, 7, 5, 4: maps grow 48, 112, 192, 304, 464, 656, 896 and
go 1088, 816, 576, 384, 256 (the paper's "m" slips by up to 16 from the bottom on, as the authors' README says). With
67, k = 16 and L = 5 throughout; with 56, k = 12 and L = 4.

What differs: the paper normalizes test batches by their own statistics, here by those kept in training, so that a
picture's mask does not depend on its neighbors. The published 9.4 and 3.5 M count those statistics among the
parameters; 1.5 M for 56 layers is more than the authors' own code gives (1.4 M).

References
----------
S. Jégou, M. Drozdzal, D. Vazquez, A. Romero, Y. Bengio, "The one hundred layers tiramisu: fully convolutional DenseNets
for semantic segmentation", CVPR workshops 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Tiramisu"]

DROPOUT = 0.2


class Tiramisu(nn.Module):
    """Logits at the picture's size.

    Parameters
    ----------
    layers : tuple of int
        L of the dense blocks on the way down and, last, at the bottom; the way up mirrors the way down.
    growth : int
        k, the channels that each layer adds. Time and memory grow with its square.
    first : int
        Channels of the first convolution, 48 in the paper.
    classes : int
        Channels of the answer; the paper has 11 on CamVid.

    Notes
    -----
    In training the answer is a list of one map, for the paper supervises at full size only.
    """

    def __init__(
        self,
        layers: tuple[int, ...] = (4, 5, 7, 10, 12, 15),
        growth: int = 16,
        *,
        first: int = 48,
        classes: int = 1,
    ) -> None:
        super().__init__()
        *path, bottom = layers
        self.first = nn.Conv2d(3, first, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        channels, skips = first, []
        for count in path:
            self.down.append(_DenseBlock(channels, count, growth))
            channels += count * growth
            skips.append(channels)
            self.shrink.append(nn.Sequential(*_layer(channels, channels, 1), nn.MaxPool2d(2)))
        self.bottom = _DenseBlock(channels, bottom, growth)
        self.enlarge, self.up = nn.ModuleList(), nn.ModuleList()
        made = bottom * growth
        for count in reversed(path):
            self.enlarge.append(nn.ConvTranspose2d(made, made, 3, 2))
            channels = made + skips.pop()
            self.up.append(_DenseBlock(channels, count, growth))
            made = count * growth
        self.classify = nn.Conv2d(channels + made, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        skips, x = [], self.first(image)
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = torch.cat([x, block(x)], 1)
            skips.append(x)
            x = shrink(x)
        made = self.bottom(x)
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            skip = skips.pop()
            # Without padding, stride 2 gives one row and one column more than twice as many; the authors crop too.
            x = torch.cat([enlarge(made)[:, :, : skip.shape[2], : skip.shape[3]], skip], 1)
            made = block(x)
        logits = self.classify(torch.cat([x, made], 1))
        return [logits] if self.training else logits


class _DenseBlock(nn.Module):
    """Layers that each see the input and all that the layers before them made; gives what was made."""

    def __init__(self, inputs: int, count: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(*_layer(inputs + i * growth, growth, 3)) for i in range(count)])

    def forward(self, x: Tensor) -> Tensor:
        made: list[Tensor] = []
        for layer in self.layers:
            made.append(layer(torch.cat([x, *made], 1)))
        return torch.cat(made, 1)


def _layer(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Batch normalization, ReLU, convolution, dropout (table 1)."""
    return [
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        nn.Dropout(DROPOUT),
    ]
