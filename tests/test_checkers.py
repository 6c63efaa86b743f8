"""A checkerboard that was painted in place of transparency is known for one, and is the backdrop."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bgkit.backdrop import estimate_backdrop
from bgkit.backdrop.checkers import find_checkers
from bgkit.pipelinefile import load_pipeline


def squares(shape=(240, 320), side=8.0, start=(0.0, 0.0), colors=((1, 1, 1), (0.8, 0.8, 0.8))):
    """A checkerboard whose first square begins at ``start``, px."""
    rows, cols = ((np.arange(length) + 0.5 - at) // side for length, at in zip(shape, start, strict=True))
    other = np.add.outer(rows, cols) % 2
    return np.where(other[..., None] > 0, np.float32(colors[1]), np.float32(colors[0]))


def fur(shape=(240, 320)):
    """Alpha and color of a dark ball with hairs, standing at the bottom."""
    row, col = np.mgrid[: shape[0], : shape[1]]
    angle, far = np.arctan2(row - 150, col - 160), np.hypot(row - 150, col - 160)
    alpha = np.clip((78 + 14 * np.sin(60 * angle) - far) / 12 + 0.5, 0, 1)
    alpha[150:, 120:200] = 1
    return alpha.astype(np.float32)[..., None], np.float32([0.35, 0.2, 0.12])


def through_jpeg(image, quality):
    code = cv2.imencode(".jpg", (255 * image).round().astype(np.uint8)[..., ::-1], [1, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255)


@pytest.mark.parametrize("quality", [0, 85])
@pytest.mark.parametrize(
    ("side", "start", "colors"),
    [
        (8, (0, 0), ((1, 1, 1), (0.8, 0.8, 0.8))),
        (16, (5, 11), ((1, 1, 1), (0.93, 0.93, 0.93))),
        (12.5, (3, 0), ((0.4, 0.4, 0.4), (0.6, 0.6, 0.6))),
        (20, (0, 0), ((0.9, 0.95, 1), (0.7, 0.75, 0.8))),
    ],
)
def test_squares_behind_fur(side, start, colors, quality):
    """Squares of any size, place and color are found, and the backdrop is what was painted."""
    ground, (alpha, color) = squares(side=side, start=start, colors=colors), fur()
    image = alpha * color + (1 - alpha) * ground
    image = through_jpeg(image, quality) if quality else image.astype(np.float32)
    backdrop = estimate_backdrop(image)
    assert backdrop.painted and backdrop.plain
    off = np.abs(backdrop.plate(image.shape) - ground).max(-1)
    assert np.quantile(off, 0.75 if side % 1 else 0.99) < 0.02


@pytest.mark.parametrize("pipeline", ["studio-white", "auto"])
def test_hair_before_squares(pipeline):
    """Before squares the subject comes out as before an even ground, and no square is left."""
    alpha, color = fur()
    grounds = squares(side=10), np.full((240, 320, 3), 0.9, np.float32)
    found, plain = (
        load_pipeline(pipeline).run((alpha * color + (1 - alpha) * ground).astype(np.float32)).alpha
        for ground in grounds
    )
    assert np.abs(found - alpha[..., 0]).sum() < 1.1 * np.abs(plain - alpha[..., 0]).sum() + 0.006 * alpha.sum()
    assert found[alpha[..., 0] == 0].mean() < 0.002


def test_a_subject_at_the_border_has_turns_of_its_own():
    """Hair of both squares' grays that leaves the picture hides part of its border, and not the pattern."""
    image = squares(side=20)
    image[:, 130:170] = np.where(np.arange(40) // 7 % 2, 0.8, 1.0)[:, None]
    found = find_checkers(image.astype(np.float32))
    assert found is not None
    assert found[0].side == pytest.approx((20 / 240, 20 / 320), rel=0.01)


def test_what_is_no_checkerboard():
    """Plain ground, noise, stripes and a picture of a chessboard within a frame are none."""
    board = np.full((240, 320, 3), 0.9, np.float32)
    board[40:200, 40:280] = squares((160, 240), 20)
    stripes = squares(side=16)
    stripes[:] = stripes[0]
    noise = np.random.default_rng(0).random((240, 320, 3), np.float32)
    for image in (board, stripes, noise, np.ones((240, 320, 3), np.float32), np.ones((1, 40, 3), np.float32)):
        assert find_checkers(image) is None
