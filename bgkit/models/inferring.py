"""A card for an ONNX file that came without one: what the graph says, and what is assumed with a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bgkit.errors import ModelError
from bgkit.models.card import Card, File, Input, License, Output
from bgkit.models.fitting import other_layout
from bgkit.models.graph import Graph, Value, read_graph

__all__ = ["infer_card"]

IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225)}
BYTES: dict[str, Any] = {"scale": 255.0}


def infer_card(path: Path) -> Card:
    """Return a card read from the graph of ``path``.

    The graph says the names, the layout, the size and whether the output is a probability; it does not
    say the channel order and the normalization: RGB and ImageNet's are assumed, and said so in
    :attr:`Card.inferred`.

    Raises
    ------
    ModelError
        If the graph leaves a choice (several inputs or outputs, a free size, more than two classes);
        the message says what a card must say.
    """
    graph = read_graph(path)
    ask = f"{path}: cannot be used without a card: %s; write {path.with_suffix('.toml').name} beside it with %s"
    if len(graph.inputs) != 1:
        raise ModelError(ask % (f"it has {len(graph.inputs)} inputs ({_list(graph.inputs)})", "[[input.tensors]]"))
    source = graph.inputs[0]
    layout = _layout(source)
    if layout is None:
        raise ModelError(
            ask % (f"its input ({source}) is not a picture of 3 channels", "input.layout or input.tensors")
        )
    shape = dict(zip(layout, source.shape or (), strict=True))
    if shape["H"] is None or shape["W"] is None:
        raise ModelError(ask % (f"its input ({source}) has no fixed size", "input.size, or short_side and multiple"))
    target = _main_output(graph, layout)
    if target is None:
        raise ModelError(ask % (f"it has {len(graph.outputs)} outputs ({_list(graph.outputs)})", "output.name"))
    out = other_layout(target, layout, (shape["H"], shape["W"])) or layout
    count = target.shape[out.index("C")] if target.shape and len(target.shape) == len(out) else None
    if count is not None and count > 2:
        raise ModelError(ask % (f"its output ({target}) has {count} classes", "output.classes"))
    takes_bytes = source.dtype == "uint8"
    activation = _activation(graph.last_operator(target.name), count)
    classes = (1,) if count == 2 else (0,)
    values = "bytes as they are" if takes_bytes else "ImageNet's mean and deviation"
    return Card(
        bgkit=1,
        name=path.stem,
        summary="A file without a card.",
        sources=("the file's graph",),
        file=File(name=path.name, bytes=path.stat().st_size),
        license=License(
            name="unknown",
            commercial="unclear",
            terms="The file says nothing of its terms; ask where it came from.",
        ),
        input=Input(
            name=source.name,
            size=(shape["H"], shape["W"]),
            layout=layout,  # type: ignore[arg-type]
            **BYTES if takes_bytes else IMAGENET,
        ),
        output=Output(name=target.name, activation=activation, classes=classes, layout=out),  # type: ignore[arg-type]
        inferred=(
            f"read from the graph: input {source} as {layout}, output {target} as {out}, activation {activation}"
            + (", class 1 of 2 as the foreground" if count == 2 else ""),
            f"assumed: RGB, {values}, stretched to the input's size; a card says it for sure",
        ),
    )


def _layout(value: Value) -> str | None:
    if value.shape is None:
        return None
    for layout in ("NCHW", "NHWC", "CHW"):
        if len(value.shape) == len(layout) and value.shape[layout.index("C")] == 3:
            return layout
    return None


def _main_output(graph: Graph, layout: str) -> Value | None:
    """Return the only output, or the only one that is a map of one channel."""
    if len(graph.outputs) == 1:
        return graph.outputs[0]
    places = {1, 3} if len(layout) == 4 else {0}  # of the channel: NCHW or NHWC, or CHW
    maps = [v for v in graph.outputs if v.shape and len(v.shape) == len(layout) and 1 in (v.shape[i] for i in places)]
    return maps[0] if len(maps) == 1 else None


def _activation(operator: str, count: int | None) -> str:
    if operator in ("Sigmoid", "HardSigmoid", "Softmax", "Clip"):
        return "none"
    return "softmax" if count == 2 else "sigmoid"


def _list(values: tuple[Value, ...]) -> str:
    return "; ".join(map(str, values))
