"""Running networks: what goes in equals what upstream feeds, what comes out is read as the card says."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import references
from onnx import helper
from onnx_files import FLOAT, HALF, INT64, UINT8, card_text, red_channel, value, with_card, write

from bgkit.errors import ModelError
from bgkit.models import parse_card, resampling, session
from bgkit.models.encode_input import fill, place
from bgkit.models.resampling import resample
from bgkit.models.session import network

KINDS = ["area", "nearest", "bilinear", "bicubic", "smooth-bilinear", "smooth-bicubic", "lanczos"]


@pytest.fixture
def picture():
    return np.random.default_rng(3).random((23, 37, 3), np.float32)


def prepared(image, put):
    card = parse_card(card_text(put), "test")
    return fill(card, ("image",), {"image": image}, place(card, image.shape[:2]))


# --- sizes and values ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(8, 8), (23, 16), (40, 61), (5, 7), (11, 50)])
def test_resizing_equals_its_definition(picture, kind, shape):
    """Each interpolation gives what its formula says, shrinking and growing."""
    assert resample(picture, shape, kind) == pytest.approx(references.resized(picture, shape, kind), abs=2e-5)


@pytest.mark.parametrize(("kind", "filter_"), [("smooth-bilinear", 2), ("smooth-bicubic", 3), ("lanczos", 1)])
def test_smooth_resizing_equals_pillow(picture, kind, filter_):
    """The smooth kinds are Pillow's filters."""
    from PIL import Image

    found = resample(picture, (7, 9), kind)
    for channel in range(3):
        expected = Image.fromarray(picture[:, :, channel]).resize((9, 7), filter_)
        assert found[:, :, channel] == pytest.approx(np.asarray(expected), abs=1e-5)


@pytest.mark.parametrize("kind", ["smooth-bilinear", "smooth-bicubic", "lanczos"])
def test_strong_shrinking_stays_near_pillow(kind):
    """Averaging whole boxes first, above 8 times, changes a picture by less than two of 255 levels."""
    row, col = np.mgrid[:403, :611]
    picture = (0.5 + 0.5 * np.sin(row / 9) * np.cos(col / 13)).astype(np.float32)
    picture += 0.02 * np.random.default_rng(0).standard_normal(picture.shape, np.float32)
    expected = references.resized(picture[:, :, None], (30, 44), kind)[:, :, 0]
    assert np.abs(resample(picture, (30, 44), kind) - expected).max() < 2 / 255


def test_strong_shrinking_by_area_is_exact():
    """The mean over what a pixel covers, at twenty times and not a whole number."""
    picture = np.random.default_rng(0).random((211, 97, 3), np.float32)
    assert resample(picture, (10, 9), "area") == pytest.approx(references.resized(picture, (10, 9), "area"), abs=1e-6)


def test_sparse_area_is_area_where_little_is_covered(picture):
    """Up to four rows to one, nothing is left out."""
    np.testing.assert_array_equal(resample(picture, (6, 3), "sparse-area"), resample(picture, (6, 3), "area"))


@pytest.mark.parametrize("count", [1, 3])
def test_sparse_area_is_the_mean_of_four_rows(count, monkeypatch):
    """Where a row of the answer covers many: four, evenly spread, whatever the number of threads."""
    monkeypatch.setattr(resampling, "threads", lambda: count)
    picture = np.random.default_rng(0).random((211, 97, 3), np.float32)
    rows = [[int(row * 21.1 + (21.1 - 15) / 2) + 5 * each for each in range(4)] for row in range(10)]
    expected = references.resized(picture[rows].mean(1), (10, 9), "area")
    assert resample(picture, (10, 9), "sparse-area") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(40, 30), (23, 17), (10, 120), (97, 9), (1, 1)], ids=str)
@pytest.mark.parametrize("channels", [(), (1,), (3,)], ids=str)
def test_whole_area_is_a_sum_of_whole_numbers(shape, channels, monkeypatch):
    """256 levels by weights in 256ths along both sides, no bit of it rounded; near the mean of areas, of course."""
    levels = np.random.default_rng(0).integers(0, 256, (40, 30, *channels))
    picture = levels.astype(np.float32) / np.float32(255)
    down, across = (references.whole_area_matrix(*sides) for sides in zip((40, 30), shape, strict=True))
    assert {*down.sum(1), *across.sum(1)} == {256}
    monkeypatch.setattr(resampling, "BAND", 9)
    if 4 * shape[0] >= 40:
        sums = np.einsum("ai,ij...,bj->ab...", down, levels, across)
        expected = np.float32(sums) * np.float32(1 / (255 * 65536))
        np.testing.assert_array_equal(resample(picture, shape, "whole-area"), expected)
    found = resample(picture, shape, "whole-area")
    assert found.shape == (*shape, *channels)
    kind = "sparse-area" if 4 * shape[0] < 40 else "area"
    np.testing.assert_allclose(found, resample(picture, shape, kind).reshape(found.shape), atol=0.01)


