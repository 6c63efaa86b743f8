"""Pages whose figures a command writes: blocks between markers are made anew, the rest is written by hand."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from bgkit.logistic import Logistic

__all__ = ["SEALS", "Seal", "block", "fill", "named", "rows_of", "seal", "seals", "with_fit", "write"]

ROOT = Path(__file__).resolve().parents[1]
SEALS = Path(__file__).with_name("seals.json")  # of every block, what a benchmark wrote there, and when
BLOCK = re.compile(r"(<!-- measured: ([\w-]+) -->)\n(.*?)(<!-- /measured -->)", re.DOTALL)


class Seal(TypedDict):
    """What is kept of a block: a digest of what was written there, when and at which commit, and by which command."""

    digest: str
    measured: str  # YYYY-MM-DD, COMMIT
    since: NotRequired[str]  # the same of the oldest figures of a block whose rows are measured apart
    by: str


def fill(page: str, parts: Mapping[str, str]) -> str:
    """Return the page with each block replaced by the part of its name; a block without a part is a KeyError.

    >>> print(fill("<!-- measured: speed -->\\nold\\n<!-- /measured -->", {"speed": "new"}))
    <!-- measured: speed -->
    new
    <!-- /measured -->
    """
    return BLOCK.sub(lambda match: f"{match[1]}\n{parts[match[2]].strip()}\n{match[4]}", page)


def write(page: Path, parts: Mapping[str, str], *, some: bool = False, fresh: bool = True) -> None:
    """Put some blocks of a page anew, and note their seals, by which the suite knows them from edits by hand.

    ``some`` says that only some figures of these blocks are new; the seal then keeps when the oldest were measured, and
    that of a block in which nothing changed is left.
    Without ``fresh`` none is, and the blocks are made of figures that were kept; the seal keeps its day.
    """
    text = page.read_text("utf-8")
    text = fill(text, {name: block(text, name) for name in named(text)} | dict(parts))
    page.write_text(text, "utf-8")
    if page.is_relative_to(ROOT):
        known = seals()
        for name in parts:
            key = f"{page.relative_to(ROOT).as_posix()}#{name}"
            new = Seal(digest=seal(block(text, name)), measured=_now(), by=_command())
            old = known.get(key)
            if old and some:
                new["since"] = old.get("since", old["measured"])
            if not old or (fresh and not (some and old["digest"] == new["digest"])):
                known[key] = new
            else:
                known[key] = Seal(**{**old, "digest": new["digest"]})
        SEALS.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", "utf-8")


def seals() -> dict[str, Seal]:
    """Return the seal of each block, by ``PAGE#NAME``."""
    known: dict[str, Seal] = json.loads(SEALS.read_text("utf-8"))
    return known


def _now() -> str:
    head = ["git", "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return f"{datetime.date.today()}, {commit}"


def _command() -> str:
    """The command that runs, with paths as in the repository."""
    script = Path(sys.argv[0]).resolve()
    name = script.relative_to(ROOT).as_posix() if script.is_relative_to(ROOT) else script.name
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec:
        name = f"-m {spec.name.removesuffix('.__main__')}"
    given = [Path(each).name if Path(each).is_absolute() else each for each in sys.argv[1:]]
    return " ".join(["python", name, *given])


def seal(text: str) -> str:
    """Return the digest of a block."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
    lines = list(itertools.takewhile(lambda line: line.startswith("|"), rest.splitlines()))[1:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return {row[0].partition(" (")[0]: row for row in rows}
