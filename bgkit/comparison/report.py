"""The report of a comparison: one page that needs nothing but itself, and the numbers as JSON and CSV."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bgkit.batch.contact import STYLE, data_uri
from bgkit.files import write_whole

__all__ = ["as_json", "now", "write_page"]

TEMPLATE = Path(__file__).parent / "report.html.j2"


def write_page(target: Path, report: Mapping[str, Any], thumbnail: Callable[[str, str], Path]) -> None:
    """Write the page.

    Parameters
    ----------
    target : Path
        Where ``layers/`` lies beside, for links to full sizes.
    report : mapping
        What ``scores.json`` holds.
    thumbnail : callable(kind, picture)
        Where a thumbnail lies; those that are there go into the page.
    """
    from jinja2 import Environment
    from markupsafe import Markup

    kinds = ["picture", "truth", "disagreement", "consensus", *(variant["id"] for variant in report["pipelines"])]
    shown = {
        kind: {
            picture: data_uri(path.read_bytes())
            for picture in report["pictures"]
            if (path := thumbnail(kind, picture)).is_file()
        }
        for kind in kinds
    }
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # stages stay in the order of the chain
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    write_whole(target, page.render(report=report, shown=shown, style=Markup(STYLE.read_text(encoding="utf-8"))))


def as_json(report: Mapping[str, Any]) -> str:
    """Return what was found as JSON without NaN."""
    return json.dumps(report, indent=1, allow_nan=False) + "\n"


def now() -> str:
    """Return the time (UTC) to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
