"""Masks that a network draws for its own training: its answers, brought to the pictures' edges by an iterated CRF.

As in the second stage of WSS (Wang et al. 2017): nobody drew these masks. A dense CRF (Krähenbühl and Koltun 2011) only
knows that what looks alike belongs together; so the colors of subject and ground are learned from its answer, and with
what they say of each pixel it runs again, as GrabCut does with its color models (Rother, Kolmogorov, Blake 2004).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from bgkit.errors import BgkitError, RecipeError
from bgkit.files import digest_of
from bgkit.stages import dense_crf
from bgkit.train.networks import build, entry_of
from bgkit.train.pictures import Pictures
from bgkit.train.scoring import answer

__all__ = ["iterated_crf", "redraw_masks"]

Map = NDArray[np.float32]
ROUNDS = 3
BINS = 8  # of each channel in a color model
COLORS = 0.5  # weight of what colors say, against the network's answer


def redraw_masks(pictures: Pictures, teacher: Path) -> tuple[Pictures, str]:
    """Return the pictures with the masks that the network of a run or a checkpoint draws, and the checkpoint's SHA-256.

    Raises
    ------
    RecipeError
        If it is no checkpoint, or its network sees more than the picture.
    """
    from bgkit.train.export import read_checkpoint

    try:
        read = read_checkpoint(teacher)
        entry = entry_of(read.recipe.network)
        network = build(read.recipe.network, **read.recipe.options).eval()
        network.load_state_dict(read.weights)
    except (BgkitError, RuntimeError) as error:
        raise RecipeError(f"data.teacher: {str(error).splitlines()[0]}") from None
    if entry.inputs != ("image",):
        raise RecipeError(
            f"data.teacher: expected a network that sees the picture alone, got {', '.join(entry.inputs)}"
        )
    side = read.recipe.course.sizes[-1]
    masks = []
    for image in pictures.images:
        picture = image.astype(np.float32) / 255
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        put = (small - np.float32(entry.mean)) / np.float32(entry.deviation)
        with torch.inference_mode():
            found = answer(network, entry, (torch.from_numpy(put).permute(2, 0, 1)[None],))[0, 0].numpy()
        whole = cv2.resize(found, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        masks.append(np.rint(255 * iterated_crf(picture, whole)).astype(np.uint8))
    return replace(pictures, masks=masks), digest_of(teacher / "best.pt" if teacher.is_dir() else teacher)


def iterated_crf(picture: NDArray[np.float32], mask: Map, rounds: int = ROUNDS) -> Map:
    """Return a mask (M, N), 0..1, brought to the edges of a picture (M, N, 3), 0..1.

    Each of the rounds is a CRF; from the second on, what colors say of the last answer joins the first mask's odds.
    """
    found = mask
    for number in range(rounds):
        odds = _log_odds(mask) + (COLORS * _what_colors_say(picture, found) if number else 0)
        found = dense_crf(picture, (1 / (1 + np.exp(-odds))).astype(np.float32), reference=320)
    return found


def _log_odds(mask: Map) -> Map:
    held = np.clip(mask, 0.01, 0.99)
    return np.log(held / (1 - held))


def _what_colors_say(picture: NDArray[np.float32], mask: Map) -> Map:
    """Log odds of subject of each pixel (M, N) from histograms of color, weighted by a mask."""
    steps = np.minimum((picture * BINS).astype(np.intp), BINS - 1)
    place = (steps[..., 0] * BINS + steps[..., 1]) * BINS + steps[..., 2]
    models = [np.bincount(place.ravel(), weights.ravel(), BINS**3) for weights in (mask, 1 - mask)]
    subject, ground = (model / max(model.sum(), 1) + 1e-4 for model in models)
    return np.clip(np.log(subject / ground), -3, 3)[place].astype(np.float32)
