"""The HTTP interface from OpenAPI, and the Python interface from its docstrings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bgkit
from made.stages import markdown, table

MODULES = ("bgkit.evaluate", "bgkit.testing", "bgkit.imagefile")


def write_interfaces(folder: Path) -> None:
    """Write the two pages."""
    (folder / "http.md").write_text(http(), "utf-8")
    (folder / "python-names.md").write_text(python(), "utf-8")


def http() -> str:
    """Return every operation of the server."""
    parts = [
        "# HTTP interface",
        "What `bgkit serve` answers; [serving](../how-to/serving.md) explains it with examples.",
    ]
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            parts += [
                f"## {method.upper()} {path}".replace("{", "\\{"),
                markdown(operation.get("description", operation["summary"])),
            ]
            rows = [
                [
                    f"`{each['name']}`",
                    each.get("description") or each["schema"].get("description", ""),
                    _kind(each["schema"]),
                ]
                for each in operation.get("parameters", ())
            ]
            parts += [table(("field", "what", "may be"), rows)] if rows else []
            if "requestBody" in operation:
                parts.append("Body: " + ", ".join(f"`{kind}`" for kind in operation["requestBody"]["content"]))
            answers = [[status, answer["description"]] for status, answer in operation["responses"].items()]
            parts.append(table(("status", "what"), answers))
    return "\n\n".join(parts) + "\n"


def _kind(schema: dict[str, Any]) -> str:
    return ", ".join(map(str, schema.get("enum", [schema.get("type", "text")])))


def openapi() -> dict[str, Any]:
    """Return what the server says of itself, without starting one."""
    from unittest.mock import Mock

    from bgkit.serve.app import create_app
    from bgkit.serve.settings import Settings

    return create_app(Settings(), Mock()).openapi()  # nobody is served, so no crew is needed


def python() -> str:
    """Return the public names, for Sphinx to fill from their docstrings."""
    parts = ["# Python names", "[bgkit in Python](python.md) shows how they are used."]
    lines = []
    for name in bgkit.__all__:
        value = getattr(bgkit, name)
        if isinstance(value, type):
            lines.append(f".. autoclass:: bgkit.{name}\n   :members:")
        elif callable(value):
            lines.append(f".. autofunction:: bgkit.{name}")
    parts.append("````{eval-rst}\n" + "\n\n".join(lines) + "\n````")
    parts += ["## Stages", "`bgkit.stages` holds a function for each stage: [the stages](stages/index.md)."]
    for module in MODULES:
        parts += [
            f"## {module}",
            f"````{{eval-rst}}\n.. automodule:: {module}\n   :members:\n   :imported-members:\n````",
        ]
    parts += ["## Errors", "````{eval-rst}\n.. automodule:: bgkit.errors\n   :members:\n   :show-inheritance:\n````"]
    return "\n\n".join(parts) + "\n"
