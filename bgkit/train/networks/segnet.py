"""SegNet: a decoder that puts each value back where the encoder found it (Badrinarayanan, Kendall, Cipolla 2017).

Figure 2 of the paper, in words: VGG16's 13 convolutions of 3x3 in five groups (2, 2, 3, 3, 3 of them; 64, 128, 256,
512, 512 channels), each convolution followed by batch normalization and ReLU, each group by a 2x2 maximum that
remembers which of the four values won. The decoder is the mirror: five times, the map is enlarged by putting each
value at the place that won in the encoder's maximum of that size, all other places zero (figure 3), and as many
convolutions of 3x3 with batch normalization and ReLU make the sparse map dense. The last of each group takes the
width of the next finer group; the very last gives the classes and stands alone. No fully connected layers, no other
links.

What differs: convolutions in front of a batch normalization have no bias, which that would take away again; the paper
evens the input's local contrast, here it is normalized as a recipe says; the weights begin random, not as ImageNet's.

What to know: where two values of four are nearly equal, the last bit decides which place wins, so the network's answer
is not continuous. Between torch and ONNX Runtime, at full width with random weights, 0.35 % of the pixels differed by
more than 0.001, at most by 0.05; rounding the weights to float16 moves far more.

References
----------
V. Badrinarayanan, A. Kendall, R. Cipolla, "SegNet: a deep convolutional encoder-decoder architecture for image
segmentation", IEEE TPAMI 39(12), 2017.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import convolution, initialize
from bgkit.train.networks.vgg import GROUPS

__all__ = ["SegNet"]


class SegNet(nn.Module):
    """Logits at the picture's size.

    Parameters
    ----------
    classes : int
        Channels of the answer; the paper has 11 on CamVid, 37 on SUN RGB-D.
    width : int
        Channels of the first group, 64 in VGG16; all groups follow.

    Notes
    -----
    In training the answer is a list of one map, for the paper supervises at full size only.
    """

    def __init__(self, *, classes: int = 1, width: int = 64) -> None:
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for factor, count in GROUPS:
            outer, inner = channels, factor * width
            self.down.append(nn.Sequential(*[convolution(outer if i == 0 else inner, inner) for i in range(count)]))
            same = [convolution(inner, inner) for _ in range(count - 1)]
            last = convolution(inner, outer) if self.up else nn.Conv2d(inner, classes, 3, padding=1)
            self.up.insert(0, nn.Sequential(*same, last))
            channels = inner
        initialize(self)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        winners, x = [], image
        for group in self.down:
            x, won = F.max_pool2d(group(x), 2, return_indices=True)
            winners.append(won)
        for group in self.up:
            x = group(_unpool(x, winners.pop()))
        return [x] if self.training else x


def _unpool(x: Tensor, won: Tensor) -> Tensor:
    """Put each value at the place that won, in a map of twice the size (fig. 3, left).

    ``F.max_unpool2d`` does the same, but has no ONNX export. ``won`` counts in row-major order within each channel.
    """
    count, channels, rows, cols = x.shape
    empty = x.new_zeros(count, channels, 4 * rows * cols)
    return empty.scatter(2, won.flatten(2), x.flatten(2)).view(count, channels, 2 * rows, 2 * cols)
