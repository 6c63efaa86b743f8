"""Several ONNX networks as one file, which pools their answers: an ensemble of what is exported already.

Each network may have been trained with a normalization of its own. The joined file takes the picture as the first one
wants it; in front of each other network one product and one sum turn that into what it wants.

The answers are pooled as logarithms of odds (Genest and Zidek: Combining Probability Distributions. Statistical Science
1(1), 1986): of two networks the surer one decides. A network that finds nothing in a picture does not count where
another is sure of a subject. It is then the one that does not know what it sees, while on mere texture no network is
sure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

from bgkit.errors import ModelError
from bgkit.files import digest_of, replacing, write_whole
from bgkit.models.card import Card, parse_card
from bgkit.models.store import locate
from bgkit.train.exportcard import card_name, copy_card, set_checksum
from bgkit.train.whole_numbers import calibrate

__all__ = ["join", "join_in_whole_numbers", "write_joined_card"]

Floats = NDArray[np.float32]

CLIP = 1e-3  # probabilities count as if they were no nearer to 0 and 1, or one network would overrule all others
NOTHING = 0.01  # of the picture: a network that marks less finds nothing
SURE, TOUCHING = 0.84, 0.12  # mean probability of what a network that is sure marks at least; of the border, at most


def join(models: Sequence[str | Path], target: Path) -> None:
    """Write a file whose answer is pooled from the answers of several networks.

    Parameters
    ----------
    models : sequence of str or Path
        Names of known networks, or ONNX files with a card beside: each takes one RGB picture (N, 3, H, W) of the same
        size and gives one map (N, 1, H, W).
    target : Path
        The ONNX file: input ``image`` as the first network's card has it, output ``mask``, 0..1, that needs no
        activation.

    Raises
    ------
    ModelError
        If there are fewer than two, or one of them takes or gives something else.
    """
    if len(models) < 2:
        raise ModelError("export: expected two ONNX files or more to join")
    cards = [locate(str(model)) for model in models]
    first = cards[0][0]
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    answers: list[str] = []
    opsets: dict[str, int] = {}
    for place, (card, path) in enumerate(cards):
        _check(card, first)
        model = compose.add_prefix(onnx.load(path), f"{place}/")
        opsets |= {each.domain: max(each.version, opsets.get(each.domain, 0)) for each in model.opset_import}
        graph = model.graph
        factor, offset = _between(card, first)
        values = {"factor": factor, "offset": offset}
        weights += [numpy_helper.from_array(value, f"{place}/{name}") for name, value in values.items()]
        nodes.append(helper.make_node("Mul", ["image", f"{place}/factor"], [f"{place}/scaled"]))
        nodes.append(helper.make_node("Add", [f"{place}/scaled", f"{place}/offset"], [graph.input[0].name]))
        nodes += graph.node
        weights += graph.initializer
        answer = graph.output[0].name
        if card.output.activation == "sigmoid":
            nodes.append(helper.make_node("Sigmoid", [answer], [f"{place}/answer"]))
            answer = f"{place}/answer"
        answers.append(answer)
    pooling, constants = _pooled(answers)
    nodes += pooling
    weights += constants
    picture = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["N", 3, "H", "W"])
    mask = helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, ["N", 1, "H", "W"])
    joined = helper.make_model(
        helper.make_graph(nodes, "joined", [picture], [mask], weights),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())],
        ir_version=onnx.load(cards[0][1], load_external_data=False).ir_version,
        producer_name="bgkit",
    )
    onnx.checker.check_model(joined)
    write_whole(target, joined.SerializeToString(deterministic=True))


def join_in_whole_numbers(models: Sequence[str | Path], target: Path, folder: str) -> float:
    """Write a file as :func:`join` does, or a copy of one alone, that counts in whole numbers.

    Parameters
    ----------
    models, target
        As :func:`join` takes them; one model is enough.
    folder : str
        Of training pictures, on which the ranges of values are measured.

    Returns
    -------
    float
        The mean difference of the answers on these pictures.

    Raises
    ------
    ModelError, RecipeError
        As :func:`join` and :func:`bgkit.train.whole_numbers.calibrate` do; nothing is written then.
    """
    card, path = locate(str(models[0]))
    with replacing(target) as part:
        if len(models) > 1:
            join(models, part)
            card = replace(card, output=replace(card.output, name="", index=None, activation="none"))
        else:
            part.write_bytes(path.read_bytes())
        return calibrate(part, card, folder)


def _pooled(answers: Sequence[str]) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes and constants that pool the answers (N, 1, H, W) of several networks into ``mask``.

    A network is sure if it finds something, apart from the border, and means it: a picture of mere texture that passes
    for a subject fills the frame, or is marked with doubt.
    """
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, NDArray[Any]] = {
        "half": np.float32(0.5),
        "one": np.float32(1),
        "clip": np.float32(CLIP),
        "unclip": np.float32(1 - CLIP),
        "nothing": np.float32(NOTHING),
        "sure": np.float32(SURE),
        "touching": np.float32(TOUCHING),
        "rows": np.int64([2]),
        "cols": np.int64([3]),
        "first": np.int64([0]),
        "second": np.int64([1]),
        "last": np.int64([-1]),
        "end": np.int64([np.iinfo(np.int64).max]),
    }

    def make(kind: str, *inputs: str, **attributes: Any) -> str:
        made = f"pool/{len(nodes)}"
        names = [f"pool/{name}" if name in constants else name for name in inputs]
        nodes.append(helper.make_node(kind, names, [made], **attributes))
        return made

    def mean(values: str) -> str:
        return make("ReduceMean", values, axes=[1, 2, 3], keepdims=1)

    found, sure = [], []
    for answer in answers:
        marked = make("Cast", make("Greater", answer, "half"), to=onnx.TensorProto.FLOAT)
        share = mean(marked)
        finds = make("Not", make("Less", share, "nothing"))
        certainty = make("Div", mean(make("Mul", answer, marked)), make("Max", share, "nothing"))
        ends = (("first", "second"), ("last", "end"))
        sides = [mean(make("Slice", marked, *end, axis)) for axis in ("rows", "cols") for end in ends]
        apart = make("Not", make("Greater", make("Mean", *sides), "touching"))
        found.append(finds)
        sure.append(make("And", finds, make("And", apart, make("Not", make("Less", certainty, "sure")))))
    somebody = sure[0]
    for each in sure[1:]:
        somebody = make("Or", somebody, each)
    nobody = make("Not", somebody)
    terms, says = [], []
    for answer, finds in zip(answers, found, strict=True):
        say = make("Cast", make("Or", finds, nobody), to=onnx.TensorProto.FLOAT)
        chance = make("Clip", answer, "clip", "unclip")
        odds = make("Log", make("Div", chance, make("Sub", "one", chance)))
        terms.append(make("Mul", say, odds))
        says.append(say)
    nodes.append(helper.make_node("Sigmoid", [make("Div", make("Sum", *terms), make("Sum", *says))], ["mask"]))
    return nodes, [numpy_helper.from_array(np.asarray(value), f"pool/{name}") for name, value in constants.items()]


