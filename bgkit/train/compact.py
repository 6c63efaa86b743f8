"""An ONNX file in fewer bytes and fewer steps.

Weights are stored as float16 or int8, and are float32 again where they are used: ONNX Runtime does the casts once, when
the session starts, so that speed is that of float32. Padding in front of a convolution becomes the convolution's own:
copying the maps once more is a tenth of the time of an EfficientNet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bgkit.errors import ModelError

__all__ = ["fold_padding", "keep_needed", "store_weights", "weights_of"]

STEPS = 127  # of int8, on each side of 0
READING = ("Cast", "Constant", "DequantizeLinear", "Identity", "Mul")  # how stored weights are read
COMPUTED = ("Cast", "Concat", "Constant", "ConstantOfShape", "Reshape", "Slice", "Transpose")  # how widths are written


def store_weights(model: onnx.ModelProto, kind: str, least: int = 4096) -> None:
    """Store every float32 weight of at least ``least`` values as ``kind``, and a cast back in front of its use.

    Smaller ones stay: they cost few bytes, and first and last layers are where rounding shows most.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed in place.
    kind : str
        ``float16``, or ``int8`` with a scale for each output channel, by which its largest weight becomes 127.
    least : int
        Values of the smallest weight that is stored so.
    """
    nodes: list[NodeProto] = []
    for weight in list(model.graph.initializer):
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < least:
            continue
        name = weight.name
        if kind == "float16":
            weight.CopyFrom(numpy_helper.from_array(_as_half(values, name), f"{name}.half"))
            nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
        else:
            steps, scale = _as_bytes(values)
            weight.CopyFrom(numpy_helper.from_array(steps, f"{name}.steps"))
            model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
            cast = helper.make_node("Cast", [f"{name}.steps"], [f"{name}.cast"], to=TensorProto.FLOAT)
            nodes += [cast, helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name])]
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def fold_padding(model: onnx.ModelProto) -> None:
    """Give each convolution the zeros that a step of its own pads its input with; steps left without use go.

    PyTorch has no convolution that pads one side more than the other, as EfficientNet's do at each halving; ONNX has.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed in place; its answers stay the same.
    """
    graph = model.graph
    known = _constants(model, COMPUTED)
    users = Counter(name for node in graph.node for name in node.input)
    pads: dict[str, NodeProto] = {}
    for node in graph.node:
        if node.op_type == "Pad" and node.input[1] in known and users[node.output[0]] == 1 and _adds_zeros(node):
            pads[node.output[0]] = node
        elif node.op_type == "Conv" and node.input[0] in pads:
            padded = known[pads[node.input[0]].input[1]].reshape(2, -1)
            own = next(each for each in node.attribute if each.name == "pads")
            if not padded[:, :2].any():  # neither pictures nor channels
                own.ints[:] = [int(each) for each in np.add(own.ints, padded[:, 2:].ravel())]
                node.input[0] = pads[node.input[0]].input[0]
    keep_needed(model)


def keep_needed(model: onnx.ModelProto) -> None:
    """Take out of a graph the nodes and the stored weights that no output depends on."""
    graph = model.graph
    needed, kept = {each.name for each in graph.output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    stored = [each for each in graph.initializer if each.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(stored)


def weights_of(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """Return a graph's constants by name: those that are stored, and what casts, factors and steps make of them."""
    return _constants(model, READING)


def _constants(model: onnx.ModelProto, kinds: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays that are stored in a graph, and what operators of these kinds make of them."""
    known: dict[str, NDArray[np.generic]] = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in kinds and all(name in known for name in node.input if name):
            known[node.output[0]] = ReferenceEvaluator(node).run(None, {name: known[name] for name in node.input})[0]
    return known


def _adds_zeros(pad: NodeProto) -> bool:
    """Return whether a Pad adds zeros: its mode is ``constant`` and it names no value."""
    mode = next((each.s for each in pad.attribute if each.name == "mode"), b"constant")
    return mode == b"constant" and not any(pad.input[2:])


def _as_half(values: NDArray[np.float32], name: str) -> NDArray[np.float16]:
    if np.abs(values).max() > np.finfo(np.float16).max:
        raise ModelError(f"{name}: expected weights that float16 can hold, got {np.abs(values).max():g}")
    return values.astype(np.float16)


def _as_bytes(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return whole steps and the size of a step, (C, 1, ...), for weights (C, ...)."""
    largest = np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest / STEPS, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
