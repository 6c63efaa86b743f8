"""How good a network is on pictures that it is not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from bgkit.evaluate.metrics import score, summarize
from bgkit.train.data import samples
from bgkit.train.networks import Entry
from bgkit.train.pictures import Bytes, Pictures

__all__ = ["MEASURED", "answer", "measure", "predict", "to_map"]

MEASURED = ("iou", "mae", "f_max")


def answer(network: nn.Module, entry: Entry, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the network's map in 0..1 (N, 1, H, W), in float32."""
    return to_map(network(*inputs), entry)


def predict(network: nn.Module, entry: Entry, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return what the network's stage makes of its answer (N, 1, H, W): what a trimap knows stays as it is."""
    found = answer(network, entry, inputs)
    if "trimap" not in entry.inputs:
        return found
    trimap = inputs[entry.inputs.index("trimap")]
    return torch.where((trimap == 0) | (trimap == 1), trimap, found)


def to_map(out: torch.Tensor, entry: Entry) -> torch.Tensor:
    """Return what a network's output stands for, 0..1."""
    return torch.sigmoid(out.float()) if entry.activation == "sigmoid" else out.float().clamp(0, 1)


@torch.inference_mode()
def measure(
    network: nn.Module, pictures: Pictures, grounds: Sequence[Bytes], entry: Entry, *, size: int, seed: int
) -> dict[str, float]:
    """Return IoU at one half, MAE and F max over pictures stretched to a square, as the network sees them.

    The definitions are those of ``docs/reference/metrics.md``, without stretching the maps.
    """
    device = next(network.parameters()).device
    scores = []
    for drawn, inputs, _ in samples(pictures, grounds, entry, size=size, seed=seed):
        found = predict(network, entry, tuple(each.to(device) for each in inputs))[0, 0].cpu().numpy()
        scores.append(score(found, drawn.truth, names=MEASURED, stretch=False))
    figures = summarize(scores)
    return {name: float(np.round(figures[name], 6)) for name in MEASURED}
