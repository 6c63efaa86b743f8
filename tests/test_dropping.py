"""The background without its subject: a hole, or a hole filled with what is around it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import disk_scene

from bgkit.cli import app
from bgkit.errors import LayerError
from bgkit.layers import Layers
from bgkit.pipelinefile import load_pipeline
from bgkit.stages import drop_subject

FILLS = ["telea", "navier-stokes", "biharmonic"]


def slope(shape=(90, 120)):
    """Return a background that grows lighter to the right."""
    light = np.linspace(0.3, 0.8, shape[1], dtype=np.float32)
    return np.broadcast_to(light[None, :, None], (*shape, 3)).copy()


def before(ground):
    """Return a picture of a red disk before a ground, and its alpha."""
    row, col = np.indices(ground.shape[:2])
    alpha = np.clip(20.5 - np.hypot(row - 45, col - 60), 0, 1).astype(np.float32)
    return (alpha[..., None] * np.float32([0.9, 0, 0]) + (1 - alpha[..., None]) * ground).astype(np.float32), alpha


def test_a_hole_is_what_the_subject_leaves():
    """Opacity is 1 - alpha, and the color of clear pixels is the picture's, bit for bit."""
    image, alpha = before(slope())
    left = drop_subject(image, alpha)
    np.testing.assert_array_equal(left[:, :, 3], 1 - alpha)
    np.testing.assert_array_equal(left[alpha == 0][:, :3], image[alpha == 0])


def test_the_subject_is_taken_out_of_soft_pixels():
    """With the subject's color known, the rim shows the background alone."""
    ground = slope()
    image, alpha = before(ground)
    left = drop_subject(image, alpha, np.broadcast_to(np.float32([0.9, 0, 0]), image.shape))
    rim = (alpha > 0) & (alpha < 0.9)
    np.testing.assert_allclose(left[rim][:, :3], ground[rim], atol=1e-4)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("side", [60, 400])
def test_a_filled_hole_goes_on_with_the_ground(fill, side):
    """A smooth ground comes back under the subject, and nothing else changes."""
    ground = slope()
    image, alpha = before(ground)
    filled = drop_subject(image, alpha, fill=fill, side=side)
    assert filled.shape == (90, 120, 3)
    assert np.abs(filled - ground).max() < 0.12
    assert np.abs(filled - ground).mean() < 0.01
    far = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((9, 9))) == 0
    np.testing.assert_array_equal(filled[far], image[far])


@pytest.mark.parametrize("fill", ["none", *FILLS])
def test_without_a_subject_all_is_background(fill):
    """An alpha of 0 leaves the picture as it is."""
    kept = drop_subject(slope(), np.zeros((90, 120)), fill=fill)
    np.testing.assert_array_equal(kept[:, :, :3], slope())
    assert kept.shape[2] == 3 or (kept[:, :, 3] == 1).all()


@pytest.mark.parametrize("fill", FILLS)
def test_nothing_to_fill_from_is_refused(fill):
    """Where the subject fills the picture, nothing says what lies behind."""
    with pytest.raises(LayerError, match="needs some background around the subject"):
        drop_subject(slope(), np.ones((90, 120)), fill=fill)


def test_clear_parts_of_the_picture_stay_clear():
    """A picture's own alpha channel is the background's too, with a hole and without."""
    image, alpha = before(slope())
    opacity = np.ones_like(alpha)
    opacity[:, :30] = 0
    given = Layers(image, opacity=opacity, alpha=alpha * opacity)
    chain = load_pipeline("classical").giving("background")
    assert (chain.run(given).background[:, :30, 3] == 0).all()
    filled = chain.with_values({"drop_subject.fill": "telea"}).run(given).background
    np.testing.assert_array_equal(filled[:, :, 3], opacity)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with a picture."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("photo.png", np.rint(255 * disk_scene()[0][..., ::-1]).astype(np.uint8))


def bgkit(*args, status=0):
    result = CliRunner().invoke(app, ["remove", "photo.png", "-p", "classical", *args])
    assert result.exit_code == status, result.stderr
    return result.stderr


def test_layer_background_with_any_pipeline(shop):
    """The option makes the layer where the pipeline does not, with the hole left empty."""
    bgkit("--layer", "background")
    left = cv2.imread("photo-background.png", cv2.IMREAD_UNCHANGED)
    assert left[48, 64, 3] == 0
    assert left[5, 5, 3] == 255


def test_layer_background_filled_as_a_jpg(shop):
    """With the hole filled the file needs no transparency; without, that is said before anything is done."""
    assert "drop_subject.fill=telea" in bgkit("--layer", "background", "--format", "jpg", status=2)
    bgkit("--layer", "background", "--format", "jpg", "--set", "drop_subject.fill=telea")
    assert np.abs(cv2.imread("photo-background.jpg").astype(int) - 230).max() < 40
    assert Path("photo-background.jpg").is_file()
