"""YAML files that know where each of their values stands: what pipelines and training recipes are read with.

YAML 1.2, so that ``no`` is a word and ``1e-7`` a number; a key written twice is an error. Every message starts with
file, line and column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgkit.errors import BgkitError, did_you_mean

__all__ = ["Node", "parse", "text_of", "yaml"]


@dataclass(frozen=True)
class Node:
    """A YAML value, where it stands, and the kind of error that its faults are."""

    value: Any
    file: str
    line: int
    column: int
    error: type[BgkitError]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def key_place(self, key: Any) -> str:
        line, column = self.value.lc.key(key)
        return f"{self.file}:{line + 1}:{column + 1}"

    def child(self, key: Any, expected: str) -> Node:
        if key not in self.value:
            raise self.error(f"{self.place}: expected {expected}")
        line, column = self.value.lc.value(key)
        return Node(self.value[key], self.file, line + 1, column + 1, self.error)

    def item(self, index: int) -> Node:
        line, column = self.value.lc.item(index)
        return Node(self.value[index], self.file, line + 1, column + 1, self.error)

    def expect_mapping(self, expected: str) -> None:
        if not isinstance(self.value, dict):
            shown = "nothing" if self.value is None else repr(self.value)
            raise self.error(f"{self.place}: expected {expected}, got {shown}")

    def expect_keys(self, known: Iterable[str]) -> None:
        """Refuse the first key that is not among ``known``."""
        known = list(known)
        for key in self.value:
            if key not in known:
                raise self.error(f"{self.key_place(key)}: {key}: no such key{did_you_mean(str(key), known)}")

    def expect_version(self, version: int) -> None:
        """Refuse a file whose key ``bgkit`` is not ``version``."""
        node = self.child("bgkit", f"the line 'bgkit: {version}', the version of the format")
        if node.value != version or isinstance(node.value, bool):
            raise self.error(f"{node.place}: bgkit: expected {version}, got {node.value!r}")


def text_of(path: Path, what: str, error: type[BgkitError]) -> str:
    """Return a file's text; ``what`` it should be is said where it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise error(f"{path}: expected {what} in YAML, got a file that is not text") from None
    except OSError as fault:
        raise error(f"{path}: cannot be read: {fault.strerror}") from None


def parse(text: str, file: str, what: str, error: type[BgkitError]) -> Node:
    """Return the root of a YAML text; ``file`` is what messages call it, ``what`` it should be."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if not text.strip():
        raise error(f"{file}: expected {what}, got an empty file")
    try:
        return Node(yaml("rt").load(text), file, 1, 1, error)
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


def yaml(kind: str) -> Any:
    """Return a YAML 1.2 reader and writer, ``"rt"`` with positions or ``"safe"`` without."""
    from ruamel.yaml import YAML

    made: Any = YAML(typ=kind, pure=True)
    made.default_flow_style = None
    made.sort_base_mapping_type_on_output = False
    made.width = 110
    return made
