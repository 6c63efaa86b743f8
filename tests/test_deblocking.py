"""JPEG's blocks: found where they are, and smoothed without a harm to edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from bgkit.deblocking import MOST, blockiness, quantization, without_blocks
from bgkit.stage import collect_notes
from bgkit.stages import backdrop_key, clean_plate, closed_form_matting


def compressed(quality: int) -> np.ndarray:
    """Return a photograph as a JPEG of that quality, float32."""
    picture = cv2.resize(data.astronaut(), (400, 400), interpolation=cv2.INTER_AREA)
    content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(content, 1)[..., ::-1]).astype(np.float32) / 255


def stairs(picture: np.ndarray) -> float:
    """Return the mean step of light between columns at the borders of blocks, over that elsewhere."""
    steps = np.abs(np.diff(picture.mean(-1), axis=1))
    border = np.arange(1, picture.shape[1]) % 8 == 0
    return float(steps[:, border].mean() / steps[:, ~border].mean())


def test_blockiness_grows_with_compression():
    """The stronger a picture was compressed, the larger; about 1 where it was not."""
    plain = np.float32(cv2.resize(data.astronaut(), (400, 400), interpolation=cv2.INTER_AREA) / 255)
    found = [blockiness(plain), *(blockiness(compressed(quality)) for quality in (90, 75, 50, 30))]
    assert 0.9 < found[0] < 1.1
    assert found == sorted(found)
    assert found[-1] > 1.8


@pytest.mark.parametrize("quality", [30, 50, 75])
def test_stairs_get_smaller(quality):
    """Steps at the borders of blocks come near those elsewhere."""
    picture = compressed(quality)
    smooth = without_blocks(picture, blockiness(picture))
    assert 0.9 < stairs(smooth) < 1 + (stairs(picture) - 1) / 2


def test_what_shows_no_blocks_is_left_alone():
    """A picture scaled after its compression comes back as the same array."""
    picture = np.ascontiguousarray(cv2.resize(compressed(75), (311, 289), interpolation=cv2.INTER_AREA))
    assert without_blocks(picture, blockiness(picture)) is picture


def wall(quality: int | None) -> np.ndarray:
    """Return a plain wall in falling light, as a JPEG of that quality or as it was, float32."""
    row, col = np.mgrid[:240, :320] / 320
    picture = np.rint(255 * (0.72 - 0.15 * row + 0.08 * col)[..., None] * [1, 0.97, 0.92]).astype(np.uint8)
    if quality is not None:
        content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = np.ascontiguousarray(cv2.imdecode(content, 1)[..., ::-1])
    return picture.astype(np.float32) / 255


@pytest.mark.parametrize("picture", [wall, compressed])
@pytest.mark.parametrize(("quality", "step"), [(50, 16), (30, 27), (20, 40), (10, 80)])
def test_quantization_is_that_of_the_file(picture, quality, step):
    """The step of block means is an eighth of the table's first entry, on a wall and on a photograph."""
    assert 255 * 8 * quantization(picture(quality)) == pytest.approx(step, abs=1)


def test_what_was_never_quantized_has_no_step():
    """Nor what was scaled, moved or cut since, is a drawing of few colors, or is too small."""
    drawing = np.full((200, 300, 3), 0.3, np.float32)
    for place, level in enumerate((0.11, 0.24, 0.47, 0.59, 0.83)):
        cv2.circle(drawing, (30 + 55 * place, 90), 25, (level, 0.2, 0.6), -1)
    scaled = cv2.resize(compressed(30), (311, 289), interpolation=cv2.INTER_AREA)
    pictures = [wall(None), compressed(95), scaled, compressed(30)[3:, 5:], drawing, drawing[:7], drawing[:, :1]]
    assert [quantization(picture) for picture in pictures] == [0] * len(pictures)


def test_edges_on_the_grid_stay():
    """A checkerboard of 8 px squares is no JPEG: its steps are larger than any that is taken away."""
    row, col = np.indices((256, 256)) // 8
    board = np.float32(0.3 + 0.3 * ((row + col) % 2))[..., None].repeat(3, 2)
    np.testing.assert_array_equal(without_blocks(board, 50.0), board)


