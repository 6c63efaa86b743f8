"""Networks that count in whole numbers: what is stored how, what stays, and that the answer stays."""

import json
import sys

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from conftest import ROOT, disk_scene
from onnx_files import with_card
from train_pictures import draw_folder

onnx = pytest.importorskip("onnx", reason="whole numbers need bgkit[train]")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from bgkit import stages  # noqa: E402
from bgkit.cli import app  # noqa: E402
from bgkit.models.store import locate  # noqa: E402
from bgkit.train.compact import weights_of  # noqa: E402
from bgkit.train.whole_numbers import _round_evenly, count_in_whole_numbers, ranges_of  # noqa: E402

CHANNELS = 8
RNG = np.random.default_rng(5)
PICTURES = [np.float32(RNG.uniform(-1, 1, (1, 3, 16, 24))) for _ in range(5)]


def model_of(nodes, stored):
    graph = helper.make_graph(
        nodes,
        "drawn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "H", "W"])],
        [helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 1, "I", "J"])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def drawn():
    """A network with everything that the exported ones hold: dense, depthwise, added, resized, joined, pooled."""
    rng, stored = np.random.default_rng(2), {}

    def conv(name, taken, made, groups=1, given=CHANNELS, size=3):
        shape = (CHANNELS, given // groups, size, size)
        stored[f"{name}.w"] = np.float32(rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape))
        stored[f"{name}.b"] = np.float32(rng.normal(0, 0.3, CHANNELS))
        return helper.make_node("Conv", [taken, f"{name}.w", f"{name}.b"], [made], pads=[size // 2] * 4, group=groups)

    stored |= {"zero": np.float32(0), "six": np.float32(6), "twice": np.float32([1, 1, 2, 2])}
    stored |= {"last.w": np.float32(rng.normal(0, 0.8, (1, 2 * CHANNELS, 1, 1))), "last.b": np.float32([0.1])}
    nodes = [
        conv("first", "image", "a", given=3),
        helper.make_node("Relu", ["a"], ["b"]),
        conv("each", "b", "c", groups=CHANNELS),
        helper.make_node("Clip", ["c", "zero", "six"], ["d"]),
        conv("project", "d", "e", size=1),
        helper.make_node("Add", ["b", "e"], ["f"]),
        helper.make_node("ReduceMean", ["f"], ["g"], axes=[2, 3], keepdims=1),
        conv("pooled", "g", "h", size=1),
        helper.make_node("Shape", ["f"], ["shape"]),
        helper.make_node("Expand", ["h", "shape"], ["i"]),
        helper.make_node("Concat", ["f", "i"], ["j"], axis=1),
        helper.make_node("Resize", ["j", "", "twice"], ["k"], mode="linear"),
        helper.make_node("Conv", ["k", "last.w", "last.b"], ["l"]),
        helper.make_node("Sigmoid", ["l"], ["mask"]),
    ]
    return model_of(nodes, stored)


def run(model, picture, names=None):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, {"image": picture})[0]


def operators(data, folder):
    """What ONNX Runtime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "seen.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "seen.onnx").graph.node]


def test_the_answer_stays():
    model = drawn()
    before = [run(model, picture) for picture in PICTURES]
    count_in_whole_numbers(model, ranges_of(model, PICTURES))
    onnx.checker.check_model(model, full_check=True)
    after = [run(model, picture) for picture in PICTURES]
    assert max(np.abs(a - b).max() for a, b in zip(before, after, strict=True)) < 0.04
    assert np.std(before) > 0.1  # it does not answer the same everywhere


def test_convolutions_count_in_whole_numbers_but_for_the_last(tmp_path):
    model = drawn()
    count_in_whole_numbers(model, ranges_of(model, PICTURES))
    seen = operators(model.SerializeToString(), tmp_path)
    assert seen.count("QLinearConv") == 4
    assert seen.count("Conv") + seen.count("FusedConv") == 1
    assert (seen.count("QLinearAdd"), seen.count("QLinearConcat")) == (1, 1)
    assert not {"Relu", "Clip"} & set(seen)  # storing in 0..255 clips as they did


@pytest.mark.parametrize("bounds", [("six", "nine"), ("", "six"), ("zero", "")])
def test_a_clip_that_storing_does_not_replace_stays(tmp_path, bounds):
    """A stored map's range holds 0: a clip from 6 to 9, or one without a bound, is done in float32."""
    model = drawn()
    model.graph.initializer.append(numpy_helper.from_array(np.float32(9), "nine"))
    (clip,) = (node for node in model.graph.node if node.op_type == "Clip")
    clip.input[1:] = bounds
    before = run(model, PICTURES[0])
    count_in_whole_numbers(model, ranges_of(model, PICTURES))
    assert "Clip" in [node.op_type for node in model.graph.node]
    assert np.abs(run(model, PICTURES[0]) - before).max() < 0.1


def test_ranges_are_those_of_the_maps():
    model = drawn()
    found = ranges_of(model, PICTURES)
    # Behind Relu and Clip, not before them; what a resizing makes has the range of its map.
    assert list(found) == ["image", "b", "d", "e", "f", "g", "h", "j"]
    assert found["image"] == pytest.approx((-1, 1), abs=0.01)
    assert found["b"][0] == found["d"][0] == 0 < found["d"][1] <= 6
    seen = drawn()
    seen.graph.output.append(helper.make_tensor_value_info("f", TensorProto.FLOAT, None))
    values = [run(seen, picture, ["f"]) for picture in PICTURES]
    assert found["f"] == pytest.approx((np.min(values), np.max(values)), rel=0.005)
    assert found["f"] != (np.min(values), np.max(values))  # rounded


@pytest.mark.parametrize(("name", "room"), [("d", 1), ("b", 17 / 16)])  # b is added to another: its step is rounded up
def test_a_map_beyond_its_range_is_clipped(name, room):
    """Values that no training picture had end at the range's end, as at any 8-bit store."""
    model = drawn()
    ranges = ranges_of(model, PICTURES) | {name: (0.0, 0.5)}
    count_in_whole_numbers(model, ranges)
    model.graph.output.append(helper.make_tensor_value_info(f"{name}.read", TensorProto.FLOAT, None))
    most = run(model, PICTURES[0], [f"{name}.read"]).max()
    assert 0.5 * (1 - 1e-6) <= most <= 0.5 * room * (1 + 1e-6)


def test_a_channel_of_tiny_weights_keeps_its_offset():
    model = drawn()
    for each in model.graph.initializer:
        if each.name in ("first.w", "first.b"):
            values = numpy_helper.to_array(each).copy()
            values[:2] = [[[[1e-12]]], [[[0]]]] if each.name == "first.w" else [2.5, -0.75]
            each.CopyFrom(numpy_helper.from_array(values, each.name))
    before = run(model, PICTURES[0])
    count_in_whole_numbers(model, ranges_of(model, PICTURES))
    offsets = weights_of(model)["a.offset.read"]
    assert offsets[:2] == pytest.approx([2.5, -0.75], rel=1e-6)
    assert np.abs(run(model, PICTURES[0]) - before).max() < 0.03


def test_sums_of_pairs_fit_16_bits():
    """Processors before VNNI add two products in 16 bits; what does not fit they clip without a word."""
    model = drawn()
    count_in_whole_numbers(model, ranges_of(model, PICTURES))
    for each in (model, onnx.load(locate("coarse")[1])):
        values = {one.name: numpy_helper.to_array(one) for one in each.graph.initializer}
        stored = {name: value for name, value in values.items() if name.endswith(".weight.stored")}
        assert len(stored) > 3
        for name, value in stored.items():
            depthwise = value.shape[1] == 1
            assert np.abs(value.astype(int)).max() <= (127 if depthwise else 64), name
    assert 2 * 255 * 64 < 2**15


def adding(inputs):
    """A network of convolutions and sums: by name, the map that a convolution takes and its scale, or the two added."""
    rng, stored, nodes = np.random.default_rng(3), {}, []
    for name, (taken, scale) in inputs.items():
        if isinstance(taken, tuple):
            nodes.append(helper.make_node("Add", list(taken), [name]))
            continue
        given = 3 if taken == "image" else CHANNELS
        stored[f"{name}.w"] = np.float32(rng.normal(0, scale, (CHANNELS, given, 1, 1)))
        stored[f"{name}.b"] = np.float32(rng.normal(0, scale, CHANNELS))
        nodes.append(helper.make_node("Conv", [taken, f"{name}.w", f"{name}.b"], [name]))
    stored |= {"last.w": np.float32(rng.normal(0, 0.4, (1, CHANNELS, 1, 1))), "last.b": np.float32([0.1])}
    nodes.append(helper.make_node("Conv", [name, "last.w", "last.b"], ["mask"]))
    return model_of(nodes, stored)


PAIR = {"a": ("image", 0.7), "b": ("image", 0.31), "c": (("a", "b"), 0)}
TINY = PAIR | {"b": ("image", 1e-5)}
SHARED = PAIR | {"d": ("c", 0.4), "e": (("c", "d"), 0), "f": (("a", "e"), 0)}  # a is added twice
LONG = {"x0": ("image", 0.9)}
for step in range(1, 13):  # as a residual network's stage
    LONG |= {f"y{step}": (f"x{step - 1}", 0.02 + 0.005 * step), f"x{step}": ((f"x{step - 1}", f"y{step}"), 0)}


def ratios(model):
    """Of each sum, its maps' steps over its own, as ONNX Runtime divides them in float32."""
    values = weights_of(model)
    made = {node.output[0]: node for node in model.graph.node}
    steps = {name: values[node.input[1]] for name, node in made.items() if node.op_type == "DequantizeLinear"}
    stored = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    found = []
    for node in model.graph.node:
        if node.op_type == "Add" and set(node.input) <= set(steps):  # not that of a first scaling, of floats
            behind = next((each.output[0] for each in model.graph.node if node.output[0] in each.input), None)
            total = stored.get(node.output[0]) or stored[behind]
            step = steps[total.removesuffix(".stored") + ".read"]
            found += [np.float32(steps[name]) / np.float32(step) for name in node.input]
    return found


@pytest.mark.parametrize("inputs", [PAIR, TINY, SHARED, LONG], ids=["pair", "tiny", "shared", "long"])
def test_sums_of_maps_are_exact(inputs):
    """Each map of a sum is a sixteenth of its step, times a power of two, so that float32 holds every sum."""
    model = adding(inputs)
    ranges = ranges_of(model, PICTURES)
    before = [run(model, picture) for picture in PICTURES]
    count_in_whole_numbers(model, ranges)
    assert len(ratios(model)) == 2 * sum(isinstance(taken, tuple) for taken, _ in inputs.values())
    for ratio in ratios(model):
        fraction, power = np.frexp(ratio)
        assert fraction * 32 == round(float(fraction * 32))
        assert -9 <= power <= 8
    # No step is finer than its map's range needs.
    for name, (low, high) in ranges.items():
        assert weights_of(model)[f"{name}.step"] * 255 >= (max(high, 0) - min(low, 0)) * (1 - 1e-6)
    after = [run(model, picture) for picture in PICTURES]
    assert np.abs(np.subtract(before, after)).mean() < 0.05 * np.std(before)


def test_sums_of_the_embedded_network_are_exact():
    """So its answer does not hang on whether a processor has a fused multiply-add; a browser's WASM has none."""
    found = ratios(onnx.load(locate("coarse")[1]))
    assert len(found) == 2 * 27
    assert {float(np.frexp(ratio)[0] * 32).is_integer() for ratio in found} == {True}


def test_weights_are_rounded_so_that_their_errors_cancel_out():
    """Of each kernel, and of each channel: half a step at most, where rounding to the nearest one leaves several."""
    weights = np.random.default_rng(7).uniform(-60, 60, (12, 40, 3, 3))
    whole = _round_evenly(weights, 64)
    assert np.array_equal(whole, np.rint(whole))
    errors, nearest = weights - whole, weights - np.rint(weights)
    assert np.abs(errors).max() <= 1
    assert np.abs(errors.sum((1, 2, 3))).max() <= 0.5 < np.abs(nearest.sum((1, 2, 3))).max()
    kernels = np.abs(errors.sum((2, 3)))
    assert (kernels <= 0.5).mean() > 0.8  # but for those that one weight of was moved for its channel
    assert kernels.max() <= 1.5 - 0.5
    assert (np.abs(nearest.sum((2, 3))) <= 0.5).mean() < 0.6
    assert (whole == np.rint(weights)).mean() > 0.8


def test_rounding_stays_within_what_is_stored():
    weights = np.full((1, 1, 3, 3), 63.9)
    assert _round_evenly(weights, 64).max() == 64
    assert _round_evenly(np.full((1, 1, 3, 3), 64.4), 64).max() == 64  # would be 65 for some, and clip in 16 bits


def test_a_convolution_of_one_map_has_the_steps_of_a_dense_one():
    """It is no depthwise one: its products are added in pairs."""
    model = adding({"a": ("image", 0.5)})
    rng = np.random.default_rng(4)
    held = {each.name: each for each in model.graph.initializer}
    held["a.w"].CopyFrom(numpy_helper.from_array(np.float32(rng.normal(0, 1, (1, 3, 1, 1))), "a.w"))
    held["a.b"].CopyFrom(numpy_helper.from_array(np.float32([0.2]), "a.b"))
    held["last.w"].CopyFrom(numpy_helper.from_array(np.float32(rng.normal(0, 1, (CHANNELS, 1, 3, 3))), "last.w"))
    held["last.b"].CopyFrom(numpy_helper.from_array(np.zeros(CHANNELS, np.float32), "last.b"))
    model.graph.node[-1].output[0] = "b"
    model.graph.node.append(helper.make_node("Conv", ["b", "end.w", "end.b"], ["mask"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, CHANNELS, 1, 1), np.float32), "end.w"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "end.b"))
    count_in_whole_numbers(model, ranges_of(model, PICTURES))
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    assert np.abs(stored["b.weight.stored"].astype(int)).max() == 64


