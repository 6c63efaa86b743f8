"""The training loop: averaged weights, and checkpoints from which a run resumes as if it had never stopped."""

from __future__ import annotations

import copy
import json
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bgkit.errors import ModelError, RecipeError
from bgkit.threads import threads
from bgkit.train.data import batches
from bgkit.train.losses import deep_supervision
from bgkit.train.networks import NETWORKS, Entry, build, entry_of
from bgkit.train.networks.blocks import keep_statistics
from bgkit.train.optimizing import make_optimizers, rate
from bgkit.train.pictures import Bytes, Pictures, layout_of, read_grounds, read_pictures, split
from bgkit.train.recipe import EMBEDDED, IMAGENET, Recipe
from bgkit.train.recipefile import dump_recipe, read_recipe
from bgkit.train.record import begin, draw_curves, draw_samples, save_checkpoint, write_line
from bgkit.train.scoring import measure
from bgkit.train.self_training import redraw_masks
from bgkit.train.weights import mean_weights

__all__ = ["Progress", "train"]

FEW_STEPS = 1000  # docs/tutorials/training.md has the figures
SAVE_SECONDS = 180  # between checkpoints within an epoch


@dataclass(frozen=True)
class Progress:
    """How far a run is, after each step."""

    step: int
    steps: int
    epoch: int
    epochs: int
    size: int
    loss: float
    rate: float  # pictures a second
    left: float  # seconds


