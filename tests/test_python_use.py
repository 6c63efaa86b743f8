"""bgkit in Python as its users expect it: in notebooks, beside NumPy and Pillow, in logs."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import bgkit
from bgkit.errors import LayerError, MissingPartError, ParamError
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.pipelinefile import read_pipeline

KEY = "bgkit: 1\nstages: [luv_threshold, composite]\n"


@pytest.fixture
def cut(scene):
    """A finished picture."""
    return bgkit.remove(scene[0], read_pipeline(KEY), background="none")


def test_layers_show_themselves_in_a_notebook(cut):
    """A small PNG of the result, of what there is before it, and a short text."""
    shown = cv2.imdecode(np.frombuffer(cut._repr_png_(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (96, 128, 4)
    large = Layers.of(np.zeros((300, 960, 3), np.uint8), trimap=np.zeros((300, 960), np.uint8))
    assert cv2.imdecode(np.frombuffer(large._repr_png_(), np.uint8), cv2.IMREAD_UNCHANGED).shape == (150, 480)
    assert repr(cut) == "Layers(96 x 128 (rows x columns): image, mask, alpha, result)"


def test_an_array_of_layers_is_the_result(cut):
    """Without a result there is an error that says what was made."""
    assert (np.asarray(cut) == cut.result).all() and np.asarray(cut, np.float64).dtype == np.float64
    with pytest.raises(LayerError, match="result: expected one of the layers that were made: image"):
        np.asarray(Layers.of(np.zeros((2, 2, 3))))


def test_pil_and_bytes(cut, tmp_path):
    """Both hold what save writes."""
    from PIL import Image

    cut.save(tmp_path / "a.png")
    assert cut.to_bytes("png") == (tmp_path / "a.png").read_bytes()
    picture = cut.to_pil()
    assert picture.mode == "RGBA" and (np.asarray(picture) == np.asarray(Image.open(tmp_path / "a.png"))).all()
    assert cut.to_pil("alpha").mode == "L"
    assert Image.open(io.BytesIO(cut.to_bytes("webp", "alpha"))).size == (128, 96)
    with pytest.raises(LayerError, match="did you mean 'alpha'"):
        cut.to_bytes("png", "alhpa")


def test_background_as_a_keyword(scene):
    """A color's name or three numbers; a pipeline without composite says so."""
    chain = read_pipeline(KEY)
    white, red = (bgkit.remove(scene[0], chain, background=each).result for each in ("white", (255, 0, 0)))
    assert white[0, 0].tolist() == [1, 1, 1] and red[0, 0].tolist() == [1, 0, 0]
    with pytest.raises(ParamError, match=r"^background: the pipeline 'pipeline' has no stage composite"):
        bgkit.remove(scene[0], read_pipeline("bgkit: 1\nstages: [luv_threshold]"), background="white")


@pytest.mark.parametrize("background", [(1, 2), (1.0, 1.0, 1.0), np.array([0.1, 0.2, 0.3]), True, 5, {1, 2, 3}])
def test_background_that_is_no_color(scene, background):
    """Fractions too: white as 1.0 would be nearly black."""
    with pytest.raises(ParamError, match=r"background: expected a "):
        bgkit.remove(scene[0], read_pipeline(KEY), background=background)


def test_background_as_a_path(scene, tmp_path):
    """A path is as good as its text."""
    write_picture(tmp_path / "red.png", np.tile(np.float32([1, 0, 0]), (8, 8, 1)))
    assert bgkit.remove(scene[0], read_pipeline(KEY), background=tmp_path / "red.png").result[0, 0].tolist() == [
        1,
        0,
        0,
    ]


@pytest.mark.parametrize("ragged", [{"picture": [[1, 2], [3]]}, {"mask": [[0.0, 1.0], [1.0]]}])
def test_lists_of_unequal_length(scene, ragged):
    """They are no array, and are refused by the layer's name."""
    name = "image" if "picture" in ragged else "mask"
    with pytest.raises(LayerError, match=f"^{name}: expected an array, got lists of unequal length"):
        bgkit.remove(**{"picture": scene[0], "pipeline": read_pipeline(KEY), **ragged})


@pytest.mark.parametrize("timeout", ["3", (1,), True, 0, float("nan")])
def test_timeout_that_is_no_time(scene, timeout):
    """It is refused by its name."""
    with pytest.raises(ParamError, match=r"^timeout: expected seconds above 0, got "):
        bgkit.remove(scene[0], read_pipeline(KEY), timeout=timeout)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("only_mask", r"\.alpha of what is returned"),
        ("bgcolor", r"background=\(r, g, b\)"),
        ("session", "cnn_mask.model"),
        ("backgroud", "did you mean 'background'"),
    ],
)
def test_words_of_other_tools_have_a_hint(scene, word, hint):
    """A keyword of rembg.remove, or a misspelled one, is answered with ours."""
    with pytest.raises(LayerError, match=f"^{word}: no such keyword; .*{hint}"):
        bgkit.remove(scene[0], **{word: True})


def test_logging(scene, caplog, tmp_path, monkeypatch):
    """Under the name bgkit: a line for each stage at DEBUG, for each picture of a batch at INFO."""
    monkeypatch.chdir(tmp_path)
    Path("key.yaml").write_text(KEY)
    cv2.imwrite("a.png", np.rint(scene[0][..., ::-1] * 255))
    with caplog.at_level(logging.DEBUG, "bgkit"):
        bgkit.remove_many("a.png", "b.png", "key.yaml")
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "bgkit"]
    assert ("INFO", "a.png -> b.png") in lines
    assert [text.split(": ")[:2] for level, text in lines if level == "DEBUG"][:2] == [
        ["key", "luv_threshold"],
        ["key", "composite"],
    ]


def test_a_misspelled_name_of_the_package():
    """Is answered with the nearest."""
    with pytest.raises(AttributeError, match="did you mean 'remove_many'"):
        _ = bgkit.remove_manny


def test_methods_of_an_extra_say_which(scene, monkeypatch):
    """Without PyMatting its methods say how to get it."""
    monkeypatch.setitem(sys.modules, "pymatting", None)
    trimap = np.full(scene[1].shape, 128, np.uint8)
    trimap[:8], trimap[-8:] = 0, 255
    with pytest.raises(MissingPartError, match=r'pip install "bgkit\[matting\]"'):
        bgkit.stages.knn_matting(scene[0], trimap)
