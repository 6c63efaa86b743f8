"""What a run leaves behind: its recipe and facts, a line for each epoch, curves, sample predictions, checkpoints."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bgkit import __version__
from bgkit.errors import MissingPartError, RecipeError
from bgkit.files import read_json, read_lines, replacing, write_whole
from bgkit.train.data import samples
from bgkit.train.networks import Entry
from bgkit.train.pictures import Bytes, Pictures
from bgkit.train.recipe import Recipe
from bgkit.train.recipefile import differences, dump_recipe, read_recipe
from bgkit.train.scoring import predict

__all__ = ["begin", "draw_curves", "draw_samples", "read_log", "save_checkpoint", "write_line"]

SHOWN = 6  # validation pictures on a sheet
SQUARE = 8  # pixels of the checkerboard


def begin(run: Path, recipe: Recipe, fingerprint: str, parts: dict[str, Sequence[str]]) -> None:
    """Write what the run is made of into a new folder, or hold it against what an old one was made of.

    ``recipe.yaml`` has every value, ``run.json`` the versions and the pictures' fingerprint, ``split.json`` the names.

    Raises
    ------
    RecipeError
        If the run was begun with another recipe or with other pictures; the message says what differs.
    """
    said, facts = run / "recipe.yaml", run / "run.json"
    if (run / "last.pt").exists() and said.exists():
        changed = differences(read_recipe(said.read_text("utf-8"), str(said)), recipe)
        if changed:
            raise RecipeError(
                f"{run}: was begun with another recipe; resume it with that one ({said}), or choose another folder. "
                f"What differs: {'; '.join(changed)}"
            )
        known = read_json(facts, "what bgkit train writes", RecipeError)
        if not isinstance(known, dict) or known.get("fingerprint") != fingerprint:
            raise RecipeError(f"{run}: was begun with other pictures than {recipe.data.folder} holds now")
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"{run}: expected a folder for the run, or a place for one: {error.strerror}") from None
    for old in (*run.glob("samples/epoch-*.png"), run / "log.jsonl", run / "test.json", run / "curves.png"):
        old.unlink(missing_ok=True)  # a run that was stopped before its first checkpoint begins anew
    said.write_text(dump_recipe(recipe), "utf-8")
    content = {
        "bgkit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "fingerprint": fingerprint,
        "pictures": {name: len(names) for name, names in parts.items()},
    }
    facts.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (run / "split.json").write_text(json.dumps({name: list(names) for name, names in parts.items()}) + "\n", "utf-8")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint as a whole or not at all."""
    try:
        with replacing(path) as part:
            torch.save(state, part)
    except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError of torch's
        free = shutil.disk_usage(path.parent).free / 1e6
        raise RecipeError(
            f"{path}: cannot be written, {free:.0f} MB are free there ({str(error).splitlines()[0]}); "
            "make room and start the same command again, which resumes from the checkpoint before"
        ) from None


def read_log(run: Path) -> list[dict[str, Any]]:
    """Return the lines of ``log.jsonl``, one for each epoch; what :func:`write_line` did not write is left out."""
    return [line for line in read_lines(run / "log.jsonl") if _is_epoch(line)]


def _is_epoch(value: Any) -> bool:
    """Tell an epoch's line from one that somebody else wrote, or broke."""
    counts, figures = ("epoch", "size"), ("loss", "iou", "f_max", "mae")
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), int) for name in counts)
        and all(isinstance(value.get(name), int | float) for name in figures)
    )


def write_line(run: Path, line: dict[str, Any]) -> None:
    """Add an epoch's line to the log, once: an epoch that was done again after a kill is not listed twice."""
    kept = [old for old in read_log(run) if old["epoch"] < line["epoch"]]
    write_whole(run / "log.jsonl", "".join(json.dumps(each) + "\n" for each in [*kept, line]))


def draw_curves(run: Path) -> None:
    """Draw ``curves.png`` from the log: the loss, and the validation figures."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPartError.of("train", "drawing curves") from error
    log = read_log(run)
    epochs = [line["epoch"] for line in log]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [line["loss"] for line in log], ".-", color="#444444")
    left.set(xlabel="epoch", title="training loss")
    for name, title, color in (("iou", "IoU", "#1b7837"), ("f_max", "F max", "#2166ac"), ("mae", "MAE", "#b2182b")):
        right.plot(epochs, [line[name] for line in log], ".-", label=title, color=color)
    best = max(log, key=lambda line: line["iou"])
    right.axvline(best["epoch"], color="#bbbbbb", linewidth=1, zorder=0)
    right.set(xlabel="epoch", ylim=(0, 1), title=f"validation; best IoU {best['iou']:.3f} in epoch {best['epoch']}")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(run / "curves.png", dpi=110)


@torch.inference_mode()
def draw_samples(
    path: Path, network: nn.Module, pictures: Pictures, grounds: Sequence[Bytes], entry: Entry, *, size: int, seed: int
) -> None:
    """Draw a sheet of validation pictures, a row each: picture, other inputs, truth, prediction, cut out."""
    device = next(network.parameters()).device
    rows = []
    for drawn, inputs, truth in samples(pictures, grounds, entry, size=size, seed=seed, limit=SHOWN):
        found = predict(network, entry, tuple(each.to(device) for each in inputs))[0, 0].cpu().numpy()
        others = [
            getattr(drawn, name) if name in ("plate", "next") else _gray(inputs[number][0, 0].numpy())
            for number, name in enumerate(entry.inputs)
            if name != "image"
        ]
        ground = _checkerboard(size)
        cut = ground + found[..., None] * (drawn.picture - ground)
        rows.append(np.hstack([drawn.picture, *others, _gray(truth[0, 0].numpy()), _gray(found), cut]))
    sheet = np.rint(np.clip(np.vstack(rows), 0, 1) * 255).astype(np.uint8)
    path.parent.mkdir(exist_ok=True)
    if not cv2.imwrite(str(path), sheet[..., ::-1]):
        raise RecipeError(f"{path}: the sheet of samples cannot be written")


def _gray(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(values[..., None], 3, 2)


def _checkerboard(size: int) -> NDArray[np.float32]:
    row, col = np.mgrid[:size, :size] // SQUARE
    return _gray(np.where((row + col) % 2, 0.75, 0.95).astype(np.float32))
