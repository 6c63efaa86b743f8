"""rembg's and remove.bg's options as pipelines, without a server."""

from __future__ import annotations

import pytest

from bgkit.dialects import rembg, removebg
from bgkit.errors import ModelError, ParamError
from bgkit.pipelinefile import load_pipeline

SIZE = (200, 400)  # rows, columns


def values_of(pipeline, stage: str) -> dict:
    return next(dict(step.values) for step in pipeline.steps if step.name == stage)


def placed(**fields) -> dict:
    return values_of(removebg.pipeline_of(load_pipeline("classical"), size=SIZE, **fields), "place")


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({"crop": True}, {"crop": True}),
        ({"crop_margin": "10%"}, {"margin": (0.1, 0.1, 0.1, 0.1), "border": (0, 0, 0, 0)}),
        ({"crop_margin": "20px"}, {"margin": (0, 0, 0, 0), "border": (0.1, 0.05, 0.1, 0.05)}),
        ({"crop_margin": "10px 40px"}, {"border": (0.05, 0.1, 0.05, 0.1)}),
        ({"crop_margin": "1% 2% 3% 4%"}, {"margin": (0.01, 0.02, 0.03, 0.04)}),
        ({"scale": "80%"}, {"scale": 0.8, "position": "given", "row": 0.5, "col": 0.5}),
        ({"position": "center"}, {"position": "given", "row": 0.5, "col": 0.5}),
        ({"position": "10% 90%"}, {"position": "given", "row": 0.9, "col": 0.1}),
        ({"scale": "50%", "position": "original"}, {"scale": 0.5, "position": "original"}),
        ({"background": "#102030"}, {"color": "#102030"}),
    ],
)
def test_placement(fields, values):
    """Each of remove.bg's fields sets the value of the stage place that it means; px are shares of their side."""
    found = placed(**fields)
    assert {name: found[name] for name in values} == values


def test_region():
    """A region of interest in px counts columns against the width and rows against the height."""
    pipeline = removebg.pipeline_of(load_pipeline("classical"), size=SIZE, roi="40px 20px 50% 999px")
    assert values_of(pipeline, "region") == {"left": 0.1, "top": 0.1, "right": 0.5, "bottom": 1.0}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("roi", "5 5 1 9"),
        ("roi", "1 2 3"),
        ("crop_margin", "1 2 3"),
        ("crop_margin", "60%"),
        ("crop_margin", "-1px"),
        ("scale", "5%"),
        ("scale", "20px"),
        ("position", "101%"),
        ("position", "1% 2% 3%"),
    ],
)
def test_texts_that_mean_nothing(name, text):
    """The error begins with the field's name."""
    with pytest.raises(ParamError, match=rf"^{name}: expected"):
        placed(**{name: text})


@pytest.mark.parametrize(
    ("text", "color"),
    [("fff", "#fff"), ("81d4fa", "#81d4fa"), ("#81d4faFF", "#81d4fa"), ("81d4fa00", "none"), ("#fff0", "none")],
)
def test_colors_of_removebg(text, color):
    """Hexadecimal comes with and without its sign and with an opacity of all or nothing."""
    assert removebg.background_of(text) == color


@pytest.mark.parametrize("text", ["1,2", "1,2,3,4,5", "1,2,300", "1,2,3,99", "a,b,c"])
def test_wrong_colors_of_rembg(text):
    """Anything but three or four numbers, and a background that is half clear, is refused."""
    with pytest.raises(ParamError, match=r"^bgc: expected"):
        rembg.background_of(text)


def test_matting_of_rembg():
    """The three numbers of rembg's matting become a trimap's; its square of 10 px is 5 px each way of the diagonal."""
    pipeline = rembg.pipeline_of("u2net", size=(300, 400), a=True, af=255, ab=0, ae=10)
    found = values_of(pipeline, "threshold_trimap")
    assert (found["foreground"], found["background"], found["erosion"]) == (1, 0, pytest.approx(10))
    assert [step.name for step in pipeline.steps][-3:] == ["closed_form_matting", "estimate_foreground", "composite"]


def names_of(**fields) -> list[str]:
    return [step.name for step in rembg.pipeline_of("u2net", size=(300, 400), **fields).steps]


@pytest.mark.parametrize(
    ("fields", "estimated"), [({}, True), ({"dc": False}, False), ({"dc": False, "a": True}, True)], ids=str
)
def test_colors_of_rembg(fields, estimated):
    """The subject's own colors are estimated unless dc says no, and always with matting."""
    assert ("estimate_foreground" in names_of(**fields)) is estimated


def test_vitmatte_of_rembg(monkeypatch):
    """vm puts its network in the place of the closed form, on the same trimap, and colors are estimated."""
    monkeypatch.setattr(rembg, "VITMATTE", "guided-trimap")  # one that is here
    assert names_of(vm=True, a=True, dc=False)[-4:] == [
        *("threshold_trimap", "cnn_matting", "estimate_foreground", "composite")
    ]


def test_vitmatte_that_is_not_here(monkeypatch, tmp_path):
    """The error says how to get it."""
    monkeypatch.setenv("BGKIT_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="bgkit models fetch vitmatte-small"):
        names_of(vm=True)