def write_joined_card(
    models: Sequence[str | Path], target: Path, card: Path | None, license_name: str, commercial: str
) -> None:
    """Write the card of a joined file beside it, or set the checksum of ``card``."""
    if card is not None:
        set_checksum(card, target)
        return
    cards = [locate(str(model))[0] for model in models]
    beside = locate(str(models[0]))[1].with_suffix(".toml")
    if len(cards) == 1 and beside.is_file():
        copy_card(beside, target)
        return
    first = cards[0].input
    allowed = {"yes": "true", "no": "false"}.get(commercial, '"unclear"')
    lines = [
        "bgkit = 1",
        f'name = "{card_name(target)}"',
        f'summary = "The {"pooled " * (len(cards) > 1)}answers of {", ".join(each.name for each in cards)}."',
        f"sources = {json.dumps([each.name for each in cards])}",
        f'[file]\nname = "{target.name}"\nsha256 = "{digest_of(target)}"\nbytes = {target.stat().st_size}',
        f"[license]\nname = {json.dumps(license_name)}\ncommercial = {allowed}",
        f'[input]\nname = "image"\nsize = {list(first.fixed or ())}\nfit = "{first.fit}"\nscale = {first.scale}',
        f"mean = {_three(first.mean)}\ndeviation = {_three(first.deviation)}",
        '[output]\nname = "mask"\nactivation = "none"',
    ]
    text = "\n".join(lines) + "\n"
    path = target.with_suffix(".toml")
    parse_card(text, str(path))
    write_whole(path, text)


def _three(value: float | tuple[float, ...]) -> list[float]:
    return [float(each) for each in np.broadcast_to(value, 3)]


def _check(card: Card, first: Card) -> None:
    """Refuse what has no place in a mean of masks of one picture."""
    given, taken = card.output, card.input
    if given.activation not in ("none", "sigmoid") or given.instances or given.stretch:
        raise ModelError(f"{card.name}: expected one map, output.activation none or sigmoid, to join it with others")
    if taken.fixed is None or taken.fixed != first.input.fixed or taken.fit != first.input.fit:
        raise ModelError(
            f"{card.name}: expected the same input.size and input.fit as {first.name} ({first.input.size}, "
            f"{first.input.fit}), got {taken.size}, {taken.fit}"
        )
    if taken.layout != "NCHW" or taken.order != "RGB" or any(each.layers != ("image",) for each in taken.tensors):
        raise ModelError(f"{card.name}: expected an input of one RGB picture (NCHW), to join it with others")


def _between(card: Card, first: Card) -> tuple[Floats, Floats]:
    """Return factor and offset, (1, 3, 1, 1), from the first network's picture to this one's.

    Both are (value scale - mean) / deviation of the same value.
    """
    scale, mean, deviation = (
        [np.broadcast_to(np.float64(getattr(each.input, name)), 3) for each in (card, first)]
        for name in ("scale", "mean", "deviation")
    )
    factor = deviation[1] * scale[0] / (scale[1] * deviation[0])
    offset = (mean[1] * scale[0] / scale[1] - mean[0]) / deviation[0]
    return tuple(np.float32(each).reshape(1, 3, 1, 1) for each in (factor, offset))  # type: ignore[return-value]
