"""The box around the subject: the same on any canvas, whatever specks lie there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bgkit.backdrop.window import subject_window
from bgkit.extent import subject_box
from bgkit.pipelinefile import load_pipeline, read_pipeline


@pytest.mark.parametrize("shape", [(60, 80), (60, 4000), (5000, 90), (2500, 3000)])
def test_the_canvas_changes_nothing(shape):
    """A subject of 41 x 61 pixels is found on any canvas, to the pixel on small ones and to a tenth on large."""
    mask = np.zeros(shape, np.float32)
    mask[10:51, 12:73] = 1
    assert subject_box(mask) == (41, 61)


def test_specks_are_no_part_of_the_subject():
    """Pieces below a hundredth of the largest do not widen the box, however far away."""
    mask = np.zeros((3000, 4000), np.float32)
    mask[1400:1600, 1900:2300] = 1
    mask[5:9, 5:9] = mask[-9:-5, -9:-5] = 1
    assert subject_box(mask) == (200, 400)


def test_several_subjects_share_a_box():
    """Two shoes are one subject."""
    mask = np.zeros((300, 400), np.float32)
    mask[100:140, 50:90] = mask[120:160, 250:290] = 1
    assert subject_box(mask) == (60, 240)


@pytest.mark.parametrize("value", [0, 0.4])
def test_without_a_subject_it_is_the_picture(value):
    """Sizes must be some size."""
    assert subject_box(np.full((30, 40), value)) == (30, 40)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
def test_a_subject_that_fills_the_picture(shape):
    """One row, one column and one pixel too."""
    assert subject_box(np.ones(shape)) == shape


def on_white(mask: np.ndarray) -> np.ndarray:
    """A dark thing where the mask is 1, on light gray with noise."""
    noise = np.random.default_rng(0).normal(0, 0.004, (*mask.shape, 3))
    return (np.where(mask[..., None] > 0, 0.2, 0.9) + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "box", "window"),
    [
        ((400, 600), np.s_[105:205, 20:100], (slice(88, 224), slice(0, 120))),  # 15 of 100 px more, in blocks of 8
        ((210, 600), np.s_[105:205, 20:100], (slice(88, 210), slice(0, 120))),  # as far as the picture goes
        ((210, 200), np.s_[5:205, 20:190], None),  # more than half of the picture
        ((63, 600), np.s_[20:50, 20:50], None),  # too low to show much of a backdrop
        ((210, 900), np.s_[:, 300:420], (slice(0, 210), slice(264, 456))),  # cut above and below
        ((600, 600), np.s_[520:, :], None),  # a floor, which takes all of a side
    ],
)
def test_window_around_a_small_subject(shape, box, window):
    """A small subject has a window with some of its surroundings, a large one has none."""
    mask = np.zeros(shape)
    mask[box] = 1
    assert subject_window(on_white(mask)) == window


def test_no_window_without_a_subject():
    """An empty picture asks for no closer look, nor does one whose ground is not plain."""
    assert subject_window(on_white(np.zeros((300, 400)))) is None
    assert subject_window(np.random.default_rng(0).random((300, 400, 3), np.float32)) is None


def test_no_window_around_specks_alone():
    """Dark pixels all over an empty backdrop, each smaller than the dirt that chains take away, are no subject."""
    mask = np.zeros((600, 800))
    mask[20::140, 20::190] = 1
    assert subject_window(on_white(mask)) is None


def test_what_a_chain_keeps_is_in_the_window():
    """An earring away from its owner is no speck to ``remove_small``, so the window holds it; dust it need not."""
    mask = np.zeros((1000, 1000))
    mask[200:600, 100:500] = mask[700:705, 600:605] = 1
    rows, cols = subject_window(on_white(mask)) or (slice(0), slice(0))
    assert rows.stop >= 705 and cols.stop >= 605
    mask[700:705, 600:605] = 0
    mask[700, 600] = 1
    assert subject_window(on_white(mask)) == (slice(136, 664), slice(32, 568))


@pytest.mark.parametrize("pipeline", ["studio-white", "auto"])
def test_a_pale_thing_with_a_dark_part_is_whole(pipeline):
    """The window holds a white shirt before white, and not its tie alone, in which the shirt would be the backdrop."""
    shirt = np.zeros((450, 700), np.float32)
    shirt[130:330, 250:400] = 1
    soft = cv2.GaussianBlur(shirt, (0, 0), 1)[..., None]
    color = np.full((450, 700, 3), 238.0 - 8)
    color[140:250, 315:335] = 40
    noise = np.random.default_rng(1).normal(0, 0.8, color.shape)
    image = np.rint(soft * color + (1 - soft) * 238 + noise).clip(0, 255).astype(np.uint8)
    assert load_pipeline(pipeline).run(image).alpha[shirt > 0].mean() > 0.95


def test_light_is_no_part_of_the_subject():
    """Where a lamp's light falls off, and in a soft shadow, the backdrop differs by as much as a pale subject does."""
    rows, cols = np.mgrid[:900, :1400].astype(np.float32)
    light = 1 + 0.1 * np.cos(cols / 140) * np.exp(-(((cols - 200) / 250) ** 2))
    shadow = 0.25 * np.exp(-(((rows - 620) / 60) ** 2) - ((cols - 1000) / 90) ** 2)
    mask = np.zeros((900, 1400))
    mask[450:620, 900:1100] = 1
    image = on_white(mask)
    image[mask == 0] *= (light * (1 - shadow))[mask == 0, None]
    window = subject_window(image.clip(0, 1))
    assert window is not None
    top, left = window
    assert 400 < top.start < 450
    assert 850 < left.start < 900
    assert 620 < top.stop < 720
    assert 1100 < left.stop < 1150


