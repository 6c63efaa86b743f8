"""Write a trained network as an ONNX file with its card and its figures.

Weights may lie in the file as float16, in half the bytes, and are cast to float32 where they are used; ONNX Runtime
does the casts once, when the session starts, so that speed is that of float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from bgkit.errors import ModelError
from bgkit.models.session import start
from bgkit.train.exportcard import Exported, set_checksum, write_card, write_figures
from bgkit.train.networks import Entry, build, entry_of
from bgkit.train.recipe import Recipe
from bgkit.train.recipefile import read_recipe
from bgkit.train.scoring import answer, to_map
from bgkit.train.second import UNKNOWN
from bgkit.train.weights import RELATED, likeness, mean_weights

__all__ = ["export", "halve_weights", "read_checkpoint"]

OPSET = 17  # the oldest that says all that is needed: more runtimes can read it
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights, and the recipe by which they came about."""

    recipe: Recipe
    weights: dict[str, torch.Tensor]
    facts: dict[str, Any]  # epoch, step, figures: what is known of them
    run: Path | None


def export(
    source: Path | Sequence[Path],
    target: Path,
    *,
    card: Path | None = None,
    half: bool = False,
    size: int | None = None,
    license_name: str = "unknown",
    commercial: str = "unclear",
    recipe: Recipe | None = None,
) -> float:
    """Write the averaged weights of ``source`` to ``target``, check the file against torch, and write its card.

    Parameters
    ----------
    source : Path or sequence of Path
        A run's folder, whose ``best.pt`` is taken, or checkpoints. Of several, where one run began with another's
        weights, the mean of the weights is written (Wortsman et al. 2022).
    target : Path
        The ONNX file: the inputs that the architecture names, normalized, float32 (N, C, H, W); output ``mask``
        (N, 1, H, W). Beside it come ``NAME.toml``, its card, and ``NAME.md``, its figures.
    card : Path, optional
        A card of your own; only its ``sha256`` and ``bytes`` are set then, and no figures are written.
    half : bool
        Store weights as float16.
    size : int, optional
        Side of the square the network is to see, the card's ``input.size``; by default the recipe's last.
    license_name, commercial : str
        What the card says of the weights' license; ``commercial`` is ``yes``, ``no`` or ``unclear``.
    recipe : Recipe, optional
        Names the network of a checkpoint that does not.

    Returns
    -------
    float
        The largest difference between the file's mask and torch's, 0..1, over drawn pictures.

    Raises
    ------
    ModelError
        If they differ by more than 1e-3, or if of several checkpoints none began with another; nothing is written then.
    """
    sources = [source] if isinstance(source, Path) else list(source)
    checkpoints = [read_checkpoint(path, recipe) for path in sources]
    first = checkpoints[0]
    entry = entry_of(first.recipe.network)
    network = build(first.recipe.network, **first.recipe.options).eval()
    try:
        network.load_state_dict(mean_weights([each.weights for each in checkpoints]))
    except (RuntimeError, KeyError) as error:
        said = str(error).splitlines()[0]
        raise ModelError(f"{sources[-1]}: does not hold weights of {first.recipe.network}: {said}") from None
    for path, each in zip(sources[1:], checkpoints[1:], strict=True):
        alike = likeness(first.weights, each.weights)
        if alike < RELATED:
            raise ModelError(
                f"{path}: expected a run that began with the weights of {sources[0]}, or the other way round, for a "
                f"mean of unrelated weights is no network; these have a correlation of {alike:.2f}"
            )
    side = size or first.recipe.course.sizes[-1]
    if side % entry.multiple:
        raise ModelError(f"size: {first.recipe.network} expects multiples of {entry.multiple}, got {side}")
    part = target.with_name(target.name + ".part")
    try:
        free, difference = _write(network, entry, part, side, half)
        if difference > TOLERANCE:
            raise ModelError(f"{target}: expected masks within 0.001 of torch's, got a difference of {difference:.2g}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    if card is not None:
        set_checksum(card, target)
        return difference
    told = Exported(first.recipe, entry, target, side, free, half, difference, len(sources), first.facts, first.run)
    write_card(told, license_name, commercial)
    write_figures(told)
    return difference


def read_checkpoint(path: Path, recipe: Recipe | None = None) -> Checkpoint:
    """Read the checkpoint of best figures of a run, or a checkpoint by itself."""
    file = path / "best.pt" if path.is_dir() else path
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        weights = state["average"]
    except FileNotFoundError:
        raise ModelError(f"{file}: no such checkpoint") from None
    except Exception as error:  # torch raises what pickle, zip and it itself do
        raise ModelError(f"{file}: expected a checkpoint of bgkit train: {type(error).__name__}") from None
    if recipe is None:
        recipe = read_recipe(state["recipe"], f"{file}: recipe") if "recipe" in state else Recipe()
    facts = {key: state[key] for key in ("epoch", "step", "figures") if key in state}
    return Checkpoint(recipe, weights, facts, file.parent if (file.parent / "run.json").is_file() else None)


def _write(network: nn.Module, entry: Entry, path: Path, side: int, half: bool) -> tuple[bool, float]:
    """Write a file for any size; where the graph does not hold at another size, one for ``side`` alone.

    Returns whether sizes are free, and the difference from torch.
    """
    for free in (True, False):
        _trace(network, entry, path, side, free)
        model = onnx.load(path)
        if half:
            halve_weights(model)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        shapes = [(1, side, side), (2, side, side)]
        try:
            if not free:
                return False, _difference(network, entry, path, shapes)
            difference = _difference(
                network, entry, path, [*shapes, (1, side + entry.multiple, side + 2 * entry.multiple)]
            )
            if difference <= TOLERANCE:
                return True, difference
        except Exception:  # ONNX Runtime and torch raise a dozen kinds, all of their own
            if not free:
                raise
    raise AssertionError("a fixed size either works or raises")


def _trace(network: nn.Module, entry: Entry, path: Path, side: int, free: bool) -> None:
    axes = {0: "N", 2: "H", 3: "W"} if free else {0: "N"}
    out = "refined" if "mask" in entry.inputs else "mask"
    with warnings.catch_warnings():
        # This exporter is deprecated; its successor needs onnxscript, and gains nothing for convolutions.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(torch.from_numpy(each) for each in _shapes(entry, (2, side, side), np.random.default_rng(0))),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(entry.inputs),
            output_names=[out],
            dynamic_axes=dict.fromkeys((*entry.inputs, out), axes),
        )


