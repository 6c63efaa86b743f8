"""Retouching: strokes hold exactly, spread to what looks like them, and change nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import bgkit
from bgkit.pipelinefile import load_pipeline, shipped
from bgkit.stages import retouch

ROWS, COLS = 120, 180
row, col = np.mgrid[:ROWS, :COLS]


def disk(center: int) -> np.ndarray:
    """Return the soft-edged alpha of a disk of radius 30 at a column of the middle row."""
    return np.clip(30.5 - np.hypot(row - ROWS / 2, col - center), 0, 1).astype(np.float32)


def picture(*parts: tuple[np.ndarray, tuple[float, float, float]]) -> np.ndarray:
    """Return alphas in their colors on a light ground, with a little noise."""
    image = np.full((ROWS, COLS, 3), 0.85, np.float32)
    for alpha, color in parts:
        image = image * (1 - alpha[..., None]) + np.float32(color) * alpha[..., None]
    noise = np.random.default_rng(3).normal(0, 0.01, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)


RED, BLUE = (0.8, 0.1, 0.1), (0.1, 0.2, 0.7)
LEFT, RIGHT = disk(45), disk(135)
TWO = picture((LEFT, RED), (RIGHT, BLUE))


def stroke(value: int, top: int, bottom: int, left: int, right: int, drawn: np.ndarray | None = None) -> np.ndarray:
    """Return strokes with one more box."""
    drawn = np.full((ROWS, COLS), 128, np.uint8) if drawn is None else drawn.copy()
    drawn[top:bottom, left:right] = value
    return drawn


def test_without_strokes_alpha_stays():
    """No strokes, and strokes that say nothing, give the same bits."""
    nothing = np.full(LEFT.shape, 128, np.uint8)
    assert (retouch(TWO, LEFT) == LEFT).all()
    assert (retouch(TWO, LEFT, nothing) == LEFT).all()


def test_one_stroke_brings_a_missing_part_back():
    """A short stroke on the disk that was not found brings all of it, with its soft edge."""
    given = retouch(TWO, LEFT, stroke(255, 55, 65, 125, 140), reach=400)
    assert np.abs(given - np.maximum(LEFT, RIGHT)).max() < 0.2
    assert np.abs(given - np.maximum(LEFT, RIGHT)).mean() < 0.001


def test_one_stroke_takes_a_wrong_part_away():
    """A short stroke that removes takes the disk that should not be there, and leaves the other."""
    given = retouch(TWO, np.maximum(LEFT, RIGHT), stroke(0, 55, 65, 125, 140), reach=400)
    assert np.abs(given - LEFT).max() < 0.2
    assert np.abs(given - LEFT).mean() < 0.001


def test_strokes_hold_exactly():
    """1 and 0 under strokes, wherever and on whatever they lie."""
    rng = np.random.default_rng(5)
    for _ in range(6):
        drawn = np.full(LEFT.shape, 128, np.uint8)
        for value in (255, 0, 255, 0):
            top, left = rng.integers(0, ROWS - 12), rng.integers(0, COLS - 12)
            drawn[top : top + rng.integers(1, 12), left : left + rng.integers(1, 12)] = value
        given = retouch(TWO, LEFT, drawn)
        assert (given[drawn == 255] == 1).all()
        assert (given[drawn == 0] == 0).all()


def test_agreeing_strokes_change_nothing():
    """A stroke that says what alpha says already leaves every pixel as it was."""
    drawn = stroke(0, 5, 15, 80, 100, stroke(255, 50, 70, 40, 50))
    assert (retouch(TWO, LEFT, drawn) == LEFT).all()


def test_nothing_changes_beyond_the_reach():
    """Farther from the stroke than reach and width together alpha keeps its bits."""
    diagonal = np.hypot(ROWS, COLS)
    given = retouch(TWO, LEFT, stroke(255, 58, 62, 133, 137), reach=50, width=8)
    distance = np.maximum(np.abs(row - 59.5) - 2, 0) ** 2 + np.maximum(np.abs(col - 134.5) - 2, 0) ** 2
    far = np.sqrt(distance) > (50 + 8) / 1000 * diagonal + 3
    assert (given[far] == LEFT[far]).all()
    assert given[60, 138] > 0.3


def test_a_reach_of_0_paints():
    """Only the stroke and the band around it change."""
    given = retouch(TWO, LEFT, stroke(255, 50, 70, 125, 145), reach=0, width=8)
    changed = given != LEFT
    assert changed[50:70, 125:145].all()
    changed[46:74, 121:149] = False
    assert not changed.any()


def test_opposite_strokes_part_one_color():
    """Keep on the left and remove on the right half of one disk: the line lies between them."""
    drawn = stroke(0, 40, 80, 145, 150, stroke(255, 40, 80, 120, 125))
    given = retouch(TWO, RIGHT * 0, drawn, reach=400)
    assert given[60, 118] > 0.95
    assert given[60, 152] < 0.05


def test_what_is_around_enters_as_it_is():
    """Beside a fractional alpha the part that comes back keeps a soft seam, no hole and no step."""
    half = np.where(col < 135, RIGHT, 0).astype(np.float32)
    given = retouch(TWO, half, stroke(255, 50, 70, 145, 152), reach=400)
    assert given[60, 125:150].min() > 0.95


@pytest.mark.parametrize("name", sorted(set(shipped()) - {"strokes"}))
def test_shipped_pipelines_take_strokes(name):
    """Every shipped pipeline corrects by strokes; an alpha that is brought is the one they correct."""
    pipeline = load_pipeline(name)
    assert "retouch" in [step.name for step in pipeline.plan({"image", "strokes", *pipeline.needs()})]
    steps = [step.name for step in pipeline.plan({"image", "strokes", "alpha"})]
    assert "retouch" in steps
    assert not {"cnn_mask", "closed_form_matting", "plate_matting"} & set(steps)


def test_strokes_correct_a_result_in_one_call():
    """bgkit.remove with strokes: the pipeline's own alpha, corrected."""
    cut = bgkit.remove(TWO, "classical", strokes=stroke(0, 55, 65, 125, 140))
    assert cut.alpha[60, 45] == 1
    assert cut.alpha[60, 130] == 0
    assert cut.alpha[60, 150] < 0.02
