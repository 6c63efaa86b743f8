"""``bgkit remove --strip`` and ``--zip``, and what stands behind them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import disk_scene

from bgkit.batch.packing import pack
from bgkit.batch.strips import strip
from bgkit.cli import app
from bgkit.errors import LayerError
from bgkit.imagefile import read_picture, write_picture
from bgkit.layers import Layers

CHAIN = "bgkit: 1\nstages:\n  - luv_threshold\n  - composite: {background: none}\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test works in a folder with two drawn pictures below ``shots`` and the pipeline key.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("shots/sub").mkdir(parents=True)
    write_picture("shots/a.png", disk_scene(20, 30)[0])
    write_picture("shots/sub/b.png", disk_scene(24, 30)[0])
    Path("key.yaml").write_text(CHAIN)


def remove(*args: str, status: int = 0):
    result = CliRunner().invoke(app, ["remove", "-p", "key.yaml", *args])
    assert result.exit_code == status, result.stderr
    return result


def test_strip_shows_picture_subject_and_matte():
    """Left the picture, in the middle the subject's color on white, right the matte."""
    image, alpha = disk_scene(8, 10)
    made = strip(Layers(image, alpha=alpha, foreground=np.zeros_like(image)))
    assert made.shape == (8, 30, 3)
    np.testing.assert_array_equal(made[:, :10], image)
    np.testing.assert_allclose(made[:, 10:20], np.repeat(1 - alpha[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(made[:, 20:, 1], alpha)


def test_strip_needs_an_alpha():
    """Without an alpha there is an error that says what is there."""
    with pytest.raises(LayerError, match="expected an alpha"):
        strip(Layers(disk_scene()[0]))


def test_strips_are_written():
    """--strip writes pictures three times as wide, under a name of their own."""
    remove("shots/a.png", "--strip")
    assert read_picture("shots/a-strip.png").image.shape == (20, 90, 3)


def test_strip_and_layer_contradict_each_other():
    """Two wishes for what is written are an error, before anything is."""
    assert "leave out --layer" in remove("shots", "-o", "cut", "--strip", "--layer", "mask", status=2).stderr
    assert not Path("cut").exists()


def test_zip_holds_every_result():
    """The zip has the results as they stand below the output folder, those of an earlier run too."""
    remove("shots", "-o", "cut")
    remove("shots", "-o", "cut", "--zip", "cut.zip")
    with zipfile.ZipFile("cut.zip") as archive:
        assert archive.namelist() == ["a.png", "sub/b.png"]
        assert archive.read("sub/b.png") == Path("cut/sub/b.png").read_bytes()


def test_zip_leaves_out_what_failed():
    """A picture that failed is not in the zip, and the status says so."""
    Path("shots/c.png").write_bytes(b"no picture")
    remove("shots", "-o", "cut", "--zip", "cut.zip", status=1)
    assert zipfile.ZipFile("cut.zip").namelist() == ["a.png", "sub/b.png"]


def test_no_empty_zip():
    """Where nothing was done there is no zip, and an error that says why."""
    Path("bad.png").write_bytes(b"no picture")
    assert "no result to put there" in remove("bad.png", "--zip", "cut.zip", status=1).stderr
    assert not Path("cut.zip").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("cut.rar", "ends in .zip"), ("no/cut.zip", "there is no folder no"), ("dir.zip", "is a folder")],
)
def test_zip_is_checked_first(name, reason):
    """A zip that cannot be written stops the command before the first picture."""
    Path("dir.zip").mkdir()
    assert reason in remove("shots", "-o", "cut", "--zip", name, status=2).stderr
    assert not Path("cut").exists()


def test_zip_is_whole_or_not_there():
    """When a file to be packed is gone, the zip that stood there stays, and nothing half-written does."""
    Path("cut.zip").write_bytes(b"old")
    with pytest.raises(OSError, match="gone"):
        pack(Path("cut.zip"), [Path("shots/a.png"), Path("shots/gone.png")])
    assert Path("cut.zip").read_bytes() == b"old"
    assert not list(Path().glob(".bgkit-*"))
