"""Frames that are read ahead and written behind: the same ones, in order, and no error lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from bgkit.errors import VideoError
from bgkit.layers import Layers
from bgkit.video.overlapping import WAITING, Behind, ahead
from bgkit.videofile import Frame

PICTURE = np.zeros((2, 2, 3), np.float32)


def frames(count, error=None):
    for number in range(count):
        yield Frame(number, number, 1, np.full((2, 2, 3), number, np.uint8), None)
    if error is not None:
        raise error


class Taking:
    """An output that notes what it is given, and fails at one frame."""

    note = "noted"

    def __init__(self, fails=None):
        self.taken, self.fails, self.finished, self.thread = [], fails, None, None

    def write(self, picture, ticks, length, last):
        if ticks == self.fails:
            raise VideoError("no room")
        self.taken.append(ticks)
        self.thread = threading.current_thread()

    def finish(self, *, whole, short):
        self.finished = (whole, short)


def test_frames_come_in_order():
    """Reading ahead changes nothing of what is read."""
    assert [frame.number for frame in ahead(frames(7))] == list(range(7))


def test_an_error_of_reading_comes_in_its_place():
    """What could be read before it is there."""
    seen = []
    with pytest.raises(VideoError, match="damaged"):
        for frame in ahead(frames(3, VideoError("damaged"))):
            seen.append(frame.number)
    assert seen == [0, 1, 2]


def test_writes_are_done_in_order_by_another_thread():
    """All of them, before the output is finished."""
    output = Taking()
    behind = Behind(output)
    for ticks in range(9):
        behind.write(PICTURE, ticks, 1, Layers(PICTURE))
    behind.finish(whole=True, short=False)
    assert output.taken == list(range(9))
    assert output.finished == (True, False)
    assert output.thread is not threading.current_thread()
    assert behind.note == "noted"


def test_an_error_of_writing_is_raised_soon():
    """At the latest when the next ones are waiting; what was written before is finished all the same."""
    output = Taking(fails=2)
    behind = Behind(output)
    with pytest.raises(VideoError, match="no room"):
        for ticks in range(3 + WAITING):
            behind.write(PICTURE, ticks, 1, Layers(PICTURE))
    behind.finish(whole=False, short=True)
    assert output.taken[:2] == [0, 1]
    assert output.finished == (False, True)


def test_an_error_of_the_last_frame_is_not_lost():
    """Finishing raises it, and the output is finished."""
    output = Taking(fails=0)
    behind = Behind(output)
    behind.write(PICTURE, 0, 1, Layers(PICTURE))
    with pytest.raises(VideoError, match="no room"):
        behind.finish(whole=True, short=False)
    assert output.finished == (True, False)
