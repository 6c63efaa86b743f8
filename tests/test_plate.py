"""The empty plate: registered, keyed against, and matted with; on drawn scenes whose truth is known."""

from __future__ import annotations

import gc
import weakref

import cv2
import numpy as np
import pytest
import references
from conftest import disk_scene

from bgkit._ext.sampling import choose_samples
from bgkit.backdrop import plate as plate_module
from bgkit.backdrop.plate import match_plate
from bgkit.backdrop.sampling import _windows, in_light, local_light, ramp, relit, sample_alpha
from bgkit.layers import Layers
from bgkit.pipelinefile import load_pipeline, read_pipeline
from bgkit.stage import collect_notes
from bgkit.stages import clean_plate, closed_form, closed_form_matting, make_trimap, plate_matting


def textured(rows: int = 160, cols: int = 200, seed: int = 1) -> np.ndarray:
    """A wall with a texture of several scales, float32."""
    rng = np.random.default_rng(seed)
    wall = np.full((rows, cols, 3), 0.6, np.float32)
    for scale in (2, 5, 12):
        grain = cv2.GaussianBlur(rng.normal(0, 1, (rows, cols)).astype(np.float32), (0, 0), scale)
        wall += (0.08 / grain.std() * grain)[..., None] * np.float32([1, 0.9, 0.7])
    return np.clip(wall, 0.05, 0.95)


def noisy(picture: np.ndarray, seed: int, sigma: float = 0.01) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 1).astype(np.float32)


def moved(picture: np.ndarray, rows: float, cols: float) -> np.ndarray:
    """The picture moved by a fraction of a pixel, by its Fourier transform: another way than the code's."""
    wave = np.exp(
        -2j * np.pi * (np.fft.fftfreq(picture.shape[0])[:, None] * rows + np.fft.fftfreq(picture.shape[1]) * cols)
    )
    return np.fft.ifft2(np.fft.fft2(picture, axes=(0, 1)) * wave[..., None], axes=(0, 1)).real.astype(np.float32)


