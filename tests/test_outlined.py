"""Faint things: a white shirt before white is a thing, a shadow as faint is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import bgkit
from bgkit.backdrop.outlined import outlined
from bgkit.stages import backdrop_key, clean_plate, luv_threshold
from bgkit.stages.clean_plate_key import differences

ROWS, COLS = 500, 400
ROW, COL = np.mgrid[:ROWS, :COLS]
SHIRT = (ROW >= 200) & (ROW < 380) & (COL >= 130) & (COL < 270)
HEAD = np.hypot((ROW - 150) / 50, (COL - 200) / 40) < 1
LEGS = (ROW >= 380) & (COL >= 140) & (COL < 260)


def ground(seed: int = 0, noise: float = 1.5) -> np.ndarray:
    """White paper that falls off a little, with noise, in levels."""
    light = 245 - 4 * ((ROW / ROWS - 0.5) ** 2 + (COL / COLS - 0.5) ** 2)
    return light[..., None] + np.random.default_rng(seed).normal(0, noise, (ROWS, COLS, 3))


def person(step: float) -> np.ndarray:
    """Somebody in a shirt ``step`` levels darker than the paper, float32, 0..1."""
    picture = ground()
    picture[SHIRT] -= step
    picture[HEAD], picture[LEGS] = [150, 100, 80], [40, 45, 70]
    return (np.rint(np.clip(picture, 0, 255)) / 255).astype(np.float32)


KEYS = {
    "backdrop_key": backdrop_key,
    "clean_plate": lambda image, **values: clean_plate(image, (ground(1) / 255).astype(np.float32), **values),
    "luv_threshold": lambda image, contour=1.6: luv_threshold(image, tolerance=4, softness=30, contour=contour),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("step", [7, 12])
def test_a_white_shirt_before_white_stays(name, step):
    """It differs by 2 or 4 dE*uv, less than the tolerance; without the parameter it is lost."""
    mask = KEYS[name](person(step))
    assert mask[SHIRT].mean() > 0.9 and mask[~(SHIRT | HEAD | LEGS)].mean() < 0.01
    if step == 7:
        assert KEYS[name](person(step), contour=0.0)[SHIRT].mean() < 0.1


@pytest.mark.parametrize("name", KEYS)
def test_a_faint_shadow_and_a_stain_of_compression_are_none(name):
    """As faint, but soft; and blotches of 16 px, as strong compression leaves them."""
    picture = ground()
    shadow = np.hypot((ROW - 400) / 60, (COL - 200) / 150) < 1
    picture -= 9 * cv2.GaussianBlur(shadow.astype(np.float64), (0, 0), 18)[..., None]
    rough = np.random.default_rng(3).normal(0, 2, (ROWS // 16 + 1, COLS // 16 + 1))
    picture += np.kron(rough, np.ones((16, 16)))[:ROWS, :COLS, None] * (ROW > 250)[..., None]
    picture[HEAD] = [150, 100, 80]
    mask = KEYS[name]((picture / 255).clip(0, 1).astype(np.float32))
    assert mask[~cv2.dilate(HEAD.view(np.uint8), np.ones((5, 5))).view(bool)].mean() < 0.01


def test_the_floor_is_no_thing():
    """What takes most of the picture's border is ground, however hard its contour."""
    plate = (ground(1) / 255).astype(np.float32)
    picture = ground()
    picture[ROW > 150] -= 7
    assert not outlined((picture / 255).astype(np.float32), plate, np.zeros((ROWS, COLS), np.float32), 1.6).any()


