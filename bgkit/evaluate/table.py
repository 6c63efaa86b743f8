"""The outcome of scoring: a row per picture, the set's figures, and what could not be scored."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from bgkit.errors import ParamError, printable
from bgkit.evaluate.metrics import METRICS, Score

__all__ = ["Problem", "Row", "Table"]


@dataclass(frozen=True, order=True)
class Problem:
    """A file that was not scored, and why."""

    name: str
    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True)
class Row:
    """The metrics of one picture; ``kind`` is the data set's own grouping."""

    name: str
    score: Score
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """What :func:`bgkit.evaluate.evaluate` returns.

    ``figures`` are the set's, from curves averaged over pictures where a maximum is taken; ``kinds``
    the same for each group of pictures the data set tells apart. A number that is not defined is
    NaN here, null in JSON and empty in CSV.
    """

    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    figures: Mapping[str, float]
    problems: tuple[Problem, ...] = ()
    kinds: Mapping[str, Mapping[str, float]] | None = None

    def json(self) -> str:
        """Return everything as one JSON object."""
        document = {
            "pictures": len(self.rows),
            "figures": _plain(self.figures),
            "kinds": {kind: _plain(figures) for kind, figures in (self.kinds or {}).items()},
            "rows": [{"name": row.name, "kind": row.kind, **_plain(row.score.values)} for row in self.rows],
            "problems": [vars(problem) for problem in self.problems],
            "metrics": {name: METRICS[name]._asdict() for name in self.metrics},
        }
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    def csv(self) -> str:
        """Return a line per picture, scored or not; the last column says why not."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "kind", *self.metrics, "problem"])
        for row in self.rows:
            values = _plain(row.score.values)
            writer.writerow([row.name, row.kind, *(_cell(values[name]) for name in self.metrics), ""])
        for problem in self.problems:
            writer.writerow([problem.name, "", *("" for _ in self.metrics), str(problem)])
        return text.getvalue()

    def text(self, *, digits: int = 4) -> str:
        """Return the set's figures, and those of each kind, as a table to be read, with the problems below."""
        kinds = self.kinds or {}
        columns = [self.figures, *kinds.values()]
        width = max([len(METRICS[name].title) for name in self.metrics], default=0)
        heads = ["all", *kinds]
        widths = [max(len(head), digits + 6) for head in heads]
        arrow = {"higher": "+", "lower": "-"}
        lines = [f"{len(self.rows)} pictures scored; + higher is better, - lower is better"]
        if self.rows:
            lines.append(
                "  ".join([" " * (width + 2), *(f"{head:>{w}}" for head, w in zip(heads, widths, strict=True))])
            )
            for name in self.metrics:
                cells = [f"{figures[name]:>{w}.{digits}f}" for figures, w in zip(columns, widths, strict=True)]
                lines.append("  ".join([f"{METRICS[name].title:<{width}} {arrow[METRICS[name].better]}", *cells]))
        if self.problems:
            lines += [
                "",
                f"{len(self.problems)} not scored:",
                *(f"  {printable(str(problem))}" for problem in self.problems),
            ]
        return "\n".join(lines) + "\n"

    def save(self, target: str | PathLike[str]) -> None:
        """Write the table to a file; its ending chooses: json, csv or txt.

        Raises
        ------
        ParamError
            If the ending is another.
        """
        forms = {".json": self.json, ".csv": self.csv, ".txt": self.text}
        ending = Path(target).suffix.lower()
        if ending not in forms:
            raise ParamError(f"{target}: expected a name that ends in {', '.join(forms)}, got {ending or 'none'}")
        Path(target).write_text(forms[ending](), encoding="utf-8")


def _plain(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _cell(value: float | None) -> str:
    return "" if value is None else repr(float(value))
