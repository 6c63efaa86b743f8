"""Confidence without truth: signs get worse with the result, the fit is what it says, the curve too."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import disk_scene

from benchmarks.confidence import CODE, PAGE, SETTINGS
from benchmarks.pages import named, with_fit
from bgkit.comparison.confidence import FIT, confidence, rank_correlation, reasons, risk_coverage
from bgkit.comparison.signs import SIGNS, signs
from bgkit.layers import Layers
from bgkit.logistic import Logistic, fit_logistic


@pytest.fixture(scope="module")
def seen():
    """A scene, and two witnesses that see it rightly."""
    image, alpha = disk_scene()
    return image, alpha, (alpha, alpha)


def read(seen, alpha, mask=None, facts=None) -> dict[str, float]:
    image, _, witnesses = seen
    return signs(Layers(image, alpha=np.float32(alpha), mask=mask, facts=facts or {}), witnesses)


def test_right_result_shows_no_trouble(seen):
    """Of the true alpha of a plain scene every sign is near nothing."""
    found = read(seen, seen[1])
    assert set(found) == set(SIGNS)
    assert max(found.values()) < 0.1, found


def with_island(alpha):
    changed = alpha.copy()
    changed[:12, :20] = 1
    return changed


def with_hole(alpha):
    changed = alpha.copy()
    changed[44:54, 58:70] = 0
    return changed


@pytest.mark.parametrize(
    ("sign", "spoil"),
    [
        ("unsure", lambda alpha: 0.25 + 0.5 * alpha),
        ("parts", with_island),
        ("holes", with_hole),
        ("border", with_island),
        ("small", lambda alpha: alpha * (np.indices(alpha.shape)[0] < 23)),
        ("large", np.ones_like),
        ("key_differs", lambda alpha: 1 - alpha),
        ("network_differs", lambda alpha: 1 - alpha),
        ("faint", lambda alpha: np.roll(alpha, 20, axis=1)),
        ("rough", lambda alpha: alpha * (np.indices(alpha.shape)[1] % 8 < 6)),
    ],
)
def test_sign_shows_its_trouble(seen, sign, spoil):
    """Each sign rises where its trouble is made."""
    good, bad = read(seen, seen[1]), read(seen, spoil(seen[1]))
    assert bad[sign] > good[sign] + 0.04


def test_matting_that_moves_the_mask_shows(seen):
    """An alpha far from the mask it came from raises ``moved``; an unsure mask ``mask_unsure``."""
    found = read(seen, seen[1], mask=np.full_like(seen[1], 0.5))
    assert found["moved"] > 1
    assert found["mask_unsure"] > 0.9


def test_unsolved_counts_powers_of_ten(seen):
    """A residual of 1e-3 misses 1e-5 by two powers of ten; none misses nothing."""
    assert read(seen, seen[1], facts={"closed_form_matting": {"residual": 1e-3}})["unsolved"] == pytest.approx(2)
    assert read(seen, seen[1])["unsolved"] == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_signs_of_any_picture_are_numbers(shape, level):
    """Thin and constant pictures have finite signs, with the real witnesses."""
    image = np.full((*shape, 3), level, np.float32)
    found = signs(Layers(image, alpha=np.full(shape, level, np.float32)))
    assert np.isfinite(list(found.values())).all()


def test_spoiled_result_is_trusted_less(seen):
    """The confidence as shipped drops from a right result to the opposite and to an unsure one."""
    right = confidence(read(seen, seen[1]))
    assert right > 0.8
    assert confidence(read(seen, 1 - seen[1])) < 0.4
    assert confidence(read(seen, 0.25 + 0.5 * seen[1])) < 0.2


def test_no_sign_of_trouble_raises_confidence():
    """Every weight of the shipped fit is negative, and of a sign there is."""
    assert all(weight < 0 for weight in FIT.weights.values())
    assert set(FIT.weights) <= set(SIGNS)


def test_reasons_name_the_costliest_signs(seen):
    """What costs most is named first, and what costs nothing never."""
    assert reasons(read(seen, seen[1])) == []
    assert "unsure" in reasons(read(seen, 0.25 + 0.5 * seen[1]))


def test_command_writes_the_fit_that_is_shipped():
    """What ``benchmarks/confidence.py --write`` would put in for the shipped fit is what stands there, so a new one
    lands in its place."""
    code = CODE.read_text(encoding="utf-8")
    assert with_fit(code, "FIT", FIT) == code
    assert "    1.500,\n" in with_fit(code, "FIT", Logistic(1.5, {"holes": -1.0}))


def test_page_has_the_blocks_that_the_command_writes():
    """Each block of figures on the page has its name."""
    assert named(PAGE.read_text(encoding="utf-8")) == ["work", "table", "reliability", "alone"]


def test_fit_finds_the_chance():
    """From draws by a known law the fit returns about that law; a sign without say gets none."""
    rng = np.random.default_rng(0)
    rows = [{"holes": a, "noise": b} for a, b in rng.uniform(0, 1, (4000, 2))]
    law = Logistic(2.0, {"holes": -5.0})
    good = [rng.uniform() < law.chance(row) for row in rows]
    found = fit_logistic(rows, good, **SETTINGS)
    assert found.start == pytest.approx(2, abs=0.25)
    assert found.weights["holes"] == pytest.approx(-5, abs=0.4)
    assert found.weights.get("noise", 0) > -0.4


def test_fit_praises_no_trouble():
    """A sign that goes with good results by accident gets no weight."""
    rows = [{"holes": float(value)} for value in range(10)]
    assert fit_logistic(rows, [value >= 5 for value in range(10)], **SETTINGS).weights == {}


def test_curve_of_a_useless_order_is_flat():
    """Where all are equally sure, any share kept has the mean error."""
    np.testing.assert_allclose(risk_coverage([0.5] * 4, [1, 2, 3, 6]), 3)


def test_rank_correlation_averages_ties():
    """As SciPy has it."""
    from scipy.stats import spearmanr

    a, b = [1, 1, 2, 5, 4], [3, 1, 2, 2, 9]
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
