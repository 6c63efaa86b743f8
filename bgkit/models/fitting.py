"""Whether a card fits the graph it is for, checked before anything runs."""

from __future__ import annotations

import math

from bgkit.errors import ModelError, cut
from bgkit.models.card import CHANNELS, LAYOUTS, Card
from bgkit.models.graph import Graph, Value

__all__ = ["check_card", "classes_of", "other_layout", "output_names", "spatial"]


def check_card(card: Card, graph: Graph, place: str) -> list[Value]:
    """Return the graph's input for each of the card's tensors; ``place`` is the ONNX file, for messages.

    Raises
    ------
    ModelError
        If the graph has no such input or output, or another layout, channel count or size.
    """
    listing = "; ".join(map(str, graph.inputs))
    values = []
    place = f"{card.place} (for {place})" if card.place else place
    windows = _windows_of(card, graph, place)
    pictures = [value for value in graph.inputs if value != windows]
    for tensor in card.tensors:
        wanted = tensor.name or (pictures[0].name if len(card.tensors) == 1 == len(pictures) else "")
        value = next((value for value in graph.inputs if value.name == wanted), None)
        if value is None:
            field = "input.tensors.name" if card.input.tensors else "input.name"
            raise ModelError(
                f"{place}: {field}: expected one of the graph's inputs ({listing}), "
                f"got {repr(tensor.name) if tensor.name else 'nothing'}"
            )
        _check_shape(card, tensor.layers, value, place)
        values.append(value)
    unfed = [value.name for value in pictures if value not in values]
    if unfed:
        raise ModelError(
            f"{place}: input.tensors: expected a table for each of the graph's inputs ({listing}), got none for "
            f"{', '.join(unfed)}"
        )
    if graph.foreign:
        raise ModelError(
            f"{place}: expected operators of ONNX or ONNX Runtime, got {cut(', '.join(graph.foreign))}; export the "
            "network without custom operators"
        )
    outputs = output_names(card, graph, place)
    for value in graph.outputs:
        if value.name in outputs and (value.dtype == "text" or value.dtype.startswith("type ")):
            raise ModelError(f"{place}: output.name: expected an output of numbers, got {value}")
    if card.output.instances is not None:
        _check_instances(graph, outputs, place)
    elif card.output.regions is not None:
        _check_levels(card.output.regions.levels, graph, place)
    else:
        _check_activation(card, graph, outputs[0], place)
        _check_map(card, next(value for value in graph.outputs if value.name == outputs[0]), values[0], place)
    return values


def _windows_of(card: Card, graph: Graph, place: str) -> Value | None:
    """Return the input of a network that scores regions that takes their windows, (R, 3, h, w) with h and w known."""
    rule = card.output.regions
    if rule is None:
        return None
    value = next((value for value in graph.inputs if value.name == rule.windows), None)
    shape = value.shape if value is not None and value.dtype == "float32" else None
    if shape is None or len(shape) != 4 or shape[:2] != (None, 3) or None in shape[2:]:
        listing = "; ".join(map(str, graph.inputs))
        raise ModelError(
            f"{place}: output.regions.windows: expected a float32 input of any number of regions (R, 3, rows, columns) "
            f"among the graph's ({listing}), got {value or rule.windows}"
        )
    return value


def _check_shape(card: Card, layers: tuple[str, ...], value: Value, place: str) -> None:
    if value.dtype not in ("float32", "float16", "float64", "uint8"):
        raise ModelError(f"{place}: expected an input of floats or uint8, got {value}")
    if value.shape is None:
        return
    channels = sum(CHANNELS[layer] for layer in layers)
    fitting = [each for each in LAYOUTS if len(value.shape) == len(each) and value.shape[each.index("C")] == channels]
    layout = card.input.layout
    wrong = len(value.shape) != len(layout)
    given = None if wrong else value.shape[layout.index("C")]
    if wrong or (fitting and given not in (None, channels)):
        expected = f'"{fitting[0]}" for' if fitting else "one that fits"
        raise ModelError(f'{place}: input.layout: expected {expected} {value}, got "{layout}"')
    if given is not None and given != channels:
        raise ModelError(
            f"{place}: expected {given} channels for {value}, got {channels} ({' + '.join(layers)} in {layout}); "
            "mend input.layout or the layers of input.tensors"
        )
    fixed = spatial(value, layout)
    if None not in fixed and card.input.fixed is None and (card.input.short_side or card.input.long_side):
        raise ModelError(
            f"{place}: input.size: the graph's input is fixed ({value}); expected size = [{fixed[0]}, {fixed[1]}]"
        )
    for axis, (side, wish) in enumerate(zip(fixed, card.input.fixed or fixed, strict=True)):
        if side is not None and side != wish:
            raise ModelError(
                f"{place}: input.size: expected the graph's {side} {('rows', 'columns')[axis]} ({value}), got {wish}"
            )