def halve_weights(model: onnx.ModelProto, least: int = 4096) -> None:
    """Store every float32 weight of at least ``least`` values as float16, with a cast back in front of its use.

    Smaller ones stay: they cost few bytes, and first and last layers are where rounding shows most.
    """
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < least:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ModelError(f"{weight.name}: expected weights that float16 can hold, got {np.abs(values).max():g}")
        full, short = weight.name, weight.name + ".half"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), short))
        casts.append(helper.make_node("Cast", [short], [full], name=full + ".cast", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def _difference(network: nn.Module, entry: Entry, path: Path, shapes: Sequence[tuple[int, int, int]]) -> float:
    """Return the largest difference between the file's answers and torch's, on drawn shapes (N, rows, cols)."""
    session = start(path, "cpu")
    worst = 0.0
    rng = np.random.default_rng(0)
    for shape in shapes:
        feeds = _shapes(entry, shape, rng)
        with torch.inference_mode():
            expected = answer(network, entry, tuple(torch.from_numpy(each) for each in feeds)).numpy()
        found = session.run(None, dict(zip(entry.inputs, feeds, strict=True)))[0]
        if found.shape != expected.shape:
            raise ModelError(f"{path.stem}: expected an answer of shape {expected.shape}, got {found.shape}")
        found = to_map(torch.from_numpy(found), entry).numpy()
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst


def _shapes(entry: Entry, shape: tuple[int, int, int], rng: np.random.Generator) -> list[np.ndarray]:
    """Return the inputs for a disk on plain ground, with some noise; on noise alone masks are empty."""
    count, rows, cols = shape
    row, col = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j]
    disk = np.broadcast_to(((row**2 + col**2) < 0.4)[None, None], (count, 1, rows, cols))
    ground, subject = rng.normal(0, 1, (2, count, 3, 1, 1))
    noise = 0.1 * rng.standard_normal((2, count, 3, rows, cols))
    drawn = {
        "image": np.where(disk, subject, ground) + noise[0],
        "plate": ground + noise[1],
        "mask": disk,
        "trimap": np.where((np.abs(row**2 + col**2 - 0.4) < 0.1)[None, None], UNKNOWN, disk),
    }
    return [np.ascontiguousarray(drawn[name], np.float32) for name in entry.inputs]
