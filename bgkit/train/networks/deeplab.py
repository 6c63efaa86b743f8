"""DeepLabv3+: atrous convolution, a spatial pyramid of it, and a small decoder (Chen et al. 2018).

Figure 2 of the paper, in words. *Encoder*: a base network whose last stage keeps stride 16 by atrous convolution; on
its last map five branches of 256 channels: a 1x1 convolution, 3x3 convolutions at rates 6, 12 and 18, and the mean of
the frame through a 1x1 convolution, spread out again; all five, side by side, through a 1x1 convolution to 256
channels. *Decoder*: that, four times enlarged, beside the base's map at stride 4 brought to 48 channels by a 1x1
convolution; two 3x3 convolutions of 256 channels; a 1x1 convolution to the classes; four times enlarged. Enlarging is
bilinear. Batch normalization and ReLU follow each convolution but the last. (Dropout of 0.1 on the joined branches is
from the authors' code.)

The bases, and the map at stride 4 that the decoder takes: ResNet-50 and -101 ("Conv2", the end of the first stage),
with the spacings 2, 4, 8 in the last stage that DeepLabv3 found best; the aligned Xception (the second
convolution of the module of 256 channels, as in the authors' code), where the 3x3 convolutions of pyramid and decoder
are separable ("atrous separable", section 3.1); MobileNetV2 (the last block of 24 channels), separable as well. The
authors' own MobileNetV2 models leave out pyramid and decoder for speed; here it has both.

References
----------
L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam, "Encoder-decoder with atrous separable convolution for semantic
image segmentation", ECCV 2018.
L.-C. Chen, G. Papandreou, F. Schroff, H. Adam, "Rethinking atrous convolution for semantic image segmentation", 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.errors import PlanError
from bgkit.train.networks.blocks import convolution, initialize, separable
from bgkit.train.networks.mobilenetv2 import MobileNetV2
from bgkit.train.networks.resnet import ResNet
from bgkit.train.networks.xception import Xception

__all__ = ["DeepLab"]

STRIDE = 16
RATES = (6, 12, 18)  # for stride 16


class DeepLab(nn.Module):
    """Logits at the picture's size.

    Parameters
    ----------
    base : str
        ``"mobilenetv2"``, ``"resnet50"``, ``"resnet101"``, ``"xception65"`` or ``"xception71"``.
    classes : int
        Channels of the answer; the paper has 21 on PASCAL VOC, 19 on Cityscapes.
    width : float
        Factor on all widths, 1 in the paper.

    Raises
    ------
    PlanError
        If there is no such base.

    Notes
    -----
    In training the answer is a list of one map, for the paper supervises at full size only; a batch must hold at least
    two pictures, since the frame's mean has one value per picture to normalize.
    """

    def __init__(self, base: str = "resnet101", *, classes: int = 1, width: float = 1.0) -> None:
        super().__init__()
        if base == "mobilenetv2":
            self.base = MobileNetV2(output_stride=STRIDE, multiplier=width)
        elif base in {"xception65", "xception71"}:
            self.base = Xception(output_stride=STRIDE, layers=int(base[-2:]), multiplier=width)
        elif base in {"resnet50", "resnet101"}:
            self.base = ResNet(int(base[6:]), output_stride=STRIDE, grid=(1, 2, 4), width=round(64 * width))
        else:
            raise PlanError(f"base: expected mobilenetv2, resnet50, resnet101, xception65 or xception71, got {base!r}")
        spatial = convolution if base.startswith("resnet") else separable
        fine, deep = self.base.channels[1], self.base.channels[-1]
        wide, narrow = round(256 * width), round(48 * width)
        self.branches = nn.ModuleList(
            [convolution(deep, wide, 1), *[spatial(deep, wide, dilation=rate) for rate in RATES]]
        )
        self.frame = convolution(deep, wide, 1)
        self.join = nn.Sequential(convolution(5 * wide, wide, 1), nn.Dropout(0.1))
        self.fine = convolution(fine, narrow, 1)
        self.decode = nn.Sequential(spatial(wide + narrow, wide), spatial(wide, wide))
        self.classify = nn.Conv2d(wide, classes, 1)
        for part in (self.branches, self.frame, self.join, self.fine, self.decode):
            initialize(part)
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.zeros_(self.classify.bias)

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        maps = self.base(image)
        fine, deep = maps[1], maps[-1]
        # The mean of the frame is one value, which bilinear enlarging repeats.
        frame = self.frame(deep.mean((2, 3), keepdim=True)).expand(-1, -1, deep.shape[2], deep.shape[3])
        x = self.join(torch.cat([*[branch(deep) for branch in self.branches], frame], 1))
        x = F.interpolate(x, size=fine.shape[2:], mode="bilinear", align_corners=False)
        x = self.classify(self.decode(torch.cat([x, self.fine(fine)], 1)))
        logits = F.interpolate(x, size=image.shape[2:], mode="bilinear", align_corners=False)
        return [logits] if self.training else logits