def soft_disk(shape: tuple[int, int], row: float, col: float, radius: float, soft: float = 3) -> np.ndarray:
    """Alpha of a disk whose edge is ``soft`` pixels wide."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return np.clip(0.5 - (np.hypot(rows - row, cols - col) - radius) / soft, 0, 1).astype(np.float32)


def over(alpha: np.ndarray, color, background: np.ndarray) -> np.ndarray:
    return (alpha[..., None] * np.float32(color) + (1 - alpha[..., None]) * background).astype(np.float32)


@pytest.mark.parametrize("shift", [(0.4, -0.3), (-1.7, 2.2), (5.0, 3.5)])
def test_known_shift_is_found(shift):
    """A textured wall shot from a little aside: the shift to 0.1 px, with a subject over a third of the picture."""
    wall = textured()
    alpha = soft_disk(wall.shape[:2], 80, 90, 60)
    image = noisy(over(alpha, [0.8, 0.2, 0.1], moved(wall, *shift)), 2)
    assert match_plate(image, noisy(wall, 3)).shift == pytest.approx(shift, abs=0.1)


@pytest.mark.parametrize("factor", [(0.8, 0.8, 0.8), (1.1, 1.05, 1.0)])
def test_known_exposure_is_found(factor):
    """Exposure and white balance to 1 %, though the subject and its shadow cover most of the picture."""
    plate = np.full((120, 160, 3), 0.6, np.float32)
    alpha = soft_disk((120, 160), 60, 80, 55)
    lit = plate * (1 - 0.3 * soft_disk((120, 160), 100, 80, 60, 60))[..., None]
    image = noisy(over(alpha, [0.3, 0.5, 0.2], lit) * np.float32(factor), 4)
    assert match_plate(image, noisy(plate, 5)).gain == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize("level", [0.25, 0.95])
def test_blank_plate_is_not_moved(level):
    """Two noisy shots of a blank wall in slightly uneven light give no shift, with a subject or without."""
    light = np.linspace(1, 0.85, 160, dtype=np.float32)[:, None]
    wall = np.full((120, 160, 3), level, np.float32) * light
    for alpha in (np.zeros((120, 160), np.float32), soft_disk((120, 160), 60, 80, 40)):
        image = noisy(over(alpha, [0.2, 0.4, 0.7], wall), 6)
        assert match_plate(image, noisy(wall, 7)).shift == (0, 0)


def test_registered_plate_leaves_no_ghost():
    """On a shifted, darker plate of texture the key marks the subject and nothing else."""
    wall = textured()
    alpha = soft_disk(wall.shape[:2], 80, 100, 40)
    image = noisy(over(alpha, [0.1, 0.3, 0.9], moved(wall, 1.4, -0.8)) * np.float32(0.85), 8, 0.005)
    mask = clean_plate(image, noisy(wall, 9, 0.005))
    inner = np.s_[8:-8, 8:-8]
    assert mask[inner][alpha[inner] == 0].mean() < 0.01
    assert mask[inner][alpha[inner] == 1].min() == 1


def test_shadow_is_ignored():
    """A soft shadow of a tenth of the lightness is no subject."""
    plate = np.full((90, 120, 3), [0.9, 0.88, 0.85], np.float32)
    shadow = soft_disk((90, 120), 60, 60, 25, 20)
    image = plate * (1 - 0.1 * shadow)[..., None]
    assert clean_plate(image, plate).max() == 0
    assert clean_plate(image, plate, shadow=0).max() > 0.1


def test_black_subject_is_no_shadow():
    """On white, black lies on the line of darker white, and is found nevertheless."""
    image, alpha = disk_scene(color=(0.02, 0.02, 0.02))
    mask = clean_plate(image, np.full_like(image, 0.9))
    assert mask[alpha == 1].min() == 1


def test_enclosed_backdrop_is_background():
    """What a ring encloses is background in the mask and in the matte: color decides, not topology."""
    shape = (120, 120)
    alpha = soft_disk(shape, 60, 60, 45) - soft_disk(shape, 60, 60, 22)
    plate = np.full((*shape, 3), 0.92, np.float32)
    image = noisy(over(alpha, [0.5, 0.2, 0.1], plate), 10, 0.005)
    matte = load_pipeline("clean-plate").run(image, plate=noisy(plate, 11, 0.005)).alpha
    assert matte[55:65, 55:65].max() == 0
    assert np.abs(matte - alpha).mean() < 0.005


def test_subject_in_the_color_of_the_plate_is_a_hole():
    """The key has only color: it says background, and invents nothing."""
    image, _ = disk_scene(color=(0.9, 0.9, 0.9))
    assert clean_plate(image, np.full_like(image, 0.9)).mean() < 0.01


def test_key_survives_noise():
    """The tolerance rises with the noise: 4 % of noise leaves the backdrop background."""
    plate = np.full((90, 120, 3), 0.5, np.float32)
    mask = clean_plate(noisy(plate, 12, 0.04), noisy(plate, 13, 0.04))
    assert mask.mean() < 0.02


def test_a_block_whose_color_jpeg_rounded_is_no_speck():
    """Four levels of blue in one block of chroma are 3.1 dE*uv, above the tolerance; a large thing as faint stays."""
    plate = np.full((240, 320, 3), [239, 239, 236], np.float32) / 255
    picture = plate.copy()
    picture[60:180, 100:160] = [0.3, 0.2, 0.2]
    block, thing = np.s_[112:128, 288:304], np.s_[60:180, 190:260]
    picture[block] = picture[thing] = np.float32([239, 239, 240]) / 255
    mask = clean_plate(picture, plate, contour=0.0)
    assert mask[block].max() == 0
    assert mask[thing].mean() > 0.5


@pytest.mark.parametrize("spoiled", ["plate", "picture"])
@pytest.mark.parametrize("quality", [20, 30, 50])
@pytest.mark.parametrize("tint", [(1, 0.97, 0.92), (0.8, 0.95, 1)])
def test_key_survives_a_strongly_compressed_plate(quality, tint, spoiled):
    """JPEG makes terraces of a plain wall: they are no subject, whether plate or picture has them."""
    row, col = np.mgrid[:240, :320] / 320
    wall = ((0.72 - 0.15 * row + 0.08 * col)[..., None] * tint).astype(np.float32)
    alpha = soft_disk((240, 320), 130, 160, 60)
    image = wall + alpha[..., None] * (np.float32([0.2, 0.3, 0.6]) - wall)
    pictures = {"picture": noisy(image, 1, 0.004), "plate": noisy(wall, 2, 0.004)}
    levels = np.rint(255 * pictures[spoiled][..., ::-1]).astype(np.uint8)  # OpenCV has blue first
    content = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    pictures[spoiled] = cv2.imdecode(content, 1)[..., ::-1].astype(np.float32) / 255
    mask = clean_plate(pictures["picture"], pictures["plate"])
    away = cv2.dilate((alpha > 0).view(np.uint8), np.ones((33, 33), np.uint8)) == 0  # from its ringing
    assert mask[away].mean() < 0.01
    assert mask[alpha == 1].mean() > 0.98


def band(alpha: np.ndarray) -> np.ndarray:
    """The trimap of a known alpha, 4 px of sure pixels taken back."""
    near = cv2.dilate(((alpha > 0) & (alpha < 1)).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return np.where(near, 128, np.where(alpha > 0.5, 255, 0)).astype(np.uint8)


@pytest.mark.parametrize(("pixels", "tried"), [(1, 1), (7, 3), (40, 12)])
def test_choosing_samples_equals_the_reference(pixels, tried):
    """The kernel finds the color and the costs of the slow twin, the same bits for 1, 2 and 4 threads."""
    rng = np.random.default_rng(pixels)
    pixel, behind = rng.random((2, pixels, 3), np.float32)
    colors = rng.random((20, 3), np.float32)
    block, index = rng.integers(0, 4, pixels).astype(np.int32), rng.integers(0, 20, (4, tried)).astype(np.int32)
    penalty = rng.random((4, tried), np.float32)
    expected = references.choose_samples(*map(np.float64, (pixel, behind)), block, index, penalty, colors, 50.0, 20.0)
    for threads in (1, 2, 4):
        chosen, mixed, solid = np.empty_like(pixel), *np.empty((2, pixels), np.float32)
        choose_samples(pixel, behind, block, index, penalty, colors, 50.0, 20.0, chosen, mixed, solid, threads)
        np.testing.assert_array_equal(chosen, expected[0])
        np.testing.assert_allclose(np.stack([mixed, solid], 1), expected[1], rtol=1e-4, atol=1e-4)


def test_a_subject_that_resembles_the_backdrop_is_solid_inside():
    """A difference of 14 dE is no hair where no backdrop is near: the rise follows the depth, and hair keeps its."""
    distance = np.zeros((300, 400), np.float32)
    distance[50:250, 100:300] = 14
    mask = ramp(distance, 5, 50, 0.6)
    assert mask[150, 200] == 1
    for col in range(120, 280, 8):
        distance[60:240, col : col + 3] = 0  # backdrop shows through
    assert ramp(distance, 5, 50, 0.6)[150, 205] < 1


def test_texture_is_not_taken_for_transparency():
    """A lighter leaf among dark ones lies between them and the backdrop; seen among the samples, it is subject."""
    rng = np.random.default_rng(4)
    shape = (80, 100)
    alpha = soft_disk(shape, 40, 50, 30, 2)
    leaves = np.float32([0.1, 0.2, 0.05]) + 0.3 * cv2.blur(rng.random(shape, np.float32), (3, 3))[..., None]
    plate = np.full((*shape, 3), 0.9, np.float32)
    image = alpha[..., None] * leaves + (1 - alpha[..., None]) * plate
    unknown = (alpha > 0) & (np.hypot(*np.mgrid[-40:40, -50:50]) > 15)
    found, _ = sample_alpha(image, plate[unknown], (alpha == 1) & ~unknown, unknown)
    assert found[alpha[unknown] == 1].mean() > 0.97


def test_samples_give_alpha_exactly():
    """Where the background is known and the subject has one color, alpha is that of each single pixel, but that what
    differs from the subject by less than its texture may count as subject."""
    wall = textured()
    alpha = soft_disk(wall.shape[:2], 80, 100, 40, 9)
    trimap = band(alpha)
    unknown = trimap == 128
    found, confidence = sample_alpha(over(alpha, [0.1, 0.2, 0.95], wall), wall[unknown], trimap == 255, unknown)
    error = np.abs(found - alpha[unknown])
    assert error[alpha[unknown] < 0.9].max() < 1e-3
    assert error.max() < 0.03
    assert confidence.min() > 0.5


def test_matting_is_exact_on_a_textured_plate():
    """Over a wall of many colors the solve with a plate finds alpha; without, the color line is lost."""
    wall = textured()
    alpha = soft_disk(wall.shape[:2], 80, 100, 40, 15)
    image, trimap = over(alpha, [0.1, 0.2, 0.95], wall), band(alpha)
    error = np.abs(plate_matting(image, trimap, wall) - alpha)[trimap == 128].mean()
    assert error < 0.01
    assert error < 0.7 * np.abs(closed_form_matting(image, trimap) - alpha)[trimap == 128].mean()


def test_known_background_finds_what_has_no_way_to_the_subject():
    """A separate half-transparent speck inside the band: the matting Laplacian alone takes it for background."""
    alpha = soft_disk((100, 140), 50, 45, 30)
    alpha = np.maximum(alpha, 0.6 * soft_disk((100, 140), 50, 110, 10, 1))
    plate = np.full((100, 140, 3), 0.9, np.float32)
    image = over(alpha, [0.4, 0.1, 0.1], plate)
    trimap = np.where(alpha == 1, 255, 0).astype(np.uint8)
    trimap[30:70, 70:130] = 128
    trimap[(alpha > 0) & (alpha < 1)] = 128
    assert plate_matting(image, trimap, plate)[50, 110] == pytest.approx(0.6, abs=0.02)
    assert plate_matting(image, trimap)[50, 110] == pytest.approx(0.6, abs=0.05)


def test_light_is_carried_into_the_unknown():
    """Half the light on the sure background means half the light under the band beside it."""
    plate = np.full((40, 60, 3), 0.8, np.float32)
    image = plate * 0.5
    sure = np.zeros((40, 60), bool)
    sure[:, :20] = True
    assert in_light(plate, local_light(image, plate, sure)) == pytest.approx(0.4, abs=1e-3)


def test_a_plate_is_relit_smoothly_and_keeps_its_noise():
    """A slope of light and a tint are found where the background is sure and carried on; grain stays the plate's."""
    grain = np.random.default_rng(3).normal(0, 0.01, (200, 300, 3))
    plate = (textured(200, 300) * 0.5 + 0.3 + grain).astype(np.float32)
    light = np.linspace(0.8, 1.1, 300)[None, :, None] * np.array([1, 0.98, 0.95])
    image = (plate * light + np.random.default_rng(4).normal(0, 0.01, plate.shape)).astype(np.float32)
    sure = np.ones((200, 300), bool)
    sure[60:140, 100:200] = False
    image[~sure] = [0.1, 0.2, 0.3]
    lit = relit(image, plate, sure)
    ratio = lit / plate
    assert np.abs(ratio - light)[sure].mean() < 0.012 and np.abs(ratio - light)[~sure].mean() < 0.03
    assert np.abs(np.diff(ratio, axis=1)).max() < 0.01  # smooth: the grain of neither is in it
    np.testing.assert_array_equal(relit(image, plate, np.zeros_like(sure)), plate)


