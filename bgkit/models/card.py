"""Cards: what a network is, as data.

A card is a small TOML file that says everything about an ONNX network that code would otherwise
hard-wire: the file and its checksum, the license of the weights, how a picture becomes its input,
and how its output becomes a mask or an alpha. ``docs/bring-your-own-network.md`` explains each
field with examples; this file is where each is checked.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from bgkit.errors import CONTROLS, ModelError, brief, cut, did_you_mean
from bgkit.files import read_text, reason_of

__all__ = ["Card", "Instances", "Normalization", "Output", "Size", "Tensor", "parse_card", "read_card"]

Interpolation = Literal[
    "area", "sparse-area", "nearest", "bilinear", "bicubic", "smooth-bilinear", "smooth-bicubic", "lanczos"
]

LARGEST = 1e30  # of a number: float32, which networks take, ends at 3e38
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
LAYOUTS = ("NCHW", "NHWC", "CHW")
LAYERS = ("image", "plate", "mask", "trimap")  # what a tensor may be made of
CHANNELS = {"image": 3, "plate": 3, "mask": 1, "trimap": 1}


@dataclass(frozen=True)
class Normalization:
    """How a layer's values 0..1 become the network's: ``(value * scale - mean) / deviation``."""

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Tensor:
    """One input of the graph: the layers whose channels it stacks."""

    name: str  # empty: the only input
    layers: tuple[str, ...]
    field: str = "input.tensors.name"  # where the card names it


@dataclass(frozen=True)
class Size:
    """How large the picture is when the network sees it.

    At most one of ``fixed`` (rows, columns), ``short_side`` and ``long_side`` is set; none means the
    picture's own size. ``multiple`` and ``rounding`` then apply to the free sides.
    """

    fixed: tuple[int, int] | None = None
    short_side: int | None = None
    long_side: int | None = None
    multiple: int = 1
    rounding: Literal["down", "nearest", "up", "pad"] = "down"
    when: Literal["always", "outside"] = "always"


@dataclass(frozen=True)
class Instances:
    """Output names of a network that finds objects (Mask R-CNN), and which objects count."""

    boxes: str
    labels: str
    scores: str
    masks: str
    classes: tuple[int, ...]
    score: float = 0.5


@dataclass(frozen=True)
class Output:
    """How the network's output becomes a map of 0..1."""

    name: str = ""
    index: int | None = None  # instead of a name: which of the graph's outputs, from 0
    activation: Literal["none", "sigmoid", "softmax", "labels"] = "none"
    classes: tuple[int, ...] = ()
    layout: Literal["NCHW", "NHWC", "CHW"] = "NCHW"  # unless the card says: the input's
    stretch: bool = False
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    instances: Instances | None = None