def _check_instances(graph: Graph, outputs: list[str], place: str) -> None:
    """Refuse boxes, labels, scores and masks of unequal number, where the graph says how many there are."""
    shapes = {value.name: value.shape or (None,) for value in graph.outputs}
    inner = (1, 0, 0, 2)  # dimensions of one box, label, score, mask
    counts = {}
    for name, own in zip(outputs, inner, strict=True):
        outer = shapes[name][: len(shapes[name]) - own]
        if None not in outer:
            counts[name] = math.prod(size or 0 for size in outer)
    if len(set(counts.values())) > 1:
        given = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise ModelError(f"{place}: output.instances: expected as many boxes, labels, scores and masks, got {given}")


def _check_levels(name: str, graph: Graph, place: str) -> None:
    """Refuse an output for the weights of levels that does not say how many there are."""
    value = next(value for value in graph.outputs if value.name == name)
    if value.shape is None or len(value.shape) != 1 or value.shape[0] is None:
        raise ModelError(f"{place}: output.regions.levels: expected a number for each level (levels), got {value}")


def _check_activation(card: Card, graph: Graph, output: str, place: str) -> None:
    """Refuse an activation that the graph holds already: of a probability it would make 0.5 to 0.73, all gray."""
    last, wanted = graph.last_operator(output), card.output.activation
    if last in ("Sigmoid", "HardSigmoid", "Softmax") and wanted in ("sigmoid", "softmax"):
        raise ModelError(
            f'{place}: output.activation: expected "none", got "{wanted}"; '
            f"the graph's output {output} is made by {last} already"
        )


def _check_map(card: Card, value: Value, source: Value, place: str) -> None:
    """Refuse an output that is no map, or that has not the card's classes."""
    shape, layout = value.shape, card.output_layout
    if shape is None:
        return
    rank, whole = len(shape), "NCHW" if layout == "CHW" else layout  # a batch of one may stand before CHW
    flat = rank == 2 and (shape[0] == 1 or (shape[0] is None and layout != "CHW"))
    if rank not in (2, 3, 4) or flat or (rank == 4 and spatial(value, whole) == (1, 1)):
        raise ModelError(
            f"{place}: output.name: expected a map (1, classes, rows, columns), got {value}; "
            "a network that answers with one number for each class cannot be used"
        )
    other = other_layout(value, layout, spatial(source, card.input.layout))
    if other:
        raise ModelError(f'{place}: output.layout: expected "{other}" for {value}, got "{layout}"')
    count = {2: 1, 3: shape[0], 4: shape[whole.index("C") if rank == 4 else 0]}[rank]
    if count is not None and card.output.activation != "labels":
        classes_of(card, count, place)


def other_layout(value: Value, layout: str, picture: tuple[int | None, int | None]) -> str:
    """Return the layout that an output of four dimensions has beyond doubt if it is not ``layout``, else "".

    Beyond doubt: with it alone there are one or two classes, or rows and columns as in the picture.
    """
    if value.shape is None or len(value.shape) != 4 or layout == "CHW":
        return ""
    other = "NHWC" if layout == "NCHW" else "NCHW"
    few, few_there = (value.shape[each.index("C")] in (1, 2) for each in (layout, other))
    alike, alike_there = (_alike(spatial(value, each), picture) for each in (layout, other))
    return other if (few_there and not few) or (alike_there and not alike and not few) else ""


def _alike(sides: tuple[int | None, int | None], picture: tuple[int | None, int | None]) -> bool:
    (rows, cols), (height, width) = sides, picture
    return None not in (rows, cols, height, width) and (rows or 0) * (width or 0) == (cols or 0) * (height or 0)


def classes_of(card: Card, count: int, place: str) -> tuple[int, ...]:
    """Return which of ``count`` classes are foreground: the card's, else the only one or the second of two."""
    classes = card.output.classes or ((1,) if count == 2 else (0,))
    if not card.output.classes and count > 2:
        raise ModelError(f"{place}: output.classes: expected the foreground classes out of {count}, got none")
    if max(classes) >= count:
        raise ModelError(f"{place}: output.classes: expected numbers in 0..{count - 1}, got {max(classes)}")
    return classes


def spatial(value: Value, layout: str) -> tuple[int | None, int | None]:
    if value.shape is None:
        return None, None
    return value.shape[layout.index("H")], value.shape[layout.index("W")]


def output_names(card: Card, graph: Graph, place: str) -> list[str]:
    """Return the names of the outputs that the card reads."""
    names = [value.name for value in graph.outputs]
    rule = card.output
    if rule.instances is not None:
        wanted = [rule.instances.boxes, rule.instances.labels, rule.instances.scores, rule.instances.masks]
    elif rule.regions is not None:
        wanted = [rule.regions.mdf, rule.regions.levels, rule.regions.rcnn]
    elif rule.index is not None:
        if rule.index >= len(names):
            raise ModelError(f"{place}: output.index: expected 0..{len(names) - 1}, got {rule.index}")
        wanted = [names[rule.index]]
    elif rule.name or len(names) == 1:
        wanted = [rule.name or names[0]]
    else:
        raise ModelError(
            f"{place}: output.name: expected one of {', '.join(names)}, got nothing; the graph has several"
        )
    for name in wanted:
        if name not in names:
            raise ModelError(
                f"{place}: output.name: expected one of the graph's outputs ({', '.join(names)}), got {name!r}"
            )
    return wanted
