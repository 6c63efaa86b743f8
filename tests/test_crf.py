"""Dense CRF: against brute force, against pydensecrf, and in the corners."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from references import crf_features, dense_gaussian
from references import mean_field as brute_force
from skimage import data

import bgkit
from bgkit._ext.dense_crf import Lattice
from bgkit.errors import BgkitError, LayerError
from bgkit.stages.crf import LEAST, dense_crf, mean_field

ECSSD = Path(os.environ.get("BGKIT_DATA", Path(__file__).parents[2] / "shared" / "data"), "test", "ecssd")
SETTINGS = {"spatial_std": 3, "spatial_weight": 3, "position_std": 80, "color_std": 13, "bilateral_weight": 10}


@pytest.fixture(autouse=True)
def _default_threads(monkeypatch):
    monkeypatch.setattr("bgkit.threads._chosen", None)


def scene(size, seed=0):
    """Return a picture, uint8, with a soft-edged disk and noise, and a rough mask of it, float32."""
    rng = np.random.default_rng(seed)
    row, col = np.mgrid[: size[0], : size[1]]
    inside = np.hypot((row - size[0] * 0.5) / size[0], (col - size[1] * 0.45) / size[1]) < 0.3
    color = np.where(inside[..., None], [190, 90, 60], [80, 120, 160]) + rng.normal(0, 8, (*size, 3))
    picture = cv2.GaussianBlur(color, (0, 0), 1).clip(0, 255).astype(np.uint8)
    rough = cv2.GaussianBlur(np.roll(inside, 2, 1).astype(np.float32), (0, 0), 3) + rng.normal(0, 0.15, size)
    return picture, rough.clip(0, 1).astype(np.float32)


def unary_of(mask):
    mask = np.asarray(mask, np.float64)
    return -np.log(np.maximum([1 - mask, mask], LEAST))


def peer(picture, unary, iterations, settings=SETTINGS, compatibility=None):
    """Return pydensecrf's probabilities, (L, M, N)."""
    densecrf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf is not installed (pydensecrf2 has wheels)")
    labels, rows, cols = unary.shape
    crf = densecrf.DenseCRF2D(cols, rows, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1), np.float32))
    scale = (lambda w: w) if compatibility is None else (lambda w: (w * compatibility).astype(np.float32))
    crf.addPairwiseGaussian(sxy=settings["spatial_std"], compat=scale(settings["spatial_weight"]))
    crf.addPairwiseBilateral(
        sxy=settings["position_std"],
        srgb=settings["color_std"],
        rgbim=np.ascontiguousarray(picture),
        compat=scale(settings["bilateral_weight"]),
    )
    return np.array(crf.inference(iterations)).reshape(unary.shape)


def truth(picture, unary, iterations, settings=SETTINGS, compatibility=None):
    share = picture / 255
    kernels = [
        (settings["spatial_weight"], dense_gaussian(crf_features(share, settings["spatial_std"]))),
        (
            settings["bilateral_weight"],
            dense_gaussian(crf_features(share, settings["position_std"], settings["color_std"])),
        ),
    ]
    potts = 1 - np.eye(len(unary))
    return brute_force(unary, kernels, potts if compatibility is None else compatibility, iterations)


SMALL = [((48, 48), 80), ((33, 37), 12), ((30, 40), 20), ((40, 9), 5)]


@pytest.mark.parametrize(("size", "position_std"), SMALL)
def test_small_pictures_equal_brute_force(size, position_std):
    """Up to 4096 pixels every pair is summed: the error is rounding, far below pydensecrf's."""
    picture, mask = scene(size)
    settings = {**SETTINGS, "position_std": position_std}
    unary = unary_of(mask)
    exact = truth(picture, unary, 5, settings)[1]
    ours = dense_crf(picture, mask, iterations=5, tolerance=0, **settings)
    theirs = peer(picture, unary, 5, settings)[1]
    assert np.abs(ours - exact).mean() < 1e-4
    assert np.abs(ours - exact).mean() <= np.abs(theirs - exact).mean()


@pytest.mark.parametrize(("size", "position_std"), SMALL)
def test_lattice_is_as_near_to_brute_force_as_the_peers(size, position_std):
    """The lattice approximates the dense sums; ours as well as pydensecrf's, whose bilateral kernel it equals."""
    picture, mask = scene(size)
    settings = {**SETTINGS, "position_std": position_std, "spatial_weight": 0}
    unary = unary_of(mask)
    exact = truth(picture, unary, 5, settings)[1]
    ours = dense_crf(picture, mask, iterations=5, tolerance=0, exact_pixels=0, **settings)
    theirs = peer(picture, unary, 5, settings)[1]
    assert np.abs(ours - exact).mean() <= np.abs(theirs - exact).mean() + 1e-5
    assert np.abs(ours - theirs).max() < 1e-3