def test_a_key_is_believed_where_samples_see_next_to_nothing_and_not_on_hair():
    """A white thread before white is more than its mixture, as the key says; a hair that is half there is so."""
    plate = np.full((60, 90, 3), 0.93, np.float32)
    image, subject = plate.copy(), np.zeros((60, 90), bool)
    subject[:, :20] = True
    image[subject] = [0.2, 0.1, 0.1]
    unknown = np.zeros_like(subject)
    unknown[10:50, 25:35] = unknown[10:50, 45:55] = True
    hair, thread = np.zeros_like(subject), np.zeros_like(subject)
    hair[10:50, 25:35] = thread[10:50, 45:55] = True
    image[hair] = (image[0, 0] + plate[0, 0]) / 2
    image[thread] = 0.87
    found, _ = sample_alpha(image, plate[unknown], subject, unknown, np.float32(hair | thread))
    alpha = np.zeros(subject.shape, np.float32)
    alpha[unknown] = found
    assert alpha[hair].mean() < 0.65
    assert alpha[thread].mean() > 0.5
    assert (
        sample_alpha(image, plate[unknown], subject, unknown)[0][thread[unknown]].mean() < 0.2
    )  # without a key it is none


def test_no_trust_is_closed_form():
    """With trust 0 the background has no say."""
    image, alpha = disk_scene()
    trimap = band(alpha)
    assert plate_matting(image, trimap, trust=0) == pytest.approx(closed_form_matting(image, trimap), abs=1e-3)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_sided_trimaps(value):
    """A trimap of one value gives the trivial answer: what is known, and no subject where nothing says there is one."""
    image, _ = disk_scene(20, 30)
    alpha = plate_matting(image, np.full((20, 30), value, np.uint8), image)
    assert (alpha == (value == 255)).all()


