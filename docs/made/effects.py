"""Pictures of what stages do, made of one scikit-image sample: the astronaut, in front of several grounds.

Every stage has an entry in :data:`EFFECTS`. A stage without one ends the build, and so does a
parameter that is no longer there.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from skimage import data

from bgkit import stages
from bgkit.imagefile import write_picture
from bgkit.layers import LAYERS, Layers

SIDE = 160  # px of each picture


class Effect(NamedTuple):
    """How a stage is shown: scene, the layer that is "before", and a parameter with values from low to high."""

    scene: str
    before: str
    param: str = ""  # none: the stage has no parameter to turn
    values: tuple[Any, ...] = ()


EFFECTS = {
    "flat_field": Effect("paper", "image", "white", (0.8, 0.9, 1.0)),
    "white_balance": Effect("warm", "image", "strength", (0.0, 0.5, 1.0)),
    "luv_threshold": Effect("paper", "image", "tolerance", (2.0, 20.0, 60.0)),
    "chroma_key": Effect("green", "image", "white", (0.5, 0.7, 1.0)),
    "backdrop_key": Effect("paper", "image", "tolerance", (1.0, 10.0, 40.0)),
    "clean_plate": Effect("busy", "image", "tolerance", (1.0, 10.0, 40.0)),
    "grabcut": Effect("sample", "image", "border", (1.0, 10.0, 25.0)),
    "saliency": Effect("sample", "image", "contrast", (2.0, 10.0, 40.0)),
    "cnn_mask": Effect("sample", "image"),  # its parameters choose a network, and one ships
    "region_saliency": Effect("sample", "image", "coherence", (0.0, 1.0, 10.0)),
    "cascade_refine": Effect("rough", "mask", "sure", (0.0, 0.1, 0.5)),
    "dense_crf": Effect("rough", "mask", "color_std", (3.0, 13.0, 60.0)),
    "opening": Effect("specks", "mask", "radius", (5.0, 20.0, 60.0)),
    "closing": Effect("specks", "mask", "radius", (5.0, 20.0, 60.0)),
    "fill_holes": Effect("specks", "mask", "max_area", (0.02, 0.3, 5.0)),
    "remove_small": Effect("specks", "mask", "area", (0.02, 0.3, 5.0)),
    "keep_largest": Effect("specks", "mask", "count", (1, 3, 12)),
    "guided_upsample": Effect("rough", "mask", "radius", (4.0, 20.0, 80.0)),
    "make_trimap": Effect("rough", "mask", "width", (5.0, 20.0, 60.0)),
    "threshold_trimap": Effect("rough", "mask", "erosion", (0.0, 10.0, 40.0)),
    "strokes": Effect("drawn", "strokes", "width", (5.0, 20.0, 60.0)),
    "closed_form_matting": Effect("banded", "trimap", "epsilon", (1e-7, 1e-3, 1.0)),
    "plate_matting": Effect("banded", "trimap", "trust", (1e-4, 1e-2, 1.0)),
    "knn_matting": Effect("banded", "trimap", "neighbors", (5, 20, 60)),
    "learning_matting": Effect("banded", "trimap", "epsilon", (1e-7, 1e-3, 1.0)),
    "random_walk_matting": Effect("banded", "trimap", "sigma", (0.005, 0.033, 0.5)),
    "large_kernel_matting": Effect("banded", "trimap", "radius", (1, 4, 10)),
    "shared_matting": Effect("banded", "trimap"),
    "levels": Effect("soft", "alpha", "clear", (0.0, 0.08, 0.16)),
    "retouch": Effect("corrected", "alpha", "reach", (20.0, 100.0, 400.0)),
    "steady": Effect("flickering", "alpha", "strength", (0.0, 0.5, 0.9)),
    "estimate_foreground": Effect("cut", "image", "regularization", (1e-6, 1e-3, 1.0)),
    "two_grounds": Effect("twice", "image", "ground", ("border", "colors")),
    "composite": Effect("cut", "image", "background", ("none", "navy", "blur")),
    "drop_subject": Effect("cut", "image", "fill", ("none", "telea", "biharmonic")),
    "frame": Effect("white", "result", "fill", (0.5, 0.8, 1.0)),
    "place": Effect("white", "result", "scale", (0.3, 0.6, 0.9)),
    "region": Effect("cut", "alpha", "bottom", (0.3, 0.6, 0.9)),
    "cnn_matting": Effect("banded", "trimap", "overlap", (0.1, 0.25, 0.5)),
    "despill": Effect("spilled", "foreground", "strength", (0.0, 0.5, 1.0)),
}


def effect_of(name: str) -> Effect:
    """Return how a stage is shown; raise ``LookupError`` where nobody has said so, or the parameter is gone."""
    if name not in EFFECTS:
        raise LookupError(f"docs/made/effects.py: the stage {name} has no entry in EFFECTS")
    effect = EFFECTS[name]
    if effect.param and effect.param not in stages.find(name).settings:
        raise LookupError(f"docs/made/effects.py: {name}.{effect.param}: no such parameter")
    return effect


def write_effect(name: str, folder: Path) -> list[tuple[str, str]]:
    """Write the pictures of a stage; return caption and file of each: before, after, and after with each value."""
    effect = effect_of(name)
    layers = scene(effect.scene)
    pictures = [(f"before: `{effect.before}`", show(layers, effect.before))]
    pictures.append(("after", show(*_applied(name, layers, {}))))
    for value in effect.values:
        text = f"{value:g}" if isinstance(value, float) else str(value)
        made = _applied(name, layers, {effect.param: value})
        pictures.append((f"`{effect.param}: {text}`", show(*made)))
    rows = []
    for number, (caption, picture) in enumerate(pictures):
        file = f"{name}-{number}.png"
        write_picture(folder / file, picture, depth=8)
        rows.append((caption, file))
    return rows


def _applied(name: str, layers: Layers, values: Mapping[str, Any]) -> tuple[Layers, str]:
    """Return the layers after one stage, and the layer that it gave."""
    info = stages.find(name)
    checked = info.check(values)
    checked.pop("merge", None)
    given = {layer: getattr(layers, layer) for layer in (*info.needs, *info.uses) if getattr(layers, layer) is not None}
    return layers.put(info.gives, info.function(**given, **checked)), info.gives


def show(layers: Layers, layer: str) -> np.ndarray:
    """Return a layer as a small RGB picture; what is clear lies on a checkerboard."""
    array = getattr(layers, layer)
    picture = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, 2)
    rows, cols = picture.shape[:2]
    if max(rows, cols) > SIDE:
        scale = SIDE / max(rows, cols)
        picture = cv2.resize(picture, (round(cols * scale), round(rows * scale)), interpolation=cv2.INTER_AREA)
    if picture.shape[2] == 4:
        row, col = np.mgrid[: picture.shape[0], : picture.shape[1]] // 8
        board = np.where((row + col) % 2, 0.65, 0.85)[..., None]
        picture = picture[..., 3:] * picture[..., :3] + (1 - picture[..., 3:]) * board
    return np.clip(picture, 0, 1).astype(np.float32)


@functools.cache
def subject() -> tuple[np.ndarray, np.ndarray]:
    """Return color and opacity of the astronaut, cut out once by ``auto``, at ``SIDE`` px."""
    import bgkit

    small = cv2.resize(data.astronaut()[:400, 20:420], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    cut = bgkit.load_pipeline("portrait").run(small)
    return cut.foreground, cut.alpha


@functools.cache
def scene(name: str) -> Layers:
    """Return the layers of a scene by name."""
    color, alpha = subject()
    row, col = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    noise = np.random.default_rng(0).normal(0, 0.006, (SIDE, SIDE, 3)).astype(np.float32)
    gray = np.full((SIDE, SIDE, 3), 0.85, np.float32) * (1.05 - 0.25 * col)[..., None]
    grounds = {
        "paper": gray,
        "warm": gray * np.float32([1.0, 0.88, 0.72]),
        "green": np.broadcast_to(np.float32([0.15, 0.72, 0.25]), gray.shape) * (1 - 0.1 * row)[..., None],
        "busy": cv2.resize(data.coffee(), (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255,
    }

    def before(ground: np.ndarray) -> np.ndarray:
        mixed = alpha[..., None] * color + (1 - alpha[..., None]) * ground
        return np.clip(mixed + noise, 0, 1).astype(np.float32)

    if name in grounds:
        plate = np.clip(grounds[name] + noise[::-1], 0, 1)
        return Layers.of(before(grounds[name]), plate=plate if name == "busy" else None)
    if name == "sample":
        image = cv2.resize(data.astronaut()[:400, 20:420], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return Layers.of(image)
    image = before(grounds["paper"])
    small = cv2.resize(alpha, (14, 14), interpolation=cv2.INTER_AREA)
    rough = np.clip(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), 0, 1)
    if name == "rough":
        return Layers.of(image, mask=rough)
    if name == "specks":
        spots = cv2.GaussianBlur(np.random.default_rng(1).normal(size=(SIDE, SIDE)), (0, 0), 2.2)
        limit = np.quantile(np.abs(spots), 0.95)
        mask = np.where(spots > limit, 1.0, np.where(spots < -limit, 0.0, alpha > 0.5)).astype(np.float32)
        return Layers.of(image, mask=mask)
    if name == "banded":
        trimap = stages.make_trimap(rough, width=25.0)
        return Layers.of(image, trimap=trimap)
    drawn = np.full((SIDE, SIDE), 128, np.uint8)
    if name == "drawn":
        inside = cv2.erode((alpha > 0.9).astype(np.uint8), np.ones((25, 25), np.uint8))
        outside = cv2.erode((alpha < 0.1).astype(np.uint8), np.ones((25, 25), np.uint8))
        drawn[inside > 0], drawn[outside > 0] = 255, 0
        return Layers.of(image, strokes=drawn)
    if name == "corrected":
        broken = alpha.copy()
        broken[int(SIDE * 0.72) :] = 0  # a lower part that was lost
        drawn[int(SIDE * 0.8) : int(SIDE * 0.84), int(SIDE * 0.35) : int(SIDE * 0.65)] = 255
        return Layers.of(image, alpha=broken, strokes=drawn)
    if name == "flickering":
        broken = alpha.copy()
        broken[int(SIDE * 0.72) :] = 0  # in this frame only
        return replace(Layers.of(image, alpha=broken), previous=Layers.of(image, alpha=alpha))
    if name == "soft":
        return Layers.of(image, alpha=np.clip(0.04 + 0.92 * cv2.GaussianBlur(alpha, (0, 0), 3), 0, 1))
    if name == "cut":
        return Layers.of(before(grounds["busy"]), alpha=alpha)
    if name == "white":
        white = alpha[..., None] * color + 1 - alpha[..., None]
        return Layers.of(image, alpha=alpha).put("result", np.clip(white, 0, 1).astype(np.float32))
    if name == "twice":
        return Layers.of(before(np.ones_like(gray)), second=before(np.zeros_like(gray)))
    if name == "spilled":
        green = color + np.float32([0, 0.18, 0.02]) * (1 - 0.4 * row)[..., None]
        layers = Layers.of(before(grounds["green"]), alpha=alpha)
        return layers.put("foreground", np.clip(green, 0, 1).astype(np.float32))
    raise LookupError(f"docs/made/effects.py: no scene {name}")


def meaning_of(layer: str) -> str:
    """Return what a layer means, as the code has it."""
    return "the frame before, where the picture is one of a film" if layer == "previous" else LAYERS[layer].meaning