def test_spatial_kernel_alone_is_the_true_gaussian():
    """Without the lattice nothing is approximated but the cut at 4 standard deviations."""
    picture, mask = scene((48, 37))
    settings = {**SETTINGS, "bilateral_weight": 0}
    exact = truth(picture, unary_of(mask), 5, settings)[1]
    assert np.abs(dense_crf(picture, mask, tolerance=0, **settings) - exact).max() < 2e-4


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_labels_equal_the_peers_on_photographs(name):
    """At least 99.5 % of the labels are pydensecrf's."""
    picture = np.ascontiguousarray(getattr(data, name)()[:400, :400])
    light = cv2.GaussianBlur(picture.astype(np.float32).mean(2) / 255, (0, 0), 12)
    mask = (1 / (1 + np.exp(-12 * (light - light.mean())))).astype(np.float32)
    _assert_labels_equal(picture, mask)


@pytest.mark.skipif(not ECSSD.is_dir(), reason="the ECSSD pictures are not here (BGKIT_DATA)")
def test_labels_equal_the_peers_on_ecssd():
    """The same on pictures with a blurred true mask."""
    for path in sorted(ECSSD.glob("images/*"))[::40]:
        picture = cv2.imread(str(path))[..., ::-1]
        hard = cv2.imread(str(next(ECSSD.glob(f"masks/{path.stem}.*"))), cv2.IMREAD_GRAYSCALE) > 128
        _assert_labels_equal(picture, cv2.GaussianBlur(hard.astype(np.float32), (0, 0), 8))


def _assert_labels_equal(picture, mask):
    theirs = peer(picture, unary_of(mask), 5)[1]
    ours = dense_crf(picture, mask, iterations=5, tolerance=0, **SETTINGS)
    assert ((ours > 0.5) == (theirs > 0.5)).mean() >= 0.995
    assert np.abs(ours - theirs).mean() < 2e-3


@pytest.mark.parametrize("size", [(301, 403), (700, 200)])
def test_threads_change_no_bit(size):
    """1, 2 and 4 threads give the same bits, over several bands."""
    picture, mask = scene(size)
    results = []
    for count in (1, 2, 4):
        bgkit.set_threads(count)
        results.append(dense_crf(picture, mask))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (1, 300), (600, 1), (2, 2)])
@pytest.mark.parametrize("value", [0, 0.5, 1, None])
@pytest.mark.parametrize("exact_pixels", [0, 4096])
def test_small_and_constant_pictures(size, value, exact_pixels):
    """Any size works, and a constant mask on a constant picture keeps its side."""
    picture, mask = scene(size)
    if value is not None:
        picture[:], mask[:] = 128, value
    result = dense_crf(picture, mask, exact_pixels=exact_pixels)
    assert result.shape == size
    assert np.isfinite(result).all()
    if value is not None:
        np.testing.assert_allclose(result, value, atol=2e-5)


def test_no_iterations_return_the_mask():
    """0 iterations change nothing, not even by the clipping."""
    picture, mask = scene((20, 30))
    assert np.array_equal(dense_crf(picture, mask, iterations=0), mask)


def test_hard_mask_can_move():
    """A pixel of exactly 0 inside what is exactly 1 and of one color is overruled."""
    mask = np.ones((30, 30), np.float32)
    mask[15, 15] = 0
    picture = np.full((30, 30, 3), 90, np.uint8)
    assert dense_crf(picture, mask)[15, 15] > 0.5


def test_less_confidence_moves_more():
    """A patch of the other label survives with full confidence and falls with little."""
    mask = np.ones((60, 60), np.float32)
    mask[20:36, 20:36] = 0.02
    picture = np.full((60, 60, 3), 90, np.uint8)
    sure, unsure = (dense_crf(picture, mask, confidence=c, bilateral_weight=2.0) for c in (1.0, 0.5))
    assert sure[28, 28] < 0.5 < unsure[28, 28]


def test_exchanged_labels_give_the_complement():
    """Two labels are treated alike."""
    picture, mask = scene((50, 70))
    np.testing.assert_allclose(dense_crf(picture, 1 - mask), 1 - dense_crf(picture, mask), atol=1e-4)


def test_two_labels_equal_the_general_path():
    """One channel gives what two channels give."""
    picture, mask = scene((61, 47))
    unary = unary_of(mask)
    for exact_pixels in (0, 4096):
        fast = mean_field(picture, unary, exact_pixels=exact_pixels)
        general = mean_field(picture, unary, 1 - np.eye(2), exact_pixels=exact_pixels)
        np.testing.assert_allclose(fast, general, atol=1e-4)
        stage = dense_crf(picture, mask, tolerance=0, exact_pixels=exact_pixels)
        np.testing.assert_allclose(fast[1], stage, atol=1e-4)


def three_labels(size):
    picture, mask = scene(size)
    probability = np.stack([mask, (1 - mask) * 0.7, (1 - mask) * 0.3]).clip(0.01)
    return picture, -np.log(probability / probability.sum(0))


