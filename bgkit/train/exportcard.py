"""The card and the figures that go with an exported network.

The card is what any network needs to run here (``docs/how-to/bring-your-own-network.md``). It names no license unless
one is told: who trains a network knows under which terms its pictures came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgkit.errors import ModelError
from bgkit.files import digest_of
from bgkit.models.card import parse_card
from bgkit.train.networks import Entry
from bgkit.train.recipe import Recipe
from bgkit.train.recipefile import dump_recipe
from bgkit.train.record import read_log

__all__ = ["Exported", "set_checksum", "write_card", "write_figures"]


@dataclass(frozen=True)
class Exported:
    """What is known of a file that was just written."""

    recipe: Recipe
    entry: Entry
    file: Path
    size: int
    free: bool  # whether the graph takes any size
    weights: str  # how they are stored
    difference: float
    checkpoints: Sequence[int]  # of each network; several networks are an ensemble
    facts: dict[str, Any]
    run: Path | None

    @property
    def name(self) -> str:
        """The file's name as a card may have it: small letters, digits, - _ and dots."""
        return re.sub(r"[^a-z0-9._-]+", "-", self.file.stem.lower()).strip("-._") or "network"


def write_card(told: Exported, license_name: str, commercial: str) -> None:
    """Write ``NAME.toml`` beside the file; it is read once to be sure that it can be."""
    data = told.file.read_bytes()
    entry, recipe = told.entry, told.recipe
    paper = f"{recipe.network}, {entry.paper}"
    summary = recipe.description or f"Trained by bgkit train: {paper}."
    allowed = {"yes": "true", "no": "false"}.get(commercial, _quoted("unclear"))
    lines = [
        "bgkit = 1",
        f"name = {_quoted(told.name)}",
        f"summary = {_quoted(summary)}",
        f"sources = [{_quoted(f'bgkit train: {paper}')}]",
        "",
        "[file]",
        f"name = {_quoted(told.file.name)}",
        f'sha256 = "{digest_of(data)}"',
        f"bytes = {len(data)}",
        "",
        "[license]",
        f"name = {_quoted(license_name)}",
        f"commercial = {allowed}",
        "",
        "[input]",
        f"mean = {list(entry.mean)}",
        f"deviation = {list(entry.deviation)}",
    ]
    if "trimap" in entry.inputs or "mask" in entry.inputs:  # details count: tiles at full size, not a shrunk square
        lines.append(f"tile = {told.size}")
        lines += [f"multiple = {entry.multiple}", 'rounding = "pad"'] if told.free else [f"size = {told.size}"]
    else:
        lines.append(f"size = {told.size}")
    if len(entry.inputs) > 1:
        for name in entry.inputs:
            lines += ["", "[[input.tensors]]", f'name = "{name}"', f'layers = ["{name}"]']
    answer = "refined" if "mask" in entry.inputs else "mask"
    lines += ["", "[output]", f'name = "{answer}"', f'activation = "{entry.activation}"']
    text = "\n".join(lines) + "\n"
    path = told.file.with_suffix(".toml")
    parse_card(text, str(path))
    path.write_text(text, "utf-8")


def _quoted(text: str) -> str:
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def set_checksum(card: Path, file: Path) -> None:
    """Set ``sha256`` and ``bytes`` in a card's text; the rest of it stays as it is written."""
    data = file.read_bytes()
    text = card.read_text("utf-8")
    text, digests = re.subn(r'(?m)^sha256 = ".*"$', f'sha256 = "{digest_of(data)}"', text)
    text, counts = re.subn(r"(?m)^bytes = .*$", f"bytes = {len(data)}", text)
    if digests != 1 or counts != 1:
        raise ModelError(f'{card}: expected one line sha256 = "..." and one line bytes = ..., to set them')
    card.write_text(text, "utf-8")


def write_figures(told: Exported) -> None:
    """Write ``NAME.md`` beside the file: what it was trained on, how, and how good it is."""
    recipe = told.recipe
    kept = told.weights + ("" if told.weights == "float32" else ", cast to float32 when the session starts")
    sides = f"any multiple of {told.entry.multiple}" if told.free else f"{told.size} only"
    lines = [
        f"# {told.name}",
        "",
        recipe.description,
        "",
        f"- Network: `{recipe.network}` ({told.entry.paper}); inputs {', '.join(told.entry.inputs)}.",
        f"- File: `{told.file.name}`, {told.file.stat().st_size:,} bytes, weights {kept}; sides {sides}.",
        f"- ONNX Runtime differs from torch by at most {told.difference:.1e} (0..1).",
    ]
    if len(told.checkpoints) > 1:
        lines.append(f"- The mean of the answers of {len(told.checkpoints)} networks; the figures are the first one's.")
    if max(told.checkpoints) > 1:
        counts = ", ".join(map(str, told.checkpoints))
        lines.append(f"- The mean of the weights of {counts} checkpoints; the figures are the first one's.")
    facts = json.loads((told.run / "run.json").read_text("utf-8")) if told.run else {}
    if facts:
        parts = ", ".join(f"{count} {name}" for name, count in facts["pictures"].items())
        lines.append(f"- Pictures: {parts}; fingerprint `{facts['fingerprint'][:16]}`.")
        lines.append(f"- Made with bgkit {facts['bgkit']}, torch {facts['torch']}.")
    rows = []
    if "figures" in told.facts:
        rows.append(("validation", told.facts["figures"]))
    test = told.run / "test.json" if told.run else None
    if test is not None and test.is_file():
        rows.append(("test", json.loads(test.read_text("utf-8"))))
    if rows:
        lines += ["", f"At {told.recipe.course.sizes[-1]} px, best epoch {told.facts.get('epoch', '?')}:", ""]
        lines += ["| pictures | IoU | MAE | F max |", "|---|---|---|---|"]
        lines += [f"| {name} | {row['iou']:.4f} | {row['mae']:.4f} | {row['f_max']:.4f} |" for name, row in rows]
    log = read_log(told.run) if told.run else []
    if log:
        lines += ["", "| epoch | side | loss | IoU | MAE | F max |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {row['epoch']} | {row['size']} | {row['loss']:.4f} | {row['iou']:.4f} | {row['mae']:.4f} "
            f"| {row['f_max']:.4f} |"
            for row in log
        ]
    lines += ["", "The recipe, every value written out:", "", "```yaml", dump_recipe(recipe).rstrip(), "```", ""]
    told.file.with_suffix(".md").write_text("\n".join(lines), "utf-8")