@dataclass(frozen=True)
class Card:
    """Everything bgkit knows of one network."""

    name: str
    summary: str
    sources: tuple[str, ...]
    file: str
    url: str
    sha256: str
    md5: str
    bytes: int | None
    license: str
    commercial: bool | None  # None: its terms are unclear
    terms: str
    size: Size
    fit: Literal["stretch", "letterbox", "corner"]
    pad: float | None  # None: the mean, so that the network sees 0
    order: Literal["RGB", "BGR"]
    layout: Literal["NCHW", "NHWC", "CHW"]
    interpolation: Interpolation
    normalizations: Mapping[str, Normalization]  # by layer
    tensors: tuple[Tensor, ...]
    output: Output
    mirror: bool = False
    closer: float | None = None  # the largest window, as a share of the picture, that is looked at again
    tile: int | None = None
    inferred: tuple[str, ...] = ()  # for a bare file: what was read from the graph or assumed
    version: str = ""  # of the weights, as whoever trained them counts
    place: str = ""  # the user's file that says all this, for messages

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers the network needs."""
        return tuple(dict.fromkeys(layer for tensor in self.tensors for layer in tensor.layers))

    @property
    def task(self) -> str:
        """``"matting"`` when it needs a trimap, ``"refinement"`` when it needs a mask, else ``"mask"``."""
        if "trimap" in self.layers:
            return "matting"
        return "refinement" if "mask" in self.layers else "mask"

    @property
    def use(self) -> str:
        """What the weights may be used for, in words."""
        return {True: "commercial use allowed", False: "not for commercial use", None: "terms unclear"}[self.commercial]


def read_card(path: Path) -> Card:
    """Read a card.

    Raises
    ------
    ModelError
        If it cannot be read or a field is wrong; the message says the file, the field and what to mend.
    """
    try:
        state = path.stat()
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the card cannot be read: {reason_of(error)}") from None
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(64)
def _read(path: Path, *_stamp: int) -> Card:
    """Read a card again only after it changed: a millisecond of each picture."""
    return parse_card(read_text(path, "a card in TOML", ModelError), str(path))


def parse_card(text: str, place: str) -> Card:
    """Return the card that a TOML text describes; ``place`` stands in front of every message."""
    try:
        values = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits another
        raise ModelError(f"{place}: not valid TOML: {error}") from None
    except RecursionError:
        raise ModelError(f"{place}: expected a card, got lists or tables in one another, hundreds deep") from None
    top = _Table(values, place, "")
    version = top.take("bgkit", _whole)
    if version != 1:
        raise top.wrong("bgkit", "the card version 1", brief(version))
    name, summary = top.take("name", _name), top.take("summary", _text)
    sources, edition = top.take("sources", _texts), top.take("version", _text, "")
    file, license_, put, out = (top.table(key) for key in ("file", "license", "input", "output"))
    top.finish()
    layout = put.take("layout", _choice(*LAYOUTS), "NCHW")
    card = Card(
        name=name,
        summary=summary,
        sources=sources,
        version=edition,
        file=file.take("name", _file_name),
        url=file.take("url", _url, ""),
        sha256=file.take("sha256", _digest(64), ""),
        md5=file.take("md5", _digest(32), ""),
        bytes=file.take("bytes", _count, None),
        license=license_.take("name", _text),
        commercial=license_.take("commercial", _commercial),
        terms=license_.take("terms", _text, ""),
        size=_size(put),
        fit=put.take("fit", _choice("stretch", "letterbox", "corner"), "stretch"),
        pad=put.take("pad", _pad, 0.0),
        order=put.take("order", _choice("RGB", "BGR"), "RGB"),
        layout=layout,
        interpolation=put.take("interpolation", _choice(*INTERPOLATIONS), "area"),
        normalizations=_normalizations(put),
        tensors=_tensors(put),
        mirror=put.take("mirror", _flag, False),
        closer=put.take("closer", _share, None),
        tile=put.take("tile", _count, None),
        output=_output(out, layout),
        place=place,
    )
    for table in (file, license_, put, out):
        table.finish()
    _check_together(card, file, put)
    return card


def _check_together(card: Card, file: _Table, put: _Table) -> None:
    """Refuse fields that are right alone and wrong together."""
    if card.url and not (card.sha256 or card.md5):
        raise file.wrong("sha256", "a checksum beside the url, so that a download can be verified", "none")
    if card.fit != "stretch" and card.size.fixed is None:
        raise put.wrong("fit", 'a fixed "size" with letterbox or corner', f'fit = "{card.fit}" without one')
    if card.closer is not None and (card.task != "mask" or card.output.instances is not None):
        raise put.wrong("closer", "a network that answers with a mask of the whole picture", "one of another kind")
    if card.closer is not None and card.size == Size():
        raise put.wrong("closer", 'a "size", "short_side" or "long_side" that the window is enlarged to', "none")
    for layer in card.normalizations:
        if layer not in card.layers and layer != "image":
            raise put.wrong(layer, "only layers that a tensor uses", f'"{layer}", which none does')


def _size(put: _Table) -> Size:
    given = [key for key in ("size", "short_side", "long_side") if key in put.values]
    if len(given) > 1:
        raise put.wrong(given[1], "one of size, short_side and long_side", " and ".join(given))
    return Size(
        fixed=put.take("size", _rows_and_columns, None),
        short_side=put.take("short_side", _count, None),
        long_side=put.take("long_side", _count, None),
        multiple=put.take("multiple", _count, 1),
        rounding=put.take("rounding", _choice("down", "nearest", "up", "pad"), "down"),
        when=put.take("when", _choice("always", "outside"), "always"),
    )


def _normalizations(put: _Table) -> dict[str, Normalization]:
    found = {"image": _normalization(put, 3)}
    for layer in ("mask", "trimap"):
        if layer in put.values:
            table = put.table(layer)
            found[layer] = _normalization(table, 1)
            table.finish()
    return found


def _normalization(table: _Table, channels: int) -> Normalization:
    return Normalization(
        scale=table.take("scale", _positive, 1.0),
        mean=table.take("mean", _numbers(channels), (0.0,) * channels),
        deviation=table.take("deviation", _numbers(channels, positive=True), (1.0,) * channels),
    )


def _tensors(put: _Table) -> tuple[Tensor, ...]:
    tensors = []
    for table in put.tables("tensors"):
        layers = table.take("layers", _texts)
        for layer in layers:
            if layer not in LAYERS:
                raise table.wrong("layers", f"names out of {', '.join(LAYERS)}", brief(layer))
        tensors.append(Tensor(table.take("name", _text, ""), layers))
        table.finish()
    if not tensors:
        return (Tensor(put.take("name", _text, ""), ("image",), "input.name"),)
    if "name" in put.values:
        raise put.wrong("name", "the names in [[input.tensors]], where there are such", "one here too")
    if not any("image" in tensor.layers for tensor in tensors):
        raise put.wrong("tensors", 'one that holds the layer "image"', "none")
    return tuple(tensors)


def _output(out: _Table, layout: str) -> Output:
    instances = None
    if "instances" in out.values:
        table = out.table("instances")
        instances = Instances(
            boxes=table.take("boxes", _text),
            labels=table.take("labels", _text),
            scores=table.take("scores", _text),
            masks=table.take("masks", _text),
            classes=table.take("classes", _classes),
            score=table.take("score", _share, 0.5),
        )
        table.finish()
    output = Output(
        name=out.take("name", _text, ""),
        index=out.take("index", _index, None),
        activation=out.take("activation", _choice("none", "sigmoid", "softmax", "labels"), "none"),
        classes=out.take("classes", _classes, ()),
        layout=out.take("layout", _choice(*LAYOUTS), layout),
        stretch=out.take("stretch", _flag, False),
        interpolation=out.take("interpolation", _choice("bilinear", "bicubic", "nearest"), "bilinear"),
        instances=instances,
    )
    if output.name and output.index is not None:
        raise out.wrong("index", "either a name or an index", "both")
    if output.activation in ("softmax", "labels") and not output.classes and instances is None:
        raise out.wrong("classes", f"the class numbers that mean foreground, with {output.activation}", "none")
    return output


class _Table:
    """One TOML table, from which each key is taken once; what is left over is an error."""

    def __init__(self, values: Mapping[str, Any], place: str, path: str) -> None:
        self.values = dict(values)
        self.known: set[str] = set()
        self.place, self.path = place, path

    def take(self, key: str, convert: Callable[[Any], Any], default: Any = ...) -> Any:
        self.known.add(key)
        if key not in self.values:
            if default is ...:
                raise self.wrong(key, _Expected.of(convert), "nothing; add the field")
            return default
        value = self.values[key]
        try:
            return convert(value)
        except _Expected as expected:
            raise self.wrong(key, str(expected), brief(value)) from None

    def table(self, key: str) -> _Table:
        self.known.add(key)
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, f"a table [{self._full(key)}]", "nothing" if value is None else brief(value))
        return _Table(value, self.place, self._full(key))

    def tables(self, key: str) -> list[_Table]:
        self.known.add(key)
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"tables [[{self._full(key)}]]", brief(value))
        return [_Table(item, self.place, self._full(key)) for item in value]

    def finish(self) -> None:
        for key in self.values:
            if key not in self.known:
                raise ModelError(
                    f"{self.place}: {cut(self._full(key))}: no such field{did_you_mean(key, self.known)} "
                    f"(there are: {', '.join(sorted(self.known))})"
                )

    def wrong(self, key: str, expected: str, given: str) -> ModelError:
        """Return the error of one field; ``given`` is in words, or the value's repr."""
        return ModelError(f"{self.place}: {self._full(key)}: expected {expected}, got {given}")

    def _full(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


class _Expected(Exception):  # noqa: N818 - says what was expected, and never leaves this file
    @classmethod
    def of(cls, convert: Callable[[Any], Any]) -> str:
        """Return what a converter expects, by giving it what none accepts."""
        try:
            convert(object())
        except cls as expected:
            return str(expected)
        return "a value"


def _must(fits: bool, expected: str) -> None:
    if not fits:
        raise _Expected(expected)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def _whole(value: Any) -> int:
    _must(_is_whole(value), "a whole number")
    return int(value)


def _count(value: Any) -> int:
    _must(_is_whole(value) and value > 0, "a whole number from 1 up")
    return int(value)


def _index(value: Any) -> int:
    _must(_is_whole(value) and value >= 0, "a whole number from 0 up")
    return int(value)


def _positive(value: Any) -> float:
    _must(_is_number(value) and value > 0, "a number above 0")
    return float(value)


def _share(value: Any) -> float:
    _must(_is_number(value) and 0 <= value <= 1, "a number in 0..1")
    return float(value)


def _pad(value: Any) -> float | None:
    _must(value == "mean" or (_is_number(value) and 0 <= value <= 1), 'a number in 0..1, or "mean"')
    return None if value == "mean" else float(value)


def _flag(value: Any) -> bool:
    _must(isinstance(value, bool), "true or false")
    return bool(value)


def _commercial(value: Any) -> bool | None:
    _must(isinstance(value, bool) or value == "unclear", 'true, false or "unclear"')
    return None if value == "unclear" else bool(value)


def _text(value: Any) -> str:
    _must(isinstance(value, str) and bool(value.strip()), "text in quotes")
    _must(CONTROLS.search(value) is None, "text without control characters")
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    fits = isinstance(value, list) and value and all(isinstance(item, str) and item for item in value)
    _must(bool(fits), "a list of texts, at least one")
    return tuple(_text(item) for item in value)


def _name(value: Any) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"[a-z0-9][a-z0-9._-]{,99}", value) and not value.endswith(".onnx")
    _must(bool(fits), 'a name of small letters, digits and "-", "_" or ".", at most 100')
    return str(value)


