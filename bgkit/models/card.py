"""Cards: what a network is, as data.

A card is a small TOML file that says everything about an ONNX network that code would otherwise
hard-wire: the file and its checksum, the license of the weights, how a picture becomes its input,
and how its output becomes a mask or an alpha. Each table of the file is a class here, and each field
of the table a field of the class: :func:`bgkit.params.read_fields` reads types, limits, defaults and
texts from it, as from the parameters of a stage. ``docs/how-to/bring-your-own-network.md`` explains the
fields with examples.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from bgkit.errors import CONTROLS, ModelError, ParamError
from bgkit.files import read_text, reason_of
from bgkit.params import Range, check_values, read_fields, schema_in_files, table_schema

__all__ = [
    "Card",
    "Input",
    "Instances",
    "Normalization",
    "Output",
    "Regions",
    "Tensor",
    "card_schema",
    "parse_card",
    "read_card",
]

Layer = Literal["image", "plate", "next", "mask", "trimap"]  # what a tensor may be made of
Layout = Literal["NCHW", "NHWC", "CHW"]
Interpolation = Literal[
    "area",
    "sparse-area",
    "whole-area",
    "nearest",
    "bilinear",
    "bicubic",
    "smooth-bilinear",
    "smooth-bicubic",
    "lanczos",
]

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
CHANNELS: dict[str, int] = {"image": 3, "plate": 3, "next": 3, "mask": 1, "trimap": 1}
LARGEST = 1e30  # of a number: float32, which networks take, ends at 3e38


@dataclass(frozen=True)
class Text:
    """Text without control characters, not blank, that matches ``pattern``; ``words`` say what that is."""

    words: str = "text"
    pattern: str = r"[\s\S]*\S[\s\S]*"

    def accepts(self, value: str) -> bool:
        return CONTROLS.search(value) is None and re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.words

    def schema(self) -> dict[str, Any]:
        return {"pattern": f"^(?:{self.pattern})$"}

    def bad_values(self) -> list[Any]:
        return ["\0"]


@dataclass(frozen=True)
class Number:
    """A number above ``above`` that float32 holds, with room for arithmetic."""

    above: float = -LARGEST

    def accepts(self, value: float) -> bool:
        return self.above < value < LARGEST

    def __str__(self) -> str:
        return "a number" if self.above == -LARGEST else f"a number above {self.above:g}"

    def schema(self) -> dict[str, Any]:
        return {"exclusiveMinimum": self.above, "exclusiveMaximum": LARGEST}

    def bad_values(self) -> list[Any]:
        return [self.above, LARGEST]


Phrase = Annotated[str, Text()]
Pixels = Annotated[int, Range(1, 100_000, "px")]
Share = Annotated[float, Range(0, 1)]
Classes = Annotated[tuple[int, ...], Range(0, 99_999)]


@dataclass(frozen=True, kw_only=True)
class File:
    """The ONNX file.

    Parameters
    ----------
    name : str
        What it is called in the store; a file used by its path may have another name.
    url : str
        Where ``bgkit models fetch`` downloads it from; it needs a checksum beside it.
    sha256 : str
        Its checksum; another file is refused.
    md5 : str
        The same, where no SHA-256 is published.
    bytes : int
        Its size.
    """

    name: Annotated[
        str,
        Text(
            "a file name that ends in .onnx, without folders, of at most 100 characters",
            r"[^/\\:\x00-\x1f\x7f-\x9f]{1,100}\.onnx",
        ),
    ]
    url: Annotated[str, Text("an address that starts with https://, in ASCII", "https?://[!-.0-~]+/[!-~]{1,2000}")] = ""
    sha256: Annotated[str, Text("64 hexadecimal digits", "[0-9a-fA-F]{64}")] = ""
    md5: Annotated[str, Text("32 hexadecimal digits", "[0-9a-fA-F]{32}")] = ""
    bytes: Annotated[int, Range(1, 1e15, "bytes")] | None = None


@dataclass(frozen=True, kw_only=True)
class License:
    """What the weights may be used for.

    Parameters
    ----------
    name : str
        What they are under.
    commercial : bool or str
        Whether commercial use is allowed, or ``unclear``.
    terms : str
        What else to mind.
    """

    name: Phrase
    commercial: bool | Literal["unclear"]
    terms: Phrase = ""


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """How a layer's values 0..1 become the network's: ``(value * scale - mean) / deviation``.

    Parameters
    ----------
    scale : float
        255 for a network that takes bytes.
    mean : float
        Subtracted.
    deviation : float
        Divided by.
    """

    scale: Annotated[float, Number(above=0)] = 1.0
    mean: Annotated[float, Number()] = 0.0
    deviation: Annotated[float, Number(above=0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One input of the graph: the layers whose channels it stacks.

    Parameters
    ----------
    layers : tuple of str
        In the order in which they are stacked.
    name : str
        Which input; it may be left out where there is one.
    """

    layers: tuple[Layer, ...]
    name: Phrase = ""