def test_trimap_without_background():
    """The plate knows the background even where the trimap has none."""
    image, alpha = disk_scene()
    trimap = np.where(alpha == 1, 255, 128).astype(np.uint8)
    matte = plate_matting(image, trimap, np.full_like(image, 0.9))
    assert np.abs(matte - alpha).mean() < 0.02


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("cols", [1, 2, 40])
def test_tiny_pictures(rows, cols):
    """From one pixel on: the key finds what differs."""
    plate = np.full((rows, cols, 3), 0.8, np.float32)
    image = plate.copy()
    image[0, 0] = [1, 0, 0]
    mask = clean_plate(image, plate)
    assert mask[0, 0] == 1
    assert mask.sum() == 1


def test_kept_error(data):
    """clean-plate on three studio shots: mean SAD/1000 as measured (2.37), 2 % more at most."""
    from bgkit.evaluate.datasets import open_dataset

    found = []
    for sample in open_dataset("studio", data / "test/studio"):
        if sample.name in ("GT02-white", "GT14-grey", "GT24-green"):
            layers = load_pipeline("clean-plate").run(sample.read_image(), plate=sample.read_plate())
            found.append(np.abs(layers.alpha - sample.read_truth()).sum() / 1000)
    assert len(found) == 3
    assert np.mean(found) < 2.4


def test_make_trimap_of_the_key_has_both_sides():
    """The key of an ordinary shot leaves sure subject and sure background for matting to start from."""
    image, _ = disk_scene()
    trimap = make_trimap(clean_plate(image, np.full_like(image, 0.9)))
    assert set(np.unique(trimap)) == {0, 128, 255}


def test_a_match_is_made_once_and_forgotten_with_its_picture():
    """The second stage of a chain gets the first one's match; another picture does not, nor does a changed one."""
    wall = textured(60, 80)
    image, plate = noisy(wall, 1), noisy(wall, 2)
    assert match_plate(image, plate) is not match_plate(image, plate)  # may be changed in between
    image.flags.writeable = plate.flags.writeable = False
    first = match_plate(image, plate)
    assert match_plate(image, plate) is first
    assert match_plate(image.copy(), plate) is not first
    forgotten = weakref.ref(first)
    del first, image
    gc.collect()
    assert forgotten() is None


