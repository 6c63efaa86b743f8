"""Networks that cannot run are found before the first picture, with exit status 2."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, load, save
from onnx_files import red_channel, value, with_card, write

from bgkit.cli import app
from bgkit.errors import ModelError
from bgkit.models.graph import read_graph
from bgkit.models.store import list_cards


def remove(model: str) -> str:
    """Run a batch of one picture that must not begin, and return what was said."""
    Path("in").mkdir(exist_ok=True)
    cv2.imwrite("in/a.png", np.full((16, 16, 3), 200, np.uint8))
    Path("p.yaml").write_text(f"bgkit: 1\nstages: [cnn_mask: {{model: '{model}'}}, composite]\n")
    result = CliRunner().invoke(app, ["remove", "in", "-o", "out", "-p", "p.yaml"])
    assert result.exit_code == 2, result.output
    assert not Path("out").exists() and result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_custom_operator():
    """An operator of nobody's is named."""
    node = helper.make_node("Magic", ["image"], ["mask"], domain="org.example")
    path = write(Path("n.onnx"), [node], [value("image", [1, 3, 8, 8])], [value("mask", [1, 1, 8, 8])])
    message = remove(with_card(path, "size = 8"))
    assert "expected operators of ONNX or ONNX Runtime, got org.example.Magic" in message


def test_an_output_of_text():
    """A network that answers with words is no network for masks."""
    out = value("mask", [1, 1, 8, 8], TensorProto.STRING)
    path = write(
        Path("n.onnx"), [helper.make_node("Cast", ["image"], ["mask"], to=8)], [value("image", [1, 3, 8, 8])], [out]
    )
    assert "expected an output of numbers, got mask text[1, 1, 8, 8]" in remove(with_card(path, "size = 8"))


def test_an_output_of_several_tensors():
    """A sequence is no map, whatever it holds."""
    out = helper.make_tensor_sequence_value_info("mask", TensorProto.FLOAT, [1, 3, 8, 8])
    path = write(
        Path("n.onnx"),
        [helper.make_node("SequenceConstruct", ["image"], ["mask"])],
        [value("image", [1, 3, 8, 8])],
        [out],
    )
    assert "expected an output of numbers, got mask type sequence[?]" in remove(with_card(path, "size = 8"))


def test_a_graph_that_cannot_be_loaded():
    """Only ONNX Runtime finds an operator with a wrong attribute; it is asked first."""
    path = red_channel(Path("n.onnx"), (1, 3, 8, 8))
    model = load(path)
    model.graph.node[0].op_type = "Gathering"
    save(model, path)
    assert "cnn_mask.model: " in (text := remove(with_card(path, "size = 8"))) and "cannot load the network" in text


def test_external_data_that_is_too_short(capfd):
    """It is said by bgkit, in one line, and not by ONNX Runtime, in red, too."""
    nodes = [helper.make_node("Mul", ["image", "w"], ["mask"])]
    path = write(Path("n.onnx"), nodes, [value("image", [1, 3, 8, 8])], [value("mask", [1, 3, 8, 8])])
    model = load(path)
    weight = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[1])
    weight.data_location = TensorProto.EXTERNAL
    for key, text in (("location", "w.bin"), ("offset", "0"), ("length", "4")):
        weight.external_data.add(key=key, value=text)
    save(model, path)
    Path("w.bin").write_bytes(b"3")
    assert "cannot load the network" in remove(with_card(path, "size = 8", "classes = [0]"))
    assert "onnxruntime:" not in capfd.readouterr().err


def test_an_input_larger_than_memory():
    """Pictures of a million rows and columns do not fit; that is no fault of bgkit's."""
    path = write(
        Path("n.onnx"),
        [helper.make_node("Identity", ["image"], ["mask"])],
        [value("image", [1, 3, 1_000_000, 1_000_000])],
        [value("mask", [1, 3, 1_000_000, 1_000_000])],
    )
    Path("in").mkdir()
    cv2.imwrite("in/a.png", np.full((16, 16, 3), 200, np.uint8))
    Path("p.yaml").write_text(
        f"bgkit: 1\nstages: [cnn_mask: {{model: '{with_card(path, out='classes = [0]')}'}}, composite]\n"
    )
    result = CliRunner().invoke(app, ["remove", "in", "-o", "out", "-p", "p.yaml", "--workers", "1"])
    assert result.exit_code == 1 and "not enough memory" in result.stderr


def test_a_cycle():
    """A value made from itself is refused, by whatever way."""
    nodes = [helper.make_node("Identity", ["mask"], ["one"]), helper.make_node("Identity", ["one"], ["mask"])]
    path = write(Path("n.onnx"), nodes, [value("image", [1, 3, 8, 8])], [value("mask", [1, 1, 8, 8])])
    with pytest.raises(ModelError, match=r"n.onnx: expected a graph without cycles, got one through '(one|mask)'"):
        read_graph(path)
    assert "without cycles" in remove(with_card(path, "size = 8"))


def test_a_broken_card_hides_no_other(monkeypatch, tmp_path):
    """The list has all others, and says which card is broken and why."""
    monkeypatch.setenv("BGKIT_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text("bgkit = " + "[" * 5000)
    result = CliRunner().invoke(app, ["models", "list"])
    assert result.exit_code == 1
    assert result.stdout.count("\n") == len(list_cards(lambda error: None))
    assert result.stderr.count("\n") == 1 and "mine/card.toml: " in result.stderr


def test_a_file_that_changed_is_read_again():
    """The graph of a file is kept only as long as the file stays as it was: another network in its place is seen."""
    os.utime(write_named("mask"), (0, 0))  # times of two writings in a row may be the same
    first = read_graph(Path("n.onnx"))
    assert read_graph(Path("n.onnx")) is first
    assert [each.name for each in read_graph(write_named("cask")).outputs] == ["cask"]


def write_named(output: str) -> Path:
    """Write a network whose output has this name; the file's size depends on the name's length alone."""
    node = helper.make_node("Identity", ["image"], [output])
    return write(Path("n.onnx"), [node], [value("image", [1, 3, 8, 8])], [value(output, [1, 3, 8, 8])])