@dataclass(frozen=True, kw_only=True)
class Input:
    """How a picture becomes the network's input.

    Parameters
    ----------
    size : int or tuple of int
        Rows and columns of the input, or the side of a square. Without ``size``, ``short_side`` and ``long_side`` the
        network sees the picture at its own size.
    short_side : int
        What the shorter side is scaled to.
    long_side : int
        What the longer side is scaled to.
    multiple : int
        What sides that are not fixed must divide by.
    rounding : str
        How they are made to: ``pad`` adds to the picture, the others scale it.
    when : str
        ``outside`` leaves alone a picture whose sides straddle the short side, or that has no side above the long one.
    fit : str
        How a picture comes to a fixed size: stretched, in the middle of it (``letterbox``) or in its top left corner.
    pad : float or str
        What fills the rest; ``mean``: what the network sees as 0.
    order : str
        Of the channels.
    layout : str
        Order of batch, channels, rows and columns.
    interpolation : str
        How the picture is resized.
    scale : float
        255 for a network that takes bytes: ``(value * scale - mean) / deviation``.
    mean : float or tuple of float
        Subtracted; one number, or one for each channel.
    deviation : float or tuple of float
        Divided by; one number, or one for each channel.
    name : str
        Which input of the graph; it may be left out where there is one.
    tensors : tuple of tables
        For a graph of several inputs, or an input of several layers: one table for each input.
    mask : table
        Normalization of the layer ``mask``.
    trimap : table
        Normalization of the layer ``trimap``.
    mirror : bool
        Whether the mirrored picture is looked at as well, and the mean taken.
    closer : float
        The largest window around the subject, as a share of the picture, that is looked at a second time, enlarged.
    tile : int
        Side of the pieces in which a stage that works at full size hands the picture over.
    """

    size: Annotated[int | tuple[int, int], Range(1, 100_000, "px")] | None = None
    short_side: Pixels | None = None
    long_side: Pixels | None = None
    multiple: Pixels = 1
    rounding: Literal["down", "nearest", "up", "pad"] = "down"
    when: Literal["always", "outside"] = "always"
    fit: Literal["stretch", "letterbox", "corner"] = "stretch"
    pad: Annotated[float | Literal["mean"], Range(0, 1)] = 0.0
    order: Literal["RGB", "BGR"] = "RGB"
    layout: Layout = "NCHW"
    interpolation: Interpolation = "area"
    scale: Annotated[float, Number(above=0)] = 1.0
    mean: Annotated[float | tuple[float, float, float], Number()] = 0.0
    deviation: Annotated[float | tuple[float, float, float], Number(above=0)] = 1.0
    name: Phrase = ""
    tensors: tuple[Tensor, ...] = ()
    mask: Normalization | None = None
    trimap: Normalization | None = None
    mirror: bool = False
    closer: Share | None = None
    tile: Pixels | None = None

    @property
    def fixed(self) -> tuple[int, int] | None:
        """Rows and columns that every picture is brought to, if there are such."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Output names of a network that finds objects (Mask R-CNN), and which objects count.

    Parameters
    ----------
    boxes : str
        Output of (left, top, right, bottom) in pixels of the input.
    labels : str
        Output of class numbers.
    scores : str
        Output of how sure the network is, 0 to 1.
    masks : str
        Output of a small mask for each object.
    classes : tuple of int
        The classes that are foreground.
    score : float
        Objects that score less are left out.
    """

    boxes: Phrase
    labels: Phrase
    scores: Phrase
    masks: Phrase
    classes: Classes
    score: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Names of a network that scores regions: one input beside the picture, and three outputs.

    Parameters
    ----------
    windows : str
        Input of shares (R, 3, h, w): how much each cell of the feature map counts in each region's three windows.
    mdf : str
        Output of how salient each region is, 0 to 1, by multi-scale deep features.
    levels : str
        Output of how much each level of segmentation counts, fine to coarse.
    rcnn : str
        Output of how likely each region is an object, 0 to 1, by a linear classifier.
    """

    windows: Phrase
    mdf: Phrase
    levels: Phrase
    rcnn: Phrase


@dataclass(frozen=True, kw_only=True)
class Output:
    """How the network's output becomes a map of 0..1.

    Parameters
    ----------
    name : str
        Which output of the graph; it may be left out where there is one.
    index : int
        The same by number, from 0.
    activation : str
        What makes a probability of it; ``labels`` are class numbers.
    classes : tuple of int
        The classes that are foreground; the probabilities of several are added.
    layout : str
        Where it is not the input's.
    stretch : bool
        Whether the map's least and greatest value become 0 and 1.
    interpolation : str
        How the map is brought to the picture's size.
    instances : table
        For networks that find objects.
    regions : table
        For networks that score regions.
    """

    name: Phrase = ""
    index: Annotated[int, Range(0, 9999)] | None = None
    activation: Literal["none", "sigmoid", "softmax", "labels"] = "none"
    classes: Classes = ()
    layout: Layout | None = None
    stretch: bool = False
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    instances: Instances | None = None
    regions: Regions | None = None


@dataclass(frozen=True, kw_only=True)
class CardFile:
    """A network of bgkit: its file, its license, how it is fed and how its answer is read.

    Parameters
    ----------
    bgkit : int
        The version of the card format.
    name : str
        What the network is called.
    summary : str
        A line for ``bgkit models list``.
    sources : tuple of str
        Who says all this.
    version : str
        Of the weights, as whoever trained them counts.
    file : table
        The ONNX file.
    license : table
        What the weights may be used for.
    input : table
        How a picture becomes the network's input.
    output : table
        How the network's output becomes a mask or an alpha.
    """

    bgkit: Literal[1]
    name: Annotated[
        str,
        Text(
            'a name of small letters, digits and "-", "_" or ".", at most 100',
            r"(?!.*\.onnx$)[a-z0-9][a-z0-9._-]{0,99}",
        ),
    ]
    summary: Phrase
    sources: Annotated[tuple[str, ...], Text()]
    version: Phrase = ""
    file: File
    license: License
    input: Input
    output: Output


@dataclass(frozen=True, kw_only=True)
class Card(CardFile):
    """Everything bgkit knows of one network: its card, and where that came from."""

    inferred: tuple[str, ...] = ()  # for a bare file: what was read from the graph or assumed
    place: str = ""  # the user's file that says all this, for messages

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs of the graph that are fed."""
        return self.input.tensors or (Tensor(name=self.input.name, layers=("image",)),)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers the network needs."""
        return tuple(dict.fromkeys(layer for tensor in self.tensors for layer in tensor.layers))

    @property
    def normalizations(self) -> dict[str, Input | Normalization]:
        """Scale, mean and deviation of each layer that has its own; plate and next frame are treated as the image."""
        rule = self.input
        given = {"image": rule, "plate": rule, "next": rule, "mask": rule.mask, "trimap": rule.trimap}
        return {layer: given[layer] or Normalization() for layer in self.layers}

    @property
    def output_layout(self) -> Layout:
        """Order of the output's dimensions: unless the card says, the input's."""
        return self.output.layout or self.input.layout

    @property
    def task(self) -> Literal["mask", "refinement", "matting", "regions"]:
        """``"matting"`` when it needs a trimap, ``"refinement"`` a mask, ``"regions"`` regions, else ``"mask"``."""
        if self.output.regions is not None:
            return "regions"
        if "trimap" in self.layers:
            return "matting"
        return "refinement" if "mask" in self.layers else "mask"

    @property
    def use(self) -> str:
        """What the weights may be used for, in words."""
        words = {True: "commercial use allowed", False: "not for commercial use", "unclear": "terms unclear"}
        return words[self.license.commercial]


def card_schema() -> dict[str, Any]:
    """Return the JSON Schema of a card, for editors that complete and check TOML."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A network of bgkit",
        **schema_in_files(table_schema(CardFile)),
    }


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
    fields = read_fields(CardFile)
    try:
        if "bgkit" in values:
            fields["bgkit"].check(values["bgkit"])  # first: another version may have other fields
        card = Card(**check_values(fields, values, "field"), place=place)
        _check_together(card)
    except ParamError as error:
        raise ModelError(f"{place}: {error}") from None
    file = replace(card.file, sha256=card.file.sha256.lower(), md5=card.file.md5.lower())
    return replace(card, file=file)


