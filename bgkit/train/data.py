"""Batches for a network: what it sees, and the truth.

A sample's random choices come from a generator seeded by (seed, epoch, index), so a batch depends neither on which
thread made it nor on whether the run was interrupted before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from bgkit.train.augmenting import Drawn, draw, whole
from bgkit.train.extra_inputs import spoil, trimap_of
from bgkit.train.networks import Entry
from bgkit.train.pictures import Bytes, Pictures
from bgkit.train.recipe import Augmentation

__all__ = ["batches", "samples"]

AHEAD = 3  # batches made while the network works


def batches(
    pictures: Pictures,
    grounds: Sequence[Bytes],
    entry: Entry,
    chances: Augmentation,
    *,
    size: int,
    batch: int,
    seed: int,
    epoch: int,
    first: int = 0,
) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Yield the batches of one epoch from number ``first`` on: inputs (B, C, size, size), truth (B, 1, size, size).

    For a network that learns from tags, the truth is these, (B, 2, 1, 1): a subject, a textured ground; -1 is unknown.
    What is left over at the epoch's end, being less than a batch, is not seen in this epoch.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(pictures))
    count = len(order) // batch
    asked = _asked(entry)

    def make(number: int) -> tuple[tuple[Tensor, ...], Tensor]:
        made = []
        for index in order[number * batch : (number + 1) * batch]:
            rng = np.random.default_rng((seed, epoch, int(index)))
            image, mask = pictures.images[index], pictures.masks[index]
            partner = None
            if chances.mix or chances.close:
                other = rng.integers(len(pictures))
                partner = pictures.images[other], pictures.masks[other]
            drawn = draw(image, mask, grounds, size, chances, rng, **asked, partner=partner)
            tensors = _tensors(drawn, entry, rng)
            if entry.learns == "tags":  # the network never sees a mask
                tensors[-1] = np.float32(drawn.tags)[None, None]
            made.append(tensors)
        return _stack(made)

    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = [pool.submit(make, number) for number in range(first, min(first + AHEAD, count))]
        for number in range(first, count):
            ready = ahead.pop(0).result()
            if number + AHEAD < count:
                ahead.append(pool.submit(make, number + AHEAD))
            yield ready


def samples(
    pictures: Pictures, grounds: Sequence[Bytes], entry: Entry, *, size: int, seed: int, limit: int | None = None
) -> Iterator[tuple[Drawn, tuple[Tensor, ...], Tensor]]:
    """Yield whole pictures one by one, always the same, as what was drawn and as batches of one."""
    for index in range(len(pictures) if limit is None else min(limit, len(pictures))):
        rng = np.random.default_rng((seed, index))
        image, mask = pictures.images[index], pictures.masks[index]
        drawn = whole(image, mask, grounds, size, rng, **_asked(entry))
        yield drawn, *_stack([_tensors(drawn, entry, rng)])


def _asked(entry: Entry) -> dict[str, bool]:
    """Return what has to be drawn beside a picture and its truth."""
    return {"plate": "plate" in entry.inputs, "moving": "next" in entry.inputs}


def _tensors(drawn: Drawn, entry: Entry, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the network's inputs in their order and the truth last, each (S, S, C)."""
    made = []
    for name in entry.inputs:
        if name in ("image", "plate", "next"):
            pixels = {"image": drawn.picture, "plate": drawn.plate, "next": drawn.next}[name]
            made.append((pixels - np.float32(entry.mean)) / np.float32(entry.deviation))
        else:
            made.append((trimap_of if name == "trimap" else spoil)(drawn.truth, rng)[..., None])
    return [*made, drawn.truth[..., None]]


def _stack(made: list[list[np.ndarray]]) -> tuple[tuple[Tensor, ...], Tensor]:
    """Stack samples; channels last in memory, which is what convolutions on a CPU want."""
    *inputs, truth = (torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2) for each in zip(*made, strict=True))
    return tuple(inputs), truth.contiguous()
