"""Write a trained network as an ONNX file that stores its weights in half the bytes.

The weights lie in the file as float16 and are cast to float32 where they are used; ONNX Runtime does
the casts once, when the session starts, so that speed is that of float32.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from bgkit.errors import ModelError
from bgkit.models.session import start
from bgkit.train.networks.coarse import CoarseNet

__all__ = ["export"]

OPSET = 17  # the oldest that says all that is needed: more runtimes can read it


def export(checkpoint: Path | Sequence[Path], target: Path, *, card: Path | None = None, size: int = 256) -> float:
    """Write the averaged weights of ``checkpoint`` to ``target`` and check the file against torch.

    Parameters
    ----------
    checkpoint : Path or sequence of Path
        What :func:`bgkit.train.loop.train` saved: ``best.pt`` or ``last.pt``. Of several, where one run began with
        another's weights, the mean of the weights is written (Wortsman et al. 2022).
    target : Path
        The ONNX file: input ``image`` float32 (N, 3, H, W), ImageNet-normalized RGB, H and W
        multiples of 32; output ``mask`` (N, 1, H, W), logits.
    card : Path, optional
        A card whose ``sha256`` and ``bytes`` are set to the file's.
    size : int
        Side of the square that the check runs at, and the card's ``input.size``.

    Returns
    -------
    float
        The largest difference between the file's mask and torch's, 0..1, over random pictures.

    Raises
    ------
    ModelError
        If they differ by more than 1e-3; nothing is written then.
    """
    network = CoarseNet().eval()
    network.load_state_dict(_mean_weights([checkpoint] if isinstance(checkpoint, Path) else checkpoint))
    part = target.with_name(target.name + ".part")
    axes = {0: "N", 2: "H", 3: "W"}
    with warnings.catch_warnings():
        # This exporter is deprecated; its successor needs onnxscript, and gains nothing for convolutions.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, size, size),),
            str(part),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["mask"],
            dynamic_axes={"image": axes, "mask": axes},
        )
    try:
        model = onnx.load(part)
        halve_weights(model)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, part)
        difference = _difference(network, part, size)
        if difference > 1e-3:
            raise ModelError(f"{target}: expected masks within 0.001 of torch's, got a difference of {difference:.2g}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    if card is not None:
        _write_figures(card, target)
    return difference


def _mean_weights(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Return the mean of the averaged weights of several checkpoints."""
    states = [torch.load(path, map_location="cpu", weights_only=True)["average"] for path in checkpoints]
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }


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
        full, half = weight.name, weight.name + ".half"
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [full], name=full + ".cast", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def _difference(network: torch.nn.Module, path: Path, size: int) -> float:
    """Compare masks on drawn shapes, in batches of one and two, at ``size`` and at another, oblong size."""
    session = start(path, "cpu")
    worst = 0.0
    rng = np.random.default_rng(0)
    for shape in ((1, 3, size, size), (2, 3, size, size), (1, 3, size // 32 * 32 + 32, size)):
        picture = _shapes(shape, rng)
        with torch.inference_mode():
            expected = torch.sigmoid(network(torch.from_numpy(picture))).numpy()
        found = session.run(None, {"image": picture})[0]
        worst = max(worst, float(np.abs(1 / (1 + np.exp(-found)) - expected).max()))
    return worst


def _shapes(shape: tuple[int, int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Return normalized pictures of a disk on plain ground, with some noise; on noise alone masks are empty."""
    row, col = np.mgrid[-1 : 1 : shape[2] * 1j, -1 : 1 : shape[3] * 1j]
    disk = ((row**2 + col**2) < 0.4)[None, None]
    ground, subject = rng.normal(0, 1, (2, shape[0], 3, 1, 1))
    return (np.where(disk, subject, ground) + 0.1 * rng.standard_normal(shape)).astype(np.float32)


def _write_figures(card: Path, file: Path) -> None:
    """Set ``sha256`` and ``bytes`` in a card's text; the rest of it stays as it is written."""
    data = file.read_bytes()
    text = card.read_text("utf-8")
    text, digests = re.subn(r'(?m)^sha256 = ".*"$', f'sha256 = "{hashlib.sha256(data).hexdigest()}"', text)
    text, counts = re.subn(r"(?m)^bytes = .*$", f"bytes = {len(data)}", text)
    if digests != 1 or counts != 1:
        raise ModelError(f'{card}: expected one line sha256 = "..." and one line bytes = ..., to set them')
    card.write_text(text, "utf-8")
