"""The guided filter as an ONNX network: what refines masks when no trained network is at hand.

He, Sun and Tang, "Guided image filtering" (2010), equations 5, 6 and 8: in each window the answer is
a linear function of the picture's luma. Means are average poolings, one along rows and one along
columns. Nothing is trained; the file is a few kilobytes, and a card drives it like any other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["write_guided"]


def write_guided(target: Path, *, radius: int = 8, epsilon: float = 1e-4) -> None:
    """Write the network: inputs ``image`` (N, 3, H, W) and ``mask`` (N, 1, H, W), output ``refined``, all 0..1.

    Parameters
    ----------
    target : Path
        The ONNX file.
    radius : int
        Half the window, in pixels; more follows longer structures and costs more.
    epsilon : float
        Variance of luma below which the picture's edges are ignored; more gives a smoother answer.
    """
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, *inputs: str, name: str = "", **attributes: object) -> str:
        out = name or f"{operator}{len(nodes)}"
        nodes.append(helper.make_node(operator, list(inputs), [out], **attributes))
        return out

    def mean(source: str) -> str:
        span = 2 * radius + 1
        rows = add("AveragePool", source, kernel_shape=[span, 1], pads=[radius, 0, radius, 0], count_include_pad=0)
        return add("AveragePool", rows, kernel_shape=[1, span], pads=[0, radius, 0, radius], count_include_pad=0)

    guide = add("Conv", "image", "luma")
    mean_guide, mean_mask = mean(guide), mean("mask")
    variance = add("Sub", mean(add("Mul", guide, guide)), add("Mul", mean_guide, mean_guide))
    covariance = add("Sub", mean(add("Mul", guide, "mask")), add("Mul", mean_guide, mean_mask))
    slope = add("Div", covariance, add("Add", add("Max", variance, "zero"), "epsilon"))
    offset = add("Sub", mean_mask, add("Mul", slope, mean_guide))
    answer = add("Add", add("Mul", mean(slope), guide), mean(offset))
    add("Clip", answer, "zero", "one", name="refined")

    constants = {
        "luma": np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1),
        "epsilon": np.float32(epsilon),
        "zero": np.float32(0),
        "one": np.float32(1),
    }
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, "H", "W"])]
    inputs.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["N", 1, "H", "W"]))
    outputs = [helper.make_tensor_value_info("refined", TensorProto.FLOAT, ["N", 1, "H", "W"])]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "guided", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
