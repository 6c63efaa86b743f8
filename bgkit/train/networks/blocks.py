"""The blocks that most of the field's networks share: convolution, batch normalization, ReLU."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

__all__ = ["convolution", "initialize", "keep_statistics", "separable"]

Network = TypeVar("Network", bound=nn.Module)


def convolution(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution without bias, batch normalization, activation; padded so that only ``stride`` changes the size.

    ``activation=None`` ends with the batch normalization, as a residual branch does.
    """
    padding = dilation * (kernel // 2)
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation is not None:
        layers.append(activation(inplace=True))
    return nn.Sequential(*layers)


def separable(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Sequential:
    """A 3x3 convolution in two steps, each channel alone and then all channels at each place (Chollet 2017).

    As in DeepLabv3+, batch normalization and ReLU follow either step.
    """
    return nn.Sequential(convolution(inputs, inputs, dilation=dilation, groups=inputs), convolution(inputs, outputs, 1))


def initialize(network: nn.Module) -> None:
    """Draw the weights of all convolutions after He et al. (2015), so that signals keep their size through ReLUs.

    Transposed convolutions keep what they have: where they matter, they start as an interpolation.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            # By fan in, which is 9 for a depthwise 3x3 convolution. Torch's fan out leaves its groups out of account:
            # maps of Xception fell to a variance of 1e-10, far below what batch normalization can bring back (1e-5).
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def keep_statistics(network: Network) -> Network:
    """Put every batch normalization into evaluation mode: its statistics stay, its factors are still trained.

    Statistics of a small batch, or of a few pictures, are worse than those the weights were trained with.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return network
