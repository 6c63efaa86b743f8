"""The contact sheet of a batch: one page that needs nothing but itself, with every picture before and after.

What failed or was flagged stands first, by reason. The page is written when the batch ends, also when it is stopped;
pictures that were skipped because their results are there keep their place from the page of the run before.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bgkit import __version__
from bgkit.batch.jobs import Outcome, Work, shown
from bgkit.batch.places import Place
from bgkit.errors import PlanError
from bgkit.files import read_text, replacing, write_whole
from bgkit.findings import flagged

__all__ = ["SIDE", "STYLE", "ContactSheet", "data_uri"]

SIDE = 240  # px, longer side of a picture on the sheet
STYLE = Path(__file__).parent / "page.css"  # of this page and of the report of a comparison
TEMPLATE = Path(__file__).parent / "contact.html.j2"
_MOST = 1 << 30  # bytes of an older page; a hundred thousand pictures take 400 MB
DATA = re.compile(r'<script type="application/json" id="sheet">(.*?)</script>', re.DOTALL)


class ContactSheet:
    """Takes in outcomes; used as a context it writes the page at the end.

    Outcomes bring small copies of picture and result, made by :class:`bgkit.batch.answers.Thumbnail`.
    """

    def __init__(self, path: Path, work: Work) -> None:
        self.path, self.work = path, work
        self.before = {entry["output"]: entry for entry in _read(path)}
        self.entries: list[dict[str, Any]] = []
        try:  # now, and not after ten thousand pictures
            with replacing(path) as part:
                part.write_bytes(path.read_bytes() if path.exists() else b"")
        except OSError as error:
            raise PlanError(f"{shown(path)}: the report cannot be written: {error.strerror}") from error

    def add(self, outcome: Outcome) -> None:
        """Take in what became of a picture."""
        entry = {
            "name": shown(outcome.job.name),
            "output": self._link(outcome.job.output),
            "status": outcome.status,
            "error": shown(outcome.error),
            "reasons": flagged(outcome.facts.get("findings", {})),
            "flags": outcome.flags,
            "warnings": list(outcome.warnings),
            "seconds": round(sum(outcome.seconds.values()), 3),
            "size": list(outcome.size) if outcome.size else None,
            "picture": data_uri(outcome.found.get("picture", b"")),
            "result": data_uri(outcome.found.get("thumbnail", b"")),
        }
        if outcome.status == "skipped" and entry["output"] in self.before:
            entry = self.before[entry["output"]]
        self.entries.append(entry)

    def _link(self, output: Place) -> str:
        """Return where a result lies, seen from the page; of a URL, itself."""
        if not isinstance(output, Path):
            return str(output)
        try:
            return Path(os.path.relpath(output.absolute(), self.path.absolute().parent)).as_posix()
        except ValueError:  # on another drive of Windows
            return output.absolute().as_uri()

    def write(self, *, stopped: bool = False) -> None:
        """Write the page, whole or not at all; one of a batch that was ``stopped`` says so. OSError is not caught."""
        from jinja2 import Environment
        from markupsafe import Markup

        sheet = {
            "pipeline": self.work.pipeline.name,
            "yaml": self.work.pipeline.dump(),
            "layer": self.work.layer,
            "stopped": stopped,
            "bgkit": __version__,
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "pictures": self.entries,
        }
        template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
            TEMPLATE.read_text(encoding="utf-8")
        )
        write_whole(self.path, template.render(sheet=sheet, style=Markup(STYLE.read_text(encoding="utf-8"))))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.write(stopped=error is not None)
        except OSError as wrong:
            if error is None:
                raise PlanError(f"{shown(self.path)}: the report cannot be written: {wrong.strerror}") from wrong


def data_uri(content: bytes) -> str:
    """Return a WebP file as an address that holds it, "" for none."""
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}" if content else ""


_KINDS: dict[str, Any] = {  # of an entry, as add() makes it
    **dict.fromkeys(("name", "output", "status", "error", "picture", "result"), str),
    "reasons": (dict, list),
    "flags": list,
    "warnings": list,
    "seconds": (int, float),
    "size": (list, type(None)),
}


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the pictures of an older page; none if there is no page of ours."""
    try:
        found = DATA.search(read_text(path, "a contact sheet", PlanError, _MOST))
        pictures = json.loads(found[1], parse_constant=_refuse)["pictures"] if found else []
    except (ValueError, KeyError, TypeError, RecursionError, PlanError):
        return []
    return [each for each in pictures if _is_entry(each)] if isinstance(pictures, list) else []


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in _KINDS.items())


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
