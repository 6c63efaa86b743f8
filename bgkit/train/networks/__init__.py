"""The architectures: one file each, written from its paper, and the facts that a recipe, an export and a card need.

A mask network maps ``image`` (N, 3, H, W), with H and W multiples of its ``multiple``, to logits: in training a list of
(N, 1, h, w), finest first, each at the depth where its paper supervises it; in evaluation one (N, 1, H, W).
A second input (``plate`` (N, 3, H, W), ``trimap`` or ``mask`` (N, 1, H, W)) is the second argument.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from bgkit.errors import PlanError

__all__ = ["NETWORKS", "Entry", "build"]


@dataclass(frozen=True)
class Entry:
    """What is known of an architecture before it is built."""

    made_by: str  # "module:Class" inside this package
    paper: str
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: float | None = None  # millions, as published
    inputs: tuple[str, ...] = ("image",)
    multiple: int = 32
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)


NETWORKS: dict[str, Entry] = {
    "coarse": Entry("coarse:CoarseNet", "bgkit's own"),
}


def build(name: str, **options: Any) -> nn.Module:
    """Return a new network with random weights.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.
    **options
        Replace the entry's own; what a class takes, its docstring says.

    Raises
    ------
    PlanError
        If there is no such architecture.
    """
    if name not in NETWORKS:
        raise PlanError(f"network: expected one of {', '.join(sorted(NETWORKS))}, got {name!r}")
    entry = NETWORKS[name]
    module, made_by = entry.made_by.split(":")
    network: nn.Module = getattr(importlib.import_module(f"{__name__}.{module}"), made_by)(
        **{**entry.options, **options}
    )
    return network
