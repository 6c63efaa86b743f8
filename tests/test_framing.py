"""Framing: shares of the frame come out as asked, in any shot, and no color of clear pixels gets in."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.errors import LayerError
from bgkit.stage import collect_notes
from bgkit.stages import frame


def shot(top=30, left=50, rows=60, cols=30, shape=(160, 200), clear=False):
    """A red rectangle on white, or on nothing, and its alpha."""
    alpha = np.zeros(shape, np.float32)
    alpha[top : top + rows, left : left + cols] = 1
    picture = np.where(alpha[..., None] > 0, np.float32([0.8, 0.1, 0.1]), np.float32(1))
    return (np.dstack([picture, alpha]) if clear else picture), alpha


def box(result):
    """Rows and columns of the red, as shares of the frame."""
    red = result[..., 1] < 0.5
    rows, cols = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    high, wide = red.shape
    return rows[0] / high, (rows[-1] + 1) / high, cols[0] / wide, (cols[-1] + 1) / wide


@pytest.mark.parametrize("fill", [0.5, 0.85, 1.0])
def test_the_subject_takes_its_share_and_is_centered(fill):
    """The larger side takes the share; both margins are equal; the frame is square."""
    result = frame(*shot(), fill=fill)
    assert result.shape[0] == result.shape[1]
    top, bottom, left, right = box(result)
    assert bottom - top == pytest.approx(fill, abs=0.02)
    assert top == pytest.approx(1 - bottom, abs=0.02)
    assert left == pytest.approx(1 - right, abs=0.02)


def test_a_series_has_one_scale_and_one_ground_line():
    """Subjects of other place, size and shape get the same height and stand on the same line, to a pixel."""
    options = {"fill": 0.7, "fit": "height", "align": "ground", "ground": 0.9, "size": 400, "enlarge": True}
    shots = [shot(), shot(top=90, left=10), shot(rows=40, cols=33), shot(top=100, rows=60), shot(rows=80, cols=20)]
    for each in shots:
        result = frame(*each, **options)
        assert result.shape == (400, 400, 3)
        top, bottom, left, right = box(result)
        assert bottom == pytest.approx(0.9, abs=1.5 / 400)
        assert bottom - top == pytest.approx(0.7, abs=3 / 400)
        assert left == pytest.approx(1 - right, abs=5 / 400)


def test_the_scale_may_follow_the_picture_and_not_the_subject():
    """Shots of one camera get one scale: a subject of twice the height is twice as high, on the same line."""
    options = {"fit": "picture", "reach": 0.8, "align": "ground", "ground": 0.9, "size": 80}
    tall, short = frame(*shot(rows=80, top=40), **options), frame(*shot(rows=40, top=20, left=130), **options)
    assert tall.shape == short.shape == (80, 80, 3)
    (top, bottom, *_), (other_top, other_bottom, *_) = box(tall), box(short)
    assert bottom == pytest.approx(0.9, abs=1.5 / 80)
    assert other_bottom == pytest.approx(0.9, abs=1.5 / 80)
    assert bottom - top == pytest.approx(0.5, abs=2 / 80)
    assert other_bottom - other_top == pytest.approx(0.25, abs=2 / 80)


@pytest.mark.parametrize(("reach", "outside"), [(0.5, 0.0), (0.3, 1 - 60 / 80), (0.15, 1 - 30 / 80)])
def test_how_much_lies_beyond_the_frame_is_told(reach, outside):
    """80 rows of subject in frames of 100, 60 and 30 rows, all of them as wide as the subject or wider."""
    with collect_notes() as facts:
        frame(*shot(rows=80, cols=30), fit="picture", reach=reach)
    assert facts["outside"] == pytest.approx(outside, abs=0.02)
    assert facts["whole"] is (outside == 0)


def test_a_subject_too_tall_for_its_ground_line_stays_whole():
    """Margins give way before the subject does."""
    top, bottom, *_ = box(frame(*shot(), fill=0.95, align="ground", ground=0.8))
    assert top == 0
    assert bottom == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("aspect", "size", "shape"), [(1.0, 50, (50, 50)), (2.0, 60, (30, 60)), (0.5, 60, (60, 30))])
def test_the_size_is_exact(aspect, size, shape):
    """The longer side has as many pixels as asked."""
    assert frame(*shot(), aspect=aspect, size=size).shape[:2] == shape


@pytest.mark.parametrize("align", ["center", "ground"])
def test_a_picture_is_not_blown_up_unless_asked(align):
    """Without ``enlarge`` a small subject keeps its pixels in a frame of the size asked, and stands where it should."""
    with collect_notes() as facts:
        padded = frame(*shot(), fill=0.5, size=1600, align=align, ground=0.9)
    assert padded.shape == (1600, 1600, 3)
    assert (facts["pixels"], facts["scale"], facts["enlarged"]) == (1600, 1, False)
    top, bottom, left, right = box(padded)
    assert (bottom - top, right - left) == pytest.approx((60 / 1600, 30 / 1600))
    assert facts["filled"] == pytest.approx(60 / 1600)
    assert bottom == pytest.approx(0.9 if align == "ground" else 0.5 + 30 / 1600, abs=1 / 1600)
    assert left == pytest.approx(1 - right, abs=1 / 1600)


def test_a_picture_is_blown_up_when_asked():
    """With ``enlarge`` the subject takes its share of a frame larger than the picture, and it is told."""
    with collect_notes() as facts:
        assert frame(*shot(), fill=0.5, size=240, enlarge=True).shape == (240, 240, 3)
    assert (facts["scale"], facts["enlarged"]) == (2.0, True)


def test_scaling_brings_no_fringes():
    """Green under clear pixels does not get into the edge of a red subject."""
    picture, alpha = shot(clear=True)
    picture[alpha == 0, :3] = [0, 1, 0]
    result = frame(picture, alpha, size=37)
    seen = result[..., 3] > 0
    assert abs(result[seen][:, :3] - np.float32([0.8, 0.1, 0.1])).max() < 1e-3


def test_specks_do_not_move_the_frame():
    """A piece of less than a hundredth of the subject does not count."""
    picture, alpha = shot()
    expected = frame(picture, alpha)
    alpha[2:4, 190:192] = 1
    np.testing.assert_array_equal(frame(picture, alpha), expected)


def test_pure_white_is_kept_and_reported():
    """Margins, old and new, are exactly 1; a gray corner is told."""
    picture, alpha = shot(top=2, left=2)
    with collect_notes() as facts:
        result = frame(picture, alpha, fill=0.5)
    assert (result[box_free(result)] == 1).all()
    assert facts["pure"] == 1
    with collect_notes() as facts:
        frame(np.minimum(picture, 0.98), alpha, fill=0.9)
    assert facts["pure"] < 1


def box_free(result):
    return result[..., 1] >= 0.5


@pytest.mark.parametrize(("place", "whole"), [({}, True), ({"top": 0}, False), ({"top": 100, "left": 170}, False)])
def test_a_subject_cut_by_the_old_picture_is_told(place, whole):
    """What touches the border of the picture may go on beyond it."""
    with collect_notes() as facts:
        frame(*shot(**place))
    assert facts["whole"] is whole


def test_no_subject_gives_the_whole_picture():
    """An empty alpha frames the whole picture and says that nothing was found."""
    picture, alpha = shot()
    with collect_notes() as facts:
        result = frame(picture, np.zeros_like(alpha))
    assert result.shape == (200, 200, 3)
    assert facts["found"] is False


def test_framing_twice_is_refused():
    """A result that was framed no longer lies under its alpha."""
    picture, alpha = shot()
    with pytest.raises(LayerError, match="frame only once"):
        frame.stage.function(frame(picture, alpha), alpha)
