"""YAML files that know where each of their values stands: what pipelines and training recipes are read with.

Read is the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2, 10.3): mappings, lists, text, numbers, true, false
and null; so ``no`` is a word and ``1e-7`` a number. A key written twice is an error. So is what a file of settings has
no use for: anchors with aliases (a few lines of them stand for more values than fit in memory), tags, merge keys,
several documents, and nesting beyond ``DEPTH``. Every message starts with file, line and column.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bgkit.errors import CONTROLS, BgkitError, brief, cut, did_you_mean
from bgkit.files import read_text

__all__ = ["Node", "dump", "load", "parse"]

DEPTH = 20  # of lists and mappings; a pipeline has four
DIGITS = 100  # of a number
LONGEST = 1 << 17  # characters; a pipeline has a thousand, and a megabyte takes five seconds to read

# The core schema's plain scalars; what fits none of them is text.
NULL = re.compile(r"null|Null|NULL|~|")
BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Node:
    """A YAML value, where it stands, and the kind of error that its faults are.

    ``value`` is a dict, a list, a str, int, float, bool or None; keys are text. ``children`` are the nodes of a
    mapping by key, those of a list by number; ``keys`` says where each key stands.
    """

    value: Any
    file: str
    line: int
    column: int
    error: type[BgkitError]
    children: Mapping[str | int, Node] = field(default_factory=dict)
    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def key_place(self, key: str) -> str:
        line, column = self.keys[key]
        return f"{self.file}:{line}:{column}"

    def child(self, key: str, expected: str) -> Node:
        if key not in self.children:
            raise self.error(f"{self.place}: expected {expected}")
        return self.children[key]

    def item(self, index: int) -> Node:
        return self.children[index]

    def expect_mapping(self, expected: str) -> None:
        if not isinstance(self.value, dict):
            given = "nothing" if self.value is None else brief(self.value)
            raise self.error(f"{self.place}: expected {expected}, got {given}")

    def expect_keys(self, known: Iterable[str]) -> None:
        """Refuse the first key that is not among ``known``."""
        known = list(known)
        for key in self.value:
            if key not in known:
                raise self.error(f"{self.key_place(key)}: {cut(key)}: no such key{did_you_mean(key, known)}")

    def expect_text(self, key: str) -> str:
        """Return the text below ``key``, or "" where there is no such key; refuse anything else."""
        value = self.value.get(key, "")
        if not isinstance(value, str):
            raise self.error(f"{self.key_place(key)}: {key}: expected text, got {brief(value)}")
        return value

    def expect_version(self, version: int) -> None:
        """Refuse a file whose key ``bgkit`` is not ``version``."""
        node = self.child("bgkit", f"the line 'bgkit: {version}', the version of the format")
        if node.value != version or isinstance(node.value, bool):
            raise self.error(f"{node.place}: bgkit: expected {version}, got {brief(node.value)}")


def load(path: Path, what: str, error: type[BgkitError]) -> Node:
    """Return the root of a YAML file; ``what`` it should be is said where it is something else."""
    return parse(read_text(path, f"{what} in YAML", error), path.name, what, error)


def parse(text: str, file: str, what: str, error: type[BgkitError]) -> Node:
    """Return the root of a YAML text; ``file`` is what messages call it, ``what`` it should be."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if not text.strip():
        raise error(f"{file}: expected {what}, got an empty file")
    if len(text) > LONGEST:
        raise error(f"{file}: expected {what} of at most {LONGEST} characters, got {len(text)}")
    try:
        return _Reader(YAML(typ="safe", pure=True).parse(text), file, error).document()
    except MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        problem = " ".join(str(fault.problem or fault.context).split("\n")[0].split())
        if "\\t" in problem or "'\t'" in str(fault.problem):
            problem = "a tab; YAML is indented with spaces"
        raise error(f"{place}: not valid YAML: {problem}") from None
    except YAMLError as fault:
        problem = str(fault).split("\n")[0]
        raise error(f"{file}: expected {what} in YAML, got something else: {problem}") from None
    except (ValueError, OverflowError) as fault:  # escapes and version numbers that ruamel.yaml does not check
        if isinstance(fault, BgkitError):
            raise
        raise error(f"{file}: not valid YAML: {str(fault) or type(fault).__name__}") from None