def test_large_and_tiny_pictures():
    """The answer has the picture's shape, and hardly moves with its size; one pixel is answered."""
    large = cv2.resize(person(7), None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(backdrop_key(large), (COLS, ROWS), interpolation=cv2.INTER_AREA)
    assert mask[SHIRT].mean() > 0.97
    assert backdrop_key(np.ones((1, 1, 3), np.float32)).shape == (1, 1)


@pytest.mark.parametrize("name", ["auto", "studio-white"])
def test_pipelines_keep_the_shirt(name):
    """The embedded network knows head and legs alone; the key knows better, and is believed."""
    alpha = bgkit.load_pipeline(name).run(person(7)).alpha
    assert alpha[SHIRT].mean() > 0.97 and alpha[~(SHIRT | HEAD | LEGS)].mean() < 0.01


@pytest.mark.parametrize("step", [16, 25, 40])
def test_gray_parts_of_a_dark_thing_are_solid(step):
    """Cap and foot of a bottle lack nothing but light, as a shadow does, and were a quarter opaque."""
    picture = ground()
    cap, foot = (ROW >= 100) & (ROW < 150) & (abs(COL - 200) < 30), (ROW >= 330) & (ROW < 380) & (abs(COL - 200) < 60)
    picture[(ROW >= 150) & (ROW < 330) & (abs(COL - 200) < 60)] = [40, 45, 60]
    picture[cap | foot] = 245 - step
    alpha = bgkit.load_pipeline("studio-white").run((picture / 255).clip(0, 1).astype(np.float32)).alpha
    assert alpha[cap].mean() > 0.95 and alpha[foot].mean() > 0.95


@pytest.mark.parametrize("name", ["backdrop_key", "clean_plate"])
def test_a_white_mug_in_its_own_shadow_stays(name):
    """Mug and shadow differ from the paper by as little, and are one piece: its soft end is left out."""
    picture = ground()
    mug = (ROW >= 180) & (ROW < 400) & (COL >= 120) & (COL < 290)
    picture -= 22 * np.exp(-(((ROW - 400) / 30) ** 2) - ((COL - 205) / 170) ** 2)[..., None]
    grain = np.random.default_rng(2).normal(0, 1.5, (mug.sum(), 1))
    picture[mug] = 226 + 12 * np.cos((COL[mug, None] - 180) / 60) + grain
    mask = KEYS[name]((picture / 255).clip(0, 1).astype(np.float32))
    assert mask[mug].mean() > 0.98
    assert mask[~mug].mean() < 0.12


def test_single_hairs_before_a_quiet_ground_stay_apart():
    """Smoothing against noise that is not there would lose a light hair, and fill the gaps between others."""
    picture = np.full((160, 160, 3), 230) + np.random.default_rng(0).choice([-2, -1, 0, 1, 2], (160, 160, 1))
    picture[40:120, [90, 93, 97, 100]] = [[179], [153], [179], [128]]
    mask = backdrop_key((picture / 255).astype(np.float32))
    assert mask[60:100, [90, 93, 97, 100]].min() > 0.5
    assert mask[60:100, [88, 91, 92, 94, 96, 98, 99, 102]].max() < 0.1


@pytest.mark.parametrize("name", ["backdrop_key", "clean_plate"])
def test_a_shadow_is_sharp_close_to_the_dark_thing_that_casts_it(name):
    """Beside a pot the light falls off within a few pixels; as sharp a shade of a pale thing is no shadow."""
    picture = ground()
    pot = (ROW >= 150) & (ROW < 380) & (abs(COL - 200) < 60)
    away = np.hypot(np.maximum(abs(COL - 200) - 60, 0), np.maximum(ROW - 380, 0)) + 900 * (ROW < 150)
    picture -= np.maximum(34 - 1.8 * away, 0)[..., None]
    picture[pot] = [40, 45, 60]
    beside = ~pot & (away > 4) & (away < 40)
    mask = KEYS[name](cv2.GaussianBlur(picture / 255, (0, 0), 0.7).clip(0, 1).astype(np.float32))
    assert mask[pot].mean() > 0.98 and mask[beside].mean() < 0.02
    picture[pot] = 245 - 26
    assert KEYS[name]((picture / 255).clip(0, 1).astype(np.float32))[pot].mean() > 0.9


@pytest.mark.parametrize("name", ["backdrop_key", "clean_plate"])
def test_a_shadow_is_deep_close_to_the_dark_thing_that_casts_it(name):
    """Below a pot a quarter of the light is missing; as deep a shade without one, or a gray thing there, stays."""
    light = 1 - 0.25 * np.exp(-(((ROW - 380) / 35) ** 2) - ((COL - 200) / 55) ** 2)
    shade = cv2.GaussianBlur((ground() * light[..., None] / 255).astype(np.float32), (0, 0), 0.7)
    pot = (ROW >= 150) & (ROW < 380) & (abs(COL - 200) < 60)
    below = (ROW > 384) & (ROW < 398) & (light < 0.85)
    with_pot = np.where(pot[..., None], np.float32([0.16, 0.18, 0.24]), shade)
    assert KEYS[name](with_pot)[below].mean() < 0.02
    assert KEYS[name](shade)[light < 0.8].mean() > 0.2
    gray = below & (abs(COL - 200) < 40)
    with_pot[gray] = 0.7
    assert KEYS[name](with_pot)[gray].mean() > 0.9


@pytest.mark.parametrize("name", ["backdrop_key", "clean_plate"])
def test_a_rough_pale_thing_in_a_shadow_does_not_pass_for_it(name):
    """It is as bright as the shadow of the pot beside it; in the light that is seen around, nothing of it was left."""
    light = 1 - 0.1 * np.exp(-(((ROW - 380) / 35) ** 2) - ((COL - 200) / 55) ** 2)
    picture = cv2.GaussianBlur((ground() * light[..., None] / 255).astype(np.float32), (0, 0), 0.7)
    picture[(ROW >= 150) & (ROW < 380) & (abs(COL - 200) < 60)] = [0.16, 0.18, 0.24]
    pale = (ROW > 384) & (ROW < 404) & (abs(COL - 200) < 40)
    rough = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 1, pale.shape), (0, 0), 1)
    picture[pale] = picture[390, 200].mean() + 0.012 * (rough / rough.std())[pale][:, None]
    assert KEYS[name](picture)[pale].mean() > 0.4


