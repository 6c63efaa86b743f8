"""A network that counts in whole numbers: sooner done, with the same answer on every processor.

A map of features is stored in 8 bits, as steps between the smallest and the largest value that it has on training
pictures; weights are stored as steps of their channel's largest. Then a convolution is a sum of products of whole
numbers, which nothing rounds (Jacob et al.: Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference. CVPR 2018). In the file each map goes through ``QuantizeLinear`` and
``DequantizeLinear``; ONNX Runtime makes integer convolutions of what lies between.

Weights that are each rounded to the nearest step can add up to several steps too much or too little, and what a map
holds varies little from pixel to pixel: the errors add up, too. So some are rounded the other way, until the errors of
each kernel, and then those of each channel, add up to half a step at most (Guo et al.: SQuant. ICLR 2022).

ONNX Runtime brings two maps that are added to the step of their sum in float32, with fused multiply-add where a
processor has it, so that such a sum can end at another step elsewhere, in the browser, for one. Here the steps of added
maps are sixteenths of the sum's, times a power of two: then nothing is rounded before it is stored.

Processors without instructions for it (x86 before VNNI) add pairs of products in 16 bits, and clip what does not fit:
255 steps of a map and 64 of a weight always fit, 127 do not. Depthwise convolutions add in 32 bits everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from bgkit.errors import ModelError
from bgkit.files import write_whole
from bgkit.models.card import Card
from bgkit.models.decode_output import read_map
from bgkit.models.encode_input import fill, place
from bgkit.models.fitting import output_names
from bgkit.models.graph import read_graph
from bgkit.models.session import start
from bgkit.train.compact import keep_needed, weights_of
from bgkit.train.pictures import read_pictures
from bgkit.train.recipe import Data

__all__ = ["calibrate", "count_in_whole_numbers", "ranges_of", "shown"]

Array = NDArray[np.generic]

DENSE, DEPTHWISE = 64, 127  # steps of a channel's largest weight
LEVELS = 255  # steps of a map
KEEPING = ("Resize", "Expand")  # make no value outside their map's range
JOINING = ("Add", "Concat")
MOST = 2**30  # steps of an offset: int32, with room for the sum of products
SHOWN = 109  # pictures at least, where there are as many, that ranges are measured on
PARTS = 16  # of a sum's step, of which the steps of added maps are whole multiples, times a power of two
FINEST = 2.0**-8  # of a sum's step: an added map with a smaller one would change the sum by a step at most
FARTHEST = 0.05  # mean difference of answers from which on a network is of no use in whole numbers
DIGITS = 3  # of a range, so that the last bits of a processor's floats count for nothing


@dataclass
class _Plan:
    """Which nodes count in whole numbers, and which maps are stored."""

    weights: Mapping[str, Array]  # the graph's constants
    makes: dict[str, str] = field(default_factory=dict)  # output of such a node -> its map, behind Relu or Clip
    like: dict[str, str] = field(default_factory=dict)  # stored map -> the map whose range it has
    clips: set[str] = field(default_factory=set)  # outputs of Relu and Clip that storing makes needless


def calibrate(path: Path, card: Card, folder: str) -> float:
    """Let the network of a file count in whole numbers; its ranges are measured on training pictures.

    Parameters
    ----------
    path : Path
        An ONNX file of float32, or whose weights are stored in fewer bits; written anew.
    card : Card
        How it wants its picture.
    folder : str
        Of training pictures, as ``data.folder`` of a recipe.

    Returns
    -------
    float
        The mean difference of its answers on these pictures.

    Raises
    ------
    ModelError
        If it takes anything but one picture, if it counts so already or none of its convolutions can, or if its answers
        differ by more than 0.05 in the mean; the file stays as it was then.
    RecipeError
        If there are no pictures.
    """
    if card.layers != ("image",) or card.output.instances is not None or card.output.regions is not None:
        raise ModelError(
            f"{card.name}: expected a network that takes one picture and gives one map, to count in whole numbers"
        )
    pictures = list(shown(card, folder))
    model = onnx.load(path)
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ModelError(f"{card.name}: expected a network of float32, this one counts in whole numbers already")
    if not _plan(model).makes:
        raise ModelError(f"{card.name}: expected convolutions with weights and offsets in the file, found none")
    before = _answers(model, card, path, pictures)
    count_in_whole_numbers(model, ranges_of(model, pictures))
    onnx.checker.check_model(model)
    after = _answers(model, card, path, pictures)
    difference = float(np.mean([np.abs(one - other).mean() for one, other in zip(before, after, strict=True)]))
    if difference > FARTHEST:
        raise ModelError(
            f"{card.name}: in whole numbers its answers differ by {difference:.2g} in the mean, expected at most "
            f"{FARTHEST}; export it without --calibrate"
        )
    write_whole(path, model.SerializeToString(deterministic=True))
    return difference


def shown(card: Card, folder: str) -> Iterator[NDArray[np.float32]]:
    """Return some hundred training pictures of a folder, evenly spread over their names, as a network wants them."""
    images = read_pictures(Data(folder=folder)).images
    for image in images[:: max(1, len(images) // SHOWN)]:
        yield fill(card, ("image",), {"image": np.float32(image) / 255}, place(card, image.shape[:2]))


def ranges_of(model: onnx.ModelProto, pictures: Iterable[NDArray[np.float32]]) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest value of every map that is to be stored in 8 bits.

    Parameters
    ----------
    model : onnx.ModelProto
        Of float32, with one input.
    pictures : iterable of ndarray of shape (1, 3, M, N)
        What the network is shown, as its card wants it: a hundred of those it was trained on are enough.

    Returns
    -------
    dict of str to tuple of float
        By name of the map, rounded to three digits.
    """
    like = _plan(model).like
    names = [name for name in like if like[name] == name]
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    seen.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = _start(seen)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for picture in pictures:
        found = session.run(names, {session.get_inputs()[0].name: picture})
        low = np.minimum(low, [each.min() for each in found])
        high = np.maximum(high, [each.max() for each in found])
    return {
        name: (float(f"{least:.{DIGITS}g}"), float(f"{most:.{DIGITS}g}"))
        for name, least, most in zip(names, low, high, strict=True)
    }


