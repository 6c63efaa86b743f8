"""The card and the figures that go with an exported network.

The card is what any network needs to run here (``docs/how-to/bring-your-own-network.md``). It names no license unless
one is given: who trains a network knows under which terms its pictures came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bgkit.errors import ModelError
from bgkit.files import digest_of, read_json, write_whole
from bgkit.models.card import parse_card
from bgkit.train.networks import Entry
from bgkit.train.recipe import Recipe
from bgkit.train.recipefile import dump_recipe
from bgkit.train.record import read_log

__all__ = ["OBJECTS", "Exported", "card_name", "copy_card", "set_checksum", "write_card", "write_figures"]

OBJECTS = ("boxes", "labels", "scores", "masks")  # outputs of a network that finds objects


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
        return card_name(self.file)


def card_name(file: Path) -> str:
    """Return a file's name as a card may have it: small letters, digits, - _ and dots."""
    return re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-._") or "network"


def write_card(exported: Exported, license_name: str, commercial: str) -> None:
    """Write ``NAME.toml`` beside the file; it is read once to be sure that it can be."""
    data = exported.file.read_bytes()
    entry, recipe = exported.entry, exported.recipe
    paper = f"{recipe.network}, {entry.paper}"
    summary = recipe.description or f"Trained by bgkit train: {paper}."
    allowed = {"yes": "true", "no": "false"}.get(commercial, _quoted("unclear"))
    lines = [
        "bgkit = 1",
        f"name = {_quoted(exported.name)}",
        f"summary = {_quoted(summary)}",
        f"sources = [{_quoted(f'bgkit train: {paper}')}]",
        "",
        "[file]",
        f"name = {_quoted(exported.file.name)}",
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
    if {"trimap", "mask"} & set(
        entry.inputs
    ) and "next" not in entry.inputs:  # details count: tiles at full size, not a shrunk square
        lines.append(f"tile = {exported.size}")
        lines += [f"multiple = {entry.multiple}", 'rounding = "pad"'] if exported.free else [f"size = {exported.size}"]
    else:
        lines.append(f"size = {exported.size}")
    if len(entry.inputs) > 1:
        for name in entry.inputs:
            lines += ["", "[[input.tensors]]", f'name = "{name}"', f'layers = ["{name}"]']
    if entry.objects:
        lines += ["", "[output.instances]", *(f'{name} = "{name}"' for name in OBJECTS), "classes = [1]"]
    else:
        answer = "refined" if "mask" in entry.inputs else "mask"
        lines += ["", "[output]", f'name = "{answer}"', f'activation = "{entry.activation}"']
    text = "\n".join(lines) + "\n"
    path = exported.file.with_suffix(".toml")
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


def copy_card(card: Path, file: Path) -> None:
    """Write a card beside a file that says of it what ``card`` says, under the file's own name."""
    text = re.sub(r"(?m)^(sha256|md5|bytes) = .*\n", "", card.read_text("utf-8"))
    text = re.sub(r'(?m)^name = ".*"$', f'name = "{card_name(file)}"', text, count=1)
    data = file.read_bytes()
    named = f'{json.dumps(file.name, ensure_ascii=False)}\nsha256 = "{digest_of(data)}"\nbytes = {len(data)}'
    text = re.sub(r'(?ms)(^\[file\].*?^name = )".*?"$', lambda found: found[1] + named, text, count=1)
    target = file.with_suffix(".toml")
    parse_card(text, str(target))
    write_whole(target, text)


def write_figures(exported: Exported) -> None:
    """Write ``NAME.md`` beside the file: what it was trained on, how, and how good it is."""
    recipe = exported.recipe
    kept = exported.weights + ("" if exported.weights == "float32" else ", cast to float32 when the session starts")
    sides = f"any multiple of {exported.entry.multiple}" if exported.free else f"{exported.size} only"
    lines = [
        f"# {exported.name}",
        "",
        recipe.description,
        "",
        f"- Network: `{recipe.network}` ({exported.entry.paper}); inputs {', '.join(exported.entry.inputs)}.",
        f"- File: `{exported.file.name}`, {exported.file.stat().st_size:,} bytes, weights {kept}; sides {sides}.",
        f"- ONNX Runtime differs from torch by at most {exported.difference:.1e} (0..1).",
    ]
    if len(exported.checkpoints) > 1:
        count = len(exported.checkpoints)
        lines.append(f"- The mean of the answers of {count} networks; the figures are the first one's.")
    if max(exported.checkpoints) > 1:
        counts = ", ".join(map(str, exported.checkpoints))
        lines.append(f"- The mean of the weights of {counts} checkpoints; the figures are the first one's.")
    if exported.run:
        lines += _made_of(exported.run / "run.json")
    rows = []
    if "figures" in exported.facts:
        rows.append(("validation", exported.facts["figures"]))
    test = exported.run / "test.json" if exported.run else None
    if test is not None and test.is_file():
        rows.append(("test", _figures_of(test)))
    if rows:
        lines += ["", f"At {exported.recipe.course.sizes[-1]} px, best epoch {exported.facts.get('epoch', '?')}:", ""]
        lines += ["| pictures | IoU | MAE | F max |", "|---|---|---|---|"]
        lines += [f"| {name} | {row['iou']:.4f} | {row['mae']:.4f} | {row['f_max']:.4f} |" for name, row in rows]
    log = read_log(exported.run) if exported.run else []
    if log:
        lines += ["", "| epoch | side | loss | IoU | MAE | F max |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {row['epoch']} | {row['size']} | {row['loss']:.4f} | {row['iou']:.4f} | {row['mae']:.4f} "
            f"| {row['f_max']:.4f} |"
            for row in log
        ]
    lines += ["", "The recipe, every value written out:", "", "```yaml", dump_recipe(recipe).rstrip(), "```", ""]
    exported.file.with_suffix(".md").write_text("\n".join(lines), "utf-8")


def _made_of(path: Path) -> list[str]:
    """Return the lines of pictures and versions that ``run.json`` of a run holds."""
    facts = read_json(path, "what bgkit train writes", ModelError)
    try:
        parts = ", ".join(f"{int(count)} {name}" for name, count in facts["pictures"].items())
        return [
            f"- Pictures: {parts}; fingerprint `{str(facts['fingerprint'])[:16]}`.",
            f"- Made with bgkit {facts['bgkit']}, torch {facts['torch']}.",
        ]
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise ModelError(f"{path}: expected what bgkit train writes, got something else") from None


def _figures_of(path: Path) -> dict[str, float]:
    """Return the figures that ``test.json`` of a run holds."""
    row = read_json(path, "what bgkit train writes", ModelError)
    try:
        return {name: float(row[name]) for name in ("iou", "mae", "f_max")}
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ModelError(f"{path}: expected what bgkit train writes, got something else") from None
