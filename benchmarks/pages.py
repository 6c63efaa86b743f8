"""Pages whose figures a command writes: blocks between markers are made anew, the rest is written by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bgkit.logistic import Logistic

__all__ = ["block", "fill", "named", "rows_of", "with_fit"]

BLOCK = re.compile(r"(<!-- measured: ([\w-]+) -->)\n(.*?)(<!-- /measured -->)", re.DOTALL)


def fill(page: str, parts: Mapping[str, str]) -> str:
    """Return the page with each block replaced by the part of its name; a block without a part is a KeyError.

    >>> print(fill("<!-- measured: speed -->\\nold\\n<!-- /measured -->", {"speed": "new"}))
    <!-- measured: speed -->
    new
    <!-- /measured -->
    """
    return BLOCK.sub(lambda match: f"{match[1]}\n{parts[match[2]].strip()}\n{match[4]}", page)


def with_fit(code: str, name: str, fitted: Logistic) -> str:
    """Return a source file's text with another fit under the name of the one that stands there."""
    pattern = rf"^{name} = Logistic\(\n.*?^\)$"
    code, count = re.subn(pattern, lambda _: fitted.source(name), code, flags=re.DOTALL | re.MULTILINE)
    assert count == 1, f"expected one {name} = Logistic(...), found {count}"
    return code


def named(page: str) -> list[str]:
    """Return the names of a page's blocks, in order."""
    return [match[2] for match in BLOCK.finditer(page)]


def block(page: str, name: str) -> str:
    """Return what a block holds now.

    >>> block("<!-- measured: speed -->\\nold\\n<!-- /measured -->", "speed")
    'old'
    """
    return next(match[3] for match in BLOCK.finditer(page) if match[2] == name).strip()


def rows_of(page: str, titles: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the rows of the page's table with these titles by their first cell, without what that adds in parentheses.

    >>> rows_of("| network | MAE |\\n|---|---|\\n| `unet` (20 steps) | 0.3 |\\n\\nEnd.", ("network", "MAE"))
    {'`unet`': ('`unet` (20 steps)', '0.3')}
    """
    _, _, rest = page.partition("| " + " | ".join(titles) + " |\n")
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return {row[0].partition(" (")[0]: row for row in rows}