def count_in_whole_numbers(model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Store the maps and the weights of a network in 8 bits, so that its convolutions count in whole numbers.

    The last convolution stays as it is: it writes the answer, of which 256 steps would be too few.

    Parameters
    ----------
    model : onnx.ModelProto
        Of float32; changed in place.
    ranges : mapping of str to tuple of float
        What :func:`ranges_of` says of it.
    """
    graph, plan = model.graph, _plan(model)
    nodes: list[NodeProto] = []
    steps = _steps_of_maps(graph.node, plan, ranges)
    reads: dict[str, str] = {}  # map -> what reads it where it is stored

    def constant(name: str, value: Array) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def store(name: str, made: str) -> None:
        like = plan.like[name]
        if name == like:
            constant(f"{name}.step", steps[name])
            constant(f"{name}.zero", np.rint(-min(ranges[name][0], 0) / steps[name]).astype(np.uint8))
        steps[name], reads[name] = steps[like], f"{name}.read"
        unit = [f"{like}.step", f"{like}.zero"]
        nodes.append(helper.make_node("QuantizeLinear", [made, *unit], [f"{name}.stored"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.stored", *unit], [f"{name}.read"]))

    def whole(name: str, values: Array, step: Array) -> str:
        """Return what reads weights stored as whole numbers of a step for each channel."""
        inputs = [constant(f"{name}.stored", values), constant(f"{name}.step", step)]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}.read"], axis=0))
        return f"{name}.read"

    for given in graph.input:
        if given.name in plan.like:
            store(given.name, given.name)
    for node in graph.node:
        out = node.output[0]
        if out in plan.clips:
            continue
        if node.op_type == "Conv" and out in plan.makes:
            weight, offset = plan.weights[node.input[1]], plan.weights[node.input[2]]
            unit, depthwise = steps[node.input[0]], weight.shape[1] == 1 < _groups(node)
            step = _steps_of_weights(weight, offset, unit, depthwise=depthwise)
            stored = _round_evenly(weight / step[:, None, None, None], DEPTHWISE if depthwise else DENSE)
            unit = unit * step
            node.input[1] = whole(f"{out}.weight", stored.astype(np.int8), step)
            node.input[2] = whole(f"{out}.offset", np.rint(offset / np.float64(unit)).astype(np.int32), unit)
        node.input[:] = [reads.get(name, name) for name in node.input]
        nodes.append(node)
        name = plan.makes.get(out, out)
        if name in plan.like:
            store(name, out)
    ordered = [NodeProto.FromString(node.SerializeToString()) for node in nodes]  # the list is emptied below
    del graph.node[:]
    graph.node.extend(ordered)
    keep_needed(model)


def _steps_of_maps(
    nodes: Sequence[NodeProto], plan: _Plan, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, np.float32]:
    """Return the step of each stored map: its range in 255 parts, or as much more as keeps sums of maps exact."""
    wanted = {name: (max(high, 0) - min(low, 0)) / LEVELS or 1.0 for name, (low, high) in ranges.items()}
    sums = [
        (plan.like[plan.makes[node.output[0]]], [plan.like[name] for name in node.input])
        for node in nodes
        if node.op_type == "Add" and node.output[0] in plan.makes
    ]
    users = Counter(name for _, added in sums for name in added)
    parts = PARTS if max(users.values(), default=0) <= 1 else 1  # powers of two are multiples of each other
    steps: dict[str, float] = {}
    for made, added in reversed(sums):  # what is added may be a sum itself, whose own parts follow from its step
        unit = steps.setdefault(made, _round_up(wanted[made], parts))
        for name in added:
            step = unit * _round_up(max(wanted[name] / unit, FINEST), parts)
            exact = float(np.float32(step)) == step  # in a long chain of sums the digits run out
            steps[name] = step if exact else unit * _round_up(max(wanted[name] / unit, FINEST), 1)
    return {name: np.float32(steps.get(name, wanted[name])) for name in wanted}


def _round_up(value: float, parts: int) -> float:
    """Return the next number from ``value`` on that is a power of two times 1, or 1 and some of ``parts`` parts."""
    power = 2.0 ** np.floor(np.log2(value))
    return float(power * np.ceil(value / power * parts) / parts)


def _steps_of_weights(weight: Array, offset: Array, unit: np.float32, *, depthwise: bool) -> NDArray[np.float32]:
    """Return the step of each channel's weights, (C,): of a map whose step is ``unit``, its offset has to fit, too."""
    count = DEPTHWISE if depthwise else DENSE
    step = np.maximum(np.abs(weight).max((1, 2, 3)) / count, np.abs(offset) / (MOST * unit)).astype(np.float32)
    return np.where(step > 0, step, np.float32(1))


def _round_evenly(weights: Array, most: int) -> Array:
    """Return whole numbers, ``most`` at most, for weights in steps, (O, I, M, N).

    The errors of a kernel (M, N) nearly cancel out, and then those of a channel (O).
    """
    true = weights.reshape(*weights.shape[:2], -1)
    whole = np.rint(true)
    whole += _moved(true - whole)
    errors = true - whole
    kernels = _moved(errors.sum(-1))[..., None]  # one more weight of each of these
    place = np.argmax(errors * kernels, -1)[..., None]
    np.put_along_axis(whole, place, np.take_along_axis(whole, place, -1) + kernels, -1)
    return np.clip(whole, -most, most).reshape(weights.shape)


def _moved(errors: Array) -> Array:
    """Return -1, 0 or 1 for each error: less that, their sums along the last axis are half a step at most.

    Moved are the largest ones: the weights nearest to the middle between two steps.
    """
    total = errors.sum(-1, keepdims=True)
    rank = np.argsort(np.argsort(-errors * np.sign(total), -1, kind="stable"), -1, kind="stable")
    return np.where(rank < np.rint(np.abs(total)), np.sign(total), 0)


def _groups(node: NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)


def _answers(model: onnx.ModelProto, card: Card, path: Path, pictures: Iterable[Array]) -> list[Array]:
    """Return a network's maps of some pictures, 0..1, at its own size."""
    session = _start(model)
    name = output_names(card, read_graph(path), str(path))[0]
    found = (session.run([name], {session.get_inputs()[0].name: picture})[0] for picture in pictures)
    return [np.clip(read_map(card, each, path), 0, 1) for each in found]


def _start(model: onnx.ModelProto) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        onnx.save(model, path)
        return start(path, "cpu")


def _plan(model: onnx.ModelProto) -> _Plan:
    graph, plan = model.graph, _Plan(weights_of(model))
    users = Counter(name for node in graph.node for name in node.input)
    clips = {node.input[0]: node.output[0] for node in graph.node if _clips_around_zero(node, plan.weights)}
    last = _last_convolutions(graph.node)
    for node in graph.node:
        kind, out = node.op_type, node.output[0]
        data = node.input if kind in JOINING else node.input[:1]
        if kind == "Conv" and out not in last and len(node.input) > 2 and np.ndim(plan.weights.get(node.input[1])) == 4:
            plan.like.setdefault(data[0], data[0])
        elif not (kind in (*JOINING, *KEEPING) and all(name in plan.makes.values() for name in data)):
            continue
        if kind in KEEPING:
            plan.makes[out] = out
            plan.like[out] = plan.like[data[0]]
            continue
        if out in clips and users[out] == 1:
            plan.makes[out] = clips[out]
            plan.clips.add(clips[out])
        else:
            plan.makes[out] = out
        plan.like[plan.makes[out]] = plan.makes[out]
    return plan


def _clips_around_zero(node: NodeProto, weights: Mapping[str, Array]) -> bool:
    """Return whether a node clips to a range that holds 0, as the range of a stored map does."""
    if node.op_type == "Relu":
        return True
    bounds = [weights.get(name) for name in node.input[1:]]
    if node.op_type != "Clip" or len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        return False
    return bool(bounds[0] <= 0 <= bounds[1])


def _last_convolutions(nodes: Iterable[NodeProto]) -> set[str]:
    """Return the outputs of convolutions that no other convolution takes anything from."""
    leading: set[str] = set()  # to a convolution
    last = set()
    for node in reversed(list(nodes)):
        if node.op_type == "Conv" and not leading.intersection(node.output):
            last.add(node.output[0])
        if node.op_type == "Conv" or (node.op_type != "Shape" and leading.intersection(node.output)):
            leading.update(node.input)
    return last