@pytest.mark.parametrize("count", [1, 3])
def test_whole_area_is_the_mean_of_four_rows(count, monkeypatch):
    """Of a tall picture: the rows of sparse-area, whatever the number of threads, of part of a larger array, too."""
    monkeypatch.setattr(resampling, "threads", lambda: count)
    monkeypatch.setattr(resampling, "BAND", 3)
    picture = np.random.default_rng(0).integers(0, 256, (230, 97, 3)).astype(np.float32) / np.float32(255)
    rows = [[int(row * 21.1 + (21.1 - 15) / 2) + 5 * each for each in range(4)] for row in range(10)]
    expected = resample(picture[10:221, 5:92][np.ravel(rows)], (10, 9), "whole-area")
    np.testing.assert_array_equal(resample(picture[10:221, 5:92], (10, 9), "whole-area"), expected)
    np.testing.assert_allclose(expected, resample(picture[10:221, 5:92], (10, 9), "sparse-area"), atol=0.005)


def test_whole_area_rounds_to_levels():
    """What lies between two levels, as in pictures of 16 bits, goes to the nearer one; at its own size, too."""
    found = resample(np.float32([[0.1, 0.5, 1], [0.3001, 0.7, 0]]), (2, 3), "whole-area")
    np.testing.assert_allclose(found * 255, [[26, 128, 255], [77, 178, 0]], atol=1e-4)


# The rows of FIELD's table that differ in how a picture becomes their input.
IMAGENET = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}
UPSTREAM = {
    "u2net": ((320, 320), {"kind": "area", **IMAGENET}),
    "silueta": ((320, 320), {"kind": "area", **IMAGENET}),
    "isnet-general": ((1024, 1024), {"kind": "bilinear", "mean": 0.5}),
    "isnet-anime": ((1024, 1024), {"kind": "bilinear", "box": (194, 0, 636, 1024)}),
    "birefnet-lite": ((1024, 1024), {"kind": "smooth-bilinear", **IMAGENET}),
    "rmbg-2": ((1024, 1024), {"kind": "smooth-bilinear", **IMAGENET}),
    "ben2": ((1024, 1024), {"kind": "lanczos"}),
    # (x - 127.5) / 127.5 of 8 bits; the short side to 512, the long one down to a multiple of 32
    "modnet-portrait": ((512, 800), {"kind": "area", "scale": 255, "mean": 127.5, "deviation": 127.5}),
    "coarse": ((320, 320), {"kind": "whole-area", **IMAGENET}),
}


@pytest.mark.parametrize("name", UPSTREAM)
def test_preparation_equals_upstream(picture, name):
    """The shipped cards feed the networks what their authors' scripts feed them."""
    from bgkit.models import show

    card = show(name)
    shape, how = UPSTREAM[name]
    found = fill(card, ("image",), {"image": picture}, place(card, picture.shape[:2]))
    assert found.dtype == np.float32
    assert np.abs(found - references.network_input(picture, shape, **how)).max() < 1e-4


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "CHW"])
def test_order_and_layout(picture, order, layout):
    """Channel order and layout are what the card says; mean and deviation follow the network's order."""
    text = (
        f'size = [6, 8]\norder = "{order}"\nlayout = "{layout}"\nscale = 255\nmean = [1, 2, 3]\ndeviation = [4, 5, 6]'
    )
    found = prepared(picture, text)
    expected = references.network_input(picture, (6, 8), order=order, scale=255, mean=[1, 2, 3], deviation=[4, 5, 6])
    expected = {"NCHW": expected, "NHWC": expected.transpose(0, 2, 3, 1), "CHW": expected[0]}[layout]
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("fit", "box"), [("letterbox", (6, 0, 19, 32)), ("corner", (0, 0, 19, 32))])
def test_letterbox_pads_with_the_cards_gray(picture, fit, box):
    """A letterboxed picture keeps its aspect; the rest holds the padding, normalized like the picture."""
    found = prepared(picture, f'size = 32\nfit = "{fit}"\npad = 0.25\nmean = 0.5')
    assert found == pytest.approx(references.network_input(picture, (32, 32), box=box, pad=0.25, mean=0.5), abs=1e-5)


