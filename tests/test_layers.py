"""Layers: checked once, then read-only; arrays of any usual dtype enter."""

from __future__ import annotations

import numpy as np
import pytest

from bgkit.errors import LayerError
from bgkit.layers import Layers, as_layer, check_layer

IMAGE = np.zeros((4, 6, 3), np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.bool_])
def test_white_enters_as_one(dtype):
    """The maximum of every dtype is white."""
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    layers = Layers.of(np.full((2, 3, 3), top, dtype))
    assert layers.image.dtype == np.float32
    assert (layers.image == 1).all()


def test_eight_bits_survive():
    """Every 8-bit value comes back exactly."""
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (np.rint(as_layer("mask", ramp) * 255) == ramp).all()


@pytest.mark.parametrize(
    ("shape", "opacity"), [((4, 6), False), ((4, 6, 1), False), ((4, 6, 2), True), ((4, 6, 4), True)]
)
def test_gray_and_alpha_channels(shape, opacity):
    """Gray becomes RGB; a second or fourth channel becomes the opacity."""
    layers = Layers.of(np.ones(shape, np.float32))
    assert layers.image.shape == (4, 6, 3)
    assert (layers.opacity is not None) == opacity


def test_arrays_are_read_only():
    """No stage can change what another sees."""
    with pytest.raises(ValueError, match="read-only"):
        Layers.of(IMAGE).image[0, 0] = 1


def test_caller_keeps_a_writable_array():
    """The view is read-only, the caller's array is not."""
    image = IMAGE.copy()
    Layers(image)
    image[0] = 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((4, 6, 3), np.nan), "finite"),
        (np.full((4, 6, 3), 200.0), "divide by 255"),
        (np.full((4, 6, 3), -0.5), "0..1"),
        (np.zeros((4, 6, 3), np.int64), "int64"),
        (np.zeros((4, 6, 5)), "shape"),
        (np.zeros((0, 6, 3)), "at least one pixel"),
        (np.zeros(7), "shape"),
    ],
)
def test_bad_images_are_refused(array, words):
    """NaN, wrong range, dtype and shape each have their message."""
    with pytest.raises(LayerError, match=words):
        Layers.of(array)


def test_other_size_is_refused():
    """All layers share the picture's size, and the message names both."""
    with pytest.raises(LayerError, match=r"mask: expected the picture's size 4 x 6.*got 6 x 4"):
        Layers.of(IMAGE, mask=np.zeros((6, 4)))


def test_result_may_have_another_size():
    """Framing changes the size of the result."""
    assert Layers(IMAGE, result=np.zeros((9, 9, 4), np.float32)).result.shape == (9, 9, 4)


def test_trimap_snaps_to_three_values():
    """Up to 10 % is background, from 90 % foreground, between unknown; floats alike."""
    values = np.array([[0, 25, 26, 128, 229, 230, 255]], np.uint8)
    want = [[0, 0, 128, 128, 128, 255, 255]]
    assert as_layer("trimap", values).tolist() == want
    assert as_layer("trimap", values / 255).tolist() == want


def test_constructor_wants_the_exact_form():
    """Inside, nothing is converted."""
    with pytest.raises(LayerError, match="float32"):
        Layers(IMAGE.astype(np.float64))
    with pytest.raises(LayerError, match="contiguous"):
        Layers(IMAGE, mask=np.zeros((6, 4), np.float32).T)


def test_put_makes_new_layers():
    """The old layers stay as they were."""
    old = Layers.of(IMAGE)
    new = old.put("mask", np.ones((4, 6), np.float32))
    assert old.mask is None
    assert new.given() == ("image", "mask")


def test_saving_an_absent_layer_says_what_there_is(tmp_path):
    """The message lists the layers that were made."""
    with pytest.raises(LayerError, match="alpha: expected one of the layers that were made: image"):
        Layers.of(IMAGE).save(tmp_path / "a.png", "alpha")


