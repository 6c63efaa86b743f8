"""Several ONNX networks as one file: their answers pooled, whatever each wants to see."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ROOT, disk_scene

onnx = pytest.importorskip("onnx", reason="joining needs bgkit[train]")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from bgkit import stages  # noqa: E402
from bgkit.cli import app  # noqa: E402
from bgkit.errors import ModelError  # noqa: E402
from bgkit.files import digest_of  # noqa: E402
from bgkit.models.store import locate  # noqa: E402
from bgkit.train.joining import join  # noqa: E402

CARD = """
bgkit = 1
name = "{name}"
summary = "Weighs the channels."
sources = ["this test"]
[file]
name = "{name}.onnx"
sha256 = "{digest}"
bytes = {size}
[license]
name = "MIT"
commercial = true
[input]
name = "x"
size = {side}
mean = {mean}
deviation = {deviation}
[output]
activation = "{activation}"
"""


def network(folder, name, weight, *, mean=0.0, deviation=1.0, activation="sigmoid", side=32):
    """A network that weighs the three channels; written with its card."""
    value = np.float32(weight).reshape(1, 3, 1, 1)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[1, 1])]
    if activation == "none":
        nodes.append(helper.make_node("Sigmoid", ["y"], ["z"]))
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("z" if activation == "none" else "y", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        [numpy_helper.from_array(value, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".toml").write_text(
        CARD.format(name=name, digest=digest, size=path.stat().st_size, side=side, mean=mean, deviation=deviation,
                    activation=activation)
    )  # fmt: skip
    return path


def joined_mask(folder, image, *networks):
    target = folder / f"{networks[0].stem}-first.onnx"
    message = CliRunner().invoke(app, ["export", *map(str, networks), "-o", str(target), "--license", "MIT"])
    assert message.exit_code == 0, message.output
    return stages.cnn_mask(image, model=str(target))


def mean_of_odds(*masks):
    """The probability whose log odds are the mean of the masks' own."""
    odds = np.mean([np.log(mask / (1 - mask)) for mask in masks], 0)
    return 1 / (1 + np.exp(-odds))


def test_answers_are_pooled_as_odds(tmp_path):
    """Networks with other normalizations and activations, joined, answer as the mean of their log odds."""
    image, _ = disk_scene(32, 32)
    one = network(tmp_path, "one", [1, -2, 0.5], mean=[0.4, 0.5, 0.6], deviation=[0.2, 0.3, 0.4])
    two = network(tmp_path, "two", [-1, 0.5, 2], mean=[0.1, 0.0, 0.2], deviation=[0.5, 1.0, 0.25], activation="none")
    masks = [np.clip(stages.cnn_mask(image, model=str(each)), 0.001, 0.999) for each in (one, two)]
    expected = mean_of_odds(*masks)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(joined_mask(tmp_path, image, one, two), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("weight", "place", "counts"),
    [
        (20, np.s_[10:20, 10:20], False),  # sure of a subject: that another finds nothing does not count
        (20, np.s_[10:12, 10:12], True),  # of next to nothing
        (20, np.s_[:, :10], True),  # at the border, where walls and floors are
        (1, np.s_[10:20, 10:20], True),  # not sure
    ],
)
def test_a_network_that_finds_nothing_is_overruled_by_a_sure_one(tmp_path, weight, place, counts):
    """The one sees red, the other does not; the answer is that of the first alone, if it is sure."""
    image = np.full((32, 32, 3), 0.2, np.float32)
    image[place] = [1, 0.2, 0.2]
    seeing = network(tmp_path, "seeing", [weight, -weight / 2, -weight / 2], mean=0.3)
    blind = network(tmp_path, "blind", [-3, -3, -3])
    first, second = (np.clip(stages.cnn_mask(image, model=str(each)), 0.001, 0.999) for each in (seeing, blind))
    assert first[place].min() > 0.5
    assert second.max() < 0.5
    expected = mean_of_odds(first, second) if counts else first
    np.testing.assert_allclose(joined_mask(tmp_path, image, seeing, blind), expected, atol=1e-5)
    np.testing.assert_allclose(joined_mask(tmp_path, image, blind, seeing), expected, atol=1e-5)


def test_what_does_not_fit_is_refused(tmp_path):
    """One network alone, another size, another kind of answer."""
    one, other = network(tmp_path, "one", [1, 1, 1]), network(tmp_path, "other", [1, 1, 1], side=48)
    with pytest.raises(ModelError, match="two ONNX files or more"):
        join([one], tmp_path / "x.onnx")
    with pytest.raises(ModelError, match=r"other: expected the same input\.size"):
        join([one, other], tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


SHIPPED = {  # the digests of older versions, and the half that each was made of
    "4": ("pyramid.onnx", "b315a51f521202769e51062eccc6643b33f582c8b391392d1017240fe87406e0"),
    "5": ("pyramid-long.onnx", "816bc325f270efc4a0a975c99609185728059864f376201e1f1ea5eca26adf04"),
}


def test_the_embedded_network_is_made_of_its_halves(tmp_path):
    """What ships is what ``benchmarks/networks/build.py`` makes, bit for bit; so is what shipped before."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "networks"))
    try:
        from build import build
    finally:
        sys.path.pop(0)
    build(tmp_path / "coarse.onnx")
    made, shipped = onnx.load(tmp_path / "coarse.onnx"), onnx.load(locate("coarse")[1])
    assert made.graph == shipped.graph
    for version, (half, digest) in SHIPPED.items():
        build(tmp_path / f"coarse-{version}.onnx", ROOT / "benchmarks" / "networks" / half, version)
        card, path = locate(str(tmp_path / f"coarse-{version}.onnx"))
        assert (card.name, card.version) == (f"coarse-{version}", version)
        assert card.file.sha256 == digest_of(path) == digest