def train(
    recipe: Recipe,
    run: Path,
    *,
    say: Callable[[str], None] = print,
    on_step: Callable[[Progress], None] | None = None,
    given: tuple[Pictures, Sequence[Bytes]] | None = None,
) -> Path:
    """Train a network as a recipe says and return the checkpoint of best validation IoU.

    Parameters
    ----------
    recipe : Recipe
        Everything that decides the outcome.
    run : Path
        Receives ``recipe.yaml`` (every value), ``run.json`` (versions, the pictures' fingerprint), ``split.json``,
        ``log.jsonl`` (a line an epoch), ``curves.png``, ``samples/epoch-NNN.png``, ``last.pt`` (to go on from),
        ``best.pt``, and at the end ``test.json``. A run that begins with a whole network's weights scores these first:
        they are ``best.pt`` until an epoch ends with better ones. Called again with the same ``run``, training resumes
        where it stopped, and ends with the same weights, bit for bit, as if it had never stopped.
    say : callable(text)
        Receives each message.
    on_step : callable(progress), optional
        Called after each step. What it raises ends the run; the state is saved first, as it is on Ctrl-C.
    given : tuple of Pictures and sequence of ndarray, optional
        Pictures and grounds that are read already, in place of ``recipe.data``'s: several networks may share them.

    Raises
    ------
    RecipeError
        If recipe, pictures and ``run`` do not fit together. Nothing is trained or written then.
    """
    course, entry = recipe.course, entry_of(recipe.network)
    if course.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("device: expected one that is here (cpu), got 'cuda'; this torch finds no NVIDIA card")
    if given is None:
        layout_of(recipe.data)
    torch.set_num_threads(course.threads or threads())
    torch.manual_seed(course.seed)
    network = build(recipe.network, **recipe.options)
    if course.start:
        _begin_with(network, recipe)
    if given is None:
        say(f"reading {recipe.data.folder}")
        given = read_pictures(recipe.data), read_grounds(recipe.data)
    pictures, grounds = given
    for text in pictures.left_out:
        say(f"left out: {text}")
    kept, held, tested = (pictures.part(part) for part in split(len(pictures), recipe.split, course.seed))
    if len(kept) < course.batch:
        raise RecipeError(f"batch: expected at most {len(kept)}, the pictures left to train with, got {course.batch}")
    fingerprint = pictures.fingerprint
    if recipe.data.teacher:
        say(f"drawing masks with {recipe.data.teacher}")
        kept, drawn_by = redraw_masks(kept, Path(recipe.data.teacher))
        fingerprint = f"{fingerprint}, masks by {drawn_by}"
    parts = {"train": kept.names, "validation": held.names, "test": tested.names}
    begin(run, recipe, fingerprint, parts)
    state = _State(recipe, network, run, per_epoch=len(kept) // course.batch)
    say(
        f"{recipe.network}: {sum(weight.numel() for weight in state.network.parameters()) / 1e6:.2f} M parameters; "
        f"{len(kept)} pictures to train, {len(held)} to validate, {len(tested)} to test, {len(grounds)} grounds"
        + (f"; resumed at step {state.step} of {state.steps}" if state.step else "")
    )
    if state.steps < FEW_STEPS and not course.start:
        say(
            f"{state.steps} steps from random weights teach little (expect masks of no use below some {FEW_STEPS}); "
            "more epochs, or start: embedded, which begins with the network that bgkit ships"
        )
    began = state.step
    clock = _Clock(recipe, state)
    try:
        if state.step == 0 and course.start and course.start != (IMAGENET,):
            figures = measure(state.average, held, grounds, entry, size=course.sizes[-1], seed=course.seed)
            say(f"before training: validation {_in_words(figures)}")
            state.best = figures["iou"]
            state.save("best.pt", figures)  # stays unless training makes it better
        while True:
            if state.losses and state.step % state.per_epoch == 0:
                _close_epoch(state, held, grounds, entry, say)
            if state.step >= state.steps:
                break
            epoch = state.step // state.per_epoch
            size = _size(recipe, epoch)
            state.network.train()
            if course.statistics == "kept":
                keep_statistics(state.network)
            for inputs, truth in batches(
                kept,
                grounds,
                entry,
                recipe.augmentation,
                size=size,
                batch=course.batch,
                seed=course.seed,
                epoch=epoch,
                first=state.step % state.per_epoch,
            ):
                with _uninterrupted():  # a checkpoint of half a step would not resume as if nothing had happened
                    _step(state, recipe, inputs, truth)
                progress = clock.tick(epoch, size)
                if on_step is not None:
                    on_step(progress)
                if clock.due():
                    state.save("last.pt")
    finally:
        if state.step > began and state.whole:
            state.save("last.pt")
            if state.step < state.steps:
                say(f"saved at step {state.step} of {state.steps}; the same command resumes there")
    if len(tested) and not (run / "test.json").exists():
        best = state.load_best()
        figures = measure(best, tested, grounds, entry, size=course.sizes[-1], seed=course.seed)
        scored = {"checkpoint": "best.pt", "pictures": len(tested), "size": course.sizes[-1], **figures}
        (run / "test.json").write_text(json.dumps(scored, indent=2) + "\n", "utf-8")
        say(f"test, once, with the best checkpoint: {_in_words(figures)}")
    return run / "best.pt"


def _begin_with(network: nn.Module, recipe: Recipe) -> None:
    """Give a new network the weights that ``start`` names."""
    words = recipe.course.start
    exported = words == (EMBEDDED,) or (len(words) == 1 and words[0].endswith(".onnx"))
    if exported and recipe.course.statistics == "batch":
        raise RecipeError(
            f"statistics: expected kept with start: {words[0]}, got batch; an exported network has its batch "
            "normalization in its weights, and statistics of new batches would undo what it has learned"
        )
    if words == (EMBEDDED,):
        from bgkit.train.embedded import load_embedded

        load_embedded(network)
    elif exported:
        from bgkit.train.embedded import load_exported

        if not Path(words[0]).is_file():
            raise RecipeError(f"start: no such file: {words[0]}; --start names another")
        load_exported(network, Path(words[0]))
    elif words == (IMAGENET,):
        if not entry_of(recipe.network).encoder:
            raise RecipeError(
                f"start: {recipe.network} has no encoder that ImageNet taught; expected a checkpoint, or a network "
                f"that has one ({', '.join(name for name, entry in NETWORKS.items() if entry.encoder)})"
            )
        network.load_imagenet()
    else:
        _begin_with_checkpoints(network, recipe, [Path(checkpoint) for checkpoint in words])


def _begin_with_checkpoints(network: nn.Module, recipe: Recipe, checkpoints: Sequence[Path]) -> None:
    """Give a new network the averaged weights of a checkpoint, or the mean of several."""
    weights = []
    for checkpoint in checkpoints:
        if not checkpoint.is_file():
            raise RecipeError(f"start: no such checkpoint: {checkpoint}; --start names another")
        try:
            held = torch.load(checkpoint, weights_only=True)
            weights.append(held["average"])
        except (RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError):
            raise RecipeError(f"start: expected a checkpoint of a run (best.pt or last.pt), got {checkpoint}") from None
        try:
            network.load_state_dict(weights[-1])
        except RuntimeError:
            made = read_recipe(held["recipe"], str(checkpoint)) if "recipe" in held else recipe
            theirs, ours = (f"{each.network} {dict(each.options) or ''}".strip() for each in (made, recipe))
            raise RecipeError(f"start: {checkpoint} holds weights of {theirs}; expected those of {ours}") from None
    try:
        network.load_state_dict(mean_weights(checkpoints, weights))
    except ModelError as error:
        raise RecipeError(f"start: {error}") from None


class _State:
    """What changes from step to step, and all that a checkpoint holds."""

    def __init__(self, recipe: Recipe, network: nn.Module, run: Path, per_epoch: int) -> None:
        course = recipe.course
        self.recipe, self.run, self.per_epoch = recipe, run, per_epoch
        self.steps = per_epoch * course.epochs
        self.network = network.to(course.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        encoder = entry_of(recipe.network).encoder
        self.optimizers = make_optimizers(
            self.network, recipe.optimizer, self.network.get_submodule(encoder) if encoder else None
        )
        self.step, self.best, self.whole = 0, 0.0, True  # not whole within a step
        self.losses: list[float] = []  # of the epoch so far
        if (run / "last.pt").exists():
            saved = torch.load(run / "last.pt", map_location=course.device, weights_only=True)
            self.network.load_state_dict(saved["network"])
            self.average.load_state_dict(saved["average"])
            self.optimizers.load(saved["optimizers"])
            self.step, self.best, self.losses = saved["step"], saved["best"], saved["losses"]
            torch.set_rng_state(saved["generator"].cpu())  # dropout draws from it
            if course.device == "cuda" and "cuda_generator" in saved:
                torch.cuda.set_rng_state(saved["cuda_generator"].cpu())

    def save(self, name: str, figures: dict[str, float] | None = None) -> None:
        """Write ``best.pt``, the averaged weights, or ``last.pt``, everything."""
        state: dict[str, Any] = {"recipe": dump_recipe(self.recipe), "average": self.average.state_dict()}
        state |= {"step": self.step, "best": self.best, "epoch": -(-self.step // self.per_epoch)}
        if figures is not None:
            state["figures"] = figures
        else:
            state |= {"network": self.network.state_dict(), "optimizers": self.optimizers.state()}
            state |= {"losses": self.losses, "generator": torch.get_rng_state()}
            if self.recipe.course.device == "cuda":
                state["cuda_generator"] = torch.cuda.get_rng_state()
        save_checkpoint(self.run / name, state)

    def load_best(self) -> nn.Module:
        """Return the network of ``best.pt``."""
        best = copy.deepcopy(self.average)
        best.load_state_dict(torch.load(self.run / "best.pt", map_location=self.recipe.course.device)["average"])
        return best


def _close_epoch(
    state: _State, held: Pictures, grounds: Sequence[Bytes], entry: Entry, say: Callable[[str], None]
) -> None:
    """Score an epoch's end and write what is to be kept of it; done again, after a stop, it leaves the same."""
    recipe, run = state.recipe, state.run
    epoch, size = state.step // state.per_epoch, recipe.course.sizes[-1]
    figures = measure(state.average, held, grounds, entry, size=size, seed=recipe.course.seed)
    line = {"epoch": epoch, "step": state.step, "size": _size(recipe, epoch - 1), "loss": float(np.mean(state.losses))}
    write_line(run, {**line, **figures})
    sheet = run / "samples" / f"epoch-{epoch:03}.png"
    draw_samples(sheet, state.average, held, grounds, entry, size=size, seed=recipe.course.seed)
    draw_curves(run)
    say(f"epoch {epoch}/{recipe.course.epochs}: loss {line['loss']:.4f}; validation {_in_words(figures)}")
    if not (run / "best.pt").exists() or figures["iou"] > state.best:
        state.best = figures["iou"]
        state.save("best.pt", figures)
    state.losses.clear()
    state.save("last.pt")


def _step(state: _State, recipe: Recipe, inputs: tuple[Tensor, ...], truth: Tensor) -> None:
    """Do one step of the optimizer, and let the averaged weights follow."""
    course, network = recipe.course, state.network
    state.whole = False
    inputs, truth = tuple(each.to(course.device) for each in inputs), truth.to(course.device)
    share = rate(recipe.schedule, state.step, state.steps, state.per_epoch)
    state.optimizers.set_rate(recipe.optimizer.learning_rate * share)
    with torch.autocast(course.device, torch.bfloat16, enabled=course.precision == "bfloat16"):
        outputs = network(*inputs)
    if recipe.loss.own and hasattr(network, "loss"):
        loss = network.loss(outputs, truth, inputs[0])
    else:
        loss = deep_supervision(outputs, truth, recipe.loss)
    value = loss.item()
    if not np.isfinite(value):
        raise RecipeError(
            f"step {state.step + 1}: the loss is {value}; try a smaller optimizer.learning_rate, a longer "
            "schedule.warmup, or precision: float32"
        )
    state.optimizers.zero_grad()
    loss.backward()
    if recipe.optimizer.clip:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.optimizer.clip)
    state.optimizers.step()
    _follow(state.average, network, min(course.average, (1 + state.step) / (10 + state.step)))
    state.losses.append(value)
    state.step += 1
    state.whole = True


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and a request to end come through at the end only; outside the main thread none comes anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda got, _: came.append(got))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: not of Python's making
        for number in came[:1]:
            signal.raise_signal(number)


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch statistics a little towards the network's."""
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _size(recipe: Recipe, epoch: int) -> int:
    """Return the side of the square in an epoch, counted from 0."""
    sizes, epochs = recipe.course.sizes, recipe.course.epochs
    if len(sizes) > epochs:  # some are left out, but never the last, which the network is made for
        return sizes[(epoch + 1) * len(sizes) // epochs - 1]
    return sizes[epoch * len(sizes) // epochs]


def _in_words(figures: dict[str, float]) -> str:
    return f"IoU {figures['iou']:.4f}, MAE {figures['mae']:.4f}, F max {figures['f_max']:.4f}"


class _Clock:
    """Rate and time left; work goes with pixels, so that larger sizes to come count as what they are."""

    def __init__(self, recipe: Recipe, state: _State) -> None:
        self.recipe, self.state = recipe, state
        self.started = self.saved = time.monotonic()
        self.first, self.pixels = state.step, 0
        per_epoch = [_size(recipe, epoch) ** 2 * state.per_epoch for epoch in range(recipe.course.epochs)]
        begun = state.step // state.per_epoch
        done = _size(recipe, min(begun, recipe.course.epochs - 1)) ** 2 * (state.step % state.per_epoch)
        self.ahead = sum(per_epoch[begun:]) - done

    def tick(self, epoch: int, size: int) -> Progress:
        """Count the step that was just done."""
        state, course = self.state, self.recipe.course
        self.pixels += size**2
        self.ahead -= size**2
        spent = time.monotonic() - self.started
        pictures = (state.step - self.first) * course.batch / spent
        left = spent * self.ahead / self.pixels
        return Progress(state.step, state.steps, epoch + 1, course.epochs, size, state.losses[-1], pictures, left)

    def due(self) -> bool:
        """Tell, and note, that it is time for a checkpoint."""
        now = time.monotonic()
        if now - self.saved < SAVE_SECONDS:
            return False
        self.saved = now
        return True
