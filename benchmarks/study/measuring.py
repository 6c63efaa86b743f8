"""Run every chain on every picture, and note what came of it: one record a picture, plain data."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bgkit
from benchmarks.study import modes
from benchmarks.study.chains import CHAINS, KEY, chain
from bgkit.evaluate.datasets import open_dataset
from bgkit.evaluate.metrics import score
from bgkit.evaluate.samples import Sample
from bgkit.layers import Layers

__all__ = ["MEASURED", "SETS", "data_folder", "examine", "measure", "run_chains", "samples"]

SETS = {"ecssd": "test/ecssd", "studio": "test/studio"}
MEASURED = ("iou", "boundary_iou", "mad", "sad")
PLACES = 4  # digits kept


def data_folder() -> Path:
    return Path(os.environ.get("BGKIT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def samples(limit: int | None) -> list[tuple[str, Sample]]:
    """Return the pictures, at most ``limit`` of each set, spread over it."""
    found = []
    for name, folder in SETS.items():
        every = list(open_dataset(name, data_folder() / folder))
        count = len(every) if limit is None else min(limit, len(every))
        found += [(name, every[index * len(every) // count]) for index in range(count)]
    return found


def measure(limit: int | None, workers: int, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield a record of some chains for each picture, in the order of :func:`samples`."""
    work = [(*each, names) for each in samples(limit)]
    if workers == 1:
        yield from map(look, work)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(workers, bgkit.set_threads, (max(1, cores // workers),)) as pool:
        yield from pool.imap(look, work)


def look(work: tuple[str, Sample, tuple[str, ...]]) -> dict[str, Any]:
    dataset, sample, names = work
    record = {"set": dataset, "name": sample.name, "kind": sample.kind}
    return record | examine(sample.read_image(), sample.read_truth(), names)


def examine(image: NDArray[np.float32], truth: NDArray[np.float32], names: Iterable[str] = CHAINS) -> dict[str, Any]:
    """Run the chains on one picture.

    Returns
    -------
    dict
        ``plain``: share of the border that shows the key's backdrop. ``chains``: for each chain its
        figures and CPU seconds. ``modes``: for each failure mode that the picture is a case of, the
        chains that failed. ``poor``: the chains whose whole mask is poor.
    """
    scene = modes.Scene.of(image, truth)
    places = modes.cases(scene)
    record: dict[str, Any] = {"plain": 0.0, "chains": {}, "modes": {name: [] for name in places}, "poor": []}
    for name, layers, seconds in run_chains(image, names):
        alpha = layers.mask if layers.alpha is None else layers.alpha
        assert alpha is not None
        if name == KEY:
            record["plain"] = round(float(layers.facts[name]["border_share"]), PLACES)
        values = score(alpha, truth, names=MEASURED, stretch=False).values
        figures = {key: round(value, PLACES) for key, value in values.items()}
        record["chains"][name] = figures | {"cpu": round(seconds, PLACES)}
        for mode, place in places.items():
            if modes.failed(mode, alpha, place, scene):
                record["modes"][mode].append(name)
        if modes.poor(modes.reduced(alpha), scene.subject, scene):
            record["poor"].append(name)
    return record


def run_chains(image: NDArray[np.float32], names: Iterable[str] = CHAINS) -> Iterator[tuple[str, Layers, float]]:
    """Yield each chain's layers up to its alpha, and the CPU seconds of its steps; equal beginnings run once."""
    known: dict[tuple[str, ...], tuple[Layers, float]] = {(): (Layers.of(image), 0.0)}
    for name in names:
        done: tuple[str, ...] = ()
        for step in chain(name).steps:
            layers, seconds = known[done]
            if step.stage.gives in ("foreground", "result"):
                break
            done = (*done, f"{step.name} {sorted(step.values.items())}")
            if done not in known:
                started = time.process_time()
                made = step.apply(layers)
                known[done] = made, seconds + time.process_time() - started
        yield name, *known[done]
