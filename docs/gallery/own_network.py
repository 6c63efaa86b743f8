"""A network of your own, described by a card

Any ONNX file that answers a picture with a mask runs after a small TOML file, its card, has said what goes in and
what comes out.
The "network" here is one convolution, drawn by the example: how much darker than light gray a pixel is, through a
sigmoid.
A trained one is used in the same way; see [Bring your own network](../how-to/bring-your-own-network.md).
"""

from pathlib import Path

import numpy as np
import scenes
from onnx import TensorProto, helper, numpy_helper, save
from show import show

import bgkit

weights = numpy_helper.from_array(np.array([-10, -10, -10], np.float32).reshape(1, 3, 1, 1), "weights")
bias = numpy_helper.from_array(np.array([23], np.float32), "bias")
nodes = [helper.make_node("Conv", ["image", "weights", "bias"], ["mask"])]
float32 = TensorProto.FLOAT
image = helper.make_tensor_value_info("image", float32, [1, 3, 256, 256])
mask = helper.make_tensor_value_info("mask", float32, [1, 1, 256, 256])
graph = helper.make_graph(nodes, "darkness", [image], [mask], [weights, bias])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "darkness.onnx")
Path("darkness.toml").write_text("""
bgkit = 1
name = "darkness"
summary = "Marks what is darker than light gray."
sources = ["this example"]
[file]
name = "darkness.onnx"
[license]
name = "MIT"
commercial = true
[input]
size = 256
[output]
activation = "sigmoid"
""")
Path("mine.yaml").write_text("""
bgkit: 1
stages:
  - cnn_mask: {model: darkness.onnx}
  - fill_holes: {max_area: 5}
  - make_trimap
  - closed_form_matting
  - estimate_foreground
  - composite: {background: none}
""")
shot = scenes.photograph(scenes.vase(color=(0.62, 0.10, 0.12)), scenes.paper())
cut = bgkit.remove(shot.image, "mine.yaml")
print("network:", cut.facts["cnn_mask"]["model"])
show(
    photograph=shot.image,
    answer=bgkit.stages.cnn_mask(shot.image, model="darkness.onnx"),
    alpha=cut.alpha,
    cutout=cut.result,
)
