"""A page for each stage, from the registry, its docstring and :mod:`made.effects`."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from numpydoc.docscrape import NumpyDocString

from bgkit import stages
from bgkit.params import Param, as_text
from bgkit.pipelinefile import load_pipeline, shipped
from bgkit.stage import Stage
from made.effects import meaning_of, write_effect

FAMILIES = {
    "light": "Light",
    "color_key": "Keys and clean plates",
    "clean_plate_key": "Keys and clean plates",
    "two_shots": "Keys and clean plates",
    "classical": "Classical masks",
    "regional": "Classical masks",
    "network": "Networks",
    "network_matting": "Networks",
    "crf": "Refining a mask",
    "upsampling": "Refining a mask",
    "morphology": "Cleaning a mask",
    "components": "Cleaning a mask",
    "trimaps": "Trimaps and strokes",
    "closed_form": "Matting",
    "other_matting": "Matting",
    "faintness": "Correcting alpha",
    "retouching": "Correcting alpha",
    "steadying": "Correcting alpha",
    "foregrounds": "Color of the subject",
    "spill": "Color of the subject",
    "compositing": "The finished picture",
    "dropping": "The finished picture",
    "framing": "The finished picture",
}


def write_stages(folder: Path) -> None:
    """Write a page for each stage, and the index that groups them."""
    folder.mkdir(parents=True)
    groups: dict[str, list[str]] = {}
    for name in stages.shipped():
        info = stages.find(name)
        family = info.function.__module__.rpartition(".")[2]
        groups.setdefault(FAMILIES[family], []).append(name)
        (folder / f"{name}.md").write_text(page(info, write_effect(name, folder)), "utf-8")
    parts = [
        "# Stages",
        "A stage is a function from layers to one layer; a pipeline is a list of them.\n"
        "Each is used by the same name in YAML, on the command line (`--set STAGE.PARAM=VALUE`) and in Python "
        "(`bgkit.stages.NAME`).",
    ]
    for group in dict.fromkeys(FAMILIES.values()):
        rows = [[f"[`{name}`]({name}.md)", stages.find(name).summary] for name in groups[group]]
        parts += [f"## {group}", table(("stage", "what it does"), rows)]
    names = [name for group in dict.fromkeys(FAMILIES.values()) for name in groups[group]]
    parts.append("```{toctree}\n:hidden:\n" + "\n".join(names) + "\n```")
    (folder / "index.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def page(info: Stage, pictures: list[tuple[str, str]]) -> str:
    """Return the page of a stage as MyST Markdown."""
    doc = NumpyDocString(info.doc)
    parts = [f"# {info.name}", info.summary]
    parts.append(" ".join(doc["Extended Summary"]))
    parts.append(
        "\n".join(f"- {word} `{layer}`: {meaning_of(layer)}" for word, layer in _flow(info))
        + f"\n- defined in `bgkit/stages/{info.function.__module__.rpartition('.')[2]}.py`"
    )
    parts += ["## What it looks like", strip(pictures, info.name)]
    parts += ["## Signature", f"```text\n{signature(info)}\n```", "In a pipeline file:", example(info)]
    parts += ["## Parameters", params_table(info.settings) if info.settings else "None."]
    for section in ("Notes", "References", "Examples"):
        if doc[section]:
            text = textwrap.dedent("\n".join(doc[section]))
            parts += [f"## {section}", f"````{{eval-rst}}\n{text}\n````"]
    used = [name for name in shipped() if any(step.name == info.name for step in load_pipeline(name).steps)]
    links = ", ".join(f"[`{name}`](../pipelines/{name}.md)" for name in used)
    parts += ["## Used by", links or "No shipped pipeline."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _flow(info: Stage) -> list[tuple[str, str]]:
    return (
        [("needs", layer) for layer in info.needs]
        + [("uses, where it is there,", layer) for layer in info.uses]
        + [("gives", info.gives)]
    )


def signature(info: Stage) -> str:
    """Return the stage's call as Python has it, without annotations."""
    found = inspect.signature(info.function)
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in found.parameters.values()]
    text = str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    if len(text) > 70:
        text = "(\n    " + ",\n    ".join(re.split(r", (?![^()\[\]]*[)\]])", text[1:-1])) + ",\n)"
    return f"bgkit.stages.{info.name}{text}"


def example(info: Stage) -> str:
    """Return a list item of a pipeline file with every value at its default."""
    lines = [f"- {info.name}:" if info.params else f"- {info.name}"]
    lines += [f"    {name}: {_yaml(param.default)}" for name, param in info.params.items()]
    return "```yaml\n" + "\n".join(lines) + "\n```"


def _yaml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return as_text(value) or '""'  # type: ignore[arg-type]


def params_table(params: Mapping[str, Param]) -> str:
    """Return what there is to know of each parameter."""
    rows = []
    for name, param in params.items():
        if not param.doc:
            raise LookupError(f"the parameter {name} has no text in its docstring")
        ui = getattr(param.constraint, "ui", None)
        usual = f"; usually {ui[0]:g} to {ui[1]:g}" if ui else ""
        default = (
            "required"
            if param.required
            else f"`{as_text(param.default)}`"
            if param.default not in ("", None)
            else "none"
        )
        rows.append([f"`{name}`", default, param.expected + usual, markdown(param.doc)])
    text = table(("parameter", "default", "may be", "what it does, and what more of it does"), rows)
    return f'<div class="parameters">\n\n{text}\n\n</div>'  # site.css stacks its cells on a phone


def markdown(text: str) -> str:
    """Return a docstring's line as Markdown: double backticks and roles become code."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


def strip(pictures: list[tuple[str, str]], name: str) -> str:
    """Return pictures beside each other with their captions."""
    images = [f"![{name}, {caption.replace('`', '')}]({file})" for caption, file in pictures]
    return table(tuple(caption for caption, _ in pictures), [images])
