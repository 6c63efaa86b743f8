"""Parameters: what a keyword of a stage may be, read from the stage's signature and docstring.

A parameter is a keyword-only argument annotated with ``float``, ``int``, ``bool``, ``str``, a
``Literal`` or a ``tuple`` of those, in ``Annotated`` with a constraint where one is needed. From
that one declaration follow the check, the reading of text (``--set``, HTTP), and the JSON Schema.

The fields of a file are declared in the same way, as those of a dataclass that stands for a table of the file
(:func:`read_fields`). A field may moreover be required, absent (``None``), of several types, or a table itself.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from bgkit.errors import ParamError, brief, cut, did_you_mean
from bgkit.files import files_allowed, local_path

__all__ = [
    "Color",
    "Constraint",
    "Param",
    "Range",
    "as_text",
    "check_values",
    "name_with_values",
    "read_fields",
    "read_params",
    "schema_in_files",
    "table_schema",
]


class Constraint(Protocol):
    """A limit on a value that prints itself, and knows values just outside of it for tests.

    ``accepts`` may also raise a :class:`~bgkit.errors.BgkitError` that tells more than "expected".
    """

    def accepts(self, value: Any) -> bool: ...
    def __str__(self) -> str: ...
    def schema(self) -> dict[str, Any]: ...
    def bad_values(self) -> list[Any]: ...


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``ui`` is the usual part of it, for sliders."""

    low: float
    high: float
    unit: str = ""
    ui: tuple[float, float] | None = None

    def accepts(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g} {self.unit}".rstrip()

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.low, "maximum": self.high}
        return {name: limit for name, limit in limits.items() if math.isfinite(limit)}

    def bad_values(self) -> list[Any]:
        return [bad for bad in (self.low - 1, self.high + 1) if math.isfinite(bad)]


@dataclass(frozen=True)
class Color:
    """A color: ``#rgb``, ``#rrggbb`` or a name.

    ``also`` lists further words; ``files`` allows a picture's path or ``file:`` URL.
    """

    also: tuple[str, ...] = ()
    files: bool = False

    def accepts(self, value: str) -> bool:
        from bgkit.color import parse_color  # brings NumPy, which listing networks does without

        if value in self.also or parse_color(value) is not None:
            return True
        try:
            path = local_path(value)
        except ValueError:  # a file: URL of another host
            return False
        return self.files and files_allowed() and os.path.isfile(path)  # noqa: PTH113 (Path.is_file raises where a name is too long)

    def __str__(self) -> str:
        from bgkit.color import NAMES

        words = (f"a color (#rrggbb or one of {', '.join(sorted(NAMES))})", *self.also)
        return ", or ".join((*words, "a picture file that exists") if self.files and files_allowed() else words)

    def schema(self) -> dict[str, Any]:
        from bgkit.color import NAMES

        if self.files:
            return {"examples": [*self.also, "white"]}  # any text may be a file's name
        words = [*self.also, *("".join(f"[{each}{each.upper()}]" for each in name) for name in sorted(NAMES))]
        pattern = f"^(#[0-9a-fA-F]{{3}}|#[0-9a-fA-F]{{6}}|{'|'.join(words)})$"
        return {"format": "color", "pattern": pattern, "patternErrorMessage": f"expected {self}"}

    def bad_values(self) -> list[Any]:
        return ["#12", "no such color"]


