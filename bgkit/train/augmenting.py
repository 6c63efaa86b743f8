"""Making training samples of pictures with masks.

A sample is drawn in two steps: what is seen (a crop, the subject on new ground, or nothing at all), then how it is
photographed (light, blur, noise, JPEG). Every random choice comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bgkit.train.moving import next_frame
from bgkit.train.recipe import Augmentation

__all__ = ["UNKNOWN_TAG", "Drawn", "draw", "draw_ground", "whole"]

UNKNOWN_TAG = -1.0
MOST_CLOSE = 0.85  # of the frame that a close subject may cover; what covers all of it is ground

Bytes = NDArray[np.uint8]
Picture = NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True)
class Drawn:
    """A sample: picture (S, S, 3), truth (S, S), and if asked for, plate and next frame; 0..1."""

    picture: Picture
    truth: Picture
    plate: Picture | None = None
    next: Picture | None = None
    tags: tuple[float, float] = (UNKNOWN_TAG, UNKNOWN_TAG)  # whether there is a subject, and a textured ground


def draw(
    image: Bytes,
    mask: Bytes,
    grounds: Sequence[Bytes],
    size: int,
    chances: Augmentation,
    rng: Rng,
    *,
    plate: bool = False,
    moving: bool = False,
    partner: tuple[Bytes, Bytes] | None = None,
) -> Drawn:
    """Return one sample of a picture (M, N, 3) and its mask (M, N).

    With ``plate`` every sample is pasted, and the ground comes back as it was photographed without the subject: a
    little lighter or darker, shifted by up to a hundredth of the side, with noise of its own. With ``moving`` the next
    frame comes with it, in which scene and subject have moved, in the same light and with noise of its own.
    ``partner`` is another picture and its mask, to be mixed with this one; what a plate shows is ground, the partner's
    subject too.
    """
    picture, truth, ground, textured = _compose(image, mask, grounds, size, chances, rng, plate=plate, partner=partner)
    light = _draw_light(picture, chances, rng)
    photographed = _photograph(light(picture), chances, rng)
    return Drawn(
        photographed,
        truth,
        _photograph_plate(light(ground), rng) if plate else None,
        _photograph(light(next_frame(picture, truth, rng)), chances, rng) if moving else None,
        (float(truth.max() > 0.5), textured),
    )


def whole(
    image: Bytes,
    mask: Bytes,
    grounds: Sequence[Bytes],
    size: int,
    rng: Rng,
    *,
    plate: bool = False,
    moving: bool = False,
) -> Drawn:
    """Return the whole picture as it is, stretched to a square: what is validated and tested with.

    With ``plate`` it is pasted as in :func:`draw`, since nothing else has a plate; with ``moving`` its next frame comes
    with it.
    """
    if plate:
        calm = Augmentation(**{**dict.fromkeys(Augmentation.__dataclass_fields__, 0.0), "texture": 0.5, "smallest": 1})
        return draw(image, mask, grounds, size, calm, rng, plate=True)
    picture = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    truth = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return Drawn(picture, truth, next=next_frame(picture, truth, rng) if moving else None)


def _compose(
    image: Bytes,
    mask: Bytes,
    grounds: Sequence[Bytes],
    size: int,
    chances: Augmentation,
    rng: Rng,
    *,
    plate: bool,
    partner: tuple[Bytes, Bytes] | None,
) -> tuple[Picture, Picture, Picture | None, float]:
    """Return what is seen, (S, S, 3), and the truth (S, S); where the subject was put on one, the ground alone, and
    whether it is a texture, as a tag.
    """
    kinds = np.cumsum([chances.empty, chances.vacant, chances.paste, chances.mix, chances.close])
    kind = ("empty", "vacant", "paste", "mix", "close", "as it is")[int(np.searchsorted(kinds, rng.random(), "right"))]
    if kind == "close" and partner is not None and mask.max() > 127:
        return _close_up(image, mask, partner[0], grounds, size, chances, rng)
    if kind == "vacant":
        image, mask = _vacant_window(image, mask, rng)
    pasted = kind in ("empty", "paste", "mix") or plate
    matrix = _crop(mask.shape, size, chances, rng)
    truth = _warp(mask, matrix, size, cv2.INTER_LINEAR)
    if pasted and chances.smallest < 1:
        matrix = _shrink(matrix, truth, chances.smallest, rng)
        truth = _warp(mask, matrix, size, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    picture = _recolor(_warp(image, matrix, size, cv2.INTER_AREA), chances, rng)
    if not pasted:
        return picture, truth, None, UNKNOWN_TAG
    if kind == "empty":
        truth = np.zeros_like(truth)
    beneath, textured = np.zeros_like(truth), UNKNOWN_TAG
    if kind == "mix" and partner is not None:
        placed = _crop(partner[1].shape, size, chances, rng)
        ground, beneath = (_warp(each, placed, size, cv2.INTER_LINEAR) for each in partner)
    else:
        ground, textured = draw_ground(grounds, size, chances, rng)
    ground = _recolor(ground, chances, rng)
    picture = ground + truth[..., None] * (picture - ground)
    return picture, truth if plate else truth + beneath * (1 - truth), ground, float(textured)


def _close_up(
    image: Bytes,
    mask: Bytes,
    other: Bytes,
    grounds: Sequence[Bytes],
    size: int,
    chances: Augmentation,
    rng: Rng,
) -> tuple[Picture, Picture, Picture, float]:
    """Return what :func:`_compose` does: a subject, or its outline filled with other things, close before plain ground.

    The frame is a window around some pixel of the subject, of half to one and a quarter of its size, so that it cuts
    most of them.
    """
    rows, cols = np.nonzero(mask > 127)
    middle = np.array([(cols.min() + cols.max()) / 2, (rows.min() + rows.max()) / 2])
    near = int(rng.integers(len(rows)))
    at = middle + rng.uniform(0, 1) * (np.array([cols[near], rows[near]]) - middle)
    angle = np.deg2rad(rng.normal(0, 15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = np.diag([rng.choice([-1.0, 1.0]), 1.0]) @ turn
    side = rng.uniform(0.5, 1.25) * max(np.ptp(rows), np.ptp(cols), 16)
    truth = np.ones((size, size), np.float32)
    while truth.mean() > MOST_CLOSE:
        linear = turn * (size / side)
        matrix = np.column_stack([linear, size / 2 - 0.5 - linear @ at])
        truth = _warp(mask, matrix, size, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        side *= 1.25
    look = rng.random()
    if look < 0.5:
        picture = _warp(image, matrix, size, cv2.INTER_AREA)
    else:
        picture = _fill(other, grounds if look >= 0.75 else (), size, chances, rng)
    if chances.ragged and rng.random() < chances.ragged:  # without, the samples of older recipes stay the same
        filling = _fill(other, grounds if rng.random() < 0.5 else (), size, chances, rng)
        picture, truth = _make_ragged(picture, truth, filling, rng)
    ground, textured = draw_ground((), size, chances, rng)
    picture = _recolor(picture, chances, rng)
    return ground + truth[..., None] * (picture - ground), truth, ground, float(textured)


def _fill(other: Bytes, grounds: Sequence[Bytes], size: int, chances: Augmentation, rng: Rng) -> Picture:
    """Return a crop of one of the textures, where there are any, or of another picture."""
    source = grounds[rng.integers(len(grounds))] if len(grounds) else other
    return _warp(source, _crop(source.shape, size, chances, rng), size, cv2.INTER_AREA)


def _make_ragged(picture: Picture, truth: Picture, filling: Picture, rng: Rng) -> tuple[Picture, Picture]:
    """Return a subject (S, S, 3) and its outline (S, S) with one or more of: another thing in a part of it, an outline
    that wavers as that of fur and leaves does, gaps as between twigs.
    """
    size = len(truth)
    part, frayed, broken = rng.random(3) < (0.5, 0.6, 0.35)
    if part:  # a sleeve, hair, a pot
        share = _noise(size, size * rng.uniform(0.25, 1), rng) > rng.normal(0, 0.5)
        picture = np.where(share[..., None], filling, picture)
    if frayed:
        length = size * np.exp(rng.uniform(np.log(0.01), np.log(0.08)))
        depth = length * rng.uniform(0.5, 2)
        row, col = np.mgrid[:size, :size].astype(np.float32)
        moved = [(axis + depth * _noise(size, length, rng)).astype(np.float32) for axis in (col, row)]
        truth = cv2.remap(truth, *moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if broken:
        length = size * np.exp(rng.uniform(np.log(0.015), np.log(0.1)))
        kept = (_noise(size, length, rng) - rng.uniform(-1.5, 0)) * length / 2  # a contour of about two pixels
        truth = truth * np.clip(kept + 0.5, 0, 1)
    return picture, truth


def _noise(size: int, length: float, rng: Rng) -> Picture:
    """Return smooth noise (S, S) of mean 0 and deviation about 1, whose waves are a few ``length`` pixels long."""
    count = max(2, round(size / length))
    field = rng.standard_normal((count, count), dtype=np.float32)
    return cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC)


def _warp(
    pixels: Bytes, matrix: NDArray[np.float64], size: int, interpolation: int, border: int = cv2.BORDER_REFLECT
) -> Picture:
    warped = cv2.warpAffine(pixels, matrix, (size, size), flags=interpolation, borderMode=border)
    return warped.astype(np.float32) / 255


def _vacant_window(image: Bytes, mask: Bytes, rng: Rng) -> tuple[Bytes, Bytes]:
    """Return a square without subject, 30 to 80 % of the short side, if a few tries find one, or everything."""
    rows, cols = mask.shape
    for _ in range(16):
        side = max(1, int(min(rows, cols) * rng.uniform(0.3, 0.8)))
        top, left = int(rng.integers(rows - side + 1)), int(rng.integers(cols - side + 1))
        window = np.s_[top : top + side, left : left + side]
        if mask[window].max() == 0:
            return image[window], mask[window]
    return image, mask


def _crop(shape: tuple[int, ...], size: int, chances: Augmentation, rng: Rng) -> NDArray[np.float64]:
    """Affine matrix taking a random, maybe mirrored and turned, crop to size x size."""
    rows, cols = shape[:2]
    share, stretch = 1.0, 1.0
    if rng.random() < chances.crop:
        share, stretch = np.sqrt(rng.uniform(chances.closest, 1.0)), np.exp(rng.uniform(-0.1, 0.1))
    height, width = rows * min(1.0, share * stretch), cols * min(1.0, share / stretch)
    top, left = rng.uniform(0, rows - height), rng.uniform(0, cols - width)
    angle = np.deg2rad(rng.normal(0, 6)) if rng.random() < chances.turn else 0.0
    mirror = -1.0 if rng.random() < chances.mirror else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.diag([mirror * size / width, size / height]) @ turn
    # Coordinates are those of pixel centers, so that a crop of everything maps a corner pixel onto the corner.
    center = np.array([left + width / 2 - 0.5, top + height / 2 - 0.5])
    return np.column_stack([linear, np.array([size / 2 - 0.5, size / 2 - 0.5]) - linear @ center])


def _shrink(matrix: NDArray[np.float64], truth: Picture, smallest: float, rng: Rng) -> NDArray[np.float64]:
    """Make a crop smaller and put it somewhere in the frame, at a border where the frame cuts its subject."""
    size = len(truth)
    scale = np.sqrt(rng.uniform(smallest, 1.0))
    place = rng.uniform(0, 1, 2)  # 0 is left or top, 1 right or bottom
    edges = ((truth[:, 0], truth[:, -1]), (truth[0], truth[-1]))
    for axis, cut in enumerate([[edge.max() > 0.5 for edge in pair] for pair in edges]):
        if cut[0] != cut[1]:
            place[axis] = float(cut[1])
    shrunk = scale * matrix
    shrunk[:, 2] += (1 - scale) * (place * size - 0.5)  # the first pixel's outer edge lies at -0.5
    return shrunk


def _recolor(picture: Picture, chances: Augmentation, rng: Rng) -> Picture:
    """Turn the hues about the axis of grays, by any angle, and put each channel on a power of its own."""
    if not chances.recolor or rng.random() >= chances.recolor:
        return picture
    turn = cv2.Rodrigues(np.full(3, rng.uniform(-np.pi, np.pi) / np.sqrt(3)))[0]
    turned = np.clip(cv2.transform(picture, turn.astype(np.float32)), 0, 1)
    return turned ** np.exp(rng.normal(0, 0.3, 3)).astype(np.float32)


def draw_ground(grounds: Sequence[Bytes], size: int, chances: Augmentation, rng: Rng) -> tuple[Picture, bool]:
    """Return a texture, or plain studio ground: one color, usually light, under a slope of light; (S, S, 3).

    With it comes whether it is a texture.
    """
    if len(grounds) and rng.random() < chances.texture:
        texture = grounds[rng.integers(len(grounds))]
        return _warp(texture, _crop(texture.shape, size, chances, rng), size, cv2.INTER_LINEAR), True
    color = np.clip(rng.uniform(0.1, 1.0) + rng.normal(0, 0.04, 3), 0, 1)
    if rng.random() < 0.3:
        color = rng.uniform(0, 1, 3)
    row, col = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0, 0.35) * (row * np.sin(direction) + col * np.cos(direction))
    vignette = rng.uniform(0, 0.3) * (row**2 + col**2)
    return np.clip(color * (1 + slope - vignette)[..., None], 0, 1).astype(np.float32), False


def _draw_light(picture: Picture, chances: Augmentation, rng: Rng) -> Callable[[Picture], Picture]:
    """Return what light does to a picture and to its plate alike: exposure, color balance, contrast, darkness."""
    relit, grayed, dark = (rng.random() < chance for chance in (chances.relight, chances.gray, chances.low_light))
    gain = rng.uniform(0.75, 1.25, 1).astype(np.float32) * rng.normal(1, 0.05, 3).astype(np.float32)
    saturation, contrast = np.float32(rng.uniform(0.6, 1.4)), np.float32(rng.uniform(0.75, 1.25))
    power, darkness = rng.uniform(1.3, 2.2), rng.uniform(0.3, 0.8)
    mean = (picture * gain).mean(dtype=np.float32)

    def light(seen: Picture) -> Picture:
        if relit:
            seen = seen * gain
            luma = cv2.transform(seen, np.full((1, 3), 1 / 3))[..., None]
            seen = mean + (luma + (seen - luma) * saturation - mean) * contrast
        if grayed:
            seen = np.repeat(seen.mean(2, keepdims=True), 3, 2)
        return np.clip(seen, 0, 1) ** power * darkness if dark else seen

    return light


def _photograph_plate(ground: Picture, rng: Rng) -> Picture:
    """The ground shot once more: a little lighter or darker, shifted by up to a hundredth of the side, with noise."""
    size = len(ground)
    shift = np.float64([[1, 0, 0], [0, 1, 0]])
    shift[:, 2] = rng.normal(0, 0.004 * size, 2).clip(-0.01 * size, 0.01 * size)
    moved = cv2.warpAffine(ground, shift, (size, size), borderMode=cv2.BORDER_REFLECT)
    moved = moved * rng.normal(1, 0.03, 3).astype(np.float32)
    moved = moved + np.float32(rng.uniform(0, 0.02)) * rng.standard_normal(moved.shape, dtype=np.float32)
    return np.clip(moved, 0, 1).astype(np.float32)


def _photograph(picture: Picture, chances: Augmentation, rng: Rng) -> Picture:
    """Blur, noise and JPEG."""
    if rng.random() < chances.blur:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < chances.noise:
        deviation = np.float32(rng.uniform(0.01, 0.06))
        picture = picture + deviation * rng.standard_normal(picture.shape, dtype=np.float32)
    picture = np.clip(picture, 0, 1).astype(np.float32)
    if rng.random() < chances.jpeg:
        quality = int(rng.integers(25, 80))
        coded = cv2.imencode(".jpg", np.rint(picture * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(coded[1], cv2.IMREAD_COLOR).astype(np.float32) / 255
    return picture
