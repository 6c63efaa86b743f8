"""Read what an ONNX file says of itself: its inputs, outputs and operators, without running it.

The few fields of the format that are needed (onnx.proto3: ModelProto, GraphProto, NodeProto,
ValueInfoProto) are walked in place, weights skipped, so that a pipeline can be checked against a
file of any size in milliseconds and without importing onnxruntime.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bgkit.errors import ModelError, brief
from bgkit.files import open_regular

__all__ = ["Graph", "Value", "read_graph"]

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training")  # of operators, ONNX's own
RUNTIME = "com.microsoft"  # operators that ONNX Runtime brings along: com.microsoft, com.microsoft.nchwc, ...
TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    6: "int32",
    7: "int64",
    9: "bool",
    8: "text",
    10: "float16",
    11: "float64",
}
Fields = dict[int, list[int | memoryview]]  # of a message: number of the field -> its contents
NO_TENSORS = {4: "sequence", 5: "map", 8: "sparse", 9: "optional"}  # fields of TypeProto


@dataclass(frozen=True)
class Value:
    """An input or output: ``shape`` has None for a free dimension, and is None when the file does not say."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        form = "?" if self.shape is None else ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype}[{form}]"


@dataclass(frozen=True)
class Graph:
    """Inputs and outputs of a network, its operators by the name of what they make, and where weights lie apart."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    makers: dict[str, tuple[str, tuple[str, ...]]]  # output name -> (operator, input names)
    foreign: tuple[str, ...] = ()  # operators that neither ONNX nor ONNX Runtime knows
    external_data: tuple[str, ...] = ()  # files of weights ("external data"), relative to the folder of the ONNX file

    def last_operator(self, output: str) -> str:
        """Return the operator that decides the values of ``output``; what only moves them is passed over."""
        moving = {"Resize", "Upsample", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Cast", "Identity", "Slice"}
        name = output
        for _ in self.makers:  # no longer way leads through a graph without a cycle
            if name not in self.makers:
                return ""
            operator, inputs = self.makers[name]
            if operator not in moving or not inputs:
                return operator
            name = inputs[0]
        return ""


def read_graph(path: Path) -> Graph:
    """Read the graph of an ONNX file; one that has not changed since is not read again.

    Raises
    ------
    ModelError
        If the file is absent or is no ONNX file.
    """
    try:
        found = path.stat()
        return _read_file(path.absolute(), (found.st_mtime_ns, found.st_size, found.st_ino))
    except ModelError as error:
        raise error.at(str(path)) from None
    except OSError as error:
        raise ModelError(f"{path}: the network cannot be read: {error.strerror}") from None
    except (_MalformedError, ValueError, IndexError):  # ValueError: an empty file cannot be mapped
        raise ModelError(f"{path}: expected an ONNX file, got something else; fetch or export it again") from None


@lru_cache(16)  # every call of a stage asks for its network's graph, and the embedded one's takes 30 ms
def _read_file(path: Path, stamp: tuple[int, int, int]) -> Graph:
    with open_regular(path) as handle:  # the map closes itself when the last view of it is gone
        return _read(memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)))


class _MalformedError(Exception):
    pass


def _read(data: memoryview) -> Graph:
    model = _fields(data)
    graphs = _parts(model, 7)
    if len(graphs) != 1:
        raise _MalformedError
    graph = _fields(graphs[0])
    weights = [_fields(part) for part in _parts(graph, 5)]
    nodes = [_fields(part) for part in _parts(graph, 1)]
    makers: dict[str, tuple[str, tuple[str, ...]]] = {}
    for node in nodes:
        sources, results = (tuple(map(_text, _parts(node, number))) for number in (1, 2))
        makers.update(dict.fromkeys(results, (_joined(node, 4), sources)))
    # Old files list their weights as inputs with a default.
    names = {_text(name) for tensor in weights for name in _parts(tensor, 8)}
    inputs = tuple(value for value in map(_value, _parts(graph, 11)) if value.name not in names)
    outputs = tuple(map(_value, _parts(graph, 12)))
    if not inputs or not outputs:
        raise _MalformedError
    external = {name: None for tensor in weights for name in _external_data(tensor)}
    _check_order(makers)
    functions = {(_joined(part, 10), _joined(part, 1)) for part in map(_fields, _parts(model, 25))}  # the model's own
    used = {(_joined(node, 7), _joined(node, 4)) for node in nodes} - functions
    known = (*DOMAINS, RUNTIME)
    foreign = (
        f"{where}.{name}" for where, name in sorted(used) if where not in known and not where.startswith(RUNTIME)
    )
    return Graph(inputs, outputs, makers, tuple(foreign), tuple(external))


def _joined(message: Fields, number: int) -> str:
    return "".join(map(_text, _parts(message, number)))


def _check_order(makers: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
    """Refuse a graph in which a value is made from itself (IR specification: nodes stand in topological order)."""
    waiting = {name: {source for source in sources if source in makers} for name, (_, sources) in makers.items()}
    users: dict[str, list[str]] = {}
    for name, sources in waiting.items():
        for source in sources:
            users.setdefault(source, []).append(name)
    ready = [name for name, sources in waiting.items() if not sources]
    done = 0
    while ready:
        done += 1
        made = ready.pop()
        for user in users.get(made, ()):
            waiting[user].discard(made)
            if not waiting[user]:
                ready.append(user)
    if done < len(makers):
        name = next(name for name, sources in waiting.items() if sources)
        raise ModelError(f"expected a graph without cycles, got one through {brief(name)}; export it again")


def _external_data(tensor: Fields) -> Iterator[str]:
    """Yield the file in which a tensor's values lie, where that is another (TensorProto.external_data)."""
    for entry in map(_fields, _parts(tensor, 13)):
        if _joined(entry, 1) == "location":
            yield _joined(entry, 2)


def _value(part: memoryview) -> Value:
    value = _fields(part)
    dtype, shape = "?", None
    for kind in map(_fields, _parts(value, 2)):
        dtype = next((f"type {NO_TENSORS[number]}" for number in kind if number in NO_TENSORS), dtype)
        for tensor in map(_fields, _parts(kind, 1)):
            for code in tensor.get(1, ()):
                dtype = TYPES.get(code, f"type {code}") if isinstance(code, int) else dtype
            for dimensions in map(_fields, _parts(tensor, 2)):
                shape = tuple(map(_dimension, _parts(dimensions, 1)))
    return Value(_joined(value, 1), dtype, shape)


def _dimension(part: memoryview) -> int | None:
    size = next((item for item in _fields(part).get(1, ()) if isinstance(item, int)), 0)
    return size if 0 < size < 1 << 31 else None


def _parts(message: Fields, number: int) -> list[memoryview]:
    """Return the fields of a number that are messages or texts."""
    return [item for item in message.get(number, ()) if not isinstance(item, int)]


def _text(part: memoryview) -> str:
    return str(part, "utf-8")


def _fields(data: memoryview) -> Fields:
    """Return the contents of a protocol-buffer message by the numbers of its fields, in their order."""
    found: Fields = {}
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at) if data[at] > 127 else (data[at], at + 1)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            found.setdefault(number, []).append(value)
            continue
        if wire == 2:
            length, at = _varint(data, at) if data[at] > 127 else (data[at], at + 1)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _MalformedError
        if number == 0 or at + length > end:
            raise _MalformedError
        found.setdefault(number, []).append(data[at : at + length])
        at += length
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise _MalformedError