@dataclass(frozen=True)
class Param:
    """One parameter of a stage or field of a file: its type, default, constraint and the text of the docstring."""

    name: str
    type: Any
    default: Any
    constraint: Constraint | None = None
    doc: str = ""

    @property
    def required(self) -> bool:
        """Whether there is no default; a list then has at least one item."""
        return self.default is inspect.Parameter.empty

    @property
    def expected(self) -> str:
        """What a value may be, in words for messages and pages."""
        at_least_one = self.required and get_origin(self.type) is tuple
        return _expected(self.type, self.constraint) + (", at least one" if at_least_one else "")

    def check(self, value: Any) -> Any:
        """Return ``value`` in the parameter's type.

        Raises
        ------
        ParamError
            If the value has another type or is out of range; the message starts with the name.
        """
        try:
            converted = _convert(value, self.type, self.constraint)
            if converted == () and self.required:
                raise ValueError
            return converted
        except ParamError as error:  # of a field within this table
            raise ParamError(f"{self.name}.{error}") from None
        except (TypeError, ValueError, OverflowError):  # the last: infinity as a whole number
            raise ParamError(f"{self.name}: expected {self.expected}, got {brief(value)}") from None

    def read(self, text: Any) -> Any:
        """Return the value that ``text`` (from ``--set`` or a form) stands for, checked; a value stands for itself."""
        try:
            value = _parse(text, self.type) if isinstance(text, str) else text
        except ValueError:
            raise ParamError(f"{self.name}: expected {self.expected}, got {brief(text)}") from None
        return self.check(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the value."""
        schema = _schema(self.type, self.constraint)
        if self.required and get_origin(self.type) is tuple:
            schema["minItems"] = 1
        elif not self.required and self.default is not None:
            schema["default"] = _plain(self.default)
        return {**schema, "description": self.doc}

    def form(self) -> dict[str, Any]:
        """Return the schema with what a form shows: ``expected`` in words, unit, usual range."""
        ui, unit = getattr(self.constraint, "ui", None), getattr(self.constraint, "unit", "")
        return {**self.schema(), "expected": self.expected, "unit": unit, "ui": list(ui) if ui else None}

    def bad_values(self) -> list[Any]:
        """Return values that :meth:`check` must refuse."""
        bad: list[Any] = [object(), None]
        if self.constraint is not None:
            outside = self.constraint.bad_values()
            bad += [[item] for item in outside] if get_origin(self.type) is tuple else outside
        if self.type is float:
            bad += [math.nan, True, "much"]
        elif self.type is int:
            bad += [0.5, True, "much"]
        elif self.type is bool:
            bad += ["perhaps", 2]
        elif get_origin(self.type) is Literal:
            bad += ["no such choice"]
        return bad


def read_params(function: Callable[..., Any]) -> Mapping[str, Param]:
    """Read the parameters of ``function`` from its signature and its numpydoc ``Parameters`` section."""
    params = read_fields(function)
    for name, param in params.items():
        if param.required:
            raise TypeError(f"{function.__name__}.{name}: a parameter needs a default")
        if _is_union(param.type) or _is_table(param.type):
            raise TypeError(f"{function.__name__}.{name}: a parameter is a number, text, a choice, or a tuple of one")
        param.check(param.default)
    return params


def read_fields(table: Callable[..., Any]) -> Mapping[str, Param]:
    """Read the fields of ``table``, a dataclass, as :func:`read_params` reads parameters.

    A field without a default is required; one whose default is None may be absent. Its type may be a union, another
    dataclass (a table within this one) or a tuple of such.
    """
    hints = get_type_hints(table, include_extras=True)
    texts = _parameter_texts(inspect.getdoc(table) or "")
    return MappingProxyType(
        {
            name: Param(name, *_without_none(hints[name], argument.default), texts.get(name, ""))
            for name, argument in inspect.signature(table).parameters.items()
            if argument.kind is argument.KEYWORD_ONLY
        }
    )


def table_schema(table: type) -> dict[str, Any]:
    """Return the JSON Schema of a table that is declared by a dataclass."""
    fields = read_fields(table)
    return {
        "type": "object",
        "description": (inspect.getdoc(table) or "").partition("\n")[0],
        "properties": {name: field.schema() for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required],
        "additionalProperties": False,
    }


def name_with_values(description: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of a name, or of one name with its values: a stage, an architecture.

    The two are told apart by ``if``, for the reason that `schema_in_files` gives.
    ``anyOf`` accepts everything: editors look there for what may stand in a place that is still empty.
    ``doNotSuggest``, which yaml-language-server knows, keeps it from listing each name twice, as text and as a key.
    """
    keys = {name: {**value, "doNotSuggest": True} for name, value in values.items()}
    names = {"enum": list(values), "enumDescriptions": [each.get("description", "") for each in values.values()]}
    return {
        "type": ["object", "string"],
        "description": description,
        "anyOf": [{}, names],
        "if": {"type": "string"},
        "then": names,
        "else": {"minProperties": 1, "maxProperties": 1, "properties": keys, "additionalProperties": False},
    }


def schema_in_files(schema: Any) -> Any:
    """Return a schema as a file's values need it: one value may stand for a list of one.

    What an array may be and what another value may be are told apart by ``if``, not listed in ``anyOf``, so that a
    wrong item is reported as that, and not as a value that fits none of several schemas.
    """
    if isinstance(schema, list):
        return [schema_in_files(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: schema_in_files(value) for key, value in schema.items()}
    rest = {key: schema.pop(key) for key in ("default", "description") if key in schema}
    if isinstance(rest.get("description"), str):
        rest["description"] = rest["description"].replace("``", "`")  # editors show it as Markdown or as it stands
    kinds = schema.get("anyOf", [])
    if schema.get("type") == "array" and "maxItems" not in schema:
        schema = {"if": {"type": "array"}, "then": schema, "else": schema["items"]}
    elif len(kinds) == 2 and kinds[1].get("type") == "array":
        schema = {"if": {"type": "array"}, "then": kinds[1], "else": kinds[0]}
    return schema | rest


def check_values(params: Mapping[str, Param], values: Mapping[str, Any], what: str = "parameter") -> dict[str, Any]:
    """Return a value for every parameter: the checked one from ``values``, else the default."""
    for name in values:
        if name not in params:
            known = ", ".join(params) or "none"
            raise ParamError(f"{cut(name)}: no such {what}{did_you_mean(name, params)} (there are: {known})")
    for name, param in params.items():
        if param.required and name not in values:
            raise ParamError(f"{name}: expected {param.expected}, got nothing; add the {what}")
    return {name: param.check(values[name]) if name in values else param.default for name, param in params.items()}


def as_text(value: Any) -> str:
    """Return a value as ``--set`` takes it: ``true``, ``12.5``, ``white``, ``red,blue``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(as_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _convert(value: Any, kind: Any, constraint: Constraint | None) -> Any:
    """Convert without loss, or raise; a tuple's constraint holds for each of its items, a union's for each number."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # a number of NumPy, as its sweeps make them
        value = value.item()
    if _is_union(kind):
        return _first_that_fits(value, get_args(kind), constraint)
    if _is_table(kind):
        if not isinstance(value, Mapping):
            raise TypeError
        return kind(**check_values(read_fields(kind), value, "field"))
    if get_origin(kind) is tuple:
        if isinstance(value, str) or not isinstance(value, (tuple, list)):
            value = (value,)
        kinds = _item_kinds(kind, len(value))
        return tuple(_convert(item, each, constraint) for item, each in zip(value, kinds, strict=True))
    if get_origin(kind) is Literal:
        if value not in get_args(kind) or isinstance(value, bool):
            raise ValueError
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = float(value)
    elif kind is int and isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
        value = int(value)
    elif type(value) is not kind and not (kind is str and isinstance(value, str)):
        raise TypeError
    if constraint is not None and not constraint.accepts(value):
        raise ValueError
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return str(value) if kind is str else value


def _first_that_fits(value: Any, kinds: tuple[Any, ...], constraint: Constraint | None) -> Any:
    for kind in kinds:
        try:
            return _convert(value, kind, constraint)
        except (TypeError, ValueError, OverflowError):
            continue
    raise ValueError


def _without_none(hint: Any, default: Any) -> tuple[Any, Any, Constraint | None]:
    """Return a field's type, default and constraint; ``X | None`` is X that may be absent."""
    if _is_union(hint):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        hint = Union[tuple(kinds)]  # noqa: UP007 - made at run time
    if get_origin(hint) is Annotated:
        kind, constraint = get_args(hint)[:2]
        return kind, default, constraint
    return hint, default, None


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


def _item_kinds(kind: Any, length: int) -> tuple[Any, ...]:
    kinds = get_args(kind)
    return (kinds[0],) * length if kinds[-1] is Ellipsis else kinds


def _parse(text: str, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        items = [item.strip() for item in text.split(",")] if text else []
        kinds = _item_kinds(kind, len(items))
        if len(kinds) != len(items):
            raise ValueError
        return tuple(_parse(item, each) for item, each in zip(items, kinds, strict=True))
    if kind is bool:
        return {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }.get(text.lower(), text)
    if kind in (int, float):
        return kind(text)
    if get_origin(kind) is Literal:
        return next((choice for choice in get_args(kind) if str(choice) == text), text)
    return text


def _expected(kind: Any, constraint: Constraint | None) -> str:
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        item = "tables" if _is_table(kinds[0]) else _expected(kinds[0], constraint)
        return f"a list of {item}" if kinds[-1] is Ellipsis else f"{len(kinds)} values, each {item}"
    if get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in get_args(kind))
    if _is_union(kind):
        return " or ".join(_expected(each, constraint) for each in get_args(kind))
    if _is_table(kind):
        return "a table"
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[kind]
    if constraint is None:
        return words
    return f"{words} in {constraint}" if kind is int else str(constraint)


def _schema(kind: Any, constraint: Constraint | None) -> dict[str, Any]:
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        schema: dict[str, Any] = {"type": "array", "items": _schema(kinds[0], constraint)}
        return schema if kinds[-1] is Ellipsis else {**schema, "minItems": len(kinds), "maxItems": len(kinds)}
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if _is_union(kind):
        return {"anyOf": [_schema(each, constraint) for each in get_args(kind)]}
    if _is_table(kind):
        return table_schema(kind)
    name = {float: "number", int: "integer", bool: "boolean", str: "string"}[kind]
    return {"type": name, **(constraint.schema() if constraint else {})}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _parameter_texts(doc: str) -> dict[str, str]:
    """Return the texts of a numpydoc ``Parameters`` section by name, each on one line."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    texts: dict[str, str] = {}
    name = ""
    for line in section.group(1).splitlines() if section else []:
        if line and not line[0].isspace():
            name = line.split(":")[0].strip()
            texts[name] = ""
        elif name and line.strip():
            texts[name] = f"{texts[name]} {line.strip()}".strip()
    return texts
