"""U-Net (Ronneberger, Fischer, Brox 2015).

Figure 1 of the paper, in words: on the way down, five levels of two 3x3 convolutions with ReLU, 64, 128, 256, 512,
1024 channels, a 2x2 maximum between levels; on the way up, four times: a 2x2 "up-convolution" (transposed, stride 2)
halves the channels and doubles the size, the map of the same level on the way down is put beside it, and two 3x3
convolutions with ReLU bring both to that level's width. A 1x1 convolution makes the classes. Dropout stands at the
end of the way down (after level 4, where its copy to the other side is taken, and after level 5, one half each, as in
the authors' files). Weights begin with deviation sqrt(2 / fan in). No batch normalization.

What differs: the paper's convolutions are not padded, so that 572x572 pixels give 388x388 answers, maps are cropped
before they are joined, and large pictures are done by mirrored, overlapping tiles. Here they are padded by 1, and
every pixel of any picture gets an answer. Three channels come in, not one, and one logit goes out, not two.

References
----------
O. Ronneberger, P. Fischer, T. Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["UNet"]

LEVELS = 5


class UNet(nn.Module):
    """Logits at the picture's size.

    Parameters
    ----------
    classes : int
        Channels of the answer.
    width : int
        Channels of the first level, 64 in the paper; they double with each level.

    Notes
    -----
    In training the answer is a list of one map, for the paper supervises at full size only.
    """

    def __init__(self, *, classes: int = 1, width: int = 64) -> None:
        super().__init__()
        widths = [width << level for level in range(LEVELS)]
        self.down = nn.ModuleList(
            [_twice(inputs, outputs) for inputs, outputs in zip([3, *widths], widths, strict=False)]
        )
        self.down[-2].append(nn.Dropout(0.5))
        self.down[-1].append(nn.Dropout(0.5))
        self.enlarge = nn.ModuleList([nn.ConvTranspose2d(2 * outputs, outputs, 2, 2) for outputs in widths[-2::-1]])
        self.up = nn.ModuleList([_twice(2 * outputs, outputs) for outputs in widths[-2::-1]])
        self.classify = nn.Conv2d(width, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # A value of the up-convolution, whose stride is its kernel, has as many inputs as there are channels.
                fan_in = module.in_channels * (9 if module.kernel_size == (3, 3) else 1)
                nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        copies, x = [], image
        for level in self.down:
            x = level(F.max_pool2d(x, 2) if copies else x)
            copies.append(x)
        copies.pop()
        for enlarge, level in zip(self.enlarge, self.up, strict=True):
            x = level(torch.cat([copies.pop(), enlarge(x)], 1))
        logits = self.classify(x)
        return [logits] if self.training else logits


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions with ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )
