"""The color keys, their kernels, and the backdrop they stand on: drawn scenes with known answers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import references
from hypothesis import given, settings
from hypothesis import strategies as st

from bgkit import load_pipeline
from bgkit._ext import key as kernels
from bgkit.backdrop import estimate_backdrop, estimate_plate, surface
from bgkit.color import linear_from_srgb, luv_from_srgb, srgb_from_linear
from bgkit.errors import ParamError
from bgkit.imagefile import read_picture
from bgkit.stage import collect_notes
from bgkit.stages import chroma_key, color_key, luv_threshold
from bgkit.threads import set_threads, threads

SUBJECT = np.array([0.55, 0.2, 0.15])


def plate_of(color, rows=90, cols=120, falloff=0.0):
    """An empty scene whose linear light falls off by a share toward the corners, and to one side."""
    row, col = np.mgrid[:rows, :cols]
    r, c = row / rows - 0.4, col / cols - 0.3
    light = 1 - falloff * (r * r + c * c) / (0.6**2 + 0.7**2)
    return srgb_from_linear(linear_from_srgb(np.asarray(color, float)) * light[..., None])


def paint(plate, where, color=SUBJECT, noise=0.005, seed=0):
    """Put a subject into a plate, with a little sensor noise."""
    image = np.where(where[..., None], color, plate)
    return np.clip(image + np.random.default_rng(seed).normal(0, noise, image.shape), 0, 1).astype(np.float32)


def disk(rows=90, cols=120, center=(0.5, 0.5), radius=25.0):
    row, col = np.mgrid[:rows, :cols]
    return np.hypot(row - center[0] * rows, col - center[1] * cols) < radius


def wrong(mask, truth):
    """The share of pixels that are on the wrong side of one half."""
    return float(((mask > 0.5) != truth).mean())


# --- the kernels -----------------------------------------------------------------------------------

CORNERS = np.array([[[r, g, b]] for r in (0, 1) for g in (0, 1) for b in (0, 1)], np.float32)
DARK = (np.random.default_rng(1).random((200, 50, 3)) * 0.06).astype(np.float32)
RANDOM = np.random.default_rng(0).random((200, 100, 3)).astype(np.float32)


def targets_of(*colors):
    targets = np.zeros((len(colors), 3, 6), np.float32)
    targets[:, :, 0] = colors
    return targets


@pytest.mark.parametrize("image", [CORNERS, DARK, RANDOM], ids=["corners", "dark", "random"])
@pytest.mark.parametrize("target", [(0, 0, 0), (100, 0, 0), (50, 150, 0), (50, 0, -150)])
def test_kernel_distance_agrees_with_scikit_image(image, target):
    """The kernel's CIELUV is within 0.05 dE*uv of scikit-image's: distances to four far targets agree."""
    skimage_color = pytest.importorskip("skimage.color")
    mask = np.empty(image.shape[:2], np.float32)
    kernels.luv_key(image, targets_of(target), 0, 500, 0, mask, 2)
    distance = np.linalg.norm(skimage_color.rgb2luv(image.astype(float)) - target, axis=-1)
    assert np.abs(mask * 500.0 - distance).max() < 0.05


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 5),
    cols=st.integers(1, 600),
    count=st.integers(1, 3),
    shadow=st.floats(0, 1),
    seed=st.integers(0),
)
def test_luv_kernel_equals_its_reference(rows, cols, count, shadow, seed):
    """Any size, also beyond one block of columns, any number of sloped targets: within 0.001 of the twin."""
    rng = np.random.default_rng(seed)
    cols = min(cols, 20) if seed % 4 else cols
    image = rng.random((rows, cols, 3), dtype=np.float32)
    targets = rng.normal(0, 5, (count, 3, 6)).astype(np.float32)
    targets[:, :, 0] = luv_from_srgb(rng.random((count, 3)))
    mask = np.empty((rows, cols), np.float32)
    kernels.luv_key(image, targets, 5, 40, shadow, mask, 2)
    assert np.abs(mask - references.luv_key(luv_from_srgb(image), targets, 5, 40, shadow)).max() < 1e-3


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 12),
    cols=st.integers(1, 20),
    few=st.integers(1, 12),
    shadow=st.floats(0, 1),
    seed=st.integers(0),
)
def test_distances_and_their_means_equal_their_references(rows, cols, few, shadow, seed):
    """Any share of rows to a mean: three distances as of the twin of the key, means as OpenCV's by areas."""
    rng = np.random.default_rng(seed)
    few = min(few, rows)
    image = rng.random((rows, cols, 3), dtype=np.float32)
    surface = rng.normal(0, 5, (3, 6)).astype(np.float32)
    surface[:, 0] = luv_from_srgb(rng.random(3))
    lit, shaded = np.empty((2, rows, cols), np.float32)
    far, off = np.empty((2, few, cols), np.float32)
    half = few // 2
    for start, stop in ((0, half), (half, few)):  # in two parts, as noisy pictures are done
        first = start * rows // few
        part = image[first : -(-stop * rows // few)]
        kernels.luv_shades(part, first, start, stop, surface, shadow, lit, shaded, far, off, 2)
    luv = luv_from_srgb(image)
    expected = [400 * references.luv_key(luv, surface[None], 0, 400, share) for share in (0, shadow, 1)]
    assert np.abs(lit - expected[0]).max() < 0.05
    assert np.abs(shaded - expected[1]).max() < 0.05
    for means, distance in ((far, expected[0]), (off, expected[2])):
        areas = cv2.resize(distance, (cols, few), interpolation=cv2.INTER_AREA).reshape(few, cols)
        assert np.abs(means - areas).max() < 0.05


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (90, 120), (700, 333), (37, 1100)])
@pytest.mark.parametrize("softness", [0.0, 30.0])
def test_shadow_is_mixed_in_as_if_its_map_were_enlarged(shape, softness):
    """The mask is that of the map of shadow enlarged and blurred at the picture's own size."""
    rng = np.random.default_rng(0)
    lit, shaded = rng.random((2, *shape), dtype=np.float32) * np.float32(60)
    shaded = np.minimum(lit, shaded)
    size = tuple(max(1, round(side * min(1, 400 / max(shape)))) for side in shape)
    small = np.clip(rng.normal(0.5, 1, size), 0, 1).astype(np.float32)
    share = cv2.GaussianBlur(cv2.resize(small, shape[::-1]), (0, 0), 1).reshape(shape)
    expected = lit - share * (lit - shaded)
    if softness:
        expected = np.clip((expected - 6) / softness, 0, 1)
    upper, weight, wide = color_key._enlarged(small, shape)
    kernels.shadowed(lit, shaded, wide, upper, weight, 6, softness, 2)
    assert np.abs(lit - expected).max() < 1e-4


def test_smoothing_in_strips_is_smoothing():
    """Rows of a noisy picture are those of the whole one smoothed."""
    image = np.random.default_rng(0).random((100, 30, 3), dtype=np.float32)
    whole = color_key._quiet(image, 8.0)
    for first, stop in ((0, 10), (7, 50), (90, 100), (0, 100)):
        assert np.abs(color_key._quiet(image, 8.0, first, stop) - whole[first:stop]).max() < 1e-6


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 8), cols=st.integers(1, 40), primary=st.sampled_from([1, 2]), seed=st.integers(0))
def test_color_difference_kernel_equals_its_reference(rows, cols, primary, seed):
    """Any size, either screen: within 1e-4 of the twin."""
    rng = np.random.default_rng(seed)
    image = rng.random((rows, cols, 3), dtype=np.float32)
    screen = np.array([0.5, *rng.normal(0, 0.05, 5)], np.float32)
    mask = np.empty((rows, cols), np.float32)
    kernels.color_difference_key(image, primary, screen, 0.1, 0.9, mask, 2)
    assert np.abs(mask - references.color_difference_key(image, primary, screen, 0.1, 0.9)).max() < 1e-4


@pytest.mark.parametrize("stage", [luv_threshold, chroma_key])
@pytest.mark.parametrize("noise", [0.005, 0.05])
def test_same_bits_for_any_number_of_threads(stage, noise):
    """1, 2 and 4 threads give equal masks, bit for bit."""
    image, before = paint(plate_of((0.2, 0.7, 0.3), falloff=0.3), disk(), noise=noise), threads()
    try:
        masks = []
        for count in (1, 2, 4):
            set_threads(count)
            masks.append(stage(image))
    finally:
        set_threads(before)
    assert (masks[0] == masks[1]).all()
    assert (masks[0] == masks[2]).all()


# --- the backdrop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("color", [(0.97, 0.97, 0.96), (0.6, 0.6, 0.62), (0.2, 0.65, 0.3), (0.1, 0.1, 0.12)])
def test_plate_follows_uneven_light(color):
    """Under 40 % of falloff the estimated plate is within 2 levels of 255 of the true one in the mean."""
    plate = plate_of(color, falloff=0.4)
    assert np.abs(estimate_plate(paint(plate, disk())) - plate).mean() < 2 / 255


def test_plate_behind_a_subject_on_three_borders():
    """The surface goes on behind a subject that holds the whole bottom and most of both sides."""
    plate, where = plate_of((0.9, 0.9, 0.9), falloff=0.3), np.zeros((90, 120), bool)
    where[35:] = True
    assert np.abs(estimate_plate(paint(plate, where)) - plate)[:35].max() < 12 / 255


def test_plate_on_both_sides_of_a_subject():
    """Where the subject parts the backdrop in two, the surface grows from one part over to the other."""
    plate, where = plate_of((0.9, 0.9, 0.9), falloff=0.4), np.zeros((90, 120), bool)
    where[:, 40:85] = True
    assert np.abs(estimate_plate(paint(plate, where)) - plate)[~where].max() < 8 / 255


def test_border_share_counts_the_backdrop():
    """A subject on the whole lower half leaves about two thirds of the border's weight to the backdrop."""
    where = np.zeros((90, 120), bool)
    where[45:] = True
    assert estimate_backdrop(paint(plate_of((0.9, 0.9, 0.9)), where)).border_share == pytest.approx(0.69, abs=0.05)


def test_noise_is_measured():
    """Noise of 0.02 on gray is some 6 dE*uv a pixel, as the colors themselves say, within a fifth."""
    image = paint(plate_of((0.6, 0.6, 0.6)), np.zeros((90, 120), bool), noise=0.02)
    truth = np.sqrt(((luv_from_srgb(image) - luv_from_srgb([0.6, 0.6, 0.6])) ** 2).sum(-1).mean())
    assert estimate_backdrop(image).noise == pytest.approx(truth, rel=0.2)


def test_rows_of_a_large_picture_are_passed_over_at_no_cost(monkeypatch):
    """The surface fitted to a quarter of the rows is that of all rows, within 0.1 dE*uv, noise and subject included."""
    rows, cols = 3600, 600
    image = paint(plate_of((0.9, 0.9, 0.9), rows, cols, 0.4), disk(rows, cols, radius=200), noise=0.02)
    part = estimate_backdrop(image)
    monkeypatch.setattr(surface, "ENOUGH", 10**9)
    every = estimate_backdrop(image)
    apart = np.linalg.norm(part.luv((60, 10)) - every.luv((60, 10)), axis=-1)
    assert 0 < apart.max() < 0.1
    assert part.border_share == pytest.approx(every.border_share, abs=0.01)


def horizon(rows=90, cols=120, row=60, soft=4.0):
    """A gray wall above a brown table, a soft line between."""
    share = np.clip((np.arange(rows)[:, None, None] - row) / soft + 0.5, 0, 1)
    return np.broadcast_to((1 - share) * [0.85, 0.85, 0.84] + share * [0.6, 0.55, 0.5], (rows, cols, 3))


def test_wall_and_table_are_two_surfaces():
    """The line between them is found to half a pixel, behind a subject that stands across it."""
    backdrop = estimate_backdrop(paint(horizon(), disk()))
    assert backdrop.line is not None
    assert abs(backdrop.line.normal[0]) == pytest.approx(1, abs=1e-3)
    share = backdrop.line.beyond((90, 120))[:, 60]
    assert np.interp(0.5, share, np.arange(90)) == pytest.approx(60, abs=0.5)
    assert np.abs(backdrop.plate((90, 120)) - horizon()).mean() < 2 / 255


def test_a_subject_across_the_bottom_is_no_table():
    """Two surfaces that explain the whole picture are a backdrop and a subject."""
    where = np.zeros((90, 120), bool)
    where[45:] = True
    assert estimate_backdrop(paint(plate_of((0.9, 0.9, 0.9)), where)).line is None


def test_a_box_in_the_picture_is_no_table():
    """A smooth box at the lower border has backdrop on both its sides."""
    where = np.zeros((90, 120), bool)
    where[50:, 40:80] = True
    assert estimate_backdrop(paint(plate_of((0.9, 0.9, 0.9)), where)).line is None


def test_backdrop_of_a_pale_subject_is_the_ground_alone():
    """A subject 6 dE*uv off white, over half of the picture, is not taken in: the noise stays that of the ground."""
    image = paint(plate_of((0.95, 0.95, 0.95)), disk(radius=42), color=(0.89, 0.88, 0.87), noise=0.002)
    assert estimate_backdrop(image).noise < 1


def test_a_pale_subject_on_most_of_the_border_is_not_the_ground():
    """Pale leaves cover more than half of the border: the quiet part is the ground, not a looser fit through both."""
    leaves = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 1, (90, 120)).astype(np.float32), (0, 0), 1.5)
    color = np.array([0.865, 0.86, 0.855]) + 0.02 * (leaves / leaves.std())[..., None]
    where = np.zeros((90, 120), bool)
    where[:, 55:] = True
    backdrop = estimate_backdrop(paint(plate_of((0.95, 0.95, 0.95)), where, color=color, noise=0.002))
    assert backdrop.border_share < 0.85 and backdrop.noise < 1.2


def test_noisy_ground_is_still_most_of_the_border():
    """Where nothing fits well the surface that shows in most of the border is taken, not the one that fits best."""
    backdrop = estimate_backdrop(paint(plate_of((0.5, 0.5, 0.5)), disk(), noise=0.03))
    assert backdrop.noise > surface.ELSEWHERE and backdrop.border_share > 0.5


def test_pale_plant_and_scarf_are_not_the_ground(data):
    """Whitish subjects over half of the border, off the ground by little more than a crumpled paper's two ends."""
    for name in ("GT13", "GT27"):
        backdrop = estimate_backdrop(read_picture(data / f"test/studio-hard/images/{name}-pale.jpg").image)
        assert backdrop.border_share < 0.5 and backdrop.noise < 0.5


def test_horizons_have_two_surfaces_and_hardly_any_other_shot(data):
    """Wall and table are told apart on all hard shots with a horizon; of 64 others one was taken for such, unharmed."""
    shots = sorted((data / "test/studio-hard/images").glob("*.jpg"))
    two = {path.stem for path in shots if estimate_backdrop(read_picture(path).image).line is not None}
    horizons = {path.stem for path in shots if path.stem.endswith("-horizon")}
    assert horizons <= two and len(two - horizons) <= 1


# --- luv_threshold ---------------------------------------------------------------------------------


@pytest.mark.parametrize("color", [(0.97, 0.97, 0.96), (0.6, 0.6, 0.62), (0.2, 0.65, 0.3), (0.1, 0.1, 0.12)])
def test_plain_backdrop(color):
    """On even light the subject is 1 and the backdrop 0, everywhere."""
    assert wrong(luv_threshold(paint(plate_of(color), disk())), disk()) == 0


def test_uneven_light():
    """Light that loses half toward a corner, some 20 dE*uv, does no harm."""
    plate = plate_of((0.85, 0.85, 0.85), falloff=0.5)
    image = paint(plate, disk(), color=np.add(plate.mean((0, 1)), [-0.02, -0.25, -0.3]))
    assert wrong(luv_threshold(image), disk()) == 0


def test_subject_on_three_borders():
    """A subject over the whole bottom and 60 % of both sides, under uneven light, is found whole."""
    where = np.zeros((90, 120), bool)
    where[36:] = True
    assert wrong(luv_threshold(paint(plate_of((0.9, 0.9, 0.9), falloff=0.3), where)), where) < 0.001


def test_corners_suffice():
    """With key="corners" a subject may hold the middle of all four sides."""
    where = np.zeros((90, 120), bool)
    where[:, 15:105] = where[15:75] = True
    assert wrong(luv_threshold(paint(plate_of((0.9, 0.9, 0.9)), where), key="corners"), where) < 0.001


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noisy_backdrop(noise):
    """Noise of 5 and 13 of 255 levels leaves less than 1 % of the pixels wrong, at edges."""
    assert wrong(luv_threshold(paint(plate_of((0.6, 0.6, 0.6)), disk(), noise=noise)), disk()) < 0.01


def test_tolerance_rises_with_the_noise():
    """With a tolerance of 0, nine in ten pixels of a slightly noisy backdrop are still background."""
    mask = luv_threshold(paint(plate_of((0.6, 0.6, 0.6)), disk()), tolerance=0.0, softness=1.0)
    assert (mask[~disk()] == 0).mean() > 0.9


def test_several_targets():
    """With two colors given, both are backdrop and only the third is subject."""
    image = np.zeros((6, 9, 3))
    image[:, :3], image[:, 3:6], image[:, 6:] = (1, 1, 1), (0, 0, 1), (1, 0, 0)
    mask = luv_threshold(image, key="color", colors=("white", "blue"))
    assert (mask[0] == [0, 0, 0, 0, 0, 0, 1, 1, 1]).all()


def test_no_color_is_refused():
    """An empty list of colors names the parameter."""
    with pytest.raises(ParamError, match=r"luv_threshold\.colors: expected at least one"):
        luv_threshold(np.ones((2, 2, 3)), key="color", colors=())


def test_ramp_has_the_stated_ends():
    """Halfway between tolerance and tolerance + softness the mask is one half."""
    image = np.full((1, 1, 3), 0.5)
    distance = 100 - luv_from_srgb([0.5, 0.5, 0.5])[0]
    mask = luv_threshold(image, key="color", colors=("white",), tolerance=distance - 10, softness=20, shadow=0)
    assert mask[0, 0] == pytest.approx(0.5, abs=0.01)


def test_shadow_is_backdrop_up_to_its_depth():
    """With shadow=0.3 the same material in 25 % less lightness is backdrop, in 50 % less is not."""
    light = np.array([1, 0.75**3, 0.5**3])  # L* goes about with the cube root
    image = srgb_from_linear(linear_from_srgb([0.75, 0.8, 0.7]) * light[None, :, None])
    mask = luv_threshold(np.repeat(image, 4, 0), key="color", colors=("#bfccb3",), shadow=0.3, softness=5)
    assert (mask[0] == [0, 0, 1]).all()


def test_a_pale_mug_on_white_is_no_shadow():
    """What is a little darker than the ground with a sharp contour is subject, also where a shadow would be allowed."""
    image = paint(plate_of((0.95, 0.95, 0.95)), disk(), color=(0.86, 0.86, 0.86), noise=0.002)
    assert wrong(luv_threshold(image, tolerance=2, softness=5, shadow=0.15), disk()) < 0.01


def test_a_soft_shadow_is_backdrop():
    """A shadow of the same depth that fades over 20 px is backdrop."""
    row, col = np.mgrid[:90, :120]
    depth = 0.12 * np.exp(-(((row - 45) / 20) ** 2 + ((col - 60) / 20) ** 2) / 2)
    image = plate_of((0.95, 0.95, 0.95)) * (1 - depth[..., None])
    assert luv_threshold(np.float32(image), tolerance=2, softness=5, shadow=0.2).max() < 0.1


def test_wall_and_table_are_both_background():
    """A subject that stands across the line is found whole, and nothing of the table."""
    assert wrong(luv_threshold(paint(horizon(), disk())), disk()) < 0.002


def test_connected_keeps_an_enclosed_patch():
    """A patch of the backdrop's color inside the subject is background, unless connected=True."""
    ring = disk(radius=30) & ~disk(radius=10)
    image = paint(plate_of((0.9, 0.9, 0.9)), ring)
    assert wrong(luv_threshold(image), ring) == 0
    assert wrong(luv_threshold(image, connected=True), disk(radius=30)) == 0


def test_connected_leaves_the_open_backdrop():
    """connected=True changes nothing where the backdrop has a way to the border."""
    where = disk(radius=30) & ~disk(radius=10)
    where[43:47, 60:] = False
    image = paint(plate_of((0.9, 0.9, 0.9)), where)
    assert (luv_threshold(image, connected=True) == luv_threshold(image)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (40, 30)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_nothing_here(shape, value):
    """A picture of one color is all background, at any size."""
    assert (luv_threshold(np.full((*shape, 3), value)) == 0).all()


def test_notes_say_what_was_found():
    """A run reports the backdrop's noise and its share of the border."""
    with collect_notes() as facts:
        luv_threshold(paint(plate_of((0.9, 0.9, 0.9)), disk()))
    assert facts["border_share"] == pytest.approx(1, abs=0.01)
    assert 0 < facts["noise"] < 3


# --- chroma_key ------------------------------------------------------------------------------------


@pytest.mark.parametrize("color", [(0.2, 0.65, 0.3), (0.15, 0.25, 0.7)], ids=["green", "blue"])
def test_screen_under_uneven_light(color):
    """A green and a blue screen that lose 40 % of the light are told by themselves and removed whole."""
    assert wrong(chroma_key(paint(plate_of(color, falloff=0.4), disk())), disk()) == 0


def test_noisy_screen():
    """Noise of 25 of 255 levels on a green screen leaves less than 1 % of the pixels wrong, at edges."""
    assert wrong(chroma_key(paint(plate_of((0.2, 0.65, 0.3)), disk(), noise=0.1)), disk()) < 0.01


def test_mixed_pixels_have_their_opacity():
    """Where gray hair covers a green screen by half, the full ramp (black 0, white 1) gives one half."""
    screen, hair = np.array([0.2, 0.65, 0.3]), np.array([0.4, 0.4, 0.4])
    image = np.broadcast_to(screen, (30, 40, 3)).copy()
    image[10:20, 10:20] = 0.5 * screen + 0.5 * hair
    assert chroma_key(image, black=0.0, white=1.0)[15, 15] == pytest.approx(0.5, abs=0.02)


def test_no_screen_removes_nothing():
    """Before a gray wall there is no screen's color to miss, and noise is none: all is foreground."""
    mask = chroma_key(paint(plate_of((0.6, 0.6, 0.6)), disk(), noise=0.005))
    assert (mask > 0.5).mean() > 0.999


def test_screen_can_be_said():
    """A picture full of blue before green is keyed on green if that is what was asked for."""
    where = np.zeros((90, 120), bool)
    where[20:] = True
    image = paint(plate_of((0.2, 0.65, 0.3)), where, color=(0.1, 0.2, 0.8))
    assert wrong(chroma_key(image, screen="green"), where) < 0.001


# --- real pictures ---------------------------------------------------------------------------------

LATER = ("GT13", "GT25", "GT27")  # subjects that nothing was tuned to when the first limits were set
# Mean SAD/1000 of each kind over the 13 other pictures and over all 16, as measured, and 5 % on top.
KEPT = {
    ("white", "luv"): (6.8, 8.8),
    ("falloff", "luv"): (6.5, 8.6),
    ("grey", "luv"): (9.2, 10.6),
    ("green", "luv"): (5.7, 6.3),
    ("green", "chroma"): (5.6, 6.3),
}


@pytest.mark.parametrize(("kind", "key"), KEPT)
def test_studio_error_is_kept(data, kind, key):
    """On the studio pictures the key alone stays at its measured error."""
    import cv2

    errors = {}
    for path in sorted((data / "test/studio/images").glob(f"*-{kind}.jpg")):
        image = cv2.imread(str(path))[:, :, ::-1]
        alpha = cv2.imread(str(data / "test/studio/alphas" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE) / 255
        mask = luv_threshold(image) if key == "luv" else chroma_key(image)
        errors[path.stem.partition("-")[0]] = np.abs(mask - alpha).sum() / 1000
    first, every = KEPT[kind, key]
    assert np.mean([error for name, error in errors.items() if name not in LATER]) < first
    assert np.mean(list(errors.values())) < every


def test_studio_subject_cut_by_three_borders(data):
    """Cropped so that the subject crosses three borders, the error stays below 3 % of the area (median: 17 %).

    The later subjects hide nearly all of the border then, and no key can know the backdrop.
    """
    import cv2

    errors = []
    for path in sorted((data / "test/studio/images").glob("*-falloff.jpg")):
        if path.stem.startswith(LATER):
            continue
        image = cv2.imread(str(path))[:, :, ::-1]
        alpha = cv2.imread(str(data / "test/studio/alphas" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE) / 255
        rows, cols = (np.flatnonzero((alpha > 0.5).any(axis)) for axis in (1, 0))
        tall, wide = rows[-1] - rows[0], cols[-1] - cols[0]
        crop = np.s_[: rows[0] + tall // 2, cols[0] + wide // 4 : cols[-1] - wide // 4]
        errors.append(np.abs(luv_threshold(image[crop]) - alpha[crop]).mean())
    assert np.mean(errors) < 0.03


def test_bright_green_before_a_dim_screen_stays():
    """Its green is the dim screen's, but it is brighter than any mixture of that screen with a color could be."""
    rows, cols = 120, 160
    screen = np.float32([0.06, 0.18, 0.08]) * np.linspace(1, 0.5, cols, dtype=np.float32)[None, :, None]
    picture = np.repeat(screen, rows, 0)
    picture[30:90, 50:110] = [0.62, 0.75, 0.55]
    mask = chroma_key(picture)
    assert mask[35:85, 55:105].min() > 0.4
    assert mask[:20].max() == 0


@pytest.mark.parametrize("light, flagged", [(1.0, False), (0.15, True)])
def test_hair_before_a_dim_screen_is_flagged(light, flagged):
    """Little of a bright subject hides a dim screen's color, so gaps are filled: the finding says so, of a dim one."""
    rng = np.random.default_rng(3)
    hair = np.clip(cv2.GaussianBlur(rng.random((240, 320), np.float32), (0, 0), 1) * 6 - 2.7, 0, 1)
    row, col = np.mgrid[:240, :320]
    away = np.hypot(row - 120, col - 160)
    alpha = np.where(away < 40, 1, np.where(away < 80, hair, 0)).astype(np.float32)[..., None]
    picture = alpha * np.float32([0.9, 0.4, 0.5]) + (1 - alpha) * light * np.float32([0.1, 0.55, 0.2])
    found = load_pipeline("green-screen").run(picture).facts["findings"]
    assert ("dim" in found and found["dim"]["flagged"]) == flagged


@pytest.mark.parametrize(("opacity", "soft", "flagged"), [(0.6, 12, True), (1.0, 1, False)])
def test_haze_before_a_dim_screen_is_flagged(opacity, soft, flagged):
    """Matting makes it solid: what is brighter than a dim screen may be all subject. The screen shows through it."""
    rng = np.random.default_rng(0)
    alpha = np.zeros((240, 320), np.float32)
    cv2.ellipse(alpha, (160, 110), (90, 75), 20, 0, 360, opacity, -1)
    alpha = cv2.GaussianBlur(alpha, (0, 0), soft)
    alpha[150:, 130:190] = 1
    screen = np.float32([0.06, 0.18, 0.07]) * np.linspace(1, 0.75, 320, dtype=np.float32)[:, None]
    picture = alpha[..., None] * np.float32(0.6) + (1 - alpha[..., None]) * screen
    picture += rng.normal(0, 0.006, picture.shape).astype(np.float32)
    found = load_pipeline("green-screen").run(picture.clip(0, 1)).facts["findings"]
    assert found["veiled"]["flagged"] == flagged
