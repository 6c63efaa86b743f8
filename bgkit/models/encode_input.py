"""From layers to a network's input: size, placement, channel order, scale, mean, deviation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ModelError
from bgkit.models.card import Card, Input
from bgkit.models.resampling import resample

__all__ = ["Placement", "fill", "place"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Placement:
    """Where in the network's input, of ``shape``, the resized picture stands."""

    shape: tuple[int, int]
    top: int
    left: int
    rows: int
    cols: int


def place(card: Card, picture: tuple[int, int], graph: tuple[int | None, int | None] = (None, None)) -> Placement:
    """Return where a picture of (rows, columns) goes; ``graph`` has the sides that are fixed by the file."""
    rule = card.input
    fixed = rule.fixed
    if fixed is None and None not in graph:
        fixed = (graph[0] or 0, graph[1] or 0)
    if fixed is not None:
        if rule.fit == "stretch":
            return Placement(fixed, 0, 0, *fixed)
        scale = min(fixed[0] / picture[0], fixed[1] / picture[1])
        rows, cols = (max(1, min(limit, int(side * scale + 1e-9))) for side, limit in zip(picture, fixed, strict=True))
        top, left = ((fixed[0] - rows) // 2, (fixed[1] - cols) // 2) if rule.fit == "letterbox" else (0, 0)
        return Placement(fixed, top, left, rows, cols)
    rows, cols = _free_size(rule, picture)
    if rule.rounding == "pad":
        step = rule.multiple
        return Placement((-(-rows // step) * step, -(-cols // step) * step), 0, 0, rows, cols)
    rows, cols = (_to_multiple(side, rule) for side in (rows, cols))
    return Placement((rows, cols), 0, 0, rows, cols)


def _free_size(rule: Input, picture: tuple[int, int]) -> tuple[int, int]:
    """Scale to the short or the long side; MODNet's ``when = "outside"`` leaves what straddles it."""
    short, long = min(picture), max(picture)
    if rule.short_side is not None:
        if rule.when == "outside" and short <= rule.short_side <= long:
            return picture
        scale = rule.short_side / short
    elif rule.long_side is not None:
        if rule.when == "outside" and long <= rule.long_side:
            return picture
        scale = rule.long_side / long
    else:
        return picture
    rows, cols = (max(1, int(side * scale + 1e-9)) for side in picture)
    return rows, cols


def _to_multiple(side: int, rule: Input) -> int:
    count = {"down": side // rule.multiple, "nearest": round(side / rule.multiple)}.get(
        rule.rounding, -(-side // rule.multiple)
    )
    return max(1, count) * rule.multiple


def fill(card: Card, names: tuple[str, ...], layers: Mapping[str, Array], placed: Placement) -> Array:
    """Return one input of the network, float32 in the card's layout, batch of one, from the layers ``names``."""
    planes: list[Array] = []
    for name in names:
        if name not in layers:
            raise ModelError(
                f"{card.name}: the network needs the layer {name!r}, which was not given "
                f"(on the command line: --{name} FILE)"
            )
        kind = "nearest" if name == "trimap" else card.input.interpolation
        values = resample(as_share(layers[name]), (placed.rows, placed.cols), kind)
        rule = card.normalizations[name]
        channels = [values] if values.ndim == 2 else [values[:, :, c] for c in range(3)]
        if values.ndim == 3 and card.input.order == "BGR":
            channels.reverse()
        mean, deviation = (_per_channel(each, len(channels)) for each in (rule.mean, rule.deviation))
        pad = card.input.pad
        for channel, a, b in zip(channels, np.float32(rule.scale) / deviation, -mean / deviation, strict=True):
            plane = np.full(placed.shape, 0 if pad == "mean" else pad * a + b, np.float32)
            inside = plane[placed.top : placed.top + placed.rows, placed.left : placed.left + placed.cols]
            np.multiply(channel, a, out=inside)
            inside += b
            planes.append(plane)
    tensor = np.stack(planes)
    if card.input.layout == "NHWC":
        tensor = np.ascontiguousarray(np.moveaxis(tensor, 0, 2))
    return tensor if card.input.layout == "CHW" else tensor[None]


def _per_channel(values: float | tuple[float, ...], count: int) -> Array:
    return np.broadcast_to(np.asarray(values, np.float32), count)


def as_share(layer: Array) -> Array:
    """Return a layer in 0..1; a trimap's bytes divided by 255, so that unknown is 0.502 as in most scripts."""
    return layer / np.float32(255) if layer.dtype == np.uint8 else layer