@pytest.mark.parametrize("most", [100, 10**6])
def test_the_stages_of_a_chain_share_a_match(most, monkeypatch):
    """Key and matting ask for it, and it is made once, also where matting works on a reduced copy."""
    made = []
    monkeypatch.setattr(closed_form, "MOST", most)
    monkeypatch.setattr(plate_module, "_match", lambda *pair, match=plate_module._match: made.append(1) or match(*pair))
    image, _ = disk_scene(60, 80)
    load_pipeline("clean-plate").run(image, plate=np.ones_like(image))
    assert made == [1]


def test_shift_of_a_large_picture_is_found(monkeypatch):
    """Registered at a reduced size, the shift is that of the full size."""
    monkeypatch.setattr("bgkit.backdrop.plate.LARGEST", 10_000)
    wall = textured()
    assert match_plate(noisy(moved(wall, 3.2, -2.4), 2), noisy(wall, 3)).shift == pytest.approx((3.2, -2.4), abs=0.2)


@pytest.mark.parametrize("factor", [(0.25, 0.25, 0.25), (0.5, 0.6, 0.7), (2.5, 2.0, 2.2)])
def test_far_exposures_are_found(factor):
    """From a quarter to 2.5, each channel by itself, though a subject like the backdrop covers a third."""
    plate = np.full((120, 160, 3), 0.3, np.float32) * np.linspace(1, 0.9, 160, dtype=np.float32)[:, None]
    image = noisy(over(soft_disk((120, 160), 60, 80, 50), [0.35, 0.33, 0.3], plate) * np.float32(factor), 4, 0.004)
    assert np.abs(match_plate(image, plate).plate - plate * np.float32(factor)).max() < 0.01


@pytest.mark.parametrize("factor", [(0.3, 0.3, 1.0), (0.25, 1.0, 1.0), (1.0, 0.3, 0.3)])
def test_a_far_exposure_of_one_channel_holds_for_wall_and_floor(factor):
    """A factor of light that explains the wall alone is smaller, but does not count for more."""
    wall = np.full((240, 320, 3), 0.7, np.float32)
    wall[150:] = (0.45, 0.35, 0.3)
    image = noisy(over(soft_disk((240, 320), 125, 150, 60), [0.75, 0.15, 0.2], wall), 1, 0.0047)
    match = match_plate(image, noisy(wall * np.float32(factor), 2, 0.0047))
    assert match.gain == pytest.approx(tuple(1 / each for each in factor), rel=0.03)


def test_clipped_parts_do_not_tell_the_exposure():
    """A third of the plate at full white says nothing of the gain."""
    plate = np.full((120, 160, 3), 0.4, np.float32)
    plate[:40] = 0.9
    image = np.clip(plate * 1.6, 0, 1)
    assert match_plate(noisy(image, 1, 0.004), noisy(plate, 2, 0.004)).gain == pytest.approx((1.6,) * 3, rel=0.02)


