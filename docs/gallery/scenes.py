"""Pictures drawn for the gallery, with everything about them known: subject, opacity and backdrop.

Each subject is drawn at four times its size and averaged, so that its opacity at the edge is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

__all__ = ["Scene", "doll", "glass", "paper", "photograph", "vase"]

FINE = 4  # drawn pixels for one


class Subject(NamedTuple):
    """A subject without a ground: color (M, N, 3) and opacity (M, N), float32, 0..1."""

    color: np.ndarray
    alpha: np.ndarray


class Scene(NamedTuple):
    """A subject in front of its ground: the photograph, the true alpha, and the scene photographed empty."""

    image: np.ndarray
    alpha: np.ndarray
    plate: np.ndarray


def photograph(subject, ground, *, shadow=0.1, noise=0.006, seed=0) -> Scene:
    """Put a subject on a ground with a soft shadow at its foot and the noise of a sensor."""
    rows, cols = subject.alpha.shape
    row, col = np.mgrid[:rows, :cols]
    solid = subject.alpha > 0.5
    foot, middle = np.flatnonzero(solid.any(axis=1))[-1], np.flatnonzero(solid.any(axis=0)).mean()
    wide = np.ptp(np.flatnonzero(solid[foot - rows // 20 : foot].any(axis=0)))
    dark = shadow * np.exp(-(((row - foot) / (rows * 0.035)) ** 2) - ((col - middle - wide * 0.2) / (wide * 0.62)) ** 2)
    alpha = subject.alpha[..., None]
    rng = np.random.default_rng(seed)
    image = alpha * subject.color + (1 - alpha) * ground * (1 - dark[..., None])
    plate = ground + rng.normal(0, noise, ground.shape)
    image = image + rng.normal(0, noise, image.shape)
    return Scene(*(np.clip(each, 0, 1).astype(np.float32) for each in (image, subject.alpha, plate)))


def paper(rows=360, cols=300, color=(0.93, 0.93, 0.92), falloff=0.12):
    """Return a paper sweep that is lit from above: its corners are darker by ``falloff``."""
    row, col = np.mgrid[:rows, :cols]
    away = np.hypot((row - rows * 0.4) / rows, (col - cols / 2) / cols)
    return (np.asarray(color) * (1 - falloff * (away / 0.78)[..., None] ** 2)).astype(np.float32)


def vase(rows=360, cols=300, color=(0.10, 0.42, 0.47), tilt=0.0) -> Subject:
    """Return a glazed vase with two bands: a turned body, one lamp at the upper left, a window in the glaze."""
    row, col = np.mgrid[: rows * FINE, : cols * FINE].astype(np.float32)
    height, away = row / (rows * FINE), (col / FINE - cols / 2) / rows
    along = np.clip((height - 0.12) / 0.76, 0, 1)  # 0 at the lip, 1 at the foot
    radius = 0.10 + 0.145 * np.sin(np.pi * np.clip(along - 0.08, 0, 1) ** 1.25) ** 1.5
    radius += 0.035 * np.exp(-((along / 0.05) ** 2))
    across = (away - tilt * (height - 0.5)) / radius
    inside = (np.abs(across) < 1) & (height > 0.12) & (height < 0.88)
    front = np.sqrt(np.clip(1 - across**2, 0, 1))
    slope = np.gradient(radius, axis=0) * rows * FINE
    normal = np.stack([across, -slope * 0.7, front])
    normal /= np.linalg.norm(normal, axis=0)
    lamp = np.array([-0.55, -0.55, 0.63])
    diffuse = np.clip(np.tensordot(lamp, normal, 1), 0, 1)
    shine = np.clip(np.tensordot(np.array([-0.36, -0.3, 0.88]), normal, 1), 0, 1) ** 60
    bands = (np.abs(along - 0.34) < 0.035) | (np.abs(along - 0.62) < 0.02)
    glaze = np.where(bands[..., None], (0.86, 0.74, 0.42), color)
    light = (0.22 + 0.85 * diffuse + 0.10 * (1 - front) ** 3)[..., None]
    drawn = np.clip(glaze * light + (0.75 - 0.55 * bands)[..., None] * shine[..., None], 0, 1)
    return Subject(_average(drawn, inside), _average(inside.astype(np.float32)))


def doll(rows=360, cols=300, hair=(0.62, 0.22, 0.12), strands=700, seed=4) -> Subject:
    """Return a wooden doll with loose hair: single strands, each thinner than a pixel."""
    rng = np.random.default_rng(seed)
    size = rows * FINE, cols * FINE
    row, col = np.mgrid[: size[0], : size[1]].astype(np.float32) / FINE
    middle, head = cols / 2, (rows * 0.40, rows * 0.165)
    away = np.hypot(row - head[0], (col - middle) * 1.08) / head[1]
    coat = np.abs(col - middle) < rows * (0.10 + 0.17 * np.clip((row - rows * 0.52) / (rows * 0.36), 0, 1) ** 0.7)
    coat &= (row > rows * 0.52) & (row < rows * 0.88)
    body = coat | (away < 1)
    ball = np.sqrt(np.clip(1 - away**2, 0, 1))
    turn = (col - middle) / (rows * 0.27)
    skin = np.array([0.93, 0.76, 0.60]) * (0.55 + 0.45 * ball)[..., None]
    cloth = np.array([0.16, 0.27, 0.52]) * np.clip(1.05 - 0.5 * turn - 0.55 * turn**2, 0.3, 1.3)[..., None]
    buttons = np.hypot((row - rows * 0.60) % (rows * 0.09) - rows * 0.045, col - middle) < rows * 0.014
    cloth[buttons & (row > rows * 0.60)] = 0.85, 0.52, 0.12
    drawn = np.where((away < 1)[..., None], skin, cloth)
    for side in (-1, 1):
        eye = np.hypot(row - head[0] - rows * 0.012, col - middle - side * rows * 0.06) < rows * 0.015
        drawn[eye] = 0.12, 0.08, 0.08
        cheek = np.hypot(row - head[0] - rows * 0.06, col - middle - side * rows * 0.085) / (rows * 0.028)
        drawn -= 0.16 * np.exp(-(cheek**2))[..., None] * (0, 1, 0.9)
    smile = np.abs(np.hypot(row - head[0] - rows * 0.02, col - middle) - rows * 0.065) < rows * 0.005
    drawn[smile & (row > head[0] + rows * 0.066)] = 0.55, 0.18, 0.15
    opaque = np.where(body, 255, 0).astype(np.uint8)
    colors = np.where(body[..., None], np.clip(drawn, 0, 1), hair).astype(np.float32)
    for _ in range(strands):
        angle = rng.normal(0, 0.75)
        start = np.array([middle + np.sin(angle) * head[1] * 0.8, head[0] - np.cos(angle) * head[1] * 0.85])
        length = rows * rng.uniform(0.10, 0.26)
        bend = rng.normal(0, 0.5) + 0.6 * angle
        step = np.linspace(0, 1, 14)
        heading = angle + bend * step
        steps = length / len(step) * np.stack([np.sin(heading), -np.cos(heading)])
        line = (start[:, None] + np.cumsum(steps, axis=1)).T * FINE
        shade = np.clip(np.asarray(hair) * rng.uniform(0.6, 1.5), 0, 1)
        points = [np.rint(line * 16).astype(np.int32)]
        cv2.polylines(opaque, points, False, 255, 2, cv2.LINE_AA, 4)
        cv2.polylines(colors, points, False, shade.tolist(), 3, cv2.LINE_AA, 4)
    alpha = opaque.astype(np.float32) / 255
    return Subject(_average(colors, alpha), _average(alpha))


def glass(rows=360, cols=300) -> Subject:
    """Return a drinking glass: clear in the middle, denser at its walls and its foot, two reflections of a lamp."""
    row, col = np.mgrid[: rows * FINE, : cols * FINE].astype(np.float32) / FINE
    height = (row - rows * 0.16) / (rows * 0.70)  # 0 at the lip, 1 at the foot
    across = (col - cols / 2) / (rows * (0.23 - 0.05 * height))
    inside = (np.abs(across) < 1) & (height > 0) & (height < 1)
    wall = np.clip((np.abs(across) - 0.86) / 0.14, 0, 1)
    alpha = 0.10 + 0.62 * wall**1.5 + 0.55 * np.clip((height - 0.90) / 0.10, 0, 1)
    alpha += 0.5 * np.exp(-((height / 0.012) ** 2))
    lamp = np.exp(-(((across + 0.58) / 0.07) ** 2)) * np.clip(1.2 - np.abs(height - 0.42) * 3, 0, 1)
    lamp += 0.5 * np.exp(-(((across - 0.66) / 0.05) ** 2)) * np.clip(1 - np.abs(height - 0.5) * 3, 0, 1)
    alpha = np.where(inside, np.clip(alpha + 0.8 * lamp, 0, 0.97), 0)
    tone = np.array([0.30, 0.40, 0.44]) * (1 - lamp[..., None]) + lamp[..., None]
    return Subject(_average(np.clip(tone, 0, 1), alpha), _average(alpha))


def _average(drawn, weight=None):
    """Average blocks of FINE x FINE drawn pixels; colors weighted by opacity."""
    drawn = np.asarray(drawn, np.float32)
    size = drawn.shape[1] // FINE, drawn.shape[0] // FINE
    if weight is None:
        return cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    weight = np.asarray(weight, np.float32)[..., None]
    total = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)[..., None]
    plain = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    return np.where(
        total > 0, cv2.resize(drawn * weight, size, interpolation=cv2.INTER_AREA) / np.maximum(total, 1e-6), plain
    )
