"""The model card's kinds of picture are told by rules that find what they are for, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kinds import GLASS, WHERE, kinds

SIDE = 200


def scene(*boxes: tuple[int, int, int, int], color=(0.9, 0.1, 0.1), ground=(0.1, 0.6, 0.2)):
    """A picture and its truth: boxes (top, bottom, left, right) of one color on a ground."""
    truth = np.zeros((SIDE, SIDE), np.float32)
    for top, bottom, left, right in boxes:
        truth[top:bottom, left:right] = 1
    picture = np.where(truth[..., None] > 0, np.float32(color), np.float32(ground))
    return picture, truth


BODY = (40, 100, 40, 160)
LEGS = [(100, 160, left, left + 3) for left in (50, 80, 110, 140)]


@pytest.mark.parametrize(
    ("kind", "drawn", "place"),
    [
        ("cut by the frame", scene((50, 200, 40, 160)), (195, 100)),
        ("several subjects", scene((20, 100, 20, 100), (130, 170, 130, 170)), (150, 150)),
        ("thin legs, stems", scene(BODY, *LEGS), (130, 51)),
        ("light parts like their ground", scene(BODY, color=(0.95,) * 3, ground=(0.9,) * 3), (70, 100)),
        ("dark parts like their ground", scene(BODY, color=(0.1,) * 3, ground=(0.15,) * 3), (70, 100)),
    ],
)
def test_a_kind_is_found_with_its_place(kind, drawn, place):
    """Each rule finds its kind alone, where the trouble is, and not in all of the picture."""
    found = kinds("drawn", *drawn)
    assert list(found) == [kind]
    assert found[kind][place]
    assert not found[kind][2, 2]


def test_an_easy_picture_is_of_no_kind():
    """A solid subject of another color than its ground, in the middle, is none; a speck beside it is no subject."""
    assert kinds("drawn", *scene(BODY)) == {}
    assert kinds("drawn", *scene(BODY, (180, 190, 180, 190))) == {}


def test_what_the_frame_cuts_is_not_thin():
    """A subject that shows a narrow strip at the frame goes on beyond it."""
    assert "thin legs, stems" not in kinds("drawn", *scene((0, 200, 0, 3)))


def test_glass_is_told_by_name():
    """No rule sees glass: the list names the pictures, and nothing else is of that kind."""
    picture, truth = scene(BODY)
    assert list(kinds(next(iter(GLASS)), picture, truth)) == ["glass"]
    assert set(WHERE) >= {"glass"}
