"""Pictures with masks, in memory, and the augmentation that makes training samples of them.

Every random choice comes from one generator seeded by (seed, epoch, index), so a sample does not
depend on which thread made it, nor on whether the run was interrupted before it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Picture = NDArray[np.float32]

__all__ = ["Augmentation", "batches", "normalize", "read_backgrounds", "read_pairs"]

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def read_pairs(folder: Path) -> tuple[list[Bytes], list[Bytes], list[str]]:
    """Decode every ``NAME.webp`` with its ``NAME.png`` from the ``train-*.tar`` shards of a folder.

    Returns pictures of shape (M, N, 3), masks of shape (M, N), and their names, in sorted order.
    """
    files: dict[str, bytes] = {}
    for shard in sorted(folder.glob("train-*.tar")):
        with tarfile.open(shard) as archive:
            for member in archive:
                handle = archive.extractfile(member)
                if handle is not None:
                    files[member.name] = handle.read()
    names = sorted({name.rsplit(".", 1)[0] for name in files})
    if not names:
        raise FileNotFoundError(f"{folder}: expected shards train-*.tar with NAME.webp and NAME.png, found none")
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda name: _decode(files[name + ".webp"]), names))
        masks = list(pool.map(lambda name: _decode(files[name + ".png"], gray=True), names))
    return images, masks, names


def read_backgrounds(folder: Path) -> list[Bytes]:
    """Decode the textures of ``backgrounds.tar``, each of shape (M, N, 3)."""
    with tarfile.open(folder / "backgrounds.tar") as archive:
        members = (archive.extractfile(member) for member in sorted(archive.getmembers(), key=lambda m: m.name))
        return [_decode(handle.read()) for handle in members if handle is not None]


def _decode(data: bytes, *, gray: bool = False) -> Bytes:
    """Decode a picture to RGB or gray; these files are 8-bit and upright, so OpenCV does."""
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if picture is None:
        raise ValueError("a training picture cannot be decoded")
    return picture


def normalize(image: Picture) -> Picture:
    """Subtract ImageNet's mean and divide by its deviation; (M, N, 3) in 0..1."""
    return (image - IMAGENET_MEAN) / IMAGENET_DEVIATION


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a sample, as probabilities.

    ``paste`` puts the subject on new ground, plain in half of the cases (a studio) and a texture
    otherwise; ``empty`` shows the ground alone, so that the network can say "nothing here".
    """

    paste: float = 0.2
    empty: float = 0.03
    gray: float = 0.05
    low_light: float = 0.08
    noise: float = 0.15
    blur: float = 0.08
    jpeg: float = 0.15

    def __call__(
        self, image: Bytes, mask: Bytes, grounds: Sequence[Bytes], size: int, rng: np.random.Generator
    ) -> tuple[Picture, Picture]:
        """Return a float32 picture (size, size, 3) and mask (size, size), both 0..1."""
        matrix = _crop(mask.shape, size, rng)
        image = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        mask = cv2.warpAffine(mask, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        picture, truth = image.astype(np.float32) / 255, mask.astype(np.float32) / 255
        kind = rng.random()
        if kind < self.paste + self.empty:
            ground = _ground(grounds, size, rng)
            if kind < self.empty:
                truth = np.zeros_like(truth)
            picture = ground + truth[..., None] * (picture - ground)
        picture = _relight(picture, rng)
        if rng.random() < self.gray:
            picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
        if rng.random() < self.low_light:
            picture = np.clip(picture, 0, 1) ** rng.uniform(1.3, 2.2) * rng.uniform(0.3, 0.8)
        if rng.random() < self.blur:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
        if rng.random() < self.noise:
            deviation = np.float32(rng.uniform(0.01, 0.06))
            picture = picture + deviation * rng.standard_normal(picture.shape, dtype=np.float32)
        picture = np.clip(picture, 0, 1).astype(np.float32)
        if rng.random() < self.jpeg:
            quality = int(rng.integers(25, 80))
            coded = cv2.imencode(".jpg", np.rint(picture * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
            picture = cv2.imdecode(coded[1], cv2.IMREAD_COLOR).astype(np.float32) / 255
        return picture, truth


def _crop(shape: tuple[int, ...], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Affine matrix taking a random, maybe mirrored and turned, crop to size x size."""
    rows, cols = shape[:2]
    share = 1.0 if rng.random() < 0.25 else np.sqrt(rng.uniform(0.45, 1.0))
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    height, width = rows * min(1.0, share * stretch), cols * min(1.0, share / stretch)
    top, left = rng.uniform(0, rows - height), rng.uniform(0, cols - width)
    angle = np.deg2rad(rng.normal(0, 6)) if rng.random() < 0.3 else 0.0
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.diag([mirror * size / width, size / height]) @ turn
    centre = np.array([left + width / 2, top + height / 2])
    return np.column_stack([linear, np.array([size / 2, size / 2]) - linear @ centre])


def _ground(grounds: Sequence[Bytes], size: int, rng: np.random.Generator) -> Picture:
    """A texture, or plain studio ground: one color, usually light, under a slope of light."""
    if rng.random() < 0.5 and len(grounds):
        texture = grounds[rng.integers(len(grounds))]
        matrix = _crop(texture.shape, size, rng)
        return cv2.warpAffine(texture, matrix, (size, size), borderMode=cv2.BORDER_REFLECT).astype(np.float32) / 255
    color = np.clip(rng.uniform(0.1, 1.0) + rng.normal(0, 0.04, 3), 0, 1)
    if rng.random() < 0.3:
        color = rng.uniform(0, 1, 3)
    row, col = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.35) * (row * np.sin(direction) + col * np.cos(direction))
    vignette = rng.uniform(0, 0.3) * (row**2 + col**2)
    return np.clip(color * (1 + slope - vignette)[..., None], 0, 1).astype(np.float32)


def _relight(picture: Picture, rng: np.random.Generator) -> Picture:
    """Change brightness, contrast, saturation and color balance a little."""
    picture = picture * rng.uniform(0.75, 1.25, 1).astype(np.float32) * rng.normal(1, 0.05, 3).astype(np.float32)
    mean, gray = picture.mean(dtype=np.float32), picture.mean(2, keepdims=True)
    picture = gray + (picture - gray) * np.float32(rng.uniform(0.6, 1.4))
    return mean + (picture - mean) * np.float32(rng.uniform(0.75, 1.25))


def batches(
    images: Sequence[Bytes],
    masks: Sequence[Bytes],
    grounds: Sequence[Bytes],
    *,
    augmentation: Augmentation,
    size: int,
    batch: int,
    seed: int,
    epoch: int,
    first: int = 0,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the batches of one epoch from number ``first`` on, as (B, 3, size, size) and (B, 1, size, size)."""
    order = np.random.default_rng((seed, epoch)).permutation(len(images))
    count = len(order) // batch

    def make(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        pictures, truths = [], []
        for index in order[number * batch : (number + 1) * batch]:
            rng = np.random.default_rng((seed, epoch, int(index)))
            picture, truth = augmentation(images[index], masks[index], grounds, size, rng)
            pictures.append(normalize(picture))
            truths.append(truth)
        data = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)  # already channels-last in memory
        return data, torch.from_numpy(np.stack(truths)[:, None])

    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = [pool.submit(make, number) for number in range(first, min(first + 3, count))]
        for number in range(first, count):
            ready = ahead.pop(0).result()
            if number + 3 < count:
                ahead.append(pool.submit(make, number + 3))
            yield ready
