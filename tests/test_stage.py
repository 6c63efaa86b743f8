"""@stage: a function stays a function, and is checked when called from outside."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest

from bgkit.errors import LayerError, ParamError
from bgkit.params import Range
from bgkit.stage import collect_notes, note, stage


@stage(gives="mask")
def brighter(image, plate=None, *, than: Annotated[float, Range(0, 1)] = 0.5):
    """Mark what is brighter.

    Parameters
    ----------
    image : array
    than : float
        Larger marks less.
    """
    note(plate=plate is not None)
    return (image.mean(2) > than).astype(np.float32)


def test_positional_names_are_layers():
    """Needed layers have no default, used ones have None."""
    info = brighter.stage
    assert (info.name, info.gives, info.needs, info.uses) == ("brighter", "mask", ("image",), ("plate",))
    assert list(info.params) == ["than"]
    assert list(info.settings) == ["than", "merge"]
    assert info.summary == "Mark what is brighter."


def test_direct_call_takes_any_dtype():
    """From outside, uint8 is fine."""
    assert brighter(np.full((2, 2, 3), 255, np.uint8)).tolist() == [[1, 1], [1, 1]]


def test_direct_call_checks():
    """Wrong parameters and layers are named with the stage."""
    picture = np.zeros((2, 2, 3))
    with pytest.raises(ParamError, match=r"^brighter\.than: expected 0\.\.1, got 2"):
        brighter(picture, than=2)
    with pytest.raises(ParamError, match=r"^brighter\.thn: no such parameter; did you mean 'than'"):
        brighter(picture, thn=1)
    with pytest.raises(LayerError, match="needs the layer 'image'"):
        brighter()
    with pytest.raises(LayerError, match="share a size"):
        brighter(picture, np.zeros((3, 2, 3)))
    with pytest.raises(TypeError, match="parameters go by name"):
        brighter(picture, picture, 0.5)


def test_notes_reach_whoever_collects():
    """note() tells the runner, and nobody outside a run."""
    brighter(np.zeros((2, 2, 3)))
    with collect_notes() as facts:
        brighter(np.zeros((2, 2, 3)), np.zeros((2, 2, 3)))
    assert facts == {"plate": True}


@pytest.mark.parametrize(
    "source", ["def f(picture): ...", "def f(image, *, a: float): ...", "def f(image, *, merge: bool = True): ..."]
)
def test_wrong_declarations_fail_at_once(source):
    """An unknown layer, a parameter without default and the reserved word are the author's errors."""
    names: dict = {}
    exec(source, names)
    with pytest.raises(TypeError):
        stage(gives="mask")(names["f"])