def test_no_step_above_the_limit_is_touched():
    """However blocky, a step of twice the limit stays."""
    picture = np.full((256, 256, 3), 0.4, np.float32)
    picture[:, 128:] += np.float32(2 * MOST + 1e-3)
    np.testing.assert_allclose(without_blocks(picture, 100.0), picture, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (23, 5000), (8, 8)])
def test_small_and_narrow_pictures(shape):
    """Too small to tell, or without a whole block either way: 1."""
    assert blockiness(np.random.default_rng(0).random((*shape, 3), np.float32)) == 1


@pytest.mark.parametrize("quality", [10, 20, 30, 50])
def test_terraces_of_a_wall_are_no_subject(quality):
    """A green wall whose light falls off becomes terraces of two colors: none of them is kept for a subject."""
    row, col = np.mgrid[:480, :640]
    light = 1 - 0.15 * ((row / 480 - 0.4) ** 2 + (col / 640 - 0.5) ** 2)
    picture = np.rint(np.array([51, 153, 64]) * light[..., None]).astype(np.uint8)
    cv2.circle(picture, (320, 260), 110, (140, 40, 50), -1, cv2.LINE_AA)
    packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    shown = cv2.imdecode(packed, 1)[..., ::-1] / np.float32(255)
    mask = backdrop_key(np.ascontiguousarray(shown))
    distance = np.hypot(row - 260, col - 320)
    assert mask[distance > 130].mean() < 0.005 and mask[distance < 90].mean() > 0.99


def test_a_plate_of_two_terraces():
    """A plate of quality 10 shows a green wall in two colors, too few to gather; the wall is no subject before it."""
    row, col = np.mgrid[:480, :640]
    light = 1 - 0.15 * ((row / 480 - 0.4) ** 2 + (col / 640 - 0.5) ** 2)
    wall = np.rint(np.array([51, 153, 64]) * light[..., None]).astype(np.uint8)
    packed = cv2.imencode(".jpg", wall[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])[1]
    plate = cv2.imdecode(packed, 1)[..., ::-1] / np.float32(255)
    shown = wall / np.float32(255)
    shown[150:330, 250:390] = (0.55, 0.15, 0.2)
    assert quantization(plate, empty=True) > 4 / 255 and quantization(shown) == 0
    mask = clean_plate(np.ascontiguousarray(shown), np.ascontiguousarray(plate))
    assert mask[:, :230].mean() < 0.005 and mask[170:310, 270:370].mean() > 0.99


def test_matting_says_how_clear_blocks_were():
    """The report of a matted JPEG has its blockiness."""
    picture = compressed(50)
    trimap = np.zeros((400, 400), np.uint8)
    trimap[100:300, 100:300], trimap[130:270, 130:270] = 128, 255
    with collect_notes() as facts:
        closed_form_matting(picture, trimap)
    assert facts["blocks"] == pytest.approx(blockiness(picture))


def test_the_step_of_the_last_picture_is_remembered_for_that_picture_alone():
    """A stage and what fits its backdrop ask for the same; another picture, or one that may change, is read anew."""
    coarse, fine = wall(10), wall(None)
    coarse.flags.writeable = fine.flags.writeable = False
    assert quantization(coarse) == quantization(coarse) > 0
    assert quantization(fine) == 0
    changing = coarse.copy()
    assert quantization(changing) > 0
    changing[:] = fine
    assert quantization(changing) == 0


def test_borders_are_smoothed_alike_all_over():
    """A step between every eighth row is as small afterwards wherever it is, in rows and in columns."""
    rows = np.float32(0.5 + 0.02 * (np.arange(400) // 8 % 2))[:, None, None]
    picture = np.broadcast_to(rows, (400, 240, 3)).copy()
    for turned in (picture, np.ascontiguousarray(picture.swapaxes(0, 1))):
        smooth = without_blocks(turned, 2.0)
        steps = np.abs(np.diff(smooth if turned is picture else smooth.swapaxes(0, 1), axis=0))[7::8]
        assert steps.max() < 0.01
        assert np.ptp(steps) < 1e-6