@pytest.mark.parametrize("general", [False, True])
def test_three_labels_against_brute_force_and_peer(general):
    """L labels, Potts or with a compatibility matrix, are as near the dense sums as pydensecrf."""
    picture, unary = three_labels((40, 45))
    penalty = np.array([[0, 1, 2], [1, 0, 0.2], [2, 0.2, 0]]) if general else None  # pydensecrf wants it symmetric
    exact = truth(picture, unary, 5, compatibility=penalty)
    ours = mean_field(picture, unary, penalty)
    theirs = peer(picture, unary, 5, compatibility=penalty)
    assert np.abs(ours - exact).mean() <= np.abs(theirs - exact).mean() * 1.001
    assert (ours.argmax(0) == theirs.argmax(0)).mean() >= 0.995
    np.testing.assert_allclose(ours.sum(0), 1, atol=1e-5)


def test_stops_when_nothing_moves():
    """A tolerance ends the iterations early and hardly changes the result."""
    picture, mask = scene((50, 50))
    with bgkit.stage.collect_notes() as facts:
        early = dense_crf(picture, mask, iterations=60, tolerance=1e-3)
    assert facts["iterations"] < 60
    assert facts["change"] < 1e-3
    np.testing.assert_allclose(early, dense_crf(picture, mask, iterations=60, tolerance=0), atol=0.02)


def test_reduced_resolution_is_near_the_full_one():
    """Iterating at half the size keeps nearly all labels; a resolution above the picture's changes nothing."""
    picture, mask = scene((200, 260))
    full = dense_crf(picture, mask)
    half = dense_crf(picture, mask, resolution=130)
    assert half.shape == full.shape
    assert ((half > 0.5) == (full > 0.5)).mean() > 0.99
    assert np.array_equal(dense_crf(picture, mask, resolution=260), full)


@pytest.mark.parametrize("cols", [40, 30_000])
def test_reading_a_filter_at_its_own_pixels_changes_nothing(cols):
    """The other picture's pixels find the same simplices when it is the same picture, also over several strips."""
    picture, values = scene((45, cols))
    lattice = Lattice(picture.astype(np.float32) / 255, 20.0, 13.0, 2)
    filtered, read = np.empty_like(values), np.empty_like(values)
    lattice.filter(values, filtered, 2)
    lattice.filter_onto(picture.astype(np.float32) / 255, values, read, 2)
    np.testing.assert_allclose(read, filtered, atol=1e-3)
    assert np.abs(read - filtered).mean() < 1e-5


def test_noise_with_a_simplex_for_every_pixel():
    """The worst case for the lattice, and the largest hash tables, still equals pydensecrf."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (150, 500, 3), dtype=np.uint8)
    mask = rng.random((150, 500)).astype(np.float32)
    settings = {**SETTINGS, "color_std": 3, "position_std": 5}
    theirs = peer(picture, unary_of(mask), 3, settings)[1]
    ours = dense_crf(picture, mask, iterations=3, tolerance=0, **settings)
    assert ((ours > 0.5) == (theirs > 0.5)).mean() >= 0.995


def test_too_fine_a_lattice_is_refused_with_the_reason():
    """Keys that do not fit 64 bits are an error in the parameters' names, not a wrong picture."""
    wide = np.zeros((3, 60_000, 3), np.float32)
    with pytest.raises(BgkitError, match=r"position_std, color_std.*too small"):
        dense_crf(wide, wide[..., 0], position_std=2, color_std=1)


@pytest.mark.parametrize("unary", [np.zeros((2, 3, 4)), np.zeros((3, 3)), np.full((2, 3, 3), np.nan)])
def test_mean_field_refuses_other_shapes_and_nan(unary):
    """The message names the layer."""
    with pytest.raises(LayerError, match="unary"):
        mean_field(np.zeros((3, 3, 3)), unary)


def test_reference_scales_the_reaches():
    """With half the picture's side as the reference, all reaches are twice as far."""
    picture, mask = scene((60, 80))
    twice = dense_crf(picture, mask, reference=40)
    assert np.array_equal(twice, dense_crf(picture, mask, spatial_std=6, position_std=160))
    assert not np.array_equal(twice, dense_crf(picture, mask))


def test_reaches_by_the_subject_are_the_same_on_any_canvas():
    """They follow the box around what the mask shows, so more of the same ground adds no reach."""
    picture, _ = scene((60, 80))
    mask = np.full((60, 80), np.float32(0.01))
    mask[15:45, 20:60] = 0.8  # 40 px wide
    larger, around = (np.pad(each, [(0, 0), (0, 160), (0, 0)][: each.ndim], mode="edge") for each in (picture, mask))
    given = {"reference": 80, "exact_pixels": 0}
    alone = dense_crf(picture, mask, scale_by="subject", **given)
    assert np.array_equal(alone, dense_crf(picture, mask, spatial_std=1.5, position_std=40, exact_pixels=0))
    padded = dense_crf(larger, around, scale_by="subject", **given)[:, :80]
    assert np.abs(padded - alone)[:, :60].max() < 0.05
    assert np.abs(padded - dense_crf(larger, around, **given)[:, :80]).max() > 0.2


def test_reaches_by_a_subject_that_is_not_there_follow_the_picture():
    """A mask below one half has no box; that of the picture is the next best."""
    picture, mask = scene((60, 80))
    faint = 0.4 * mask
    by = [dense_crf(picture, faint, reference=40, scale_by=way) for way in ("subject", "picture")]
    assert np.array_equal(*by)
