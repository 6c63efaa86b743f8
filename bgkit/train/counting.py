"""How large a network is, and how much it computes: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bgkit.models.card import CHANNELS

__all__ = ["count"]


def count(network: nn.Module, side: int, inputs: Sequence[str] = ("image",)) -> tuple[int, int]:
    """Count a network's parameters and the multiply-accumulates of one picture.

    Convolutions, transposed convolutions and linear layers count, as is the field's custom; normalizations,
    activations and interpolations, which are a few percent, do not. Nothing is computed: the network is run on
    shapes alone, so that the largest takes a moment.

    Parameters
    ----------
    network : Module
        Stays as it is.
    side : int
        Rows and columns of the picture; the work grows with its square.
    inputs : sequence of str
        The layers that the network takes, in order, as in its :class:`~bgkit.train.networks.Entry`.

    Returns
    -------
    tuple of int
        Parameters, fixed ones included, and multiply-accumulates in evaluation.

    Examples
    --------
    A 3x3 convolution from 3 channels to 8 on 4x4 pixels: 3 * 8 * 9 weights, each used 16 times, and 8 biases.

    >>> count(nn.Conv2d(3, 8, 3, padding=1), 4)
    (224, 3456)
    """
    shapes = copy.deepcopy(network).to("meta").eval()
    total = 0

    def add(layer: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> None:
        nonlocal total
        # A convolution uses each weight once per place of its output, a transposed one once per place of its input.
        # What is cut out of the picture and looked at as a batch, patches or regions, counts each time.
        if isinstance(layer, nn.Linear):
            places = answer.shape[:-1].numel()
        else:
            seen = given[0] if isinstance(layer, nn.ConvTranspose2d) else answer
            places = seen.shape[0] * seen.shape[2:].numel()
        total += layer.weight.numel() * places

    for layer in shapes.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(add)
    with torch.no_grad():
        shapes(*[torch.zeros(1, CHANNELS[name], side, side, device="meta") for name in inputs])
    return sum(parameter.numel() for parameter in network.parameters()), total