def test_the_embedded_network_counts_in_whole_numbers(tmp_path):
    """All convolutions but each half's last one, which writes its answer."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "networks"))
    try:
        from build import RANGES
    finally:
        sys.path.pop(0)
    path = locate("coarse")[1]
    seen = operators(path.read_bytes(), tmp_path)
    assert seen.count("QLinearConv") == 113 - 2
    assert seen.count("QLinearAdd") == 27
    assert set(json.loads(RANGES.read_text())) <= {
        node.output[0].removesuffix(".read") for node in onnx.load(path).graph.node
    }


# --- bgkit export --calibrate --------------------------------------------------------------------

ONE_LAYER = 'name = "image"\nsize = [16, 24]\ncloser = 0.5'
TWO_LAYERS = 'size = [16, 24]\n[[input.tensors]]\nname = "image"\nlayers = ["image", "mask"]'


def written(folder, model, put=ONE_LAYER):
    path = folder / "drawn.onnx"
    path.write_bytes(model.SerializeToString())
    with_card(path, put, 'activation = "none"')
    return path


def export(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_a_file_with_a_card_is_exported_in_whole_numbers(tmp_path):
    path, pictures = written(tmp_path, drawn()), draw_folder(tmp_path / "train")
    target = tmp_path / "Quick é.onnx"
    said = export(path, "-o", target, "--calibrate", pictures)
    assert said.exit_code == 0, said.output
    assert "counts in whole numbers, by which answers differ by" in said.output
    card, quick = locate(str(target))
    assert (card.name, card.file.name, card.input.closer) == ("quick", "Quick é.onnx", 0.5)  # its card's word
    assert operators(quick.read_bytes(), tmp_path).count("QLinearConv") == 4
    image, _ = disk_scene(40, 60)
    before, after = (stages.cnn_mask(image, model=str(each)) for each in (path, quick))
    assert 0 < np.abs(before - after).max() < 0.05


def test_several_files_are_joined_and_count_in_whole_numbers(tmp_path):
    path, pictures = written(tmp_path, drawn()), draw_folder(tmp_path / "train")
    said = export(path, path, "-o", tmp_path / "two.onnx", "--calibrate", pictures)
    assert said.exit_code == 0, said.output
    assert "2 networks that pool their answers" in said.output
    assert operators((tmp_path / "two.onnx").read_bytes(), tmp_path).count("QLinearConv") == 8


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("run", "expected ONNX files; export the run first"),
        ("no pictures", "expected a folder, got"),
        ("two layers", "expected a network that takes one picture and gives one map"),
        ("one convolution", "expected convolutions with weights and offsets in the file, found none"),
        ("far", "in whole numbers its answers differ by"),
        ("again", "expected a network of float32, this one counts in whole numbers already"),
    ],
)
def test_what_cannot_count_is_refused_and_nothing_is_written(tmp_path, change, told):
    model = drawn()
    pictures = tmp_path / "none" if change == "no pictures" else draw_folder(tmp_path / "train")
    if change == "one convolution":
        del model.graph.node[:]
        model.graph.node.append(helper.make_node("Conv", ["image", "first.w"], ["c"], pads=[1] * 4))
        model.graph.node.append(helper.make_node("ReduceMean", ["c"], ["d"], axes=[1], keepdims=1))
        model.graph.node.append(helper.make_node("Sigmoid", ["d"], ["mask"]))
    if change == "far":  # a channel that the answer does not hang on takes all steps of the map
        held = {each.name: each for each in model.graph.initializer}
        large, last = (numpy_helper.to_array(held[name]).copy() for name in ("pooled.b", "last.w"))
        large[0], last[0, CHANNELS] = 1e4, 0
        held["pooled.b"].CopyFrom(numpy_helper.from_array(large, "pooled.b"))
        held["last.w"].CopyFrom(numpy_helper.from_array(last, "last.w"))
    if change == "again":
        count_in_whole_numbers(model, ranges_of(model, PICTURES))
    path = written(tmp_path, model, TWO_LAYERS if change == "two layers" else ONE_LAYER)
    source = tmp_path if change == "run" else path
    said = export(source, "-o", tmp_path / "quick.onnx", "--calibrate", pictures)
    assert told in said.output + str(said.exception)
    assert said.exit_code != 0
    assert not list(tmp_path.glob("quick*"))
