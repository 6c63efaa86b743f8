"""Small ONNX files, drawn node by node, whose answer can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

FLOAT, HALF, INT64, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.UINT8


def value(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def write(path: Path, nodes, inputs, outputs, weights=None) -> Path:
    """Write a graph; ``weights`` are constants by name."""
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "drawn", inputs, outputs, constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def red_channel(path: Path, shape=("N", 3, "H", "W"), last=None, dtype=FLOAT, name="image") -> Path:
    """A network whose output ``mask`` is its input's first channel, through the operator ``last`` if given."""
    axis = {4: 1, 3: 0}[len(shape)] if shape[1] == 3 or len(shape) == 3 else 3
    out = [1 if i == axis else side for i, side in enumerate(shape)]
    nodes = [helper.make_node("Gather", [name, "zero"], ["first" if last else "mask"], axis=axis)]
    if last:
        nodes.append(helper.make_node(last, ["first"], ["mask"], **({"to": HALF} if last == "Cast" else {})))
    out_type = HALF if last == "Cast" else dtype
    return write(
        path, nodes, [value(name, shape, dtype)], [value("mask", out, out_type)], {"zero": np.array([0], np.int64)}
    )


CARD = """
bgkit = 1
name = "drawn"
summary = "A network drawn for a test."
sources = ["tests"]

[file]
name = "drawn.onnx"

[license]
name = "MIT"
commercial = true

[input]
{input}

[output]
{output}
"""


def card_text(put: str = "", out: str = "") -> str:
    """A card with the fields ``put`` in its input table and ``out`` in its output table."""
    return CARD.format(input=put, output=out)


def with_card(path: Path, put: str = "", out: str = "") -> str:
    """Lay a card beside an ONNX file and return the file's path as a stage takes it."""
    path.with_suffix(".toml").write_text(card_text(put, out))
    return str(path)
