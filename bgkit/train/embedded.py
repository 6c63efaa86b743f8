"""The weights of an exported network, the shipped one's above all, as something to begin a run with.

An ONNX file holds convolutions into which batch normalization was multiplied, without the names they had in training.
They stand in the order in which the network uses them, which is the order that is read here. A normalization that
adds the offset takes the place of the one that was multiplied in. Its factor is a power of two that leaves each
channel's weights about as large as He's first weights are: optimizers step all weights by the same amount, by which
those that the multiplication had made small would be lost at once. What the network computes stays the same, bit for
bit.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bgkit.errors import RecipeError
from bgkit.models.store import locate
from bgkit.train.compact import weights_of

__all__ = ["load_embedded", "load_exported"]

SHIPPED = "coarse"  # its name among the cards


def load_embedded(network: nn.Module) -> None:
    """Give a network the weights of the shipped one; of an ensemble, the first network's.

    Raises
    ------
    RecipeError
        If the network is of another architecture.
    """
    load_exported(network, locate(SHIPPED)[1])


def load_exported(network: nn.Module, path: Path, side: int = 64) -> None:
    """Give a network the weights of an ONNX file that ``bgkit export`` wrote; of an ensemble, the first network's.

    Parameters
    ----------
    network : Module
        Of the architecture that was exported.
    path : Path
        The ONNX file.
    side : int
        Of the square that is shown to the network once, to see the order of its convolutions.

    Raises
    ------
    RecipeError
        If the network is of another architecture.
    """
    held = _convolutions(path)
    places = _order(network, side)
    if len(held) < len(places) or any(
        weight.shape != tuple(part.weight.shape) for (part, _), (weight, _) in zip(places, held, strict=False)
    ):
        raise RecipeError(
            f"start: {path.name} holds a network of another architecture; expected one whose {len(places)} "
            f"convolutions have the shapes of the recipe's network, got {len(held)}"
        )
    with torch.no_grad():
        for (part, norm), (weight, offset) in zip(places, held, strict=False):
            if norm is None:
                part.weight.copy_(torch.from_numpy(weight))
                part.bias.copy_(torch.from_numpy(offset))
                continue
            factor = _factor(torch.from_numpy(weight))
            part.weight.copy_(torch.from_numpy(weight) / factor[:, None, None, None])
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.copy_(factor)
            norm.bias.copy_(torch.from_numpy(offset))


def _factor(weight: Tensor) -> Tensor:
    """Return by how much each channel's weights, (N, C, h, w), are larger than He et al. (2015) draw them: 2**k."""
    size = weight.square().mean((1, 2, 3)).sqrt() / math.sqrt(2 / weight[0].numel())
    return torch.where(size > 0, size, 1.0).log2().round().clamp(-20, 20).exp2()


def _convolutions(path: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return weight and offset of each convolution of an ONNX file, in the graph's order."""
    model = onnx.load(path)
    values = weights_of(model)
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            weight = np.asarray(values[node.input[1]], np.float32)
            offset = values[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight))
            found.append((weight.copy(), np.asarray(offset, np.float32).copy()))
    return found


def _order(network: nn.Module, side: int) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Return the convolutions of a network in the order of their use, each with the normalization after it."""
    used: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []

    def see(module: nn.Module, *_: object) -> None:
        if isinstance(module, nn.Conv2d):
            used.append((module, getattr(module, "norm", None)))
        else:
            used[-1] = (used[-1][0], module)

    inside = {id(module.norm) for module in network.modules() if hasattr(module, "norm")}
    hooks = [
        module.register_forward_hook(see)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d) and id(module) not in inside
    ]
    training = network.training
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, side, side))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return used
