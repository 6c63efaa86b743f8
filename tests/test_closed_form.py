"""Closed-form matting: the solution of its system, and what must hold for any picture."""

import numpy as np
import pytest
import references
from PIL import Image
from skimage.data import astronaut, chelsea

from bgkit import laplacian
from bgkit.errors import ConvergenceWarning, LayerError
from bgkit.layers import as_layer
from bgkit.stage import collect_notes
from bgkit.stages import closed_form_matting
from bgkit.threads import set_threads


def disk_trimap(shape, radius, width):
    """Return a trimap of a disk in the middle with an unknown ring of ``width`` pixels."""
    row, col = np.indices(shape)
    far = np.hypot(row - shape[0] / 2, col - shape[1] / 2) - radius
    return np.where(far < -width / 2, 255, np.where(far > width / 2, 0, 128)).astype(np.uint8)


@pytest.fixture(scope="module")
def cat():
    """A natural picture with fur, 300 x 451."""
    return np.float32(chelsea() / 255)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (1, 9), (9, 1), (2, 8), (8, 2), (11, 13), (20, 17), (40, 57)])
def test_equals_dense_solve(shape):
    """Alpha is that of a direct float64 solve of the same system, to 1e-3, on random pictures."""
    rng = np.random.default_rng(shape[0])
    image = rng.random((*shape, 3), dtype=np.float32)
    trimap = rng.choice(np.uint8([0, 128, 128, 128, 255]), shape)
    trimap.flat[:2] = 0, 255
    expected = np.clip(references.closed_form(image, trimap), 0, 1)
    assert np.abs(closed_form_matting(image, trimap) - expected).max() <= 1e-3


def test_equals_dense_solve_on_fur(cat):
    """On a crop of a natural picture too, where the system is badly conditioned."""
    image, trimap = cat[100:140, 100:150], disk_trimap((40, 50), 12, 12)
    expected = np.clip(references.closed_form(image, trimap), 0, 1)
    assert np.abs(closed_form_matting(image, trimap) - expected).max() <= 1e-3


def test_unknown_without_foreground_beside(cat):
    """A band that touches only background is 0, though there is foreground elsewhere in the picture."""
    trimap = np.zeros(cat.shape[:2], np.uint8)
    trimap[20:60, 20:60], trimap[100:140, 100:140] = 128, 255
    assert (closed_form_matting(cat, trimap)[20:60, 20:60] == 0).all()


def test_keeps_the_known(cat):
    """Where the trimap is known, alpha is exactly 0 or 1."""
    trimap = disk_trimap(cat.shape[:2], 90, 40)
    alpha = closed_form_matting(cat, trimap)
    assert (alpha[trimap == 255] == 1).all()
    assert (alpha[trimap == 0] == 0).all()


def test_minimizes_the_energy():
    """No small change of alpha in the unknown lowers the energy of the matting Laplacian."""
    image = np.random.default_rng(5).random((12, 12, 3), dtype=np.float32)
    trimap = disk_trimap((12, 12), 4, 4)
    matrix = references.matting_laplacian(image, 10.0)
    alpha = closed_form_matting(image, trimap, epsilon=10.0).ravel().astype(np.float64)
    unknown = np.flatnonzero(trimap.ravel() == 128)
    assert alpha[unknown].min() > 0
    assert alpha[unknown].max() < 1  # nothing was clipped: this is the minimum
    energy = alpha @ matrix @ alpha
    for pixel in unknown:
        for change in (-0.005, 0.005):
            other = alpha.copy()
            other[pixel] += change
            assert other @ matrix @ other > energy


def test_color_line_is_found():
    """A picture mixed of two colors gives back the alpha that it was mixed with."""
    truth = np.clip((np.indices((24, 30))[1] - 8) / 14, 0, 1)
    image = truth[..., None] * [0.9, 0.3, 0.2] + (1 - truth[..., None]) * [0.1, 0.2, 0.8]
    trimap = np.uint8([[0] * 6 + [128] * 18 + [255] * 6] * 24)
    assert np.abs(closed_form_matting(np.float32(image), trimap) - truth).max() < 2e-3


def test_constant_picture():
    """Without color to go by, alpha is that of the direct solve, and never falls toward the foreground."""
    image, trimap = np.full((9, 13, 3), 0.5), np.uint8([[0, 0] + [128] * 9 + [255, 255]] * 9)
    alpha = closed_form_matting(image, trimap)
    assert np.abs(alpha - references.closed_form(image, trimap)).max() <= 1e-3
    assert (np.diff(alpha, axis=1) >= -1e-3).all()


@pytest.mark.parametrize("value", [0, 255])
def test_nothing_unknown(value):
    """A trimap of one known value is returned as alpha."""
    alpha = closed_form_matting(np.ones((4, 5, 3)), np.full((4, 5), value, np.uint8))
    assert (alpha == value / 255).all()