def test_a_shadow_is_told_from_an_edge_closer_by():
    """On the copy of a long canvas a soft shadow is as steep as an edge."""
    rows, cols = np.mgrid[:9600, :300].astype(np.float32)
    mask = np.zeros((9600, 300))
    mask[4700:4800, 100:200] = 1
    image = on_white(mask)
    shadow = 0.14 * np.exp(-(((rows - 4800) / 50) ** 2) - ((cols - 150) / 50) ** 2)
    image[mask == 0] *= (1 - shadow)[mask == 0, None]
    window = subject_window(image)
    assert window is not None
    assert 4660 < window[0].start < 4700
    assert 4800 < window[0].stop < 4840


def test_more_than_the_window_shows():
    """What reaches the edge of its window is done again on the whole picture: a wall that keeps fading away."""
    image = on_white(np.zeros((300, 900)))
    image[100:200, 100:200] = 0.2
    mask = np.zeros((300, 900), np.float32)
    mask[100:200, 100:800] = 1
    assert subject_window(image) is not None
    chain = read_pipeline("bgkit: 1\nstages: [remove_small, make_trimap, closed_form_matting]")
    found = chain.run(image, mask=mask)
    assert found.alpha[150, 700] == 1


@pytest.mark.parametrize("shape", [(160, 1920), (640, 640)])
@pytest.mark.parametrize("pipeline", ["studio-white", "classical"])
def test_a_padded_shot_gives_what_the_shot_gives(pipeline, shape):
    """A stool with legs of 4 px, on a canvas of 1:12 and of 16 times the area: nothing of it is lost."""
    alpha = np.zeros((160, 160), np.float32)
    alpha[30:60, 25:135] = 1
    for col in (28, 60, 100, 132):
        alpha[60:150, col - 2 : col + 2] = 1
    alpha = cv2.GaussianBlur(alpha, (0, 0), 0.7)
    top, left = (shape[0] - 160) // 2, (shape[1] - 160) // 2
    noise = np.random.default_rng(0).normal(0, 0.006, (*shape, 3))
    canvas = np.zeros(shape, np.float32)
    canvas[top : top + 160, left : left + 160] = alpha
    image = canvas[..., None] * np.float32([0.35, 0.2, 0.1]) + (1 - canvas[..., None]) * np.float32(0.93)
    image = np.clip(image + noise, 0, 1).astype(np.float32)
    own = np.s_[top : top + 160, left : left + 160]
    chain = load_pipeline(pipeline)
    padded, alone = chain.run(image).alpha, chain.run(np.ascontiguousarray(image[own])).alpha
    assert np.abs(padded[own] - alone).sum() < 0.01 * alpha.sum()
    assert padded.sum() - padded[own].sum() < 0.001 * alpha.sum()
    assert np.maximum(alpha - padded[own], 0).sum() < 0.01 * alpha.sum()


@pytest.mark.parametrize(
    ("key", "most"), [("backdrop_key", 0.0005), ("luv_threshold: {tolerance: 4.0, contrast: 0.6}", 0.01)]
)
def test_a_key_sees_a_small_subject_as_if_it_filled_the_picture(key, most):
    """A pale card in light that falls off is keyed as alone, on a canvas of 16 times the area with more noise."""
    rows, cols = np.mgrid[-1:1:120j, -1:1:160j]
    shot = (0.9 - 0.015 * (rows**2 + cols**2))[..., None] * np.ones(3)
    shot[40:80, 50:110] -= [0.03, 0.05, 0.08]
    canvas = cv2.copyMakeBorder(cv2.GaussianBlur(shot, (0, 0), 3), 180, 180, 240, 240, cv2.BORDER_REPLICATE)
    canvas += np.random.default_rng(1).normal(0, 0.006, canvas.shape)
    canvas[180:300, 240:400] = shot + np.random.default_rng(0).normal(0, 0.002, shot.shape)
    canvas = canvas.clip(0, 1).astype(np.float32)
    chain = read_pipeline(f"bgkit: 1\nstages:\n  - {key}")
    alone = chain.run(np.ascontiguousarray(canvas[180:300, 240:400])).mask
    card = np.s_[220:260, 290:350]
    assert alone[40:80, 50:110].mean() > 0.9
    assert np.abs(chain.run(canvas).mask[card] - alone[40:80, 50:110]).mean() < most
