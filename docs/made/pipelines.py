"""A page for each shipped pipeline: its YAML, its steps on a sample, its thresholds, and what benchmarks measured."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from bgkit.findings import FINDINGS
from bgkit.imagefile import write_picture
from bgkit.layers import Layers
from bgkit.pipeline import Pipeline, Step
from bgkit.pipelinefile import FOLDER, load_pipeline, shipped
from made.effects import scene, show
from made.stages import strip, table

QUALITY = Path(__file__).resolve().parents[1] / "reference" / "quality.md"  # benchmarks/quality.py writes its tables

# The scene of made.effects that each pipeline is shown on.
SCENES = {
    "auto": "busy",
    "classical": "paper",
    "clean-plate": "busy",
    "deep": "busy",
    "fast": "busy",
    "green-screen": "green",
    "portrait": "busy",
    "product": "warm",
    "strokes": "drawn",
    "studio-white": "paper",
    "two-grounds": "twice",
}


def write_pipelines(folder: Path) -> None:
    """Write a page for each pipeline, and the index."""
    folder.mkdir(parents=True)
    rows = []
    for name in shipped():
        if name not in SCENES:
            raise LookupError(f"docs/made/pipelines.py: the pipeline {name} has no entry in SCENES")
        pipeline = load_pipeline(name)
        (folder / f"{name}.md").write_text(page(pipeline, write_steps(pipeline, folder)), "utf-8")
        needs = ", ".join(f"`{layer}`" for layer in pipeline.needs())
        rows.append([f"[`{name}`]({name}.md)", pipeline.description, needs])
    parts = [
        "# Pipelines",
        'Used by name: `bgkit remove photo.jpg -p NAME`, `bgkit.remove("photo.jpg", "NAME")`.',
        table(("pipeline", "what it is for", "needs beside the picture"), rows),
        "```{toctree}\n:hidden:\n" + "\n".join(shipped()) + "\n```",
    ]
    (folder / "index.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def write_steps(pipeline: Pipeline, folder: Path) -> list[tuple[str, str]]:
    """Run a pipeline and write what each step gave; return caption and file of each picture."""
    layers = scene(SCENES[pipeline.name])
    if any(step.name == "frame" for step in pipeline.steps):
        pipeline = pipeline.with_values({"frame.size": 0})  # a small picture is lost in 2000 px
    brought = {name: getattr(layers, name) for name in ("plate", "second", "strokes")}
    wanted = {*pipeline.needs()}
    brought = {name: array for name, array in brought.items() if name in wanted}
    pictures = [("the picture", show(layers, "image"))]
    pictures += [(f"`{name}`", show(layers, name)) for name in brought]

    def keep(step: Step, after: Layers, seconds: float) -> None:
        pictures.append((f"`{step.name}`", show(after, step.stage.gives)))

    pipeline.run(np.asarray(layers.image), on_step=keep, **brought)
    rows = []
    for number, (caption, picture) in enumerate(pictures):
        file = f"{pipeline.name}-{number}.png"
        write_picture(folder / file, picture, depth=8)
        rows.append((caption, file))
    return rows


def page(pipeline: Pipeline, pictures: list[tuple[str, str]]) -> str:
    """Return the page of a pipeline as MyST Markdown."""
    name = pipeline.name
    steps = "\n".join(
        f"{number}. [`{step.name}`](../stages/{step.name}.md): {step.stage.summary}"
        for number, step in enumerate(pipeline.steps, 1)
    )
    source = re.sub(r"\A# yaml-language-server:.*\n", "", (FOLDER / f"{name}.yaml").read_text("utf-8"))
    rows = [pictures[start : start + 5] for start in range(0, len(pictures), 5)]
    parts = [f"# {name}", pipeline.description, "## Step by step", *(strip(row, name) for row in rows), steps]
    parts += ["## The file", f"```yaml\n{source.rstrip()}\n```"]
    if pipeline.checks:
        found = [
            [
                f"[`{check}`](../findings-measured.md#{check})",
                f"{FINDINGS[check].limit} {limit:g}",
                FINDINGS[check].range.unit,
            ]
            for check, limit in pipeline.checks.items()
        ]
        parts += ["## What it checks", table(("finding", "good is", "unit"), found)]
    parts += ["## Measured", measured(name)]
    return "\n\n".join(parts) + "\n"


def measured(name: str) -> str:
    """Return the rows of the quality tables that are about a pipeline."""
    text = QUALITY.read_text("utf-8")
    parts = []
    for block in re.findall(r"<!-- measured: [a-z-]+ -->\n(.*?)<!-- /measured -->", text, re.DOTALL):
        lines = block.strip().splitlines()
        if not lines:  # nothing was measured yet
            continue
        head, _, *rows = lines
        own = [row for row in rows if [cell.strip() for cell in row.split("|")][2] == name]
        if own and "failed" not in own[0] and "| 0 |" not in own[0]:
            columns = [cell.strip() for cell in head.strip("|").split("|")]
            cells = [cell.strip() for cell in own[0].strip("|").split("|")]
            filled = [
                (column, cell) for column, cell in zip(columns, cells, strict=True) if cell and column != "pipeline"
            ]
            parts.append(table(tuple(column for column, _ in filled), [[cell for _, cell in filled]]))
    if not parts:
        return "No benchmark has measured this pipeline."
    return "\n\n".join(
        [
            *parts,
            "Written by `benchmarks/quality.py` and `benchmarks/bench_memory.py`; "
            "[quality](../quality.md) says what the sets and columns are.",
        ]
    )