def test_a_step_of_chroma_is_no_difference():
    """JPEG codes the color of 16 x 16 pixels at once, and rounds it up in the picture and down in the plate."""
    plate = np.full((480, 480, 3), 240.0)
    picture = plate.copy()
    picture[16:32, 16:48] += [3, -1, -2]  # a step of Cr and a half of Cb
    picture[60:90, 20:50] += [8, -1, -2]
    picture[60:62, 60:90] += [3, -1, -2]  # a thread
    found, _, reach = differences(np.float32(picture / 255), np.float32(plate / 255), 2.5, 0.15, 0.0)
    assert found[:50].max() < reach
    assert found[62:88, 22:48].min() > reach and found[60:62, 60:90].min() > reach


def test_a_faint_band_that_is_soft_all_around_is_no_thing():
    """All of it lies nearer to its soft contour than to the edge of what stands apart from it."""
    picture = ground()
    picture -= 12 * np.exp(-(((ROW - 420) / 14) ** 2) - ((COL - 200) / 150) ** 2)[..., None]
    picture[:120, :120] -= 12
    mask = outlined(
        (picture / 255).clip(0, 1).astype(np.float32),
        (ground(1) / 255).astype(np.float32),
        np.zeros((ROWS, COLS), np.float32),
        1.6,
    )
    assert mask[10:110, 10:110].all() and not mask[300:].any()


