"""The methods that PyMatting brings: right where the answer is known, calm where the trimap is odd."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from bgkit import stages
from bgkit.errors import ConvergenceWarning

METHODS = ["knn_matting", "learning_matting", "random_walk_matting", "large_kernel_matting", "shared_matting"]


@pytest.fixture
def band(scene):
    """The disk scene with a trimap whose unknown band is 8 pixels wide."""
    from scipy.ndimage import binary_dilation, binary_erosion

    image, alpha = scene
    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[binary_erosion(alpha > 0.99, iterations=4)] = 255
    trimap[~binary_dilation(alpha > 0.01, iterations=4)] = 0
    part = np.s_[16:56, 30:80]  # an arc of the disk's edge
    return image[part], trimap[part], alpha[part]


@pytest.mark.parametrize("name", METHODS)
def test_disk_on_plain_backdrop(name, band):
    """On two plain colors every method finds the disk: mean error in the band below 0.05, for random walks 0.12."""
    image, trimap, alpha = band
    found = getattr(stages, name)(image, trimap)
    assert np.abs(found - alpha)[trimap == 128].mean() < (0.12 if name == "random_walk_matting" else 0.05)


@pytest.mark.parametrize("name", METHODS)
def test_known_pixels_keep_their_alpha(name, band):
    """Alpha is exactly the trimap's where that is known."""
    image, trimap, _ = band
    found = getattr(stages, name)(image, trimap)
    assert (found[trimap == 0] == 0).all()
    assert (found[trimap == 255] == 1).all()


@pytest.mark.parametrize(("values", "expected"), [((0, 128), 0), ((255, 128), 1), ((128, 128), 0)])
@pytest.mark.parametrize("name", METHODS)
def test_one_sided_trimaps(name, values, expected):
    """Without foreground alpha is 0, without background 1, unknown everywhere 0, as closed form answers."""
    trimap = np.full((9, 12), values[0], np.uint8)
    trimap[:, 5:] = values[1]
    found = getattr(stages, name)(np.full((9, 12, 3), 0.5, np.float32), trimap)
    assert (found == expected).all()


def test_no_convergence_is_a_warning_with_the_residual(band):
    """A solve that is cut short gives what it reached, and says how far that was."""
    image, trimap, _ = band
    with pytest.warns(ConvergenceWarning, match=r"residual \S+ after 2 iterations, expected 1.0e-06"):
        stages.random_walk_matting(image, trimap, max_iterations=2)


def test_pymatting_loads_only_when_used():
    """Importing the stages does not import PyMatting, nor numba."""
    code = "import sys, bgkit.stages.other_matting; print([n for n in ('pymatting', 'numba') if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
