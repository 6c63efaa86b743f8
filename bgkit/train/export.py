"""Write a trained network, or several as one, as an ONNX file with its card and its figures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from torch import nn

from bgkit.errors import ModelError
from bgkit.files import replacing
from bgkit.models.card import Instances
from bgkit.models.decode_output import read_instances
from bgkit.models.encode_input import Placement
from bgkit.models.session import start
from bgkit.train.compact import fold_padding, store_weights
from bgkit.train.ensemble import Ensemble
from bgkit.train.exportcard import OBJECTS, Exported, set_checksum, write_card, write_figures
from bgkit.train.extra_inputs import UNKNOWN
from bgkit.train.networks import Entry, build, entry_of
from bgkit.train.recipe import Recipe
from bgkit.train.recipefile import read_recipe
from bgkit.train.scoring import answer, to_map
from bgkit.train.weights import mean_weights

__all__ = ["export", "read_checkpoint"]

OPSET = 17  # the oldest that says all that is needed: more runtimes can read it
TOLERANCE = 1e-3  # how far masks of the file with whole weights may be from torch's
ROUNDED = {"float16": 1e-3, "int8": 0.1}  # the same once weights are rounded, which is no fault of the graph


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights, and the recipe by which they came about."""

    recipe: Recipe
    weights: dict[str, torch.Tensor]
    facts: dict[str, Any]  # epoch, step, figures: what is known of them
    run: Path | None


def export(
    source: Path | Sequence[Sequence[Path]],
    target: Path,
    *,
    card: Path | None = None,
    weights: Literal["float32", "float16", "int8"] = "float32",
    size: int | None = None,
    license_name: str = "unknown",
    commercial: str = "unclear",
    recipe: Recipe | None = None,
) -> float:
    """Write the averaged weights of ``source`` to ``target``, check the file against torch, and write its card.

    Parameters
    ----------
    source : Path or sequence of sequence of Path
        A run's folder, whose ``best.pt`` is taken, or a checkpoint. Or the checkpoints of each network of an ensemble,
        whose answers are averaged, every second one's of the mirror image. Of several checkpoints of one network, where
        one run began with another's weights, the mean of the weights is taken (Wortsman et al. 2022).
    target : Path
        The ONNX file: the inputs that the architecture names, normalized, float32 (N, C, H, W); output ``mask``
        (N, 1, H, W), or the boxes, labels, scores and masks of a network that finds objects, for one picture of
        ``size``. Beside it come ``NAME.toml``, its card, and ``NAME.md``, its figures.
    card : Path, optional
        A card of your own; only its ``sha256`` and ``bytes`` are set then, and no figures are written.
    weights : str
        How they are stored. ``float16`` takes half the bytes of ``float32`` and changes masks by less than 0.001,
        ``int8`` a quarter, and by some hundredths where they change most. Speed is the same.
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
        If they differ by more than 1e-3 (with weights rounded to int8: 0.1), if of several checkpoints of one network
        none began with another, or if the networks of an ensemble do not see the same; nothing is written then.
    """
    groups = [[source]] if isinstance(source, Path) else [list(group) for group in source]
    read = [[read_checkpoint(path, recipe) for path in group] for group in groups]
    networks = [_network(paths, checkpoints) for paths, checkpoints in zip(groups, read, strict=True)]
    first = read[0][0]
    network, entry = networks[0]
    if len(networks) > 1:
        _check_alike([paths[0] for paths in groups], [each for _, each in networks])
        mirror = all(each.recipe.augmentation.mirror > 0 for group in read for each in group)
        network = Ensemble(networks, mirror=mirror).eval()
        entry = replace(entry, activation="none", multiple=math.lcm(*[each.multiple for _, each in networks]))
    side = size or first.recipe.course.sizes[-1]
    if side % entry.multiple:
        raise ModelError(f"size: {first.recipe.network} expects multiples of {entry.multiple}, got {side}")
    with replacing(target) as part:
        free, difference = _write(network, entry, part, side)
        _check_difference(target, difference, TOLERANCE)
        if weights != "float32":
            model = onnx.load(part)
            store_weights(model, weights)
            onnx.checker.check_model(model, full_check=True)
            onnx.save(model, part)
            difference = _difference(network, entry, part, _shapes_of(entry, side))
            _check_difference(target, difference, ROUNDED[weights])
    if card is not None:
        set_checksum(card, target)
        return difference
    made_of = [len(group) for group in groups]
    exported = Exported(first.recipe, entry, target, side, free, weights, difference, made_of, first.facts, first.run)
    write_card(exported, license_name, commercial)
    write_figures(exported)
    return difference


def _network(paths: Sequence[Path], checkpoints: Sequence[Checkpoint]) -> tuple[nn.Module, Entry]:
    """Return the network with the mean of the checkpoints' weights, ready to answer, and what is known of it."""
    first = checkpoints[0]
    network = build(first.recipe.network, **first.recipe.options).eval()
    for path, each in zip(paths, checkpoints, strict=True):
        try:
            network.load_state_dict(each.weights)
        except RuntimeError as error:
            said = str(error).splitlines()[0]
            raise ModelError(f"{path}: does not hold weights of {first.recipe.network}: {said}") from None
    network.load_state_dict(mean_weights(paths, [each.weights for each in checkpoints]))
    return network, entry_of(first.recipe.network)


