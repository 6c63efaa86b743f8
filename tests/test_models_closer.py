"""The second look at small subjects: where it looks, what it changes, what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

helper = pytest.importorskip("onnx", reason="networks are drawn with onnx").helper

from onnx_files import card_text, red_channel, value, with_card, write  # noqa: E402

from bgkit.errors import ModelError  # noqa: E402
from bgkit.models.card import parse_card  # noqa: E402
from bgkit.models.second_look import find_window  # noqa: E402
from bgkit.models.session import network  # noqa: E402


def small_subject() -> np.ndarray:
    """A checkerboard disk on black, red in a picture of 120 x 160; its fine lines need a closer look."""
    row, col = np.mgrid[:120, :160]
    image = np.zeros((120, 160, 3), np.float32)
    image[..., 0] = ((row - 70) ** 2 + (col - 40) ** 2 < 18**2) & ~((row % 6 == 0) & (col % 6 < 4))
    return image


def test_the_window_has_three_tenths_around_what_was_found():
    """Weights are 1 on the subject, fall to 0 over the margins, and stay 1 at the picture's own border."""
    found = np.zeros((100, 200), np.float32)
    found[40:60, :50] = 0.9
    window = find_window(found, 0.8)
    assert window.slices == (slice(34, 66), slice(0, 65))
    assert window.weights.shape == (32, 65) and window.weights.dtype == np.float32
    assert (window.weights[6:26, :50] == 1).all()
    assert window.weights[0].max() < 0.1 and window.weights[:, -1].max() < 0.1
    assert (np.diff(window.weights[:7, 0]) > 0).all()


def test_nothing_found_or_too_large_a_window_is_no_window():
    """A probability of one half is not subject; the share that is asked for is the window's, not the subject's."""
    found = np.full((100, 100), 0.5, np.float32)
    assert find_window(found, 1.0) is None
    found[20:70, 20:70] = 1
    assert find_window(found, 0.63) is None
    assert find_window(found, 0.65).slices == (slice(5, 85), slice(5, 85))


def test_a_large_map_is_searched_in_steps_and_nothing_is_cut_off():
    """Every fourth pixel is looked at; the window holds the whole subject all the same."""
    found = np.zeros((2048, 1000), np.float32)
    found[900:1203, 401:640] = 1
    rows, cols = find_window(found, 0.8).slices
    assert rows.start < 900 and rows.stop > 1203 and cols.start < 401 and cols.stop > 640
    assert rows.stop - rows.start < 1.65 * 303


@pytest.mark.parametrize(
    "put", ["size = 32", "size = 32\nmirror = true", "long_side = 32", 'size = 32\nfit = "letterbox"']
)
def test_a_small_subject_is_seen_better(tmp_path, put):
    """A network that returns its input, at 32 pixels: the second look is nearer to it and leaves the rest as it was."""
    image = small_subject()
    path = red_channel(tmp_path / "net.onnx")
    once = network(with_card(path, put)).run({"image": image})
    twice = network(with_card(path, put + "\ncloser = 0.8")).run({"image": image})
    error, closer = (np.abs(each - image[..., 0])[50:90, 20:60].mean() for each in (once, twice))
    assert closer < 0.7 * error
    far = np.ones((120, 160), bool)
    far[35:105, :75] = False
    assert (once == twice)[far].all()


def test_a_subject_that_fills_the_frame_is_seen_once(tmp_path, monkeypatch):
    """So is a picture with nothing in it; a batch looks again only where it pays."""
    path = red_channel(tmp_path / "net.onnx")
    chosen = network(with_card(path, "size = 32\ncloser = 0.8"))
    call, seen = chosen._call, []
    monkeypatch.setattr(chosen, "_call", lambda feeds: seen.append(len(feeds[0])) or call(feeds))
    full, empty = np.ones((120, 160, 3), np.float32), np.zeros((120, 160, 3), np.float32)
    maps = chosen.run_batch([{"image": each} for each in (full, small_subject(), empty)])
    assert seen == [3, 1]
    assert maps[0].min() == 1 and maps[2].max() == 0
    alone = chosen.run({"image": small_subject()})
    assert np.abs(alone - maps[1]).max() < 1e-6


def test_a_plate_is_cut_to_the_same_window(tmp_path):
    """A network of two inputs sees both at the same place."""
    side = [1, 3, 32, 32]
    nodes = [helper.make_node("Gather", ["plate", "zero"], ["mask"], axis=1)]
    inputs, outputs = [value("image", side), value("plate", side)], [value("mask", [1, 1, 32, 32])]
    path = write(tmp_path / "net.onnx", nodes, inputs, outputs, {"zero": np.array([0], np.int64)})
    tensors = "".join(f'[[input.tensors]]\nname = "{name}"\nlayers = ["{name}"]\n' for name in ("image", "plate"))
    plate = small_subject()
    once, twice = (
        network(with_card(path, text)).run({"image": np.zeros_like(plate), "plate": plate})
        for text in (f"size = 32\n{tensors}", f"size = 32\ncloser = 0.8\n{tensors}")
    )
    truth = plate[..., 0]
    assert np.abs(twice - truth).mean() < 0.7 * np.abs(once - truth).mean()


def test_closer_without_a_size_is_refused():
    """At the picture's own size there is nothing to enlarge to."""
    with pytest.raises(ModelError, match=r'input.closer: expected a "size", "short_side" or "long_side"'):
        parse_card(card_text("closer = 0.8"), "net.toml")