def test_padding_with_the_mean(picture):
    """``pad = "mean"`` pads after the normalization, as detection networks do: the network sees 0 there."""
    found = prepared(picture, 'size = 32\nfit = "corner"\npad = "mean"\nmean = 0.5')
    assert (found[:, :, 19:] == 0).all()
    assert found[:, :, :19].min() < 0


@pytest.mark.parametrize(
    ("text", "picture", "shape"),
    [
        ("short_side = 512\nmultiple = 32", (600, 900), (512, 768)),
        ("short_side = 512\nmultiple = 32", (900, 601), (736, 512)),
        ('short_side = 512\nmultiple = 32\nwhen = "outside"', (400, 601), (384, 576)),
        ('short_side = 512\nmultiple = 32\nwhen = "outside"', (100, 200), (512, 1024)),
        ("long_side = 64\nmultiple = 8", (100, 200), (32, 64)),
        ('long_side = 64\nwhen = "outside"', (20, 30), (20, 30)),
        ('multiple = 8\nrounding = "up"', (9, 16), (16, 16)),
        ('multiple = 8\nrounding = "nearest"', (11, 13), (8, 16)),
        ('multiple = 8\nrounding = "pad"', (9, 17), (16, 24)),
        ("multiple = 32", (1, 5), (32, 32)),
    ],
)
def test_free_sizes(text, picture, shape):
    """Short side, long side, multiples and their rounding, as upstream scripts compute them."""
    assert place(parse_card(card_text(text), "test"), picture).shape == shape


# --- what comes out --------------------------------------------------------------------------------


def classes_network(path, scores, last=None, dtype=FLOAT):
    """A network that answers (1, C, 4, 6) with the given score in each class's plane, whatever it sees."""
    scores = np.asarray(scores, np.float16 if dtype == HALF else np.float32).reshape(1, -1, 1, 1)
    nodes = [helper.make_node("Expand", ["scores", "shape"], ["raw" if last else "out"])]
    if last:
        nodes.append(helper.make_node(last, ["raw"], ["out"]))
    shape = np.array([1, scores.shape[1], 4, 6], np.int64)
    outputs = [value("out", shape.tolist(), dtype)]
    return write(path, nodes, [value("image", [1, 3, 4, 6])], outputs, {"scores": scores, "shape": shape})


@pytest.mark.parametrize(
    ("scores", "out", "expected"),
    [
        ([0.25], "", 0.25),
        ([2.0], 'activation = "sigmoid"', 1 / (1 + np.exp(-2.0))),
        ([-200.0], 'activation = "sigmoid"', 0.0),
        ([1.0, 3.0], 'activation = "softmax"\nclasses = [1]', 1 / (1 + np.exp(-2.0))),
        ([1000.0, 0.0, 1000.0], 'activation = "softmax"\nclasses = [1, 2]', 0.5),
        ([0.3, 0.6], "", 0.6),
        ([0.3, 0.6, 0.1], "classes = [0, 2]", 0.4),
        ([7.0], 'activation = "labels"\nclasses = [3, 7]', 1.0),
        ([6.0], 'activation = "labels"\nclasses = [3, 7]', 0.0),
        ([1.5], "", 1.0),
        ([0.4], "stretch = true", 0.4),
    ],
)
def test_activation_and_classes(tmp_path, picture, scores, out, expected):
    """Activation, class choice and clipping; a constant map is not stretched."""
    model = with_card(classes_network(tmp_path / "net.onnx", scores), "size = [4, 6]", out)
    mask = network(model).run({"image": picture})
    assert mask.shape == (23, 37)
    assert mask == pytest.approx(np.full((23, 37), expected), abs=1e-6)


@pytest.mark.parametrize(("scores", "reply"), [([-4.0], "-4..-4"), ([12.5], "12.5..12.5")])
def test_values_far_outside_are_told_once(tmp_path, picture, scores, reply):
    """A map that is no probability gets one warning, with its range and the field that may be missing."""
    chosen = network(with_card(classes_network(tmp_path / "net.onnx", scores), "size = [4, 6]"))
    with pytest.warns(UserWarning, match=rf"got {re.escape(reply)}, which was clipped; .* output.activation"):
        chosen.run({"image": picture})
    assert chosen.run({"image": picture}).max() in (0, 1)  # a second warning would be an error here