def _check_together(card: Card) -> None:
    """Refuse fields that are right alone and wrong together."""
    file, put, out = card.file, card.input, card.output
    sizes = [name for name in ("size", "short_side", "long_side") if getattr(put, name) is not None]
    if file.url and not (file.sha256 or file.md5):
        raise _wrong("file.sha256", "a checksum beside the url, so that a download can be verified", "none")
    if len(sizes) > 1:
        raise _wrong(f"input.{sizes[1]}", "one of size, short_side and long_side", " and ".join(sizes))
    if put.tensors and put.name:
        raise _wrong("input.name", "the names in [[input.tensors]], where there are such", "one here too")
    if "image" not in card.layers:
        raise _wrong("input.tensors", 'one that holds the layer "image"', "none")
    for layer in ("mask", "trimap"):
        if getattr(put, layer) is not None and layer not in card.layers:
            raise _wrong(f"input.{layer}", "only layers that a tensor uses", f'"{layer}", which none does')
    if put.fit != "stretch" and put.size is None:
        raise _wrong("input.fit", 'a fixed "size" with letterbox or corner', f'fit = "{put.fit}" without one')
    if out.name and out.index is not None:
        raise _wrong("output.index", "either a name or an index", "both")
    if out.activation in ("softmax", "labels") and not out.classes and out.instances is None:
        expected = f"the class numbers that mean foreground, with {out.activation}"
        raise _wrong("output.classes", expected, "none")
    if out.regions is not None and (out.instances is not None or card.layers != ("image",)):
        raise _wrong("output.regions", "a network of the picture alone, without objects", "one of another kind")
    if put.closer is not None and (card.task != "mask" or out.instances is not None):
        raise _wrong("input.closer", "a network that answers with a mask of the whole picture", "one of another kind")
    if put.closer is not None and not sizes:
        expected = 'a "size", "short_side" or "long_side" that the window is enlarged to'
        raise _wrong("input.closer", expected, "none")


def _wrong(field: str, expected: str, given: str) -> ParamError:
    return ParamError(f"{field}: expected {expected}, got {given}")