@pytest.mark.parametrize("name", ["mask", "trimap", "strokes", "alpha"])
@pytest.mark.parametrize(
    ("values", "dtype", "found"),
    [
        ([0, 1], np.uint8, "0, 1:"),
        ([0, 1, 2], np.uint8, "0, 1, 2:"),
        ([1, 2, 3], np.uint8, "1, 2, 3:"),
        ([0, 1, 255], np.uint8, "0, 1, 255:"),
        ([0, 15, 255], np.uint8, "0, 15, 255:"),  # Pascal VOC: persons, and borders that are none
        ([0, 2, 5, 15, 255], np.uint8, "0, 2, 5, 15, 255:"),
        ([0, 3, 5, 7, 9, 11, 13, 15], np.uint8, r"0, 3, 5, 7, 9, 11, \.\.\. 15:"),
        ([0, 1, 2], np.uint16, "0, 1, 2:"),
        ([0, 128, 255], np.uint16, "0, 128, 255:"),
    ],
)
def test_labels_are_refused(name, values, dtype, found):
    """Classes by number, and 8 bits in 16, would all read as background; the message says which values were found."""
    array = np.resize(np.array(values, dtype), (4, 6))
    with pytest.raises(LayerError, match=f"^{name}: expected grays .*, got {found} labels, or another depth"):
        as_layer(name, array)


@pytest.mark.parametrize(
    "values",
    [[0], [0, 255], [0, 128, 255], [0, 127, 254], [2, 130, 250], list(range(60)), [0, 1, 2, 3, 255], [0, 20, 140, 255]],
)
@pytest.mark.parametrize("name", ["mask", "trimap"])
def test_grays_are_no_labels(name, values):
    """Black, black and white, trimaps off by a little and soft masks are read."""
    as_layer(name, np.resize(np.array(values, np.uint8), (8, 8)))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mask", 1.0, "got 1 everywhere"),
        ("mask", 0.5, "got 0.5 everywhere"),
        ("alpha", 1.0, "got 1 everywhere"),
        ("trimap", 1.0, "got 255 everywhere"),
        ("trimap", 0.0, "got 0 everywhere"),
        ("trimap", 0.5, "got 128 everywhere"),
        ("strokes", 0.5, "got 128 everywhere"),
    ],
)
def test_a_layer_that_says_nothing_is_refused(name, value, words):
    """One value everywhere would give an empty or a full cutout."""
    with pytest.raises(LayerError, match=f"^{name}: expected background .* {words}"):
        Layers.of(IMAGE).bring(name, np.full((4, 6), value))


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("mask", [0], r"marks no subject; .* got 0\.\.0"),
        ("mask", [0, 0.05], r"marks no subject; .* got 0\.\.0.05"),
        ("mask", [0, 100 / 255], r"marks no subject; .* got 0\.\.0.392"),
        ("mask", [0, 128 / 255], r"marks no subject; .* got 0\.\.0.502"),
        ("alpha", [0.95, 1], r"marks no background; .* got 0\.95\.\.1"),
        ("trimap", [0, 0.5], "marks no subject; .* got 0, 128"),
        ("trimap", [1, 0.5], "marks no background; .* got 128, 255"),
    ],
)
def test_one_side_alone_is_said(name, values, words):
    """An empty scene may have an empty mask; it is read, and said."""
    with pytest.warns(UserWarning, match=f"^{name}: {words}"):
        made = Layers.of(IMAGE).bring(name, np.resize(np.array(values, float), (4, 6)))
    assert getattr(made, name) is not None


@pytest.mark.parametrize("values", [[0, 0.5, 1], [0, 1]])
def test_both_sides_say_enough(values):
    """A trimap needs no unknown pixel."""
    made = Layers.of(IMAGE).bring("trimap", np.resize(np.array(values, float), (4, 6)))
    assert set(np.unique(made.trimap)) == {round(255 * value + 0.1) for value in values}


@pytest.mark.parametrize("side", [1, 7, 63, 64, 65, 1000])
def test_a_value_out_of_range_is_seen_wherever_it_is(side):
    """The least, the greatest, and NaN: at any place."""
    for place in {0, side // 2, side - 1}:
        for value, word in ((-0.5, "in 0..1"), (1.5, "in 0..1"), (np.nan, "NaN"), (np.inf, "infinity")):
            mask = np.full((1, side), 0.5, np.float32)
            mask[0, place] = value
            with pytest.raises(LayerError, match=word):
                check_layer("mask", mask, np.zeros((1, side, 3), np.float32))
