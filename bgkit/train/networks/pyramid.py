"""The embedded network: an ImageNet-trained encoder under a light feature pyramid.

EfficientNet-Lite (Tan and Le 2019) gives maps at strides 2 to 32. Atrous spatial pyramid pooling (Chen et al. 2017)
looks at the whole frame from the deepest. A pyramid (Lin et al. 2017) climbs back to half the input size: each step
brings the encoder's map of that size to the pyramid's width by a 1x1 convolution, adds the coarser map, enlarged, and
smooths the sum by a dense 3x3 convolution. Each level answers in training (Hou et al. 2017).

References
----------
T.-Y. Lin et al., "Feature pyramid networks for object detection", CVPR 2017.
Q. Hou et al., "Deeply supervised salient object detection with short connections", CVPR 2017.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.train.networks.blocks import convolution
from bgkit.train.networks.coarse import AtrousPooling
from bgkit.train.networks.efficientnet_lite import EfficientNetLite

__all__ = ["PyramidNet"]


class PyramidNet(nn.Module):
    """Foreground logits at half the input size, and coarser ones for deep supervision.

    Parameters
    ----------
    variant : int
        Of EfficientNet-Lite, 0 to 4.
    frozen, fixed
        Of the encoder: keep its batch statistics, and how many of its groups of blocks stay as they are.
    width : int
        Channels of the pyramid; its finest level has a third of them.

    Notes
    -----
    Input: (N, 3, H, W), H and W multiples of 32, RGB scaled to about -1..1 as the encoder was trained.
    Output in training: logits of shape (N, 1, h, w) at strides 2, 4, 8, 16 and 32, finest first; in evaluation the
    finest, enlarged to (N, 1, H, W).
    """

    def __init__(self, variant: int = 0, *, frozen: bool = False, fixed: int = 0, width: int = 48) -> None:
        super().__init__()
        self.encoder = EfficientNetLite(variant, frozen=frozen, fixed=fixed)
        finest, *middle, deepest = self.encoder.channels
        widths = [width // 3, *[width] * len(middle)]
        self.reduce = convolution(deepest, 2 * width, 1)
        self.context = AtrousPooling(2 * width, width)
        self.enter = convolution(2 * width, width, 1)
        self.lateral = nn.ModuleList(
            convolution(channels, wide, 1, activation=None)
            for channels, wide in zip((finest, *middle), widths, strict=True)
        )
        self.narrow = convolution(width, widths[0], 1)  # before the finest level, which costs most
        self.smooth = nn.ModuleList(nn.Sequential(nn.ReLU(), convolution(wide, wide)) for wide in widths)
        self.heads = nn.ModuleList(nn.Conv2d(wide, 1, 3, padding=1) for wide in (*widths, width))

    def load_imagenet(self) -> None:
        """Give the encoder what ImageNet taught it."""
        self.encoder.load_imagenet()

    def forward(self, image: Tensor) -> list[Tensor] | Tensor:
        *maps, deepest = self.encoder(image)
        x = self.enter(self.context(self.reduce(deepest)))
        logits = [self.heads[-1](x)] if self.training else []
        for level in reversed(range(len(maps))):
            if level == 0:
                x = self.narrow(x)
            x = F.interpolate(x, size=maps[level].shape[2:], mode="bilinear", align_corners=False)
            x = self.smooth[level](x + self.lateral[level](maps[level]))
            if self.training or level == 0:
                logits.append(self.heads[level](x))
        if self.training:
            return logits[::-1]
        return F.interpolate(logits[-1], size=image.shape[2:], mode="bilinear", align_corners=False)
