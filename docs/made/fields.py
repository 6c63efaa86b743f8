"""Pages of what files hold and results tell: cards, recipes, findings, metrics, architectures."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any, get_args, get_origin

from bgkit.evaluate.metrics import METRICS
from bgkit.findings import FINDINGS
from bgkit.models.card import CardFile
from bgkit.params import read_fields, read_params
from bgkit.pipelinefile import load_pipeline, shipped
from made.stages import markdown, params_table, table


def write_fields(folder: Path) -> None:
    """Write the pages."""
    pages = {
        "card-fields": cards(),
        "recipe-fields": recipes(),
        "findings-measured": findings(),
        "metrics-measured": metrics(),
        "networks": networks(),
    }
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text + "\n", "utf-8")


def cards() -> str:
    """Return every field of a card, table by table."""
    parts = [
        "# Fields of a card",
        "A card is the TOML file that says how a network is fed and read: "
        "[bring your own network](../how-to/bring-your-own-network.md) has examples.",
    ]
    return "\n\n".join(parts + _tables("a card", CardFile, 2))


def _tables(title: str, declared: type, level: int) -> list[str]:
    """Return a table's fields, then those of the tables within it."""
    fields = read_fields(declared)
    own = {name: field for name, field in fields.items() if not _inner(field.type)}
    parts = [f"{'#' * level} {title}", markdown((inspect.getdoc(declared) or "").partition("\n")[0])]
    parts += [params_table(own)] if own else []
    for name, field in fields.items():
        if inner := _inner(field.type):
            above = "" if title == "a card" else title.strip("`[]") + "."
            many = get_origin(field.type) is tuple
            parts += _tables(f"`{'[[' if many else '['}{above}{name}{']]' if many else ']'}`", inner, level)
    return parts


def _inner(kind: Any) -> type | None:
    """Return the class of a table, or of the tables of a list."""
    kinds = [kind, *get_args(kind)]
    return next((each for each in kinds if inspect.isclass(each) and hasattr(each, "__dataclass_fields__")), None)


def recipes() -> str:
    """Return every key of a training recipe."""
    from bgkit.train.recipe import SECTIONS, Course

    parts = [
        "# Keys of a training recipe",
        "What a run of `bgkit train` may be told: [training](../tutorials/training.md).",
    ]
    for name, declared in {"At the top": Course, **{f"`{name}`": kind for name, kind in SECTIONS.items()}}.items():
        parts += [f"## {name}", markdown((inspect.getdoc(declared) or "").partition("\n")[0])]
        parts.append(params_table(read_params(declared)))
    return "\n\n".join(parts)


def findings() -> str:
    """Return every finding."""
    parts = [
        "# Every finding",
        "A figure that is measured on a finished picture; `checks` in a pipeline file are thresholds. "
        "How they are shown and used: [what is said of a result](findings.md).",
    ]
    checks = {name: load_pipeline(name).checks for name in shipped()}
    for name, finding in FINDINGS.items():
        used = ", ".join(
            f"[`{each}`](pipelines/{each}.md) {found[name]:g}" for each, found in checks.items() if name in found
        )
        rows = [
            ["what it is", finding.meaning],
            ["good is", f"{finding.limit} the threshold"],
            ["threshold", str(finding.range)],
            ["when it is flagged", finding.advice],
            ["threshold of", used or "no shipped pipeline"],
        ]
        parts += [f"## {name}", table(("", ""), rows)]
    return "\n\n".join(parts)


def metrics() -> str:
    """Return every metric."""
    parts = ["# Every metric", "Definitions, papers and protocols stand in [metrics](metrics.md)."]
    for name, metric in METRICS.items():
        rows = [["title in tables", metric.title], ["better is", metric.better], ["what it is", metric.meaning]]
        parts += [f"## {name}", table(("", ""), rows)]
    return "\n\n".join(parts)


def networks() -> str:
    """Return every architecture that can be trained, with its file's own description."""
    from bgkit.train.networks import NETWORKS

    parts = [
        "# Every architecture",
        "Networks that `bgkit train` builds; measured side by side in "
        "[the architectures compared](../explanation/architectures-compared.md).",
    ]
    for name, entry in NETWORKS.items():
        module = importlib.import_module(f"bgkit.train.networks.{entry.made_by.partition(':')[0]}")
        rows = [
            ["paper", entry.paper],
            ["sees", ", ".join(entry.inputs)],
            ["sides are multiples of", f"{entry.multiple} px"],
            ["options", ", ".join(f"`{key}: {value}`" for key, value in entry.options.items()) or "none set"],
            ["parameters, as published", f"{entry.parameters:g} million" if entry.parameters else "not published"],
            ["file", f"`{module.__name__.replace('.', '/')}.py`"],
        ]
        text = re.sub(r"\n    (.*)", r"\n    \1", markdown(inspect.getdoc(module) or ""))
        parts += [f"## {name}", text, table(("", ""), rows)]
    return "\n\n".join(parts)