def test_all_unknown():
    """A trimap that knows nothing gives alpha 0: nothing says there is a subject."""
    assert (closed_form_matting(np.ones((4, 5, 3)), np.full((4, 5), 128, np.uint8)) == 0).all()


@pytest.mark.parametrize("value", [0, 255])
def test_one_kind_known(cat, value):
    """With only one kind known, the minimum is that constant everywhere, exactly."""
    trimap = np.full(cat.shape[:2], 128, np.uint8)
    trimap[:, :40] = value
    assert (closed_form_matting(cat, trimap) == value / 255).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (2, 2), (1, 7), (7, 1)])
def test_tiny_pictures(shape):
    """The smallest pictures give finite alpha in 0..1, whatever the trimap."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        trimap = rng.choice(np.uint8([0, 128, 255]), shape)
        alpha = closed_form_matting(rng.random((*shape, 3)), trimap)
        assert alpha.dtype == np.float32
        assert alpha.min() >= 0
        assert alpha.max() <= 1


def test_separate_bands_are_separate(cat):
    """Two bands in one picture give what each gives alone."""
    both = np.zeros(cat.shape[:2], np.uint8)
    left, right = both.copy(), both.copy()
    left[60:180, 40:160] = disk_trimap((120, 120), 35, 24)
    right[100:260, 240:400] = disk_trimap((160, 160), 50, 30)
    both = np.maximum(left, right)
    together = closed_form_matting(cat, both)
    apart = np.maximum(closed_form_matting(cat, left), closed_form_matting(cat, right))
    assert np.abs(together - apart).max() < 1e-3


def test_threads_change_nothing(cat):
    """1, 2 and 4 threads give the same bits."""
    trimap = disk_trimap(cat.shape[:2], 90, 40)
    results = []
    for count in (1, 2, 4):
        set_threads(count)
        results.append(closed_form_matting(cat, trimap))
    set_threads(1)
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_reports_residual_and_iterations(cat):
    """The residual and the error reached, below the tolerance, and the iterations are noted."""
    with collect_notes() as facts:
        closed_form_matting(cat, disk_trimap(cat.shape[:2], 90, 40))
    assert 0 < facts["residual"] < 1e-4
    assert 0 < facts["error"] <= 1e-4
    assert 1 <= facts["iterations"] <= 3


def test_iterations_do_not_grow():
    """A constant picture, a ramp and noise, unknown but for two corners, converge in a few iterations."""
    trimap = np.full((150, 150), 128, np.uint8)
    trimap[:3, :3], trimap[-3:, -3:] = 255, 0
    ramp = np.stack(np.broadcast_arrays(*np.ogrid[0:1:150j, 0:1:150j], 0.5), -1)
    for image in (np.full(ramp.shape, 0.5), ramp, np.random.default_rng(2).random(ramp.shape)):
        with collect_notes() as facts:
            closed_form_matting(image, trimap, tolerance=1e-6)
        assert facts["iterations"] <= 8


def test_two_colors_equal_dense_solve():
    """Where every window holds two colors at most, the system is assembled exactly enough to be solved."""
    rng = np.random.default_rng(11)
    image = np.where(rng.random((17, 23, 1)) < 0.5, np.float32([0.9, 0.5, 0.1]), np.float32([0.2, 0.3, 0.8]))
    trimap = rng.choice(np.uint8([0, 128, 128, 128, 128, 128, 255]), image.shape[:2])
    expected = np.clip(references.closed_form(image, trimap), 0, 1)
    assert np.abs(closed_form_matting(image, trimap) - expected).max() <= 1e-3


def palette_picture(rng):
    """Return a small drawn picture of 2 to 16 colors, dithered or not, and a trimap with a wide unknown region."""
    side, count = int(rng.integers(12, 60)), int(rng.choice([2, 2, 3, 4, 6, 8, 16]))
    row, col = np.mgrid[:side, :side] / side
    tiles = np.kron(rng.random((6, 6, 3)), np.ones((side // 6 + 1, side // 6 + 1, 1)))[:side, :side]
    waves = np.stack([np.sin(9 * row + 3 * col) / 2 + 0.5] * 3, 2)
    corners = rng.integers(0, 2, (count, 3))[rng.integers(0, count, (side, side))]  # colors as far apart as can be
    drawn = [np.stack([row, col, (row + col) / 2], 2), rng.random((side, side, 3)), tiles, waves, corners]
    picture = Image.fromarray(np.uint8(255 * drawn[rng.integers(len(drawn))]))
    trimap = np.full((side, side), 128, np.uint8)
    trimap[:2], trimap[:, :1], trimap[side // 2 :, side // 2 : side // 2 + 2] = 0, 0, 255
    return np.asarray(picture.quantize(count, dither=rng.choice([0, 3])).convert("RGB")), trimap


def test_palettes():
    """500 drawn pictures of few colors are solved in a few iterations, as photographs are."""
    rng = np.random.default_rng(6)
    for _ in range(500):
        with collect_notes() as facts:
            alpha = closed_form_matting(*palette_picture(rng))
        assert np.isfinite(alpha).all()
        assert facts["error"] <= 1e-4
        assert facts["iterations"] <= 12


@pytest.mark.parametrize("count", [2, 4, 8])
def test_photograph_of_few_colors(count):
    """So is a photograph of 2, 4 and 8 colors that is unknown over a third of it."""
    picture = Image.fromarray(astronaut()).resize((320, 320)).quantize(count).convert("RGB")
    trimap = disk_trimap((320, 320), 110, 50)
    with collect_notes() as facts:
        alpha = closed_form_matting(np.asarray(picture), trimap)
    assert np.isfinite(alpha).all()
    assert facts["error"] <= 1e-4
    assert facts["iterations"] <= 12


def test_breakdown_is_met_by_smoothness(cat, monkeypatch):
    """Where the factor is of no use, windows ask for equal alpha a little, that is noted, and alpha changes little."""
    real, calls = laplacian._factor, []

    def first_is_useless(*args):
        calls.append(args)
        return real(*args) if len(calls) > 1 else lambda residual: np.full_like(residual, np.nan)

    trimap = disk_trimap(cat.shape[:2], 90, 40)
    expected = closed_form_matting(cat, trimap)
    monkeypatch.setattr(laplacian, "_factor", first_is_useless)
    with collect_notes() as facts:
        alpha = closed_form_matting(cat, trimap)
    assert facts["smoothness"] == 1e-6
    assert np.abs(alpha - expected).max() < 0.02


def test_no_finite_solution_is_an_error(cat, monkeypatch):
    """Alpha that is not finite is never returned."""
    monkeypatch.setattr(laplacian, "_factor", lambda *args: lambda residual: np.full_like(residual, np.nan))
    with pytest.raises(LayerError, match="no finite solution; raise epsilon"):
        closed_form_matting(cat, disk_trimap(cat.shape[:2], 90, 40))


def test_refuses_what_does_not_fit(cat):
    """An unknown region too large for the memory allowed is an error that says how large, before it is taken."""
    trimap = disk_trimap(cat.shape[:2], 90, 40)
    with pytest.raises(LayerError, match=r"max_memory = 0.001 GB, got \d+ pixels"):
        closed_form_matting(cat, trimap, max_memory=0.001)


def test_warns_when_it_stops_early(cat):
    """A solve that stops at its limit says so, with the residual, and still returns alpha in 0..1."""
    trimap = disk_trimap(cat.shape[:2], 90, 40)
    with pytest.warns(ConvergenceWarning, match="residual .* after 1 iteration"):
        alpha = closed_form_matting(cat, trimap, max_iterations=1, tolerance=1e-12)
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize(("trimaps", "kept"), [("trimaps", 1.306), ("trimaps2", 1.940)])
def test_error_on_matting_pictures(data, trimaps, kept):
    """The sum of absolute differences to the true alpha stays what PyMatting 1.1.13 reaches, within 1 %."""

    def read(folder, name):
        return np.asarray(
            Image.open(data / "test" / "matting" / folder / name).convert("RGB" if folder == "images" else "L")
        )

    name = "GT12.png"
    trimap, truth = as_layer("trimap", read(trimaps, name)), read("alphas", name) / 255
    alpha = closed_form_matting(read("images", name), trimap)
    assert np.abs(alpha - truth)[trimap == 128].sum() / 1000 <= 1.01 * kept


def test_equals_pymatting(cat):
    """PyMatting, solving the same system to 1e-9, gives the same alpha to 1e-3."""
    pymatting = pytest.importorskip("pymatting")
    image, trimap = cat[60:200, 100:260], disk_trimap((140, 160), 45, 20)
    with np.errstate(all="ignore"):
        expected = pymatting.estimate_alpha_cf(np.float64(image), trimap / 255, cg_kwargs={"rtol": 1e-9})
    assert np.abs(closed_form_matting(image, trimap) - expected).max() <= 1e-3


def test_flat_pieces_with_sharp_edges():
    """Where large flat areas leave alpha nearly free, float32 loses pivots; the solve still converges, in range."""
    rng = np.random.default_rng(0)
    image = np.full((200, 300, 3), (0.2, 0.4, 0.6), np.float32)
    for _ in range(40):
        row, col = rng.integers(0, 180), rng.integers(0, 280)
        image[row : row + 15, col : col + 15] = rng.random(3)
    trimap = np.full((200, 300), 128, np.uint8)
    trimap[:10], trimap[95:105, 140:160] = 0, 255
    with collect_notes() as facts:
        alpha = closed_form_matting(image, trimap)
    assert np.isfinite(alpha).all()
    assert 0.1 < alpha.mean() < 0.9
    assert facts["residual"] < 1e-3
