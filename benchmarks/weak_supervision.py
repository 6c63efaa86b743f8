"""What WSS learns without masks, on drawn scenes: disks of bright colors on textures, 198 to train, 22 to judge.

    python -m benchmarks.weak_supervision

A narrow network (16 of VGG's 64 channels) at 64 px: 96 steps of tags, then 48 of masks that it drew itself. A minute of
one core.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

from bgkit.train.loop import train
from bgkit.train.pictures import Pictures
from bgkit.train.recipefile import read_recipe

RECIPE = """
bgkit: 1
batch: 16
sizes: [64]
threads: 1
average: 0.95
split: {validation: 10, test: 0}
optimizer: {kind: adamw, learning_rate: 2e-3}
"""
TAGS = """
epochs: 8
network: {wss-tags: {width: 16}}
augmentation: {paste: 0.3, empty: 0.25, vacant: 0.2, texture: 0.5, low_light: 0, gray: 0}
"""
MASKS = """
epochs: 4
network: {{wss: {{width: 16}}}}
start: {first}
data: {{teacher: {first}}}
augmentation: {{paste: 0, empty: 0.05, vacant: 0, gray: 0}}
"""
SIDE = 96


def draw_texture(rng: np.random.Generator) -> np.ndarray:
    """Return a soft pattern of one color, (S, S, 3), uint8."""
    pattern = cv2.resize(rng.random((16, 16, 3)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(255 * (0.25 * pattern + rng.uniform(0, 0.5, 3)), 0, 255).astype(np.uint8)


def draw_scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and the mask of the disk in it."""
    ground, mask = draw_texture(rng), np.zeros((SIDE, SIDE), np.uint8)
    middle, radius = rng.integers(28, 68, 2), int(rng.integers(12, 28))
    cv2.circle(mask, (int(middle[0]), int(middle[1])), radius, 255, -1, cv2.LINE_AA)
    color = rng.uniform(0, 1, 3)
    color[rng.integers(3)] = 1.0
    share = mask[..., None] / 255
    return np.uint8(ground * (1 - share) + 255 * color * share), mask


def main() -> None:
    rng = np.random.default_rng(0)
    grounds = [draw_texture(rng) for _ in range(24)]
    images, masks = zip(*[draw_scene(rng) for _ in range(220)], strict=True)
    given = Pictures(images, masks, [f"{number:03}" for number in range(len(images))], "drawn"), grounds
    with tempfile.TemporaryDirectory() as folder:
        for text, name in ((TAGS, "tags"), (MASKS.format(first=Path(folder) / "tags" / "best.pt"), "masks")):
            train(read_recipe(RECIPE + text), Path(folder) / name, given=given)


if __name__ == "__main__":
    main()