def garment(step: float, noise: float, quality: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A coat with a dark tie, ``step`` levels below even paper; picture, empty paper, and the coat alone."""
    rows, cols = np.mgrid[:480, :640]
    inside = (rows >= 130) & (rows < 380) & (np.abs(cols - 320) < 60 + (rows - 130) / 3)
    tie = (rows >= 150) & (rows < 280) & (np.abs(cols - 320) < 14)
    clean = np.full((480, 640, 3), 236.0)
    shown = clean - step * inside[..., None]
    shown[tie] = (40, 30, 60)
    pair = []
    for seed, each in enumerate((cv2.GaussianBlur(shown, (0, 0), 0.8), clean)):
        codes = np.rint((each + np.random.default_rng(seed).normal(0, noise, each.shape)).clip(0, 255)).astype(np.uint8)
        if quality:
            coded = cv2.imencode(".jpg", codes, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            codes = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        pair.append(codes / np.float32(255))
    return pair[0], pair[1], inside & ~tie


@pytest.mark.parametrize("key", [backdrop_key, lambda image: luv_threshold(image, tolerance=4, contour=1.6)])
@pytest.mark.parametrize(
    ("step", "noise", "quality"), [(5, 0.8, 0), (-5, 0.8, 0), (3, 1.5, 90), (2, 0.5, 0), (3, 3, 0)]
)
def test_a_garment_two_to_five_levels_off_the_paper_is_whole(key, step, noise, quality):
    """The fitted backdrop passes between it and the paper, and noise of a pixel is larger than its step."""
    image, _, inside = garment(step, noise, quality)
    mask = key(image)
    assert mask[inside].mean() > 0.95
    assert mask[:100].mean() < 0.005 and mask[420:].mean() < 0.005


@pytest.mark.parametrize("name", ["studio-white", "auto"])
@pytest.mark.parametrize(("step", "noise"), [(5, 0.8), (3, 1.5), (2, 1.5)])
def test_pipelines_keep_a_garment_around_a_dark_tie(name, step, noise):
    """A window around the tie would show garment alone, which would pass for the backdrop; nor is it shade."""
    image, _, inside = garment(step, noise)
    assert load(name, image)[inside].mean() > 0.95


@pytest.mark.parametrize("noise", [0, 1])
def test_one_level_off_an_exact_plate_is_a_thing(noise):
    """Thousands of pixels say it, where picture and plate agree all over but for noise."""
    image, plate, inside = garment(1, noise)
    assert load("clean-plate", image, plate=plate)[inside].mean() > 0.93


def test_a_soft_shadow_of_two_levels_before_an_exact_plate_is_none():
    """By rounding it comes in steps of a level, each as hard as that of a thing a level off."""
    rows, cols = np.mgrid[:480, :640]
    lack = 2.4 * np.exp(-(((rows - 330) / 60) ** 2) - ((cols - 320) / 150) ** 2)
    plate = np.full((480, 640, 3), 220.0)
    image = np.rint(plate - lack[..., None])
    image[100:330, 280:360] = (60, 50, 40)
    mask = clean_plate(np.float32(image / 255), np.float32(plate / 255))
    assert mask[100:330, 280:360].mean() > 0.99
    assert mask[:, :270].mean() < 0.01 and mask[335:].mean() < 0.01


def test_falling_light_and_a_step_of_color_are_no_deep_things():
    """A band a level high and as narrow as JPEG leaves it, and a field whose hue alone is off."""
    image = np.full((480, 640, 3), 236.0) + np.random.default_rng(0).normal(0, 0.8, (480, 640, 3))
    image[60:100, 40:600] -= 3
    image[300:440, 30:180] += (1.5, -0.6, 0)
    image[150:400, 280:400] = (50, 40, 60)
    mask = backdrop_key((image / 255).clip(0, 1).astype(np.float32))
    assert mask[150:400, 280:400].mean() > 0.99
    assert mask[40:120].mean() < 0.01 and mask[280:460, 10:200].mean() < 0.01


def load(name: str, image: np.ndarray, **brought: np.ndarray) -> np.ndarray:
    alpha = bgkit.load_pipeline(name).run(image, **brought).alpha
    assert alpha is not None
    return alpha
