"""Weights of an ONNX file in fewer bytes: as float16 or int8, and float32 again where they are used.

ONNX Runtime does the casts once, when the session starts, so that speed is that of float32.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from bgkit.errors import ModelError

__all__ = ["store_weights"]

STEPS = 127  # of int8, on each side of 0


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


def _as_half(values: NDArray[np.float32], name: str) -> NDArray[np.float16]:
    if np.abs(values).max() > np.finfo(np.float16).max:
        raise ModelError(f"{name}: expected weights that float16 can hold, got {np.abs(values).max():g}")
    return values.astype(np.float16)


def _as_bytes(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return whole steps and the size of a step, (C, 1, ...), for weights (C, ...)."""
    largest = np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest / STEPS, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