def _file_name(value: Any) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"[^/\\:\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}\.onnx", value)
    _must(bool(fits), "a file name that ends in .onnx, without folders, of at most 100 characters")
    return str(value)


def _url(value: Any) -> str:
    fits = isinstance(value, str) and re.fullmatch(r"https?://[!-.0-~]+/[!-~]{1,2000}", value)
    _must(bool(fits), "an address that starts with https://, in ASCII")
    return str(value)


def _digest(length: int) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        fits = isinstance(value, str) and re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value)
        _must(bool(fits), f"{length} hexadecimal digits")
        return str(value).lower()

    return convert


def _choice(*words: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        _must(value in words, " or ".join(f'"{word}"' for word in words))
        return value

    return convert


def _numbers(count: int, *, positive: bool = False) -> Callable[[Any], tuple[float, ...]]:
    def convert(value: Any) -> tuple[float, ...]:
        items = value if isinstance(value, list) else [value] * count
        fits = len(items) == count and all(_is_number(item) and (item > 0 or not positive) for item in items)
        what = "number" if not positive else "number above 0"
        _must(fits, f"a {what}" + (f", or {count} of them, one for each channel" if count > 1 else ""))
        return tuple(float(item) for item in items)

    return convert


def _rows_and_columns(value: Any) -> tuple[int, int]:
    items = value if isinstance(value, list) else [value, value]
    fits = len(items) == 2 and all(_is_whole(item) and item > 0 for item in items)
    _must(fits, "a whole number of pixels, or two: [rows, columns]")
    return int(items[0]), int(items[1])


def _classes(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list) else [value]
    _must(bool(items) and all(_is_whole(item) and item >= 0 for item in items), "class numbers from 0 up, as a list")
    return tuple(items)
