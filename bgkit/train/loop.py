"""The training loop: AdamW, a cosine schedule, averaged weights, checkpoints that resume exactly."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from bgkit.train.data import Augmentation, Bytes, batches, normalize, read_backgrounds, read_pairs
from bgkit.train.losses import deep_supervision
from bgkit.train.networks.coarse import CoarseNet

__all__ = ["Recipe", "train"]

SAVE_SECONDS = 180  # between checkpoints within an epoch


@dataclass(frozen=True)
class Recipe:
    """One training run; the same recipe and data give the same network."""

    epochs: int = 27
    batch: int = 32
    sizes: tuple[int, ...] = (160, 192, 256)  # the run is cut into as many equal parts
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 400
    average: float = 0.999  # decay of the averaged weights, per step
    validation: int = 400  # pictures held out, never trained on
    seed: int = 0
    threads: int = 2
    augmentation: Augmentation = field(default_factory=Augmentation)


def train(
    data: Path,
    run: Path,
    recipe: Recipe,
    *,
    start: Path | None = None,
    say: Callable[[str], None] = print,
    on_step: Callable[[int, float], None] | None = None,
) -> Path:
    """Train :class:`CoarseNet` on a folder of shards and return the checkpoint of best validation IoU.

    Parameters
    ----------
    data : Path
        Folder with ``train-*.tar`` (pairs ``NAME.webp`` and ``NAME.png``) and ``backgrounds.tar``.
    run : Path
        Receives ``recipe.json``, ``log.jsonl`` (one line an epoch), ``last.pt`` (to resume from) and
        ``best.pt``. Called again with the same ``run``, training goes on where it stopped, and ends
        with the same weights, bit for bit, as if it had never stopped.
    recipe : Recipe
        Everything that decides the outcome, the data and ``start`` aside.
    start : Path, optional
        A checkpoint whose averaged weights a new run begins with, instead of random ones.
    say : callable(text)
        Receives progress.
    on_step : callable(step, loss), optional
        Called after each step. What it raises ends the run; the state is saved first, as it is on Ctrl-C.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2))
    images, masks, _ = read_pairs(data)
    grounds = read_backgrounds(data)
    order = np.random.default_rng(recipe.seed).permutation(len(images))
    held, kept = order[: recipe.validation], order[recipe.validation :]

    network = CoarseNet().to(memory_format=torch.channels_last)
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True)["average"])
    average = copy.deepcopy(network).eval()
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
    )
    steps = (len(kept) // recipe.batch) * recipe.epochs
    per_epoch = len(kept) // recipe.batch
    step, best = 0, 0.0
    losses: list[float] = []
    if (run / "last.pt").exists():
        state = torch.load(run / "last.pt", weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, best, losses = state["step"], state["best"], state["losses"]
        say(f"resumed at step {step} of {steps}")

    def save(name: str) -> None:
        state: dict[str, Any] = {"average": average.state_dict(), "step": step, "best": best, "losses": losses}
        if name == "last.pt":
            state |= {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        part = run / f"{name}.part"
        torch.save(state, part)
        part.replace(run / name)

    images_kept, masks_kept = [images[i] for i in kept], [masks[i] for i in kept]
    images_held, masks_held = [images[i] for i in held], [masks[i] for i in held]
    started, first_step, saved = time.monotonic(), step, time.monotonic()
    try:
        while step < steps:
            epoch = step // per_epoch
            size = recipe.sizes[epoch * len(recipe.sizes) // recipe.epochs]
            network.train()
            for picture, truth in batches(
                images_kept,
                masks_kept,
                grounds,
                augmentation=recipe.augmentation,
                size=size,
                batch=recipe.batch,
                seed=recipe.seed,
                epoch=epoch,
                first=step % per_epoch,
            ):
                for group in optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * _schedule(step, steps, recipe.warmup_steps)
                with torch.autocast("cpu", torch.bfloat16):
                    logits = network(picture)
                loss = deep_supervision(logits, truth)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimizer.step()
                _follow(average, network, min(recipe.average, (1 + step) / (10 + step)))
                losses.append(loss.item())
                step += 1
                if on_step is not None:
                    on_step(step, losses[-1])
                if time.monotonic() - saved > SAVE_SECONDS:
                    save("last.pt")
                    saved = time.monotonic()
                if step % 50 == 0:
                    rate = (step - first_step) * recipe.batch / (time.monotonic() - started)
                    left = (steps - step) * recipe.batch / rate / 60
                    recent = np.mean(losses[-50:])
                    say(f"step {step}/{steps} size {size} loss {recent:.4f} {rate:.0f}/s {left:.0f} min left")
            iou = _validate(average, images_held, masks_held, recipe.sizes[-1])
            with (run / "log.jsonl").open("a") as log:
                line = {"epoch": epoch + 1, "step": step, "size": size, "loss": float(np.mean(losses)), "iou": iou}
                log.write(json.dumps(line) + "\n")
            say(f"epoch {epoch + 1}/{recipe.epochs} validation IoU {iou:.4f}")
            losses.clear()
            if iou > best:
                best = iou
                save("best.pt")
            save("last.pt")
            saved = time.monotonic()
    finally:
        if step > first_step:
            save("last.pt")
    return run / "best.pt"


def _schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch statistics a little towards the network's."""
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


@torch.inference_mode()
def _validate(network: nn.Module, images: Sequence[Bytes], masks: Sequence[Bytes], size: int) -> float:
    """Mean IoU at 0.5 over the held-out pictures, stretched to a square as the network sees them."""
    scores = []
    for image, mask in zip(images, masks, strict=True):
        small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        truth = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) > 128
        logit = network(torch.from_numpy(normalize(small)).permute(2, 0, 1)[None])
        found = logit[0, 0].numpy() > 0
        either = np.count_nonzero(found | truth)
        scores.append(np.count_nonzero(found & truth) / either if either else 1.0)
    return float(np.mean(scores))