@pytest.mark.parametrize(
    ("scores", "out"), [([-0.5], ""), ([1.5], ""), ([9.0], "stretch = true"), ([9.0], 'activation = "sigmoid"')]
)
def test_values_a_little_outside_are_not_told(tmp_path, picture, scores, out):
    """An overshoot, scores that are stretched and scores with an activation get no warning, which would be an error."""
    network(with_card(classes_network(tmp_path / "net.onnx", scores), "size = [4, 6]", out)).run({"image": picture})


def test_stretch_only_when_the_card_says_so(tmp_path):
    """A faint map stays faint, unless upstream stretches."""
    image = np.zeros((4, 4, 3), np.float32)
    image[:2, :, 0] = 0.1
    path = red_channel(tmp_path / "net.onnx", (1, 3, 4, 4))
    assert network(with_card(path)).run({"image": image}).max() == pytest.approx(0.1)
    assert network(with_card(path, "", "stretch = true")).run({"image": image}).max() == pytest.approx(1.0)


def test_float16_output(tmp_path, picture):
    """A float16 output becomes float32."""
    model = with_card(red_channel(tmp_path / "net.onnx", last="Cast"), "")
    mask = network(model).run({"image": picture})
    assert mask.dtype == np.float32
    assert mask == pytest.approx(picture[:, :, 0], abs=1e-3)


@pytest.mark.parametrize("dtype", [FLOAT, HALF, UINT8])
def test_input_dtype_follows_the_graph(tmp_path, picture, dtype):
    """A graph that takes float16 or bytes is fed those, rounded to the nearest."""
    nodes = [helper.make_node("Cast", ["image"], ["out"], to=FLOAT)]
    path = write(tmp_path / "net.onnx", nodes, [value("image", [1, 3, 23, 37], dtype)], [value("out", [1, 3, 23, 37])])
    scale = "" if dtype != UINT8 else "scale = 255"
    put = picture * np.float32(0.999 if dtype != UINT8 else 0.005)  # bytes of 0 and 1
    mask = network(with_card(path, scale, "classes = [0]")).run({"image": put})
    expected = put[:, :, 0] if dtype != UINT8 else np.rint(put[:, :, 0] * 255)
    assert mask == pytest.approx(expected, abs=1e-3)


def test_dynamic_size_and_own_size(tmp_path, picture):
    """A fully convolutional network sees the picture at its own size when the card sets none."""
    model = with_card(red_channel(tmp_path / "net.onnx"))
    assert np.array_equal(network(model).run({"image": picture}), picture[:, :, 0])


@pytest.mark.parametrize("layout", ["NHWC", "CHW"])
def test_other_layouts(tmp_path, picture, layout):
    """Channels last, and graphs without a batch axis."""
    shape = {"NHWC": (1, "H", "W", 3), "CHW": (3, "H", "W")}[layout]
    model = with_card(red_channel(tmp_path / "net.onnx", shape), f'layout = "{layout}"')
    assert np.array_equal(network(model).run({"image": picture}), picture[:, :, 0])


