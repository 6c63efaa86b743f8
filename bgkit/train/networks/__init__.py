"""The architectures: one file each, written from its paper, and the facts that a recipe, an export and a card need.

A mask network maps ``image`` (N, 3, H, W), with H and W multiples of its ``multiple``, to logits: in training a list of
(N, 1, h, w), finest first, each at the depth where its paper supervises it; in evaluation one (N, 1, H, W).
Further inputs, ``plate`` or ``next`` (N, 3, H, W), ``trimap`` or ``mask`` (N, 1, H, W), are further arguments in order.

Logits pass through a sigmoid to become the answer. An entry with ``activation="none"`` is of a network whose paper
answers with the opacity itself: what it gives, in training and in evaluation, is clipped to 0..1 and nothing more.
An entry with ``objects`` is of a network that finds objects: its method ``detect(image)`` returns boxes, labels, scores
and masks, which an exported file answers with, and in evaluation the network pastes them into a map.

Where a paper trains with a loss of its own, its network has a method ``loss(outputs, truth, image)``, which a training
loop uses instead of the recipe's: ``outputs`` is what ``forward`` returned in training (which may then hold more than
one-channel maps), ``truth`` is (N, 1, H, W) in 0..1, ``image`` the network's first input, normalized. It computes in
float32 whatever ``outputs`` are in, and returns one number. A plate and a next frame are normalized as the picture is;
a mask and a trimap lie in 0..1 (0, 128/255, 1).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from bgkit.errors import PlanError

__all__ = ["NETWORKS", "Entry", "build", "entry_of", "made_by"]


@dataclass(frozen=True)
class Entry:
    """What is known of an architecture before it is built."""

    made_by: str  # "module:Class" inside this package
    paper: str
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: float | None = None  # millions, as published
    inputs: tuple[str, ...] = ("image",)
    multiple: int = 32
    activation: Literal["sigmoid", "none"] = "sigmoid"  # what makes the answer, 0..1, of the output
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)
    learns: Literal["masks", "tags"] = "masks"  # what training hands in as truth: masks, or tags of the whole picture
    objects: bool = False  # whether an exported file answers with objects: boxes, labels, scores, masks
    encoder: str = ""  # the part that ``load_imagenet`` fills, and that then moves at a rate of its own


NETWORKS: dict[str, Entry] = {
    "coarse": Entry("coarse:CoarseNet", "bgkit's own"),
    **{
        f"pyramid-lite{variant}": Entry(
            "pyramid:PyramidNet",
            "bgkit's own, over Tan and Le 2019",
            {"variant": variant},
            mean=(127 / 255,) * 3,
            deviation=(128 / 255,) * 3,
            encoder="encoder",
        )
        for variant in (0, 2)
    },
    "u2net": Entry("u2net:U2Net", "Qin et al. 2020", parameters=44.0),
    "u2netp": Entry("u2net:U2Net", "Qin et al. 2020", {"lite": True}, parameters=1.13),
    "basnet": Entry("basnet:BASNet", "Qin et al. 2019", parameters=87.1),
    "enfnet": Entry("enfnet:ENFNet", "Tu et al. 2019"),
    "modnet": Entry("modnet:MODNet", "Ke et al. 2022", parameters=6.5, mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5)),
    "indexnet": Entry(
        "indexnet:IndexNet", "Lu et al. 2019", parameters=8.15, inputs=("image", "trimap"), activation="none"
    ),
    "background-matting-v2-mobilenetv2": Entry(
        "background_matting:BackgroundMatting",
        "Lin et al. 2021",
        {"base": "mobilenetv2"},
        parameters=5.01,
        inputs=("image", "plate"),
        multiple=4,
        activation="none",
        mean=(0.0, 0.0, 0.0),
        deviation=(1.0, 1.0, 1.0),
    ),
    "background-matting-v2-resnet50": Entry(
        "background_matting:BackgroundMatting",
        "Lin et al. 2021",
        {"base": "resnet50"},
        parameters=40.25,
        inputs=("image", "plate"),
        multiple=4,
        activation="none",
        mean=(0.0, 0.0, 0.0),
        deviation=(1.0, 1.0, 1.0),
    ),
    "maskrcnn-resnet50": Entry("maskrcnn:MaskRCNN", "He et al. 2017", parameters=44.4, activation="none", objects=True),
    "videofcn-static": Entry("videofcn:VideoFCN", "Wang, Shen, Shao 2018", {"dynamic": False}, multiple=16),
    "videofcn-dynamic": Entry(
        "videofcn:VideoFCN", "Wang, Shen, Shao 2018", inputs=("image", "next", "mask"), multiple=16
    ),
    "wss-tags": Entry("wss:WSS", "Wang et al. 2017", {"learns": "tags"}, multiple=16, learns="tags"),
    "wss": Entry("wss:WSS", "Wang et al. 2017", {"learns": "masks"}, multiple=16),
    "cascadepsp": Entry("cascade:CascadePSP", "Cheng et al. 2020", inputs=("image", "mask"), multiple=8),
    "fcn-32s": Entry("fcn:FCN", "Long, Shelhamer, Darrell 2015", {"stride": 32}, parameters=134),
    "fcn-16s": Entry("fcn:FCN", "Long, Shelhamer, Darrell 2015", {"stride": 16}, parameters=134),
    "fcn-8s": Entry("fcn:FCN", "Long, Shelhamer, Darrell 2015", {"stride": 8}, parameters=134),
    "segnet": Entry("segnet:SegNet", "Badrinarayanan, Kendall, Cipolla 2017", parameters=29.46),
    "unet": Entry("unet:UNet", "Ronneberger, Fischer, Brox 2015", parameters=31.0),
    "tiramisu-56": Entry("tiramisu:Tiramisu", "Jégou et al. 2017", {"layers": (4,) * 6, "growth": 12}, parameters=1.5),
    "tiramisu-67": Entry("tiramisu:Tiramisu", "Jégou et al. 2017", {"layers": (5,) * 6}, parameters=3.5),
    "tiramisu-103": Entry("tiramisu:Tiramisu", "Jégou et al. 2017", parameters=9.4),
    "deeplabv3plus-mobilenetv2": Entry("deeplab:DeepLab", "Chen et al. 2018", {"base": "mobilenetv2"}),
    "deeplabv3plus-resnet50": Entry("deeplab:DeepLab", "Chen et al. 2018", {"base": "resnet50"}),
    "deeplabv3plus-resnet101": Entry("deeplab:DeepLab", "Chen et al. 2018", {"base": "resnet101"}),
    "deeplabv3plus-xception": Entry("deeplab:DeepLab", "Chen et al. 2018", {"base": "xception65"}),
}


def build(name: str, **options: Any) -> nn.Module:
    """Return a new network with random weights.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.
    **options
        Replace the entry's own; what a class takes, its docstring says.

    Raises
    ------
    PlanError
        If there is no such architecture.
    """
    return made_by(name)(**{**entry_of(name).options, **options})


def made_by(name: str) -> type[nn.Module]:
    """Return the class of an architecture."""
    module, made = entry_of(name).made_by.split(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), made)


def entry_of(name: str) -> Entry:
    """Return what is known of an architecture, or raise PlanError."""
    if name not in NETWORKS:
        raise PlanError(f"network: expected one of {', '.join(sorted(NETWORKS))}, got {name!r}")
    return NETWORKS[name]