def _check_alike(paths: Sequence[Path], entries: Sequence[Entry]) -> None:
    """Raise ModelError unless all the networks of an ensemble have the same inputs, normalized in the same way."""
    first = entries[0]
    for path, entry in zip(paths, entries, strict=True):
        if entry.objects:
            raise ModelError(f"{path}: expected a network that answers with a map, for objects have no mean")
    for path, entry in zip(paths[1:], entries[1:], strict=True):
        if (entry.inputs, entry.mean, entry.deviation) != (first.inputs, first.mean, first.deviation):
            raise ModelError(
                f"{path}: expected a network that sees what {paths[0]} sees ({', '.join(first.inputs)}, normalized in "
                f"the same way), for an ensemble shows one picture to all; this sees {', '.join(entry.inputs)}"
            )


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


def _check_difference(target: Path, difference: float, most: float) -> None:
    if difference > most:
        raise ModelError(f"{target}: expected masks within {most} of torch's, got a difference of {difference:.2g}")


def _write(network: nn.Module, entry: Entry, path: Path, side: int) -> tuple[bool, float]:
    """Write a file for any size; where the graph does not hold at another size, one for ``side`` alone.

    Returns whether sizes are free, and the difference from torch.
    """
    for free in (False,) if entry.objects else (True, False):
        _trace(network, entry, path, side, free)
        model = onnx.load(path)
        fold_padding(model)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        shapes = _shapes_of(entry, side)
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


def _shapes_of(entry: Entry, side: int) -> list[tuple[int, int, int]]:
    """Return how many pictures, rows and columns a file must take: two pictures at once unless it finds objects."""
    return [(count, side, side) for count in ((1,) if entry.objects else (1, 2))]


class _Objects(nn.Module):
    """What a file of a network that finds objects answers for one picture: all of them without a batch's dimension."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(each[0] for each in self.network.detect(image))


def _trace(network: nn.Module, entry: Entry, path: Path, side: int, free: bool) -> None:
    axes = {0: "N", 2: "H", 3: "W"} if free else {0: "N"}
    outputs = OBJECTS if entry.objects else ("refined" if "mask" in entry.inputs else "mask",)
    count = _shapes_of(entry, side)[-1][0]
    with warnings.catch_warnings():
        # This exporter is deprecated; its successor needs onnxscript, and gains nothing for convolutions.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Objects(network).eval() if entry.objects else network,
            tuple(torch.from_numpy(each) for each in _shapes(entry, (count, side, side), np.random.default_rng(0))),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(entry.inputs),
            output_names=list(outputs),
            dynamic_axes=None if entry.objects else dict.fromkeys((*entry.inputs, *outputs), axes),
        )


def _difference(network: nn.Module, entry: Entry, path: Path, shapes: Sequence[tuple[int, int, int]]) -> float:
    """Return the largest difference between the file's answers and torch's, on drawn shapes (N, rows, cols)."""
    session = start(path, "cpu")
    worst = 0.0
    rng = np.random.default_rng(0)
    for shape in shapes:
        feeds = _shapes(entry, shape, rng)
        found = session.run(None, dict(zip(entry.inputs, feeds, strict=True)))
        if entry.objects:
            worst = max(worst, _difference_of_objects(network, feeds[0], found))
            continue
        with torch.inference_mode():
            expected = answer(network, entry, tuple(torch.from_numpy(each) for each in feeds)).numpy()
        found = found[0]
        if found.shape != expected.shape:
            raise ModelError(f"{path.stem}: expected an answer of shape {expected.shape}, got {found.shape}")
        found = to_map(torch.from_numpy(found), entry).numpy()
        worst = max(worst, float(np.abs(found - expected).max()))
    return worst


def _difference_of_objects(network: nn.Module, image: np.ndarray, found: list[np.ndarray]) -> float:
    """Return how far the foreground of the best objects is from torch's, and how far their boxes and scores are.

    The best alone: of the many boxes that hardly score, rounding decides which of two duplicates is dropped.
    """
    size = image.shape[2:]
    with torch.inference_mode():
        objects = network.detect(torch.from_numpy(image))
        least = 0.9 * float(objects[2].max())
        expected = network.paste(*objects, size, least)[0, 0].numpy()
    rule = Instances(**{name: name for name in OBJECTS}, classes=tuple(range(1, network.classes)), score=least)
    pasted = read_instances(rule, found, Placement(size, 0, 0, *size), size)
    return max(float(np.abs(pasted - expected).max()), abs(float(found[2].max() - objects[2].max())))


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
        "next": np.roll(np.where(disk, subject, ground) + noise[0], 3, 3),
        "mask": disk,
        "trimap": np.where((np.abs(row**2 + col**2 - 0.4) < 0.1)[None, None], UNKNOWN, disk),
    }
    return [np.ascontiguousarray(drawn[name], np.float32) for name in entry.inputs]