def channels_last_in_first_out(path):
    """A network of (1, 23, 37, 3) that answers the first channel as (1, 1, 23, 37)."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["turned", "zero"], ["red"], axis=1),
        helper.make_node("Clip", ["red"], ["mask"]),
    ]
    inputs, outputs = [value("image", [1, 23, 37, 3])], [value("mask", [1, 1, 23, 37])]
    return write(path, nodes, inputs, outputs, {"zero": np.array([0], np.int64)})


def test_output_of_another_layout(tmp_path, picture):
    """Channels last in and first out, as converters from TensorFlow leave it: by a card, and read from the graph."""
    path = channels_last_in_first_out(tmp_path / "net.onnx")
    with pytest.warns(UserWarning) as reply:
        bare = network(str(path))
    assert "as NHWC, output mask float32[1, 1, 23, 37] as NCHW" in str(reply[0].message)
    assert bare.card.output_layout == "NCHW"
    model = with_card(path, 'layout = "NHWC"', 'layout = "NCHW"')
    assert np.array_equal(network(model).run({"image": picture}), picture[:, :, 0])


@pytest.mark.parametrize("fit", ["letterbox", "corner"])
def test_letterbox_comes_back_in_place(tmp_path, fit):
    """What was padded is cut off again: a bright half stays the half it is."""
    image = np.zeros((40, 20, 3), np.float32)
    image[:, 10:] = 1
    model = with_card(red_channel(tmp_path / "net.onnx", (1, 3, 64, 64)), f'size = 64\nfit = "{fit}"\npad = 0.5')
    mask = network(model).run({"image": image})
    assert mask[:, :9].max() == 0
    assert mask[:, 11:].min() == 1


def test_mirror_is_the_mean_of_both_ways(tmp_path, picture):
    """``mirror`` averages a picture's map and its mirror image's, in one batch or in two calls."""
    for batch in ("N", 1):
        ramp = np.linspace(0, 1, 37, dtype=np.float32)[None, None, None]
        nodes = [
            helper.make_node("Gather", ["image", "zero"], ["red"], axis=1),
            helper.make_node("Mul", ["red", "ramp"], ["mask"]),
        ]
        weights = {"zero": np.array([0], np.int64), "ramp": ramp}
        inputs, outputs = [value("image", [batch, 3, 23, 37])], [value("mask", [batch, 1, 23, 37])]
        path = write(tmp_path / f"net{batch}.onnx", nodes, inputs, outputs, weights)
        mask = network(with_card(path, "mirror = true")).run({"image": picture})
        assert mask == pytest.approx(picture[:, :, 0] * 0.5, abs=1e-6)


@pytest.mark.parametrize(("batch", "calls"), [("N", 1), (1, 3)])
def test_pictures_go_through_together_where_the_graph_allows(tmp_path, monkeypatch, batch, calls):
    """A batch gives each picture its own map: in one call, or one by one where the graph takes one only."""
    chosen = network(with_card(red_channel(tmp_path / "net.onnx", (batch, 3, 8, 8)), "size = 8"))
    pictures = [np.random.default_rng(seed).random((8, 8, 3), np.float32) for seed in range(3)]
    call, made = chosen._call, []
    monkeypatch.setattr(chosen, "_call", lambda feeds: made.append(1) or call(feeds))
    maps = chosen.run_batch([{"image": picture} for picture in pictures])
    assert len(made) == calls
    for found, picture in zip(maps, pictures, strict=True):
        assert np.array_equal(found, picture[:, :, 0])


def test_several_outputs_by_name_and_index(tmp_path, picture):
    """Of several outputs the card's one is read; without a word about it, it is asked for."""
    nodes = [helper.make_node("Split", ["image"], ["a", "b", "c"], axis=1, num_outputs=3)]
    nodes[0].attribute.pop()
    shape = [1, 1, 23, 37]
    path = write(tmp_path / "net.onnx", nodes, [value("image", [1, 3, 23, 37])], [value(name, shape) for name in "abc"])
    for out in ('name = "b"', "index = 1"):
        assert np.array_equal(network(with_card(path, "", out)).run({"image": picture}), picture[:, :, 1])
    with pytest.raises(ModelError, match=r"output.name: expected one of a, b, c, got nothing"):
        network(with_card(path))


def test_plate_is_a_second_input(tmp_path, picture):
    """A network of picture and plate (BackgroundMattingV2) gets both, and says so when the plate is missing."""
    nodes = [
        helper.make_node("Sub", ["src", "bgr"], ["difference"]),
        helper.make_node("Gather", ["difference", "zero"], ["pha"], axis=1),
    ]
    shape = ["N", 3, "H", "W"]
    path = write(
        tmp_path / "net.onnx",
        nodes,
        [value("src", shape), value("bgr", shape)],
        [value("pha", ["N", 1, "H", "W"])],
        {"zero": np.array([0], np.int64)},
    )
    put = '[[input.tensors]]\nname = "src"\nlayers = ["image"]\n[[input.tensors]]\nname = "bgr"\nlayers = ["plate"]'
    model = with_card(path, put)
    plate = picture * np.float32(0.25)
    assert network(model).run({"image": picture, "plate": plate}) == pytest.approx(picture[:, :, 0] * 0.75)
    with pytest.raises(
        ModelError, match=r"needs the layer 'plate', which was not given \(on the command line: --plate FILE\)"
    ):
        network(model).run({"image": picture})