@pytest.mark.parametrize(("degrees", "zoom"), [(2, 1.0), (0, 1.02), (-1.5, 0.985)])
def test_turned_and_zoomed_plates_are_matched(degrees, zoom):
    """A camera turned by 2 degrees or zoomed by 2 %: the matched plate leaves a quarter of what the plain one left."""
    wall = textured(300, 400)
    matrix = cv2.getRotationMatrix2D((200, 150), degrees, zoom)
    turned = cv2.warpAffine(wall, matrix, (400, 300), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    alpha = soft_disk((300, 400), 160, 200, 80)
    image = noisy(over(alpha, [0.8, 0.2, 0.1], turned), 2, 0.005)
    match = match_plate(image, noisy(wall, 3, 0.005))
    inner = (alpha == 0) & match.seen
    inner[:20] = inner[-20:] = inner[:, :20] = inner[:, -20:] = False
    assert np.abs(match.plate - turned)[inner].mean() < 0.25 * np.abs(wall - turned)[inner].mean()


def test_another_scenes_plate_is_told():
    """A plate of another wall does not fit: the smooth backdrop takes its place, and the finding says so."""
    image, alpha = disk_scene(120, 160)
    layers = load_pipeline("clean-plate").run(image, plate=textured(120, 160))
    assert not layers.facts["clean_plate"]["fits"]
    assert layers.facts["findings"]["plate"]["flagged"]
    assert np.abs(layers.alpha - alpha).mean() < 0.05


def test_a_pale_subject_is_found():
    """White on white, 20 levels darker than the plate: within what a shadow may be, but its contour is sharp."""
    plate = np.full((480, 600, 3), 0.95, np.float32)
    alpha = soft_disk((480, 600), 240, 300, 150, 2)
    image = noisy(over(alpha, [0.87, 0.87, 0.87], plate), 5, 0.004)
    mask = clean_plate(image, noisy(plate, 6, 0.004))
    assert mask[alpha == 1].mean() > 0.9
    assert mask[alpha == 0].mean() < 0.02


@pytest.mark.parametrize("gray", [0.88, 0.84, 0.8])
def test_a_gray_thing_with_a_dark_part_is_no_shadow(gray):
    """A smooth gray garment before white lacks light only, up to a shadow's depth; its hard contour tells."""
    plate = np.full((300, 400, 3), 0.93, np.float32)
    garment, tie = soft_disk((300, 400), 150, 200, 90, 2), soft_disk((300, 400), 150, 200, 12, 2)
    image = over(tie, [0.1, 0.1, 0.15], over(garment, [gray] * 3, plate))
    mask = clean_plate(noisy(image, 3, 0.004), noisy(plate, 4, 0.004))
    assert mask[garment == 1].mean() > 0.9
    assert mask[garment == 0].mean() < 0.02


def test_a_light_band_in_a_dark_subject_is_opaque():
    """A pale thread among dark ones before white could be a mixture of dark and white, and is none."""
    plate = np.full((160, 200, 3), 0.95, np.float32)
    image = plate.copy()
    image[30:130, 40:160] = 0.1
    image[30:130, 96:106] = 0.86
    mask = clean_plate(noisy(image, 7, 0.004), noisy(plate, 8, 0.004))
    assert mask[60:100, 99:103].min() > 0.8


def test_dark_smooth_parts_before_black_are_solid():
    """A smooth dark leaf beside a bright known part is subject; thin threads of the same color stay mixtures."""
    image = np.full((200, 200, 3), 0.04, np.float32)
    subject, unknown = np.zeros((200, 200), bool), np.zeros((200, 200), bool)
    image[150:, :], subject[160:, :], unknown[20:160, :] = (0.3, 0.6, 0.2), True, True
    image[30:150, 20:80] = (0.12, 0.22, 0.09)  # the leaf
    image[30:150, 120:180:4] = (0.12, 0.22, 0.09)  # threads
    alpha, _ = sample_alpha(image, np.full_like(image, 0.04)[unknown], subject, unknown)
    whole = np.zeros((200, 200), np.float32)
    whole[unknown] = alpha
    assert whole[40:140, 30:70].min() > 0.9
    assert whole[40:140, 120:180:4].max() < 0.6


def test_black_eyes_before_black_are_solid():
    """A dark part that the subject encloses is solid where nothing behind shows in it; a gap stays clear."""
    row, col = np.mgrid[:200, :200]
    face = np.hypot(row - 100, col - 100) < 80
    eye, gap = (np.hypot(row - 80, col - side) < 12 for side in (70, 130))
    image = np.full((200, 200, 3), 0.04, np.float32)
    image[face] = (0.8, 0.55, 0.4)
    image[eye] = 0.04 + 0.4 * (np.array([0.8, 0.55, 0.4]) - 0.04)
    image[gap] = 0.04
    image = cv2.GaussianBlur(image, (0, 0), 1)
    band = cv2.dilate((~face | eye | gap).view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    trimap = np.where(band & (np.hypot(row - 100, col - 100) < 88), 128, 255 * face).astype(np.uint8)
    key = cv2.GaussianBlur(np.where(gap, 0, np.where(eye, 0.4, face)).astype(np.float32), (0, 0), 1)
    alpha = plate_matting(image, trimap, np.full_like(image, 0.04), key, key=True)
    assert alpha[eye].min() > 0.9
    assert alpha[np.hypot(row - 80, col - 130) < 8].max() < 0.1


def test_a_wall_whose_color_jpeg_moved_is_found_kept():
    """Of quality 75 a wall may be a level of color off its plate, half of it: the finding says what was kept."""
    rows, cols = np.mgrid[:400, :600]
    wall = (np.array([0.72, 0.70, 0.66]) * (1 - 0.1 * cols / 600)[..., None]).astype(np.float32)
    alpha = np.float32(np.hypot((rows - 230) / 140, (cols - 300) / 90) < 1)[..., None]
    noise = np.random.default_rng(5).normal(0, 0.008, (2, 400, 600, 1))
    shots = [alpha * np.float32([0.3, 0.3, 0.5]) + (1 - alpha) * wall + noise[0], 0.97 * wall + noise[1]]
    code = [
        cv2.imencode(".jpg", (255 * shot).clip(0, 255).round().astype(np.uint8)[..., ::-1], [1, 75])[1]
        for shot in shots
    ]
    image, plate = (cv2.imdecode(each, cv2.IMREAD_COLOR)[..., ::-1] for each in code)
    made = load_pipeline("clean-plate").run(image, plate=plate)
    assert made.alpha[alpha[..., 0] == 0].mean() > 0.1  # of the background: not mended, but said
    assert made.facts["findings"]["kept"]["flagged"] and not made.facts["findings"]["plate"]["flagged"]
    whole = load_pipeline("clean-plate").run(shots[0].clip(0, 1), plate=shots[1].clip(0, 1))
    assert whole.facts["findings"]["kept"]["value"] < 1


def test_a_camera_that_moved_is_said():
    """Near things then moved against far ones, which no match of the plate takes back: the finding tells to look."""
    wall = textured()
    alpha = soft_disk(wall.shape[:2], 80, 90, 40)
    for down, flagged in ((0.4, False), (5.0, True)):
        image = noisy(over(alpha, [0.8, 0.2, 0.1], moved(wall, down, -0.3)), 2)
        found = load_pipeline("clean-plate").run(image, plate=noisy(wall, 3)).facts["findings"]["plate_shift"]
        assert found["value"] == pytest.approx(100 * np.hypot(down, 0.3) / np.hypot(160, 200), abs=0.05)
        assert found["flagged"] == flagged


def test_a_camera_that_went_nearer_is_said():
    """The middle stays where it is and the corners move; a camera that was merely turned has no parallax."""
    wall = textured(300, 400)
    alpha = soft_disk((300, 400), 160, 200, 80)
    for degrees, zoom, moved_by in ((0, 1.05, 2.5), (3, 1.0, 0.0)):
        matrix = cv2.getRotationMatrix2D((200, 150), degrees, zoom)
        there = cv2.warpAffine(wall, matrix, (400, 300), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        image = noisy(over(alpha, [0.8, 0.2, 0.1], there), 2, 0.005)
        found = load_pipeline("clean-plate").run(image, plate=noisy(wall, 3, 0.005)).facts["findings"]["plate_shift"]
        assert found["value"] == pytest.approx(moved_by, abs=0.1)
        assert found["flagged"] == (moved_by > 0)


def test_what_the_plate_did_not_show_is_no_subject():
    """Corners beyond a turned plate made the subject seem as large as the picture, and all lengths with it."""
    rows, cols = 600, 800
    rng = np.random.default_rng(3)
    wall = cv2.resize(rng.random((40, 54, 3), np.float32), (cols, rows), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    alpha = soft_disk((rows, cols), 300, 400, 90)
    colors = cv2.resize(rng.random((60, 80, 3), np.float32), (cols, rows), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    image = noisy(over(alpha, colors, wall), 4, 0.006)
    matrix = cv2.getRotationMatrix2D((cols / 2, rows / 2), 4, 1)
    turned = cv2.warpAffine(wall, matrix, (cols, rows), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    whole, part = (clean_plate(image, noisy(plate, 5, 0.006)) for plate in (wall, turned))
    assert (1 - part[alpha == 1]).mean() < (1 - whole[alpha == 1]).mean() + 0.003


@pytest.mark.parametrize("brighter", [10, 18, 22, 26])
@pytest.mark.parametrize("tones", [0, 3])
def test_a_drawn_subject_is_not_the_exposure(brighter, tones):
    """Before a drawn plate of one or two tones the two ratios are sharp peaks, and the larger piece tells the gain."""
    cols = np.arange(214)[None].repeat(160, 0)
    plate = np.repeat(150 + tones * (cols // 17 % 2)[..., None], 3, 2) / np.float32(255)
    alpha = soft_disk((160, 214), 83, 107, 45)
    image = over(alpha, [(150 + brighter) / 255] * 3, plate.astype(np.float32))
    assert match_plate(image, plate.astype(np.float32)).gain == pytest.approx((1, 1, 1), abs=0.01)


@pytest.mark.parametrize("apart", [3, 8])
def test_two_tones_of_a_drawn_plate_are_no_terraces(apart):
    """Wall and floor of one even gray each, as in renderings: they are not what JPEG left of one wall."""
    plate = np.full((240, 320, 3), 150 / 255, np.float32)
    plate[123:] += apart / 255
    alpha = soft_disk((240, 320), 110, 160, 60)
    image = np.rint(255 * over(alpha, [0.64, 0.64, 0.64], plate)).astype(np.uint8) / np.float32(255)
    mask = clean_plate(image, plate)
    assert mask[alpha == 1].mean() > 0.95
    assert mask[alpha == 0].max() == 0


@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_a_drawn_subject_in_a_tone_of_the_wall_is_whole(gain):
    """Where the plate is copied exactly, a difference of four levels is no noise; a soft shadow is still none of it."""
    row, col = np.mgrid[:240, :320]
    plate = np.repeat(120 + 6 * (col // 40 % 2)[..., None], 3, 2).astype(np.float32)
    inside = np.hypot(row - 110, col - 160) < 60
    image = plate.copy()
    image[inside] = 130
    image *= 1 - 0.1 * np.exp(-(((row - 200) / 14) ** 2) - ((col - 160) / 50) ** 2)[..., None] * ~inside[..., None]
    image = np.rint(gain * image)
    mask = clean_plate(np.float32(image / 255), np.float32(plate / 255))
    assert mask[inside].min() == 1
    assert mask[~inside].mean() < 0.01


@pytest.mark.parametrize("wide", [40, 400])
def test_a_drawn_subject_with_a_soft_contour_is_whole(wide):
    """Three levels from the wall by steps of one, as smoothing draws it; a faint shadow has such steps, far apart."""
    row, col = np.mgrid[:300, :400]
    plate = np.full((300, 400, 3), (174, 120, 63), np.float32)
    alpha = soft_disk((300, 400), 130, 200, 70)[..., None]
    image = alpha * (plate - 3) + (1 - alpha) * plate
    image[110:140, 180:220] = 30
    shadow = 0.03 * np.exp(-(((row - 230) / 16) ** 2) - ((col - 200) / wide) ** 2)[..., None]
    image = np.rint(image * (1 - shadow * (1 - alpha)))
    mask = clean_plate(np.float32(image / 255), np.float32(plate / 255))
    assert mask[alpha[..., 0] == 1].mean() > 0.95
    assert mask[alpha[..., 0] == 0].mean() < 0.02


def test_a_photograph_on_a_drawn_canvas_is_none():
    """The border is an exact copy, and not every pixel that noise moved within the photograph is subject."""
    plate = np.full((400, 400, 3), 0.8, np.float32)
    alpha = soft_disk((400, 400), 200, 200, 30)
    image = over(alpha, [0.3, 0.2, 0.5], plate)
    part = np.s_[100:300, 100:300]
    image[part], plate[part] = noisy(image[part], 1, 0.003), noisy(plate[part], 2, 0.003)
    mask = clean_plate(image.astype(np.float32), plate)
    assert mask[alpha == 1].mean() > 0.99
    assert (mask[np.hypot(*(np.mgrid[:400, :400] - 200)) > 36] > 0).mean() < 0.02


@pytest.mark.parametrize("stops, flagged", [(0.5, False), (1.0, False), (2.5, True)])
def test_an_overexposed_plate_is_flagged(stops, flagged):
    """Where the plate is white by overexposure, it cannot explain the picture: the finding says so."""
    wall = textured()
    wall[:, 100:] *= 0.4
    shown = wall * np.float32(0.5 if not flagged else 1)
    shown[60:120, 60:120] = (0.7, 0.1, 0.1)
    plate = np.clip(wall * np.float32(2**stops if flagged else 1), 0, 1)
    layers = load_pipeline("clean-plate").run(noisy(shown, 1), plate=noisy(plate, 2))
    assert layers.facts["findings"]["plate"]["flagged"] is flagged


def test_a_plate_of_a_camera_that_moved_leaves_a_busy_background_to_the_network():
    """A part in the wall's colors is a hole to the key; with a plate from 4 % nearer the network's mask counts."""
    wall = textured(240, 320)
    alpha = soft_disk((240, 320), 120, 160, 70)
    hole = soft_disk((240, 320), 120, 160, 20)[..., None]
    image = noisy(over(alpha, [0.2, 0.3, 0.7], wall) * (1 - hole) + wall * hole, 2, 0.003)
    turn = cv2.getRotationMatrix2D((160, 120), 0, 1.04)
    nearer = cv2.warpAffine(wall, turn, (320, 240), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    step = read_pipeline("bgkit: 1\nstages: [{clean_plate: {merge: core}}]\n").steps[0]
    network = np.float32(0.99 * (alpha > 0.5))
    found = {}
    for name, plate in (("still", wall), ("moved", nearer)):
        layers = step.apply(Layers(image).bring("plate", noisy(plate, 3, 0.003)).put("mask", network))
        assert layers.facts["clean_plate"]["moved"] == (name == "moved")
        found[name] = layers.mask
    assert found["still"][110:130, 150:170].max() < 0.1
    assert found["moved"][110:130, 150:170].min() > 0.9


@pytest.mark.parametrize("reach", [1, 12])
def test_windows_show_what_the_whole_picture_shows(reach):
    """Means around unknown pixels are those of the whole picture, also where bands meet; all are asked for once."""
    rng = np.random.default_rng(0)
    values, side = rng.random((700, 90), np.float32), 2 * reach + 1
    unknown = rng.random(values.shape) < 0.02
    unknown[:, :30] = unknown[300:420] = False
    unknown[511, 60], unknown[512, 40] = True, True  # the last row of a band, and the first of the next
    whole, pixels = cv2.blur(values, (side, side))[unknown], values[unknown]
    found = np.full(len(whole), -1, np.float32)
    for box, known, asked, place in _windows(unknown, reach):
        np.testing.assert_array_equal(values[box][unknown[box]], pixels[known])
        found[place] = cv2.blur(values[box], (side, side))[asked]
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_a_backdrop_is_believed_as_far_as_it_explains_the_ground():
    """Before an even ground in full, before noise of full range not at all."""
    alpha = soft_disk((160, 200), 80, 100, 40, 9)
    noise = np.random.default_rng(0).random((160, 200, 3))
    for ground, least, most in ((np.full((160, 200, 3), 0.8), 0.95, 1), (noise, 0, 0.05)):
        with collect_notes() as notes:
            plate_matting(over(alpha, [0.1, 0.2, 0.95], np.float32(ground)), band(alpha))
        assert least <= notes["plain"] <= most
