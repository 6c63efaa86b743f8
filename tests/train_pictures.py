"""What the training tests share: drawn pictures in each layout, and networks small enough to train in a moment."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import types
from pathlib import Path

import cv2
import numpy as np
from conftest import disk_scene

COUNT = 12


def scenes(count: int = COUNT):
    """Disks of various colors as bytes: name, picture RGB, mask."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image, alpha = disk_scene(44, 60, rng.random(3), rng.random(3), seed=number)
        yield f"disk-{number:02}", np.rint(image * 255).astype(np.uint8), np.rint(alpha * 255).astype(np.uint8)


def draw_folder(folder: Path) -> Path:
    """Draw folders images and masks, and two textures in backgrounds."""
    for name in ("images", "masks", "backgrounds"):
        (folder / name).mkdir(parents=True)
    for name, image, mask in scenes():
        cv2.imwrite(str(folder / "images" / f"{name}.jpg"), image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    for number in range(2):
        texture = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        cv2.imwrite(str(folder / "backgrounds" / f"texture-{number}.png"), texture)
    return folder


def draw_shards(folder: Path) -> Path:
    """Draw the same pictures into two tar files."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(2):
        with tarfile.open(folder / f"train-{part:02}.tar", "w") as archive:
            for number, (name, image, mask) in enumerate(scenes()):
                if number % 2 == part:
                    _add(archive, f"{name}.webp", image[..., ::-1])
                    _add(archive, f"{name}.png", mask)
    return folder


def _add(archive: tarfile.TarFile, name: str, pixels: np.ndarray) -> None:
    data = cv2.imencode("." + name.split(".")[1], pixels)[1].tobytes()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def draw_coco(folder: Path) -> Path:
    """Draw COCO's layout: rectangles of known share, one with a crowd, one with three persons, one with a cat."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "val2017").mkdir()
    images, notes = [], []

    def box(number: int, left: int, width: int, category: int = 1, crowd: int = 0) -> None:
        corners = [left, 0, left + width, 0, left + width, 40, left, 40]
        notes.append({"image_id": number, "category_id": category, "iscrowd": crowd, "segmentation": [corners]})

    for number in range(8):
        name = f"{number:03}.jpg"
        cv2.imwrite(str(folder / "val2017" / name), np.full((40, 50, 3), 20 * number, np.uint8))
        images.append({"id": number, "file_name": name, "height": 40, "width": 50})
    box(0, 0, 20)  # 40 %: kept
    box(1, 0, 10), box(1, 30, 10)  # two persons, 40 %: kept
    box(2, 0, 5)  # 10 %: too small
    box(3, 0, 45)  # 90 %: too large
    box(4, 0, 10), box(4, 15, 10), box(4, 30, 10)  # three persons
    box(5, 0, 20), box(5, 30, 10, crowd=1)  # a crowd behind one person
    box(6, 0, 20, category=2)  # a cat
    box(7, 0, 15)  # 30 %: kept
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "cat"}]
    message = {"images": images, "annotations": notes, "categories": categories}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(message))
    return folder


def add_tiny(monkeypatch, name: str = "tiny", **facts) -> None:
    """Make known a network of one hidden layer with dropout, that takes any inputs."""
    import torch
    from torch import nn

    from bgkit.train import networks

    inputs = facts.get("inputs", ("image",))
    channels = {"image": 3, "plate": 3, "mask": 1, "trimap": 1}

    class Tiny(nn.Module):
        def __init__(self, width: int = 4) -> None:
            super().__init__()
            self.first = nn.Conv2d(sum(channels[each] for each in inputs), width, 3, padding=1)
            self.norm, self.drop = nn.BatchNorm2d(width), nn.Dropout2d(0.3)
            self.last = nn.Conv2d(width, 1, 1)

        def forward(self, *layers):
            hidden = self.drop(torch.relu(self.norm(self.first(torch.cat(layers, 1)))))
            found = self.last(hidden)
            return [found] if self.training else found

    module = types.ModuleType(f"bgkit.train.networks.{name}")
    module.Tiny = Tiny
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = networks.Entry(f"{name}:Tiny", "a drawn one", multiple=8, **facts)
    monkeypatch.setitem(networks.NETWORKS, name, entry)