def instances_network(path):
    """Three objects on a 40 x 60 input: two persons (class 1, scores .9 and .3) and a dog (class 2, .9)."""
    from onnx import numpy_helper

    boxes = np.array([[10, 20, 30, 40], [0, 0, 60, 40], [40, 0, 60, 20]], np.float32)  # left, top, right, bottom
    constants = {
        "boxes": boxes,
        "labels": np.array([1, 1, 2], np.int64),
        "scores": np.array([0.9, 0.3, 0.9], np.float32),
        "masks": np.ones((3, 1, 28, 28), np.float32),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
        for name, array in constants.items()
    ]
    nodes.append(helper.make_node("Identity", ["image"], ["same"]))
    outputs = [value("boxes", ["n", 4]), value("labels", ["n"], INT64), value("scores", ["n"])]
    outputs += [value("masks", ["n", 1, 28, 28]), value("same", [3, 40, 60])]
    return write(path, nodes, [value("image", [3, 40, 60])], outputs)


def test_instances_become_one_mask(tmp_path):
    """Of Mask R-CNN's objects those of the class and score count, each in its box."""
    out = '[output.instances]\nboxes = "boxes"\nlabels = "labels"\nscores = "scores"\nmasks = "masks"\nclasses = [1]'
    model = with_card(instances_network(tmp_path / "net.onnx"), 'layout = "CHW"', out)
    mask = network(model).run({"image": np.zeros((80, 120, 3), np.float32)})
    expected = np.zeros((80, 120))
    expected[40:80, 20:60] = 1
    assert np.array_equal(mask, expected)


def test_no_instance_is_an_empty_mask(tmp_path):
    """A picture without the wanted class is empty, not an error."""
    out = '[output.instances]\nboxes = "boxes"\nlabels = "labels"\nscores = "scores"\nmasks = "masks"\nclasses = [9]'
    model = with_card(instances_network(tmp_path / "net.onnx"), 'layout = "CHW"', out)
    assert network(model).run({"image": np.zeros((5, 5, 3), np.float32)}).max() == 0


# --- the session -----------------------------------------------------------------------------------


def test_one_session_for_all_threads(tmp_path, monkeypatch):
    """Eight threads that want the same network at once make one session."""
    made = []
    start = session.start
    monkeypatch.setattr(session, "start", lambda *args: made.append(args) or start(*args))
    model = with_card(red_channel(tmp_path / "net.onnx"))
    pictures = np.random.default_rng(0).random((8, 9, 11, 3), np.float32)
    masks = {}
    workers = [
        threading.Thread(target=lambda i=i: masks.update({i: network(model).run({"image": pictures[i]})}))
        for i in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(made) == 1
    for i in range(8):
        assert np.array_equal(masks[i], pictures[i, :, :, 0])


def test_replaced_file_is_loaded_anew(tmp_path, picture):
    """A file that was exported again is not answered from the old session."""
    path = tmp_path / "net.onnx"
    model = with_card(classes_network(path, [0.25]), "size = [4, 6]")
    assert network(model).run({"image": picture}).max() == 0.25
    classes_network(path, [0.75])
    import os

    os.utime(path, ns=(1, 1))
    assert network(model).run({"image": picture}).max() == 0.75


def test_damaged_file_is_never_run(tmp_path):
    """A file whose checksum is not the card's does not start."""
    path = red_channel(tmp_path / "net.onnx")
    text = card_text().replace('name = "drawn.onnx"', f'name = "drawn.onnx"\nsha256 = "{"0" * 64}"')
    path.with_suffix(".toml").write_text(text)
    with pytest.raises(ModelError, match="expected sha256 0000"):
        network(str(path))


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_half_file_is_told(tmp_path, cut):
    """An empty, a cut and a foreign file are no networks, and the message says what to do."""
    path = red_channel(tmp_path / "net.onnx")
    data = path.read_bytes()
    path.write_bytes([b"", data[: len(data) // 2], b"<html>not found</html>"][cut])
    with pytest.raises(ModelError, match="expected an ONNX file, got something else; fetch or export it again"):
        network(with_card(path))


def test_nan_is_an_error(tmp_path, picture):
    """A network that answers NaN is reported, not passed on."""
    model = with_card(classes_network(tmp_path / "net.onnx", [-1.0], "Sqrt"), "size = [4, 6]")
    with pytest.raises(ModelError, match="gave NaN"):
        network(model).run({"image": picture})


def test_a_run_that_fails_says_which_network(tmp_path, picture):
    """What ONNX Runtime raises becomes a ModelError with the network's name."""
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["out"])]
    weights = {"shape": np.array([1, 1, 7, 7], np.int64)}
    path = write(
        tmp_path / "net.onnx", nodes, [value("image", ["N", 3, "H", "W"])], [value("out", [1, 1, 7, 7])], weights
    )
    with pytest.raises(ModelError, match="drawn: the network failed while running"):
        network(with_card(path)).run({"image": picture})