class _Reader:
    """Turns the events of a YAML text into nodes, and stops at the first one that has no place in a file of ours."""

    def __init__(self, events: Iterator[Any], file: str, error: type[BgkitError]) -> None:
        self.events, self.file, self.error = events, file, error

    def document(self) -> Node:
        """Return the one document's root."""
        next(self.events)  # the start of the stream
        if self._kind(next(self.events)) == "StreamEnd":  # nothing but comments
            return Node(None, self.file, 1, 1, self.error)
        root = self._node(next(self.events), DEPTH)
        next(self.events)  # the document's end
        more = next(self.events)
        if self._kind(more) != "StreamEnd":
            raise self._wrong(more, "expected one document, got a second one after '---'")
        return root

    def _node(self, event: Any, depth: int) -> Node:
        kind = self._kind(event)
        if kind == "Alias" or event.anchor:
            name = f"{'*' if kind == 'Alias' else '&'}{cut(str(event.anchor), 40)}"
            raise self._wrong(event, f"expected a value, got {name}: anchors and aliases are not read; write it out")
        if event.tag:
            raise self._wrong(event, f"expected a value, got the tag {cut(str(event.tag), 60)}: tags are not read")
        if kind == "Scalar":
            return self._at(event, self._scalar(event))
        if not depth:
            raise self._wrong(event, f"expected lists and mappings nested up to {DEPTH} deep, got more")
        return self._mapping(event, depth - 1) if kind == "MappingStart" else self._list(event, depth - 1)

    def _mapping(self, event: Any, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        for inner in self.events:
            if self._kind(inner) == "MappingEnd":
                break
            key = self._key(inner)
            if key in keys:
                raise self._wrong(inner, f"not valid YAML: found duplicate key {brief(key)}")
            keys[key] = inner.start_mark.line + 1, inner.start_mark.column + 1
            children[key] = self._node(next(self.events), depth)
        return self._at(event, {key: children[key].value for key in keys}, children, keys)

    def _key(self, event: Any) -> str:
        if self._kind(event) != "Scalar":
            raise self._wrong(event, "expected a word as a key, got a list, a mapping or an alias")
        if event.anchor or event.tag or (event.value == "<<" and event.implicit[0]):
            raise self._wrong(event, "expected a plain word as a key; merge keys (<<), anchors and tags are not read")
        return self._text(event)

    def _list(self, event: Any, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        for inner in self.events:
            if self._kind(inner) == "SequenceEnd":
                break
            children[len(children)] = self._node(inner, depth)
        return self._at(event, [child.value for child in children.values()], children)

    def _scalar(self, event: Any) -> Any:
        text = self._text(event)
        if not event.implicit[0]:  # quoted, or a block
            return text
        if NULL.fullmatch(text):
            return None
        if BOOL.fullmatch(text):
            return text.lower() == "true"
        whole, number = WHOLE.fullmatch(text), NUMBER.fullmatch(text)
        if (whole or number) and len(text) > DIGITS:
            raise self._wrong(event, f"expected a number of at most {DIGITS} digits, got {len(text)}")
        if whole:
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if number:
            return float(text)
        return float(text.replace(".", "", 1)) if NO_NUMBER.fullmatch(text) else text

    def _text(self, event: Any) -> str:
        """Return a scalar's text, without what only escapes can bring into a file: control characters, half letters."""
        bad = CONTROLS.search(event.value)
        if bad is not None:
            raise self._wrong(event, f"expected text, got the character {bad.group()!a}")
        return str(event.value)

    def _at(self, event: Any, value: Any, children: Any = None, keys: Any = None) -> Node:
        mark = event.start_mark
        return Node(value, self.file, mark.line + 1, mark.column + 1, self.error, children or {}, keys or {})

    def _wrong(self, event: Any, problem: str) -> BgkitError:
        return self.error(f"{self.file}:{event.start_mark.line + 1}:{event.start_mark.column + 1}: {problem}")

    @staticmethod
    def _kind(event: Any) -> str:
        return type(event).__name__.removesuffix("Event")


def dump(document: Mapping[str, Any]) -> str:
    """Return a document as YAML, short lists and mappings on one line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    class Representer(SafeRepresenter):
        """Quotes what ruamel.yaml writes bare and does not read again: ``?0``, and ``:0`` in a mapping."""

        def represent_str(self, data: str) -> Any:
            style = "'" if data.startswith(("?", ":")) else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Representer.add_representer(str, Representer.represent_str)
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = Representer
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 110
    yaml.representer.ignore_aliases = lambda value: True
    text = io.StringIO()
    yaml.dump(dict(document), text)
    return text.getvalue()
