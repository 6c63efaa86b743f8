"""What WSS learns without masks: on drawn scenes, disks of bright colors on textures, and on photographs of persons.

    python -m benchmarks.weak_supervision [--on drawn,persons] [--write]

A narrow network (16 of VGG's 64 channels) at 64 px: some 100 steps of tags, then half as many of masks that it drew
itself; a minute of one core. The masks of a tenth of the pictures choose the checkpoint, a fifth is scored once. Beside
it stands what needs no learning: an ellipse in the middle, as wide and as high as half the frame.

Photographs are those of one training shard whose tag is known to be "person" (``ccp-*``), textures those of the same
folder; what shows neither is cut from photographs where no person is. The data lie under ``BGKIT_DATA``, by default
``../shared/data`` beside the checkout. ``--write`` puts the lines into docs/reference/architectures.md.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.pages import block, write
from bgkit.evaluate.metrics import score, summarize
from bgkit.train.loop import train
from bgkit.train.pictures import Pictures, read_grounds, read_pictures
from bgkit.train.recipe import Data
from bgkit.train.recipefile import read_recipe
from bgkit.train.scoring import MEASURED

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "architectures.md"
TITLES = ("pictures", "learned from", "to train", "to judge", "IoU", "MAE", "F max")

RECIPE = """
bgkit: 1
batch: 16
sizes: [64]
threads: 1
average: 0.95
split: {validation: 10, test: 20}
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


def drawn() -> tuple[Pictures, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    grounds = [draw_texture(rng) for _ in range(24)]
    images, masks = zip(*[draw_scene(rng) for _ in range(220)], strict=True)
    return Pictures(images, masks, [f"{number:03}" for number in range(len(images))], "drawn"), grounds


def persons() -> tuple[Pictures, list[np.ndarray]]:
    given = Path(os.environ.get("BGKIT_DATA", ROOT.parent / "shared" / "data")) / "train"
    with tempfile.TemporaryDirectory() as folder:
        for shard in ("train-00.tar", "backgrounds.tar"):
            (Path(folder) / shard).symlink_to(given / shard)
        data = Data(folder=folder, layout="shards", long_side=160)
        pictures, grounds = read_pictures(data), read_grounds(data)
    part = pictures.part(np.flatnonzero([name.startswith("ccp-") for name in pictures.names]))
    return Pictures(part.images, part.masks, part.names, "persons"), list(grounds)


def trial(name: str, given: tuple[Pictures, list[np.ndarray]]) -> list[tuple[str, ...]]:
    """Train both stages; return the lines of tags, of the network's own masks, and of the ellipse."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        stages = (("tags", TAGS), ("its own masks", MASKS.format(first=Path(folder) / "tags" / "best.pt")))
        for source, text in stages:
            run = Path(folder) / source
            train(read_recipe(RECIPE + text), run, given=given)
            parts = json.loads((run / "split.json").read_text())
            counts = str(len(parts["train"])), str(len(parts["test"]))
            rows.append((name, source, *counts, *_cells(json.loads((run / "test.json").read_text()))))
        chosen = [number for number, each in enumerate(given[0].names) if each in set(parts["test"])]
    rows.append((name, "nothing: an ellipse", "", counts[1], *_cells(_of_ellipse(given[0].part(np.array(chosen))))))
    return rows


def _of_ellipse(pictures: Pictures) -> dict[str, float]:
    row, col = np.mgrid[-1:1:64j, -1:1:64j]
    ellipse = (np.hypot(row, col) < 0.5).astype(np.float32)
    truths = [cv2.resize(mask, (64, 64), interpolation=cv2.INTER_AREA) / np.float32(255) for mask in pictures.masks]
    return dict(summarize([score(ellipse, truth, names=MEASURED, stretch=False) for truth in truths]))


def _cells(figures: dict[str, float]) -> Sequence[str]:
    return [f"{figures[key]:.2f}" for key in ("iou", "mae", "f_max")]


PICTURES = {"drawn": ("disks, drawn", drawn), "persons": ("persons, photographs", persons)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default=",".join(PICTURES), help="on which pictures; default: both")
    parser.add_argument("--write", action="store_true", help=f"put the lines into {PAGE.name}")
    options = parser.parse_args()
    for key in options.on.split(","):
        title, read = PICTURES[key]
        rows = trial(title, read())
        print(*rows, sep="\n", flush=True)
        if options.write:
            lines = block(PAGE.read_text("utf-8"), "wss").splitlines()[2:]
            kept = [line for line in lines if not line.startswith(f"| {title} |")]
            new = ["| " + " | ".join(row) + " |" for row in rows]
            head = ["| " + " | ".join(TITLES) + " |", "|" + "---|" * len(TITLES)]
            write(PAGE, {"wss": "\n".join([*head, *kept, *new])}, some=True)


if __name__ == "__main__":
    main()
